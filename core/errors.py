"""Every fault the service tells somebody about, as one small tree.

    ServiceError
    ├── InvalidRequest        the request cannot be carried out as it stands   (400)
    │   ├── InvalidDataset    an archive or its images                         (400)
    │   ├── InvalidSpec       a job's model, method or hyperparameters         (400)
    │   └── TooLarge          a body, archive or image over a stated limit     (413)
    ├── Unauthenticated       no key, or a key that is not ours                (401)
    ├── Forbidden             a key that may not do this                       (403)
    ├── NotFound              no such file, job, model or base                 (404)
    ├── Conflict              the resource is in a state that forbids it       (409)
    │   └── Busy              for moments only: the same request may be repeated (409)
    ├── RateLimited           too many requests; it says when to come again    (429)
    ├── QuotaExceeded         a limit that coming again does not mend          (429)
    ├── Unavailable           try again later                                  (503)
    └── StorageFault          the object store or the disk failed us           (507)

`core` knows nothing of HTTP; the numbers above are what `api.errors` makes of each class.
A message says what was wrong, the value seen and what to do about it. `code` is for machines
and never changes meaning; `param` names the field or file that is at fault.
"""

from __future__ import annotations


class ServiceError(Exception):
    """A fault with a machine-readable code and a sentence for the person who caused or met it."""

    default_code = "internal"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param


class InvalidRequest(ServiceError):
    """The request cannot be carried out as it stands; repeating it will not help."""

    default_code = "invalid_request"


class InvalidDataset(InvalidRequest):
    """An archive, its layout or its images cannot be a dataset."""

    default_code = "invalid_dataset"


class InvalidSpec(InvalidRequest):
    """A job names a model, method, hyperparameter or split that cannot be used."""

    default_code = "invalid_spec"


class TooLarge(InvalidRequest):
    """Something exceeds a limit that the message names."""

    default_code = "too_large"


class Unauthenticated(ServiceError):
    """No API key was given, or one this service never issued."""

    default_code = "invalid_api_key"


class Forbidden(ServiceError):
    """The key is known and may not do this."""

    default_code = "forbidden"


class NotFound(ServiceError):
    """No such thing, or none that this key may know of: the two answers are the same."""

    default_code = "not_found"


class Conflict(ServiceError):
    """The resource's present state forbids the request."""

    default_code = "conflict"


class Busy(Conflict):
    """Somebody else is at it at this moment; the same request will have its answer soon."""

    default_code = "busy"


class RateLimited(ServiceError):
    """Too many requests; the same one succeeds after `retry_after` seconds."""

    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(ServiceError):
    """The key or its project has used up what it may have of what `param` names."""

    default_code = "insufficient_quota"


class Unavailable(ServiceError):
    """A part of the service is not ready or is full; the same request may succeed later."""

    default_code = "unavailable"


class StorageFault(ServiceError):
    """The object store or a disk refused a read or a write."""

    default_code = "storage_error"
