"""Texts without credentials: what a store answered, before anybody reads it."""

from __future__ import annotations

import os
import re

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/\s\"'@]*@)?(?P<rest>[^\s\"'?#<>]*)"
    r"(?P<query>[?#][^\s\"'<>]*)?",
    re.IGNORECASE,
)
_SECRET = re.compile(r"SECRET|TOKEN|KEY|PASSWORD|SAS|SIGNATURE|CREDENTIAL", re.IGNORECASE)
_FIELD = re.compile(
    r"(?i)\b(authorization|x-amz-security-token|x-amz-signature|x-amz-credential|signature|sig|"
    r"accountkey|sharedaccesssignature|awsaccesskeyid)\b(\"?\s*[:=]\s*\"?)[^\s\"&;,<>]+"
    r"( [^\s\"&;,<>]+)*"
)
_SHORTEST = 6
"""Characters of the shortest value of the environment that is taken for a secret."""
_HIDDEN = "***"


def redacted(text: str) -> str:
    """Return a text without credentials.

    Removed are the users and queries of URLs, the values of environment variables whose names
    speak of secrets, and fields such as ``Authorization`` that a server may repeat.
    """
    for value in _secrets():
        text = text.replace(value, _HIDDEN)
    return _FIELD.sub(lambda found: f"{found[1]}{found[2]}{_HIDDEN}", _URL.sub(_bare, text))


def _bare(found: re.Match[str]) -> str:
    return f"{found['scheme']}{found['rest']}"


def _secrets() -> list[str]:
    """Return the secrets of the environment, longest first: one may hold another."""
    stated = {
        value
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GCS_", "SLIM_"))
        and _SECRET.search(name)
        and len(value) >= _SHORTEST
        and not os.path.exists(value)  # noqa: PTH110  (a credentials file's path isn't secret)
    }
    return sorted(stated, key=len, reverse=True)
