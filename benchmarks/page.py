"""What the page costs: a first view in a browser that has nothing of it yet, and fifty watchers of
one job that trains.

    python -m benchmarks.page
    python -m benchmarks.page --only watchers --small

Needs Debian's chromium. The browser, or the watchers, share the machine with what they measure.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.figures import Figure
from benchmarks.memory import resident
from benchmarks.suite import Part, run
from core.jobs.messages import Metrics
from core.records import jobs, metrics
from tests import service_builders as build
from tests.api_process import ApiProcess, api_process

STEPS_BEFORE = 500  # of the job that is looked at
STEPS_AT_ONCE = 4  # in each of the reports that come while it is watched
REPORTS_PER_SECOND = 5.0
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_TICKS = os.sysconf("SC_CLK_TCK")


def first_view(tries: int) -> dict[str, Any]:
    """Requests, bytes on the wire and milliseconds to the first paint, medians of so many tries."""
    with _served() as (api, job_id), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        views = {"jobs": "/", "job": f"/jobs/{job_id}"}
        _look(browser, api, "/")  # the process's first: files are read, and Vega is bundled
        _look(browser, api, views["job"])
        found = {name: _looks(browser, api, path, tries) for name, path in views.items()}
        browser.close()
        return {"tries": tries, "views": found}


def watchers(n: int, seconds: float) -> dict[str, Any]:
    """Share of a core and memory of the API's process while one job measures and n follow."""
    with _served() as (api, job_id):
        return asyncio.run(_watch(api, job_id, n, seconds))


@contextmanager
def _served() -> Iterator[tuple[ApiProcess, str]]:
    """The API, and a job in it that has measured some steps."""
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-page-") as folder,
        api_process(Path(folder)) as api,
    ):
        job_id = build.job(api.database, api.project_id).id
        _measure(api, job_id, 0, STEPS_BEFORE)
        yield api, job_id


def _looks(browser: Browser, api: ApiProcess, path: str, tries: int) -> dict[str, float]:
    rows = [_look(browser, api, path) for _ in range(tries)]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _look(browser: Browser, api: ApiProcess, path: str) -> dict[str, float]:
    """In a context of its own, which has nothing cached."""
    address = f"http://127.0.0.1:{api.settings.port}"
    context = browser.new_context(base_url=address)
    bearer = {"authorization": f"Bearer {api.key}"}
    assert context.request.post("/session", headers=bearer).ok
    page = context.new_page()
    sizes: list[float] = []
    asked: list[str] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.on("request", lambda request: asked.append(request.url))
    began = time.monotonic()
    page.goto(path)
    page.locator('#view[aria-busy="false"]').wait_for()
    ready = 1e3 * (time.monotonic() - began)
    page.wait_for_timeout(1500)  # what is drawn after that: charts
    found = {
        "requests": len(asked),
        "bytes": sum(sizes),
        "paint_ms": page.evaluate(PAINT),
        "ready_ms": ready,
    }
    context.close()
    return found


async def _watch(api: ApiProcess, job_id: str, n: int, seconds: float) -> dict[str, Any]:
    pid = api.process.pid
    idle, counts = resident(pid), _Counts(n)
    readers = [asyncio.create_task(_read(api, job_id, counts, number)) for number in range(n)]
    await counts.all_have(STEPS_BEFORE)
    used, began, step = _processor_seconds(pid), time.monotonic(), STEPS_BEFORE
    while time.monotonic() - began < seconds:
        await asyncio.to_thread(_measure, api, job_id, step, STEPS_AT_ONCE)
        step += STEPS_AT_ONCE
        await asyncio.sleep(1 / REPORTS_PER_SECOND)
    spent, lasted = _processor_seconds(pid) - used, time.monotonic() - began
    await counts.all_have(step)
    most = resident(pid)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return {
        "watchers": n,
        "seconds": lasted,
        "steps": step - STEPS_BEFORE,
        "cores": spent / lasted,
        "bytes_per_watcher": (most - idle) / n,
    }


class _Counts:
    """How many steps each watcher was told."""

    def __init__(self, n: int) -> None:
        self._counts = [0] * n
        self._changed = asyncio.Event()

    def one_more(self, number: int) -> None:
        self._counts[number] += 1
        self._changed.set()

    async def all_have(self, steps: int) -> None:
        while min(self._counts) < steps:
            self._changed.clear()
            await self._changed.wait()


async def _read(api: ApiProcess, job_id: str, counts: _Counts, number: int) -> None:
    port = api.settings.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/v1/fine_tuning/jobs/{job_id}/events?stream=true&metrics=start"
    host, bearer = f"host: 127.0.0.1:{port}", f"authorization: Bearer {api.key}"
    writer.write(f"GET {path} HTTP/1.1\r\n{host}\r\n{bearer}\r\n\r\n".encode())
    try:
        while line := await reader.readline():
            if line == b"event: metrics\n":
                counts.one_more(number)
    finally:
        writer.close()


def _measure(api: ApiProcess, job_id: str, first: int, n: int) -> None:
    values = {"loss": 1.0, "cross_entropy": 0.9, "penalty": 0.1, "learning_rate": 1e-5}
    reports = [Metrics(seed=0, step=step, values=values) for step in range(first, first + n)]
    with api.database.write() as session:
        job = jobs.get(session, api.project_id, job_id)
        metrics.write(session, job, reports, repeatable=True)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def figures(parts: Mapping[str, Any]) -> list[Figure]:
    """The table."""
    lines = []
    for name, view in parts.get("first_view", {}).get("views", {}).items():
        lines += [
            Figure(
                f"first view of {name}",
                f"painted after {view['paint_ms']:.0f} ms, whole after {view['ready_ms']:.0f} ms",
                "under 1 s",
                view["ready_ms"] < 1000,
            ),
            Figure("", f"{view['bytes'] / 1e3:.0f} kB in {view['requests']:.0f} requests"),
        ]
    if "watchers" in parts:
        found = parts["watchers"]
        lines += [
            Figure(
                f"{found['watchers']} watchers of a job", f"{100 * found['cores']:.1f} % of a core"
            ),
            Figure("", f"{found['bytes_per_watcher'] / 1e3:.0f} kB each"),
        ]
    return lines


PARTS = {
    "first_view": Part(first_view, {"tries": 7}, {"tries": 1}),
    "watchers": Part(watchers, {"n": 50, "seconds": 30.0}, {"n": 5, "seconds": 2.0}),
}

if __name__ == "__main__":
    run("python -m benchmarks.page", "What the page costs.", PARTS, figures)
