"""Secrets that must not be read in a log."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from core.redaction import REDACTED, Redactor
from core.settings import Settings


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REDACTED}"),
        ("authorization: basic dXNlcjpwYXNz", f"authorization: basic {REDACTED}"),
        ("key lipsum-Ab12_Cd34-Ef56Gh78 used", f"key {REDACTED} used"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", f"secret {REDACTED}"),
        ("token=hf_abcdefghijklmnopqrst", f"token={REDACTED}"),
        ("sk-proj-abcdefghijklmnop", REDACTED),
        ("AKIAIOSFODNN7EXAMPLE", REDACTED),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ", REDACTED),
        ("postgresql://lipsum:hunter22@db/x", f"postgresql://{REDACTED}@db/x"),
        ("redis://:hunter22@cache:6379/0", f"redis://{REDACTED}@cache:6379/0"),
    ],
)
def test_by_their_form(text: str, left: str) -> None:
    assert Redactor().redact(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "step 12: loss 0.5, the key of the matter, a token of gratitude",
        "bearer of news",
        "https://example.com/path?x=1 and 12:30@noon",
        "lipsum-ft is a method; risk-averse people; task-force",
        'File "/app/core/keys.py", line 3, in <module>',
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redactor().redact(text) == text


def test_what_the_process_knows() -> None:
    settings = Settings(
        s3_secret_access_key=SecretStr("s3cr3t-value"),
        database_url="postgresql://lipsum:p%40ssw0rd@db/x",
    )
    environment = {"WANDB_API_KEY": "0123456789abcdef", "HOME": "/home/somebody", "X_TOKEN": "abc"}
    redactor = Redactor.of(settings, environment)
    text = "s3cr3t-value p@ssw0rd p%40ssw0rd 0123456789abcdef /home/somebody abc"
    assert redactor.redact(text) == " ".join([REDACTED] * 4 + ["/home/somebody", "abc"])


def test_the_longest_of_two_secrets_goes_whole() -> None:
    redactor = Redactor(["abcdef", "abcdefghij"])
    assert redactor.redact("x abcdefghij y abcdef") == f"x {REDACTED} y {REDACTED}"
