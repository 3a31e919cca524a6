"""The parts of the live stream by themselves: what is told once and in order, who has the stream,
and who asks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import settle

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 60_000  # milliseconds that a slow machine may take
MODULE = """async (given) => {
  const main = document.querySelector('script[type="module"]').src;
  const from = (name) => import(new URL(`../parts/live/${name}.js`, main));
  const [{ History }, places] = await Promise.all(['history', 'places'].map(from));
  return (%s)(given, History, places);
}"""
HOLD = """(names) => {
  for (const name of names) navigator.locks.request(name, () => new Promise(() => {}));
}"""
SAY = """([job, messages]) => {
  const channel = new BroadcastChannel(`lipsum-job-${job}`);
  for (const message of messages) channel.postMessage(message);
  channel.close();
}"""
SLOTS = [f"lipsum-stream-{number}" for number in range(4)]


def evaluate(page: Page, function: str, given: Any = None) -> Any:
    return page.evaluate(MODULE % function, given)


def open_job(page: Page, job_id: str) -> None:
    page.goto(f"/jobs/{job_id}")
    settle(page)


def requests_of(watched: Page | BrowserContext) -> list[str]:
    """Addresses that are asked from now on; it grows."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    watched.on("request", note)
    return asked


def streams(asked: list[str]) -> int:
    return sum("stream=true" in url for url in asked)


@pytest.fixture(scope="module")
def paused(stack: Stack, file_id: str) -> str:
    """A job that has begun to train, and stands still."""
    return stand_still(stack, file_id)


def stand_still(stack: Stack, file_id: str) -> str:
    job_id = str(stack.start(file_id, hyperparameters={"n_steps": 3000})["id"])
    deadline = time.monotonic() + SECONDS / 1000
    while not stack.client.get(f"/v1/fine_tuning/jobs/{job_id}/metrics").json()["data"]:
        assert time.monotonic() < deadline, stack.job(job_id)
        time.sleep(0.2)
    stack.client.post(f"/v1/fine_tuning/jobs/{job_id}/pause").raise_for_status()
    stack.wait_for(job_id, "paused")
    return job_id


def cancel(stack: Stack, job_id: str) -> None:
    stack.client.post(f"/v1/fine_tuning/jobs/{job_id}/cancel").raise_for_status()


def test_events_are_told_once_and_in_order(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    told, answers = evaluate(
        page,
        """(sequences, History) => {
          const told = [];
          const history = new History("ftjob-x", ({ event }) => told.push(event.sequence));
          return [told, sequences.map((sequence) => history.event({ sequence }))];
        }""",
        [1, 2, 2, 1, 4, 3, 4, 9],
    )
    assert told == [1, 2, 3, 4]
    assert answers == [True, True, True, True, False, True, True, False]


def test_steps_are_told_once_and_in_order(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    steps = [  # seed and step, and those before it
        ([0, 0], None),
        ([0, 10], [0, 0]),
        ([0, 10], [0, 0]),  # again, after a reconnect
        ([0, 30], [0, 20]),  # 20 is missing
        ([0, 20], [0, 10]),
        ([1, 0], [0, 20]),  # the next seed
        ([0, 30], [0, 20]),  # of the seed before: nobody measures that any more
    ]
    told, answers = evaluate(
        page,
        """(steps, History, { START }) => {
          const told = [];
          const place = (pair) => (pair ? { seed: pair[0], step: pair[1] } : START);
          const history = new History("ftjob-x", ({ seed, step }) => told.push([seed, step]));
          return [told, steps.map(([step, before]) => history.metrics(place(step), place(before)))];
        }""",
        steps,
    )
    assert told == [[0, 0], [0, 10], [0, 20], [1, 0]]
    assert answers == [True, True, True, False, True, True, True]


def test_places_have_an_order(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    found = evaluate(
        page,
        """(_, History, { START, isAfter, written }) => {
          const [a, b, c] = [{ seed: 0, step: 9 }, { seed: 0, step: 10 }, { seed: 1, step: 0 }];
          return [isAfter(a, START), isAfter(b, a), isAfter(c, b), isAfter(a, a), isAfter(a, c),
                  written(START), written(b)];
        }""",
    )
    assert found == [True, True, True, False, False, "start", "0.10"]


def test_a_tab_that_only_listens_asks_for_what_it_missed(
    open_context: OpenContext, paused: str
) -> None:
    context = open_context()
    other = context.new_page()
    other.goto("/")
    other.evaluate(HOLD, [f"lipsum-job-{paused}"])  # as if it had the stream
    page = context.new_page()
    open_job(page, paused)
    lines = page.get_by_role("log").locator("> div > div")
    seen = lines.count()
    asked = requests_of(page)
    gap = {"type": "event", "event": {"sequence": seen + 5, "level": "info", "message": "later"}}
    other.evaluate(SAY, [paused, [gap]])
    page.wait_for_timeout(1000)
    assert any(f"/events?order=asc&limit=100&after={seen}" in url for url in asked)
    assert any("/metrics?" in url for url in asked)
    assert lines.count() == seen  # there was nothing
    following = {
        "type": "event",
        "event": {"sequence": seen + 1, "level": "warn", "created_at": 0, "message": "the next"},
    }
    other.evaluate(SAY, [paused, [following, following]])
    expect(lines).to_have_count(seen + 1)
    expect(lines.last).to_contain_text("warn: the next")


def test_a_tab_that_comes_later_knows_how_the_stream_stands(
    open_context: OpenContext, paused: str
) -> None:
    context = open_context()
    first, second = context.new_page(), context.new_page()
    asked = requests_of(context)
    open_job(first, paused)
    expect(first.locator("#connection")).to_have_text("Live")
    open_job(second, paused)
    expect(second.locator("#connection")).to_have_text("Live")
    assert streams(asked) == 1
    first.close()  # the second has the stream now
    second.wait_for_timeout(1000)
    assert streams(asked) == 2
    expect(second.locator("#connection")).to_have_text("Live")


def test_without_a_free_stream_every_tab_asks(
    open_context: OpenContext, stack: Stack, file_id: str
) -> None:
    job_id = stand_still(stack, file_id)
    context = open_context()
    other = context.new_page()
    other.goto("/")
    other.evaluate(HOLD, SLOTS)
    pages = [context.new_page(), context.new_page()]
    for page in pages:
        open_job(page, job_id)
        expect(page.locator("#connection")).to_have_text("Asking every two seconds")
    cancel(stack, job_id)
    for page in pages:
        expect(page.locator("#view .badge").first).to_have_text("cancelled", timeout=SECONDS)
        expect(page.get_by_role("log")).to_contain_text("cancelled", timeout=SECONDS)


def test_a_stream_that_is_free_again_is_taken(open_context: OpenContext, paused: str) -> None:
    context = open_context()
    other = context.new_page()
    other.goto("/")
    other.evaluate(HOLD, SLOTS)
    page = context.new_page()
    page.clock.install()
    open_job(page, paused)
    expect(page.locator("#connection")).to_have_text("Asking every two seconds")
    other.close()
    for _ in range(35):
        page.clock.run_for(1000)
    expect(page.locator("#connection")).to_have_text("Live")


def test_a_service_without_room_for_streams_is_asked(
    open_context: OpenContext, stack: Stack, file_id: str
) -> None:
    """It says 503 to every stream; the tab gives up after a while and asks."""
    job_id = stand_still(stack, file_id)
    page = open_context().new_page()
    page.clock.install()
    page.route("**/events?stream=true*", lambda route: route.fulfill(status=503, json={}))
    open_job(page, job_id)
    expect(page.locator("#connection")).to_contain_text("trying again")
    for _ in range(30):
        page.clock.run_for(1000)
        page.wait_for_timeout(50)
    expect(page.locator("#connection")).to_have_text("Asking every two seconds")
    cancel(stack, job_id)
    for _ in range(5):
        page.clock.run_for(1000)
        page.wait_for_timeout(300)
    expect(page.locator("#view .badge").first).to_have_text("cancelled")
