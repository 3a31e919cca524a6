"""Which addresses belong to the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID and other protocols: Teredo holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # "this network": Linux takes 0.0.0.0 for itself
            "100.64.0.0/10",  # a carrier's own, RFC 6598
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # 6to4 relays
        ),
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is a machine anywhere on the internet. What only wraps an IPv4 address
    (`::ffff:127.0.0.1`, 6to4, Teredo, NAT64) is not: nobody needs it, and it hides the other."""
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST and not any(address in net for net in _NOT_PUBLIC_6)
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in net for net in _NOT_PUBLIC_4)
