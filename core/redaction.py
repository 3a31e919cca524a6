"""Secrets taken out of text that users read.

Known ones are taken out wherever they stand: what the settings hold, and environment variables
whose names say that they are secret. Unknown ones by their form, as far as they have one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from core.settings import Settings

REDACTED = "[redacted]"
_SHORTEST = 6  # characters; shorter ones would be found in ordinary words
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_FORMS = re.compile(
    r"\b(?:"
    r"lipsum-[A-Za-z0-9_-]{16,}"  # this service's keys
    r"|whsec_[A-Za-z0-9+/=]{16,}"
    r"|hf_[A-Za-z0-9]{16,}"
    r"|sk-[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|AKIA[0-9A-Z]{16}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # a JSON web token
    r")"
)
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")


class Redactor:
    """Takes secrets out of text. Give it whole lines: half a secret is not recognised."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        longest_first = sorted(known, key=lambda secret: (-len(secret), secret))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str]) -> Redactor:
        """With the secrets of a process that has these settings and this environment."""
        found = [value for name, value in environment.items() if _SECRET_NAME.search(name)]
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            if isinstance(value, SecretStr):
                found.append(value.get_secret_value())
            elif isinstance(value, str) and "://" in value:
                password = urlsplit(value).password
                found += [] if password is None else [password, unquote(password)]
        return cls(found)

    def redact(self, text: str) -> str:
        """The text with each secret replaced."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _FORMS.sub(REDACTED, text)
        text = _CREDENTIALS.sub(REDACTED, text)
        return _AUTHORIZATION.sub(lambda found: f"{found.group(1)} {REDACTED}", text)
