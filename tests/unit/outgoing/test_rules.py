"""URLs that a stranger may write, and the ways to write an address of our own network."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from core.outgoing.addresses import is_public
from core.outgoing.rules import Refused, Rules, parse_target
from core.settings import Settings

STRICT = Rules()


def rules(**settings: Any) -> Rules:
    return Rules.from_settings(Settings(**settings))


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("https://Example.COM./hook?a=1", "example.com", 443, "/hook?a=1"),
        ("https://xn--mnchen-3ya.de/x", "xn--mnchen-3ya.de", 443, "/x"),
        ("https://8.8.8.8/x", "8.8.8.8", 443, "/x"),
        ("https://[2606:4700::1111]:443/x", "2606:4700::1111", 443, "/x"),
        ("https://a_b.example.com/", "a_b.example.com", 443, "/"),
    ],
)
def test_what_is_taken(url: str, host: str, port: int, path: str) -> None:
    target = parse_target(url, STRICT)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://example.com/", id="not https"),
        pytest.param("ftp://example.com/", id="another scheme"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("gopher://127.0.0.1:6379/_FLUSHALL", id="gopher"),
        pytest.param("//example.com/", id="no scheme"),
        pytest.param("https:///x", id="no host"),
        pytest.param("https://user:secret@example.com/", id="credentials"),
        pytest.param("https://example.com@127.0.0.1/", id="a host that is a user"),
        pytest.param("https://127.0.0.1\\@example.com/", id="backslash"),
        pytest.param("https://example.com:22/", id="a port that is not listed"),
        pytest.param("https://example.com:6379/", id="redis"),
        pytest.param("https://example.com:0/", id="port 0"),
        pytest.param("https://example.com:99999/", id="no port at all"),
        pytest.param("https://example.com/#@127.0.0.1", id="fragment"),
        pytest.param("https://example.com/\r\nhost: other", id="header injection"),
        pytest.param("https://exa mple.com/", id="space"),
        pytest.param("https://ex\x00ample.com/", id="NUL"),
        pytest.param("https://münchen.de/", id="not ASCII"),
        pytest.param("https://①②⑦.⓪.⓪.①/", id="digits that are made plain"),
        pytest.param("https://127.0.0.1/", id="loopback"),
        pytest.param("https://2130706433/", id="decimal"),
        pytest.param("https://0177.0.0.1/", id="octal"),
        pytest.param("https://0x7f.0.0.1/", id="hexadecimal"),
        pytest.param("https://0x7f000001/", id="hexadecimal whole"),
        pytest.param("https://127.1/", id="short"),
        pytest.param("https://127.0.0.1./", id="loopback with a dot"),
        pytest.param("https://0.0.0.0/", id="any address"),
        pytest.param("https://0/", id="zero"),
        pytest.param("https://10.0.0.1/", id="private 10"),
        pytest.param("https://172.16.0.1/", id="private 172"),
        pytest.param("https://192.168.0.1/", id="private 192"),
        pytest.param("https://100.64.0.1/", id="a carrier's"),
        pytest.param("https://169.254.169.254/latest/meta-data/", id="metadata"),
        pytest.param("https://224.0.0.1/", id="multicast"),
        pytest.param("https://255.255.255.255/", id="broadcast"),
        pytest.param("https://[::1]/", id="IPv6 loopback"),
        pytest.param("https://[::]/", id="IPv6 any address"),
        pytest.param("https://[::ffff:127.0.0.1]/", id="IPv4-mapped"),
        pytest.param("https://[0:0:0:0:0:ffff:127.0.0.1]/", id="IPv4-mapped long"),
        pytest.param("https://[::ffff:7f00:1]/", id="IPv4-mapped hexadecimal"),
        pytest.param("https://[::127.0.0.1]/", id="IPv4-compatible"),
        pytest.param("https://[64:ff9b::7f00:1]/", id="NAT64"),
        pytest.param("https://[2002:7f00:1::]/", id="6to4"),
        pytest.param("https://[2001:0:7f00:1::]/", id="Teredo"),
        pytest.param("https://[fe80::1]/", id="IPv6 link-local"),
        pytest.param("https://[fe80::1%25eth0]/", id="zone"),
        pytest.param("https://[fd00:ec2::254]/", id="IPv6 metadata"),
        pytest.param("https://[fec0::1]/", id="IPv6 site-local"),
        pytest.param("https://[ff02::1]/", id="IPv6 multicast"),
        pytest.param("https://[127.0.0.1]/", id="IPv4 in brackets"),
        pytest.param("https://" + "a" * 64 + "." * 3 + "com/", id="empty labels"),
        pytest.param("https://example.com/" + "a" * 2048, id="too long"),
    ],
)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        parse_target(url, STRICT)


def test_a_name_that_is_listed_may_be_called_without_tls() -> None:
    listed = rules(outgoing_hosts=("hooks.intranet",), outgoing_ports=(443, 8080))
    assert parse_target("http://hooks.intranet:8080/x", listed).port == 8080
    with pytest.raises(Refused):
        parse_target("http://example.com:8080/", listed)
    with pytest.raises(Refused):
        parse_target("http://hooks.intranet:22/", listed)


def test_a_network_that_is_listed_opens_no_other() -> None:
    listed = rules(outgoing_hosts=("10.2.0.0/16", "fd00::/8"))
    assert parse_target("https://10.2.3.4/", listed).host == "10.2.3.4"
    assert parse_target("https://[fd00::5]/", listed).host == "fd00::5"
    for other in ("10.3.0.1", "127.0.0.1", "[::ffff:10.2.3.4]", "169.254.169.254"):
        with pytest.raises(Refused):
            parse_target(f"https://{other}/", listed)


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "not a name", "2130706433", "http://x", ""])
def test_a_setting_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="outgoing_hosts"):
        rules(outgoing_hosts=(entry,))


def test_public_addresses_are_public() -> None:
    for address in ("1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"):
        assert is_public(ip_address(address))
