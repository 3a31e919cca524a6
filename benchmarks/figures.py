"""What the API's benchmark found, in a line each, beside what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PAGES = {"newest": "newest", "middle": "from the middle", "metadata": "by metadata"}

LIST_RATIO = 2.0  # p99 of the largest table over that of the smallest
UPLOAD_RATIO = 0.7  # of the throughput of `cp` and then `sha256sum`
API_BYTES = 100e6  # added by any client
PUSH_BYTES = 50e6  # added by what is pushed
DELAY_SECONDS = 1.0  # p99 of events, to a thousand watchers
START_SECONDS = 2.0


@dataclass(frozen=True)
class Figure:
    """A line of the table. `met` is None where nothing was asked for."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None


def figures(parts: Mapping[str, Any]) -> list[Figure]:
    """The table of these parts, each as its module's `measure` gave it."""
    return [figure for name, found in parts.items() for figure in _OF_PARTS[name](found)]


def upload_ratio(row: Mapping[str, Any], way: str) -> float:
    """Throughput of `push` or `post` over that of `cp` and `sha256sum`."""
    return float(row["copy_seconds"] / row[f"{way}_seconds"])


def _start(found: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(
        "API start to first answer",
        f"{found['seconds']:.2f} s",
        f"under {START_SECONDS:.0f} s",
        found["seconds"] < START_SECONDS,
    )
    yield Figure("the same, when modules are compiled first", f"{found['seconds_first']:.2f} s")
    torch = found["torch_libraries"]
    yield Figure(
        "torch's libraries in its memory",
        f"{torch} of {found['libraries']} libraries",
        "none",
        torch == 0,
    )


def _create_job(found: Mapping[str, Any]) -> Iterator[Figure]:
    for kind, seconds in found["seconds"].items():
        for percent in ("p50", "p99"):
            ours, bare = seconds["service"][percent], seconds["bare"][percent]
            yield Figure(
                f"create a job, {NAMES[kind]}, {percent}",
                f"{ours / bare:.1f} times a bare insert ({ms(ours)} against {ms(bare)})",
            )


def _list_jobs(found: Mapping[str, Any]) -> Iterator[Figure]:
    smallest, largest = (str(pick(found["sizes"])) for pick in (min, max))
    for kind, pages in found["seconds"].items():
        for page, seconds in pages.items():
            most, least = seconds[largest]["p99"], seconds[smallest]["p99"]
            yield Figure(
                f"list 20 of {thousands(largest)}, {PAGES[page]}, {NAMES[kind]}, p99",
                f"{most / least:.2f} times {thousands(smallest)} ({ms(most)} against {ms(least)})",
                f"at most {LIST_RATIO:.0f} times",
                most / least <= LIST_RATIO,
            )


def _uploads(found: Mapping[str, Any]) -> Iterator[Figure]:
    for row in found["rows"]:
        size = f"{row['bytes'] / MIB:.0f} MiB"
        for way, name in (("push", "lipsum push"), ("post", "one request")):
            ratio = upload_ratio(row, way)
            yield Figure(
                f"upload {size}, {name}",
                f"{ratio:.2f} of cp + sha256sum",
                f"at least {UPLOAD_RATIO}",
                ratio >= UPLOAD_RATIO,
            )
        api = max(row["push_api_bytes"], row["post_api_bytes"])
        for name, taken, most in (
            ("memory the API adds", api, API_BYTES),
            ("memory lipsum push adds", row["push_client_bytes"], PUSH_BYTES),
        ):
            yield Figure(f"upload {size}, {name}", mb(taken), f"at most {mb(most)}", taken <= most)


def _watchers(found: Mapping[str, Any]) -> Iterator[Figure]:
    for row in found["rows"]:
        watched = "one job" if row["jobs"] == 1 else f"{row['jobs']} jobs"
        watching = f"{thousands(row['watchers'])} watchers of {watched}, one process"
        yield Figure(
            f"{watching}, delay p99",
            f"{row['delay_p99']:.2f} s",
            f"under {DELAY_SECONDS:.0f} s",
            row["delay_p99"] < DELAY_SECONDS and row["api_processes"] == 1,
        )
        yield Figure(f"{watching}, memory of each", f"{row['api_bytes_per_watcher'] / 1e3:.0f} KB")


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def mb(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def thousands(number: int | str) -> str:
    return f"{int(number):,}".replace(",", " ")


_OF_PARTS = {
    "start": _start,
    "create_job": _create_job,
    "list_jobs": _list_jobs,
    "watchers": _watchers,
    "uploads": _uploads,
}
