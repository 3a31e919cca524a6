"""What a URL must be for this service to go there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from core.errors import InvalidRequest
from core.outgoing.addresses import is_public
from core.settings import Settings
from core.validation import shown

MAX_URL = 2048  # characters
_DEFAULT_PORTS = {"https": 443, "http": 80}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Refused(InvalidRequest):
    """This service does not go to that address. Says no more of it than the client knew."""

    default_code = "address_refused"


@dataclass(frozen=True)
class Rules:
    """The operator's choice of where else than to the public internet."""

    hosts: frozenset[str] = frozenset()  # names that may stand for any address
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ports: frozenset[int] = frozenset({443})

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """Raises ValueError for what is neither a name nor a network."""
        names, networks = set(), []
        for entry in settings.outgoing_hosts:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                name = entry.lower()
                if not _NAME.fullmatch(name) or _is_numeric(name):
                    raise ValueError(
                        f"outgoing_hosts has {entry!r}; give host names and networks such as "
                        "10.2.0.0/16"
                    ) from None
                names.add(name)
        return cls(frozenset(names), tuple(networks), frozenset(settings.outgoing_ports))

    def allows(self, host: str, address: str) -> bool:
        """Whether a host of that name may be at that address."""
        found = ip_address(address)
        if host in self.hosts or is_public(found):
            return True
        return any(found.version == net.version and found in net for net in self.networks)

    def is_chosen(self, host: str) -> bool:
        """Whether the operator named this very host or literal address."""
        if host in self.hosts:
            return True
        literal = literal_address(host)
        return (
            literal is not None
            and not is_public(ip_address(literal))
            and self.allows(host, literal)
        )


@dataclass(frozen=True)
class Target:
    """A URL that was looked at: nothing of it is parsed again."""

    scheme: str
    host: str  # lower case, without brackets
    port: int
    path: str  # with its query

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, rules: Rules, *, param: str | None = None) -> Target:
    """The URL as a target. Raises Refused naming what is wrong with it.

    Names are not resolved here; a literal address is judged at once.
    """
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise _refused(
            f"it must have at most {MAX_URL} printable ASCII characters, without a backslash", param
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(f"it is no URL ({error})", param) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused(f"its scheme is {shown(parts.scheme)}; it must be https", param)
    if "@" in parts.netloc:
        raise _refused("it holds a user name or password; leave them out", param)
    if parts.fragment or "#" in url:
        raise _refused("it has a fragment; leave it out", param)
    host = _host(parts.hostname, param)
    if parts.scheme == "http" and not rules.is_chosen(host):
        raise _refused("its scheme is 'http'; it must be https", param)
    target = Target(
        parts.scheme,
        host,
        _DEFAULT_PORTS[parts.scheme] if port is None else port,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if target.port not in rules.ports:
        ports = ", ".join(map(str, sorted(rules.ports)))
        raise _refused(f"its port is {target.port}; the ports are {ports}", param)
    literal = literal_address(host)
    if literal is not None and not rules.allows(host, literal):
        raise not_public(param)
    return target


def literal_address(host: str) -> str | None:
    """The address, when the host is one and no name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def not_public(param: str | None = None) -> Refused:
    """The one answer to names that do not resolve and to names of private addresses: whoever
    could tell them apart could map the network behind this service."""
    return _refused("its host does not stand for public addresses alone", param)


def _host(host: str | None, param: str | None) -> str:
    """Names as the DNS has them, and addresses as `ipaddress` writes them: every other way to
    write one (decimal, octal, hexadecimal, short) is a way around somebody's check."""
    if not host:
        raise _refused("it names no host", param)
    host = host.lower().removesuffix(".")
    if literal_address(host) is not None and "%" not in host:
        return host
    if not _NAME.fullmatch(host) or _is_numeric(host):
        raise _refused(f"its host is {shown(host)}, which is no host name or address", param)
    return host


def _is_numeric(host: str) -> bool:
    """As the URL standard's "ends in a number": a resolver may take it for an address."""
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _refused(why: str, param: str | None) -> Refused:
    return Refused(f"The URL cannot be called: {why}.", param=param)
