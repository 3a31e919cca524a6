"""A trainer's log on its way to the database: whole lines, without secrets, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.records.engine import Database
from core.redaction import REDACTED, Redactor
from core.settings import MIB
from tests import service_builders as build
from tests.unit.worker.worlds import MovedClock, Outage
from worker.log_shipper import RETRY_SECONDS, SHIP_SECONDS, LogShipper


class Log:
    """A job that is held, and its trainer's log."""

    def __init__(self, url: str, path: Path) -> None:
        self.database = Outage(url)
        build.job(self.database, build.project(self.database))
        self.claim = build.claim(self.database)
        self.path = path
        self.clock = MovedClock()
        self.shipper = LogShipper(
            self.claim, path, self.database, self.clock, Redactor(["hunter22"])
        )

    def print(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def step(self) -> None:
        self.clock.time += SHIP_SECONDS
        self.shipper.step()

    def read(self) -> str:
        """All that is shipped, but for the heading."""
        heading, _, rest = build.log(self.database, self.claim.job_id).decode().partition("\n")
        assert heading.startswith("--- attempt 1, ")
        return rest


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Iterator[Log]:
    url = database.engine.url.render_as_string(hide_password=False)
    made = Log(url, tmp_path / "trainer.log")
    yield made
    made.database.close()


def test_lines_go_out_as_they_are_whole(log: Log) -> None:
    log.step()
    assert log.read() == ""
    log.print("one\ntwo\nthr")
    log.step()
    assert log.read() == "one\ntwo\n"
    log.print("ee\nfour")
    log.step()
    assert log.read() == "one\ntwo\nthree\n"
    log.shipper.finish()
    assert log.read() == "one\ntwo\nthree\nfour"


def test_nothing_goes_out_before_it_is_due(log: Log) -> None:
    log.step()
    log.print("one\n")
    log.shipper.step()
    assert log.read() == ""
    assert log.shipper.next_due() == log.clock.time + SHIP_SECONDS


def test_secrets_stay_here_though_they_come_in_halves(log: Log) -> None:
    log.print("the password is hunt")
    log.step()
    log.print("er22, and Bearer abcdefgh1234\n")
    log.step()
    assert log.read() == f"the password is {REDACTED}, and Bearer {REDACTED}\n"


def test_a_database_that_is_away_delays_and_loses_nothing(log: Log) -> None:
    log.print("one\n")
    log.database.away = True
    log.step()
    assert log.shipper.next_due() == log.clock.time + RETRY_SECONDS
    log.print("two\n")
    with pytest.raises(Unavailable):
        log.shipper.finish()
    log.database.away = False
    log.shipper.finish()
    assert log.read() == "one\ntwo\n"


def test_of_a_flood_the_end_is_shipped(log: Log) -> None:
    log.print("first\n")
    log.step()
    log.print("flood\n" * MIB)
    log.step()
    shipped = log.read()
    assert shipped.startswith("first\n")
    assert f"[{5 * MIB} bytes were left out]" in shipped
    assert shipped.endswith("flood\n" * 100_000)
    assert len(shipped) < 2 * MIB


def test_an_endless_line_is_cut(log: Log) -> None:
    log.print("x" * 200_000)
    log.step()
    assert log.read() == "x" * 200_000


def test_what_is_no_text_does_not_stop_it(log: Log) -> None:
    log.path.write_bytes(b"\xff\xfe\x00 and more\n")
    log.step()
    assert log.read().endswith(" and more\n")


def test_a_file_that_is_gone_costs_nothing(log: Log) -> None:
    log.print("one\n")
    log.step()
    log.path.unlink()
    log.step()
    log.shipper.finish()
    assert log.read() == "one\n"
