"""What a POST to a stranger's URL reaches, and what it never does."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.outgoing.post import Failed, post
from core.outgoing.resolver import Lookup, resolve
from core.outgoing.rules import Refused, Rules, parse_target
from tests.receiver import receiver

PUBLIC = "93.184.216.34"


def listed(*ports: int) -> Rules:
    """Where a test's receiver may be reached: by name only."""
    return Rules(hosts=frozenset({"hooks.test"}), ports=frozenset(ports))


def at(*addresses: str) -> Lookup:
    return lambda host, port: list(addresses)


class TestResolving:
    target = parse_target("https://example.com/", Rules())

    def test_every_address_must_be_public(self) -> None:
        assert resolve(self.target, Rules(), 1.0, at(PUBLIC)) == [PUBLIC]
        for others in (("127.0.0.1",), (PUBLIC, "10.0.0.1"), ("::1", PUBLIC), ("::ffff:10.0.0.1",)):
            with pytest.raises(Refused):
                resolve(self.target, Rules(), 1.0, at(*others))

    def test_a_resolver_that_fails_refuses(self) -> None:
        def fail(host: str, port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")

        with pytest.raises(Refused):
            resolve(self.target, Rules(), 1.0, fail)

    def test_a_resolver_that_knows_nothing_refuses(self) -> None:
        with pytest.raises(Refused):
            resolve(self.target, Rules(), 1.0, at())

    def test_a_resolver_that_says_nonsense_refuses(self) -> None:
        with pytest.raises(Refused):
            resolve(self.target, Rules(), 1.0, at("localhost"))

    def test_a_resolver_that_hangs_refuses_in_time(self) -> None:
        leave = threading.Event()

        def hang(host: str, port: int) -> list[str]:
            leave.wait(20)
            return [PUBLIC]

        began = time.monotonic()
        with pytest.raises(Refused):
            resolve(self.target, Rules(), 0.1, hang)
        assert time.monotonic() - began < 5
        leave.set()

    def test_who_is_private_and_who_does_not_exist_are_told_apart_by_nobody(self) -> None:
        messages = set()
        for lookup in (at("10.0.0.1"), at(), at("127.0.0.1")):
            with pytest.raises(Refused) as caught:
                resolve(self.target, Rules(), 1.0, lookup)
            messages.add(caught.value.message)
        assert len(messages) == 1

    def test_a_name_that_is_listed_is_listed_by_its_name(self) -> None:
        """One entry in the list turns no check off for others."""
        rules = listed(443)
        assert resolve(parse_target("https://hooks.test/", rules), rules, 1.0, at("10.0.0.1"))
        with pytest.raises(Refused):
            resolve(self.target, rules, 1.0, at("10.0.0.1"))


class TestPosting:
    def test_it_arrives_and_the_status_comes_back(self) -> None:
        with receiver(202) as server:
            rules = listed(server.port)
            target = parse_target(f"http://hooks.test:{server.port}/a?b=c", rules)
            status = post(target, b"{}", {"x-one": "1"}, rules, lookup=at("127.0.0.1"))
        assert status == 202
        [request] = server.received
        assert (request.path, request.body) == ("/a?b=c", b"{}")
        assert request.headers["host"] == f"hooks.test:{server.port}"
        assert request.headers["x-one"] == "1"

    def test_the_name_is_asked_for_once_and_the_checked_address_is_gone_to(self) -> None:
        """DNS rebinding: a name that is public when it is checked and loopback a moment later."""
        asked: list[str] = []

        def rebind(host: str, port: int) -> list[str]:
            asked.append(host)
            return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

        with receiver() as server:
            rules = Rules(ports=frozenset({server.port}))
            target = parse_target(f"https://rebind.test:{server.port}/", rules)
            with pytest.raises(Failed):
                post(target, b"", {}, rules, timeout=0.5, lookup=rebind)
        assert asked == ["rebind.test"]
        assert server.received == []

    def test_a_redirect_to_loopback_is_not_followed(self) -> None:
        with receiver() as inner, receiver(302) as server:
            server.location = f"{inner.address}/admin"
            rules = listed(server.port, inner.port)
            target = parse_target(f"http://hooks.test:{server.port}/", rules)
            assert post(target, b"", {}, rules, lookup=at("127.0.0.1")) == 302
        assert inner.received == []

    def test_no_proxy_of_the_environment_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with receiver() as proxy, receiver() as server:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, proxy.address)
            rules = listed(server.port)
            target = parse_target(f"http://hooks.test:{server.port}/", rules)
            post(target, b"", {}, rules, lookup=at("127.0.0.1"))
        assert (len(server.received), proxy.received) == (1, [])

    def test_the_next_address_is_tried(self) -> None:
        with receiver() as server:
            rules = listed(server.port)
            target = parse_target(f"http://hooks.test:{server.port}/", rules)
            assert post(target, b"", {}, rules, lookup=at("127.0.0.9", "127.0.0.1")) == 204

    def test_https_is_held_to_the_name(self) -> None:
        with receiver() as server:  # which speaks no TLS
            rules = listed(server.port)
            target = parse_target(f"https://hooks.test:{server.port}/", rules)
            with pytest.raises(Failed, match="connection failed"):
                post(target, b"", {}, rules, lookup=at("127.0.0.1"))

    @pytest.mark.parametrize(("certified", "arrives"), [("hooks.test", True), ("other", False)])
    def test_the_certificate_must_be_the_name_s_and_not_the_address_s(
        self, certified: str, arrives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(_certify(tmp_path, certified)))
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        with receiver(tls=tls) as server:
            rules = listed(server.port)
            target = parse_target(f"https://hooks.test:{server.port}/", rules)
            if arrives:
                assert post(target, b"", {}, rules, lookup=at("127.0.0.1")) == 204
                return
            with pytest.raises(Failed, match="certificate"):
                post(target, b"", {}, rules, lookup=at("127.0.0.1"))
        assert server.received == []

    def test_an_answer_that_drips_ends_with_the_time(self) -> None:
        def drip(connection: socket.socket) -> None:
            while True:
                connection.sendall(b"H")
                time.sleep(0.05)

        with _server(drip) as port:
            self._fails_within(port, 0.5, "No answer within 0.5 s")

    def test_a_receiver_that_says_nothing_ends_with_the_time(self) -> None:
        with _server(lambda connection: time.sleep(1.5)) as port:
            self._fails_within(port, 0.4, "No answer")

    def test_an_endless_head_is_refused(self) -> None:
        def flood(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"x-more: " + b"x" * 1000 + b"\r\n")

        with _server(flood) as port:
            self._fails_within(port, 5.0, "connection failed")

    def test_an_endless_body_is_never_read(self) -> None:
        def flood(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)

        with _server(flood) as port:
            rules = listed(port)
            target = parse_target(f"http://hooks.test:{port}/", rules)
            assert post(target, b"", {}, rules, lookup=at("127.0.0.1")) == 200

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self._fails_within(port, 5.0, "connection failed")

    def _fails_within(self, port: int, seconds: float, words: str) -> None:
        rules = listed(port)
        target = parse_target(f"http://hooks.test:{port}/", rules)
        began = time.monotonic()
        with pytest.raises(Failed, match=words):
            post(target, b"", {}, rules, timeout=seconds, lookup=at("127.0.0.1"))
        assert time.monotonic() - began < seconds + 2


def _certify(directory: Path, name: str) -> Path:
    """A certificate for that name, signed by itself; where it is."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"]
    command = ["openssl", "req", "-x509", "-days", "2", *curve, *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return directory / "cert.pem"


@contextmanager
def _server(answer: object) -> Iterator[int]:
    """A port that answers one connection with what `answer` writes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                answer(connection)  # type: ignore[operator]
        except OSError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)
