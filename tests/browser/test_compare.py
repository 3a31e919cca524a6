"""Jobs side by side, and comparisons that the service makes of several methods."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ENDS_WITHIN = 300_000  # milliseconds
ROWS = """async ({ jobs, metric }) => {
  const main = document.querySelector('script[type="module"]').src;
  const { columnOf, distinct, rowsOf } = await import(
    new URL('../parts/compare/columns.js', main));
  const columns = distinct(jobs.map(columnOf));
  return { titles: columns.map((column) => column.title), rows: rowsOf(columns, metric) };
}"""


@pytest.fixture(scope="module")
def plain(stack: Stack, file_id: str) -> dict[str, Any]:
    """A plain job beside the Lipsum-FT one."""
    job = stack.wait_for(stack.start(file_id, "ft", suffix="plain")["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


def open_compare(page: Page, query: str = "") -> None:
    page.goto(f"/compare{query}")
    settle(page)


def row(page: Page, split: str) -> Locator:
    return (
        page.get_by_role("region", name="Jobs side by side")
        .locator("tbody tr")
        .filter(has=page.get_by_text(split, exact=True))
    )


def accuracy(job: dict[str, Any], split: str, model: str = "fine_tuned") -> float:
    found = (
        result["value"]
        for result in job["results"]
        if (result["model"], result["split"], result["metric"]) == (model, split, "accuracy")
    )
    return float(next(found))


def made_job(
    job_id: str, accuracies: dict[str, float], *, suffix: str | None = None, **more: Any
) -> dict[str, Any]:
    """A job as the API gives it, as far as the page reads it; zero-shot is at one half."""
    results = [
        {
            "model": model, "split": split, "metric": "accuracy", "seed": 0, "value": value,
            "low": value - 0.1, "high": value + 0.1, "n": 10, "selection": False,
        }
        for split, accuracy in accuracies.items()
        for model, value in (("zero_shot", 0.5), ("fine_tuned", accuracy))
    ]  # fmt: skip
    method = {"type": "ft", "ft": {"inputs": [], "hyperparameters": {}}}
    return {"id": job_id, "suffix": suffix, "method": method, "theta0": "base:tiny",
            "results": results, **more}  # fmt: skip


def test_jobs_are_set_side_by_side(
    page: Page, stack: Stack, finished: dict[str, Any], plain: dict[str, Any]
) -> None:
    open_compare(page)
    expect(page.get_by_text("Tick two or more jobs")).to_be_visible()
    page.get_by_label("Filter").fill(finished["id"])
    page.get_by_role("checkbox", name="owls").check()
    page.get_by_label("Filter").fill(plain["id"])
    page.get_by_role("checkbox", name="plain").check()
    expect(page.get_by_role("checkbox", name="plain")).to_be_focused()
    assert f"jobs={finished['id']}%2C{plain['id']}" in page.url
    jobs = [stack.job(job["id"]) for job in (finished, plain)]
    for split in ("test", "night"):
        first, second = (accuracy(job, split) for job in jobs)
        cells = row(page, split).locator("td")
        expect(cells.nth(1)).to_contain_text(f"{100 * first:.1f} %")
        expect(cells.nth(2)).to_contain_text(f"{100 * second:.1f} %")
        expect(cells.nth(1)).to_contain_text(" to ")  # its interval
        change = round(100 * (second - first), 1)
        sign = "+" if change > 0 else "−" if change < 0 else "±"
        expect(cells.nth(2)).to_contain_text(f"{sign}{abs(change):.1f} points")
        best = 1 if first > second else 2
        if first != second:
            expect(cells.nth(best)).to_contain_text("best")
            expect(cells.nth(3 - best)).not_to_contain_text("best")
    assert violations(page) == []

    page.get_by_role("button", name="Reference: plain").click()
    expect(row(page, "test").locator("td").nth(1)).to_contain_text(
        f"{100 * accuracy(jobs[1], 'test'):.1f} %"
    )
    page.get_by_label("Set against zero-shot").check()
    expect(row(page, "test").locator("td").nth(1)).to_contain_text(
        f"{100 * accuracy(jobs[1], 'test', 'zero_shot'):.1f} %"
    )
    page.get_by_label("Metric").select_option("nll")
    page.reload()
    settle(page)
    expect(page.get_by_label("Metric")).to_have_value("nll")
    expect(page.get_by_label("Set against zero-shot")).to_be_checked()
    expect(row(page, "test").locator("td")).to_have_count(4)
    page.get_by_role("button", name="Remove owls").click()
    expect(row(page, "test").locator("td")).to_have_count(3)


def test_what_is_best_and_by_how_much(page: Page) -> None:
    open_compare(page)
    jobs = [
        made_job("a", {"val": 0.9, "test": 0.8, "night": 0.4, "fog": 0.6}, suffix="same"),
        made_job("b", {"val": 0.7, "test": 0.8, "night": 0.5, "fog": 0.5}, suffix="same"),
        made_job("c", {"val": 0.6, "test": 0.6, "night": 0.7}),
    ]
    found = page.evaluate(ROWS, {"jobs": jobs, "metric": "accuracy"})
    assert found["titles"] == ["same (a)", "same (b)", "c"]  # of one suffix and one method
    rows = {each["title"]: each["cells"] for each in found["rows"]}
    assert list(rows) == ["test", "night", "fog", "mean over shifted splits", "val"]
    assert [cell["isBest"] for cell in rows["test"]] == [True, True, False]
    assert [cell["isBest"] for cell in rows["night"]] == [False, False, True]
    assert rows["night"][2]["change"] == pytest.approx(0.3)
    assert rows["night"][0]["change"] is None
    assert rows["fog"][2] is None
    mean = rows["mean over shifted splits"]
    assert [cell and cell["value"] for cell in mean] == [0.5, 0.5, None]  # c has no fog
    assert not any(cell["isBest"] for cell in mean[:2])
    flags = page.evaluate(ROWS, {"jobs": jobs, "metric": "shift_flagged"})
    assert flags["rows"] == []


def test_jobs_that_are_gone_or_have_no_result_are_said(watch: Watch, plain: dict[str, Any]) -> None:
    watch.allow("status of 404")
    open_compare(watch.page, f"?jobs=ftjob-gone,{plain['id']}")
    expect(watch.page.get_by_role("alert")).to_contain_text("ftjob-gone")
    expect(row(watch.page, "test").locator("td")).to_have_count(2)


def test_a_comparison_from_the_form_to_its_report(page: Page, stack: Stack, file_id: str) -> None:
    open_compare(page)
    page.get_by_text("Start a comparison").click()
    page.get_by_label("Data set").select_option(file_id)
    page.get_by_label("Base", exact=True).select_option("base:tiny")
    methods = page.get_by_role("group", name="Methods")
    expect(methods.get_by_label("Plain fine-tuning ft")).to_be_checked()
    methods.get_by_label("Lipsum-FT").uncheck()
    page.get_by_label("Name").fill("Two ways")
    page.get_by_label("Seeds", exact=True).fill("1")
    page.get_by_label("Learning rate of all").fill("0.001")
    page.get_by_label("Epochs of all").fill("1")
    assert violations(page) == []
    page.keyboard.press("Enter")
    card = page.get_by_role("article", name="Two ways")
    expect(card).to_be_visible()
    expect(card.get_by_text("succeeded", exact=True).first).to_be_visible(timeout=ENDS_WITHIN)
    made = stack.client.get("/v1/comparisons").json()["data"][0]
    assert [each["label"] for each in made["contenders"]] == ["ft", "wise_ft"]
    assert (made["n_seeds"], made["model"]) == (1, "base:tiny")
    expect(card).to_contain_text(made["verdict"])
    card.get_by_text("2 contenders, 2 have ended").click()
    expect(card.get_by_role("link", name=made["contenders"][1]["job_id"])).to_be_visible()
    plot = card.get_by_role("img", name="ID accuracy against")
    plot.scroll_into_view_if_needed()
    expect(plot).to_have_js_property("complete", value=True)
    assert plot.evaluate("(image) => image.naturalWidth") > 100
    assert violations(page) == []
    with page.expect_download() as download:
        card.get_by_role("link", name="Numbers as CSV").click()
    numbers = Path(download.value.path()).read_text()
    assert any("wise_ft" in line for each in csv.reader(io.StringIO(numbers)) for line in each)
    card.get_by_role("link", name="Its jobs side by side").click()
    settle(page)
    expect(row(page, "test").locator("td")).to_have_count(3)


def test_a_comparison_is_cancelled(page: Page, stack: Stack, file_id: str) -> None:
    body = {
        "name": "Too long",
        "model": "base:tiny",
        "training_file": file_id,
        "methods": ["ft"],
        "hyperparameters": {"n_steps": 5000},
    }
    stack.client.post("/v1/comparisons", json=body).raise_for_status()
    open_compare(page)
    card = page.get_by_role("article", name="Too long")
    expect(card.get_by_role("progressbar")).to_be_visible()
    card.get_by_role("button", name="Cancel Too long").click()
    expect(card.get_by_text("cancelled", exact=True).first).to_be_visible(timeout=ENDS_WITHIN)
    expect(card.get_by_role("button", name="Cancel Too long")).to_have_count(0)


def test_faults_of_a_comparison_stand_beside_their_fields(watch: Watch, file_id: str) -> None:
    watch.allow("status of 400")
    page = watch.page
    open_compare(page)
    page.get_by_text("Start a comparison").click()
    methods = page.get_by_role("group", name="Methods")
    methods.get_by_label("Others, with commas between").fill("ftt+wise_ft")
    start = page.get_by_role("button", name="Start the comparison")
    start.click()
    expect(methods).to_contain_text("ftt")
    methods.get_by_label("Every method that fits the base").check()
    expect(methods.get_by_label("Others, with commas between")).to_be_hidden()
    page.get_by_label("Seeds", exact=True).fill("40")
    start.click()
    seeds = page.get_by_label("Seeds", exact=True)
    expect(seeds).to_have_attribute("aria-invalid", "true")
    expect(seeds).to_be_focused()
    seeds.fill("1")
    page.get_by_label("Budget, minutes").fill("some")
    start.click()
    expect(page.get_by_label("Budget, minutes")).to_have_attribute("aria-invalid", "true")


def test_a_key_that_may_only_look(open_context: OpenContext, stack: Stack) -> None:
    for scope, says in (("jobs:read", "scope jobs:write"), ("models:read", "scope jobs:read")):
        body = {"name": "looks", "scopes": [scope]}
        key = stack.client.post("/v1/keys", json=body).json()["secret"]
        page = open_context(key=key).new_page()
        watch = Watch(page, stack.address)
        open_compare(page)
        expect(page.get_by_text(says)).to_be_visible()
        expect(page.get_by_text("Start a comparison")).to_have_count(0)
        assert watch.unexpected() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(
    page: Page, finished: dict[str, Any], plain: dict[str, Any], scheme: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    open_compare(page, f"?zero=1&jobs={finished['id']},{plain['id']}")
    page.get_by_text("Start a comparison").click()
    expect(page.get_by_role("group", name="Methods")).to_be_visible()
    assert violations(page) == []
    assert sideways(page) == 0
