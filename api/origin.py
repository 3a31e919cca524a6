"""What reaches the service by detours is refused: other host names, and other sites' pages.

A page on evil.example can have its name resolve to 127.0.0.1 (DNS rebinding); the browser then
talks to this service and says `Host: evil.example`. And a page anywhere can have a browser send
us requests, which then say `Origin: https://evil.example` unless they only read.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_response
from core.settings import Settings
from core.validation import shown

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

# RFC 9110, 7.2: a host and perhaps a port; no user, no path, nothing between or around.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?")


class OriginCheck:
    """Pure ASGI, before anything looks at the path or the key."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = allowed_hosts(settings)
        self._origins = frozenset(_listed(settings.allowed_origins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            return await self._app(scope, receive, send)
        status, code, message = refusal
        await error_response(status, message, code)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """(status, code, message) of what is wrong with the request, if anything."""
        target = scope.get("raw_path") or scope["path"].encode()
        if not target.startswith(b"/"):
            # An absolute or odd target could name another host than the header does.
            seen = shown(target.decode("latin-1"))
            return 400, "invalid_target", f"The request's target is {seen}; it must begin with '/'."
        host = _only(scope, b"host")
        if host is None or host_name(host) not in self._hosts:
            return (
                403,
                "host_not_allowed",
                f"The Host header is {shown(host)}, which is no name of this service. The operator "
                "can name it in LIPSUM_ALLOWED_HOSTS.",
            )
        origins = _values(scope, b"origin")
        if scope["method"] != "GET" and not all(self._is_ours(each, host) for each in origins):
            return (
                403,
                "origin_not_allowed",
                f"The request comes from a page of {shown(origins[0])}, which may not change "
                "anything here. The operator can name it in LIPSUM_ALLOWED_ORIGINS.",
            )
        return None

    def _is_ours(self, origin: str, host: str) -> bool:
        """Whether it is a page of the host that was asked, or of one that the operator named."""
        lower = origin.lower()
        return lower in self._origins or lower in (
            f"http://{host.lower()}",
            f"https://{host.lower()}",
        )


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Names that the service answers to, in lower case and without ports."""
    named = {host_name(item) or item for item in _listed(settings.allowed_hosts)}
    bound = set() if _is_any_address(settings.host) else {settings.host.lower()}
    return LOOPBACK_NAMES | bound | named


def host_name(header: str) -> str | None:
    """The name in a Host header, in lower case; None when it is not well formed."""
    found = _HOST.fullmatch(header)
    if found is None:
        return None
    return (found["ipv6"] or found["name"]).lower().removesuffix(".")


def _is_any_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _only(scope: Scope, name: bytes) -> str | None:
    """The header's value when there is exactly one."""
    values = _values(scope, name)
    return values[0] if len(values) == 1 else None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _listed(setting: str) -> list[str]:
    return [item.strip().lower() for item in setting.split(",") if item.strip()]
