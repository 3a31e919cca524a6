"""How API keys are kept: HMAC-SHA-256 under a secret that the database does not have.

Whoever reads the database alone can neither use a key nor tell whether a guessed one is in it. A
key is looked up by its digest, so how long that takes says nothing about any key: nobody without
the secret can choose a digest.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from core.errors import InvalidRequest
from core.settings import Settings

_SECRET_BYTES = 32
_FINGERPRINT_LENGTH = 12  # hexadecimal digits, enough to tell one installation's secret by


class KeyHash:
    """The hashing of one installation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.fingerprint = self._keyed(b"fingerprint")[:_FINGERPRINT_LENGTH]

    @classmethod
    def from_settings(cls, settings: Settings) -> KeyHash:
        """With the secret of the settings or else of the data directory. Raises InvalidRequest."""
        if settings.key_secret is not None:
            return cls(settings.key_secret.get_secret_value().encode())
        try:
            return cls(settings.key_secret_path.read_text(encoding="ascii").strip().encode())
        except FileNotFoundError as error:
            raise InvalidRequest(
                f"There is no {settings.key_secret_path}, with which API keys are hashed. Run "
                "`lipsum prepare` here once, or set LIPSUM_KEY_SECRET to what it is elsewhere.",
                code="no_key_secret",
            ) from error

    def digest(self, key: str) -> str:
        """What is stored of a key."""
        return self.wrap(hashlib.sha256(key.encode()).hexdigest())

    def wrap(self, sha256: str) -> str:
        """The digest of a key whose SHA-256 is all that is known, in hexadecimal."""
        return self._keyed(sha256.encode())

    def _keyed(self, message: bytes) -> str:
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def make_secret(settings: Settings) -> None:
    """Leaves a new secret in the data directory, readable by its owner only, where none is."""
    if settings.key_secret is None:
        write_private(settings.key_secret_path, secrets.token_hex(_SECRET_BYTES), replace=False)


def write_private(path: Path, text: str, *, replace: bool) -> None:
    """A line in a file that only its owner can read, whole or not at all; what is there stays
    unless `replace`.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(temporary, flags, 0o600), "w") as out:
        out.write(text + "\n")
    try:
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first: its secret is ours
    finally:
        temporary.unlink(missing_ok=True)
