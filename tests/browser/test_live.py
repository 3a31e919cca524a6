"""A job that runs, seen in the browser: curves that move, ten tabs, a server that restarts, a
connection that is cut and one that stalls."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.proxy import CuttingProxy
from tests.browser.watched import Watch, settle

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]

STEPS = 400
UNREACHABLE = r"ERR_|Failed to load resource|status of 50"  # the browser's own lines
SECONDS = 60_000  # milliseconds that a slow machine may take


def start(stack: Stack, file_id: str, steps: int = STEPS, **request: Any) -> str:
    knobs = {"n_steps": steps, "n_evaluations": 4}
    return str(stack.start(file_id, hyperparameters=knobs, **request)["id"])


def losses(page: Page) -> Locator:
    return page.get_by_role("img", name=re.compile("^Loss"))


def steps_shown(page: Page) -> int:
    found = re.search(r"over ([\d,]+) steps", losses(page).get_attribute("aria-label") or "")
    return int(found[1].replace(",", "")) if found else -1


def told(page: Page) -> list[str]:
    return page.get_by_role("log").locator("> div > div").all_inner_texts()


def check_whole(page: Page, stack: Stack, job_id: str, steps: int = STEPS) -> None:
    """Every step and every event is on the page, once and in order."""
    expect(page.get_by_role("link", name="See the result")).to_be_visible(timeout=SECONDS)
    card = page.locator("section", has=page.get_by_role("heading", name="Loss"))
    card.get_by_text("Show as a table").click()
    rows = card.locator("tbody tr")
    expect(rows).to_have_count(3 * steps)  # loss, cross-entropy and penalty
    shown = rows.evaluate_all(
        "rows => rows.filter(row => row.cells[1].innerText === 'loss')"
        ".map(row => Number(row.cells[0].innerText))"
    )
    assert shown == list(range(steps))
    events = stack.client.get(
        f"/v1/fine_tuning/jobs/{job_id}/events", params={"order": "asc", "limit": 100}
    ).json()["data"]
    lines = told(page)
    assert len(lines) == len(events)
    for line, event in zip(lines, events, strict=True):
        assert line.endswith(event["message"])


def test_curves_move_and_nothing_is_missing(page: Page, stack: Stack, file_id: str) -> None:
    job_id = start(stack, file_id, 1000)
    page.goto(f"/jobs/{job_id}")
    settle(page)
    expect(losses(page)).to_be_visible(timeout=SECONDS)
    seen = steps_shown(page)
    expect(losses(page)).not_to_have_attribute(
        "aria-label", re.compile(f"over {seen} steps"), timeout=SECONDS
    )
    assert stack.job(job_id)["status"] == "running"  # it moved while the job ran
    assert steps_shown(page) > seen
    stack.wait_for(job_id)
    expect(page.get_by_role("img", name=re.compile("^Validation"))).to_be_visible()
    expect(page.get_by_role("link", name="See the result")).to_be_visible(timeout=SECONDS)
    assert steps_shown(page) == 999


def test_a_reload_in_the_middle_loses_nothing(page: Page, stack: Stack, file_id: str) -> None:
    job_id = start(stack, file_id)
    page.goto(f"/jobs/{job_id}")
    expect(losses(page)).to_be_visible(timeout=SECONDS)
    page.reload()
    check_whole(page, stack, job_id)


def test_a_server_that_restarts_leaves_no_gap(watch: Watch, stack: Stack, file_id: str) -> None:
    watch.allow(UNREACHABLE)
    page, api = watch.page, stack.service.children[0]
    job_id = start(stack, file_id)
    page.goto(f"/jobs/{job_id}")
    expect(losses(page)).to_be_visible(timeout=SECONDS)
    api.stop()
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    api.start()
    check_whole(page, stack, job_id)


def test_a_connection_that_is_cut_leaves_no_gap(
    open_context: OpenContext, stack: Stack, file_id: str
) -> None:
    with CuttingProxy(stack.service.settings.port) as proxy:
        page = open_context(address=proxy.address).new_page()
        watch = Watch(page, proxy.address)
        watch.allow(UNREACHABLE)
        job_id = start(stack, file_id)
        page.goto(f"/jobs/{job_id}")
        expect(losses(page)).to_be_visible(timeout=SECONDS)
        for _ in range(3):
            proxy.cut()
            page.wait_for_timeout(300)
        check_whole(page, stack, job_id)
        assert watch.unexpected() == []


def test_a_stream_that_stalls_is_opened_again(
    open_context: OpenContext, stack: Stack, file_id: str
) -> None:
    """Nothing tells a browser that bytes have stopped to come: the page's own watchdog does, whose
    time is run ahead of here."""
    with CuttingProxy(stack.service.settings.port) as proxy:
        context = open_context(address=proxy.address)
        page = context.new_page()
        page.clock.install()
        job_id = start(stack, file_id)
        page.goto(f"/jobs/{job_id}")
        expect(losses(page)).to_be_visible(timeout=SECONDS)
        proxy.stall()
        stack.wait_for(job_id)
        proxy.go_on_with_new_ones()
        for _ in range(60):
            page.clock.run_for(1000)
        check_whole(page, stack, job_id)


def test_ten_tabs_at_once(open_context: OpenContext, stack: Stack, file_id: str) -> None:
    """A browser has six connections to a host: ten streams would starve all else."""
    job_id = start(stack, file_id, 1500)
    context = open_context()
    pages = [context.new_page() for _ in range(10)]
    for page in pages:
        page.goto(f"/jobs/{job_id}")
        settle(page)
    for page in pages:
        expect(losses(page)).to_be_visible(timeout=SECONDS)
    assert stack.job(job_id)["status"] == "running"
    pages[0].close()  # the one that has the stream: another takes over
    job = stack.wait_for(job_id)
    assert job["status"] == "succeeded"
    for page in pages[1:]:
        expect(page.get_by_role("link", name="See the result")).to_be_visible(timeout=SECONDS)
        assert steps_shown(page) == 1499


def test_ten_tabs_of_ten_jobs(open_context: OpenContext, stack: Stack, file_id: str) -> None:
    jobs = [start(stack, file_id, 20) for _ in range(10)]
    context = open_context()
    pages = [context.new_page() for _ in jobs]
    for page, job_id in zip(pages, jobs, strict=True):
        page.goto(f"/jobs/{job_id}")
        settle(page)
    for job_id in jobs:
        stack.wait_for(job_id)
    for page in pages:
        expect(page.get_by_role("link", name="See the result")).to_be_visible(timeout=SECONDS)
        assert steps_shown(page) == 19


def test_without_locks_it_asks(open_context: OpenContext, stack: Stack, file_id: str) -> None:
    """Over plain http from another host browsers have no Web Locks."""
    context = open_context()
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    page = context.new_page()
    job_id = start(stack, file_id)
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_text("Asking every two seconds")).to_be_visible(timeout=SECONDS)
    check_whole(page, stack, job_id)


def test_it_is_paused_resumed_and_cancelled(page: Page, stack: Stack, file_id: str) -> None:
    job_id = start(stack, file_id, 5000)
    page.goto(f"/jobs/{job_id}")
    expect(losses(page)).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click(timeout=SECONDS)
    stack.wait_for(job_id, "running", "queued")
    page.get_by_role("button", name="Cancel").click(timeout=SECONDS)
    expect(page.locator("#view .badge").first).to_have_text("cancelled", timeout=SECONDS)
    assert stack.job(job_id)["status"] == "cancelled"
