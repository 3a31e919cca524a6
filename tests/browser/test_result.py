"""A job's result: numbers as the service has them, the slider, images that flipped, downloads."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Stack
from tests.browser.watched import Watch, settle, sideways, violations
from tests.jobs import colour_archive

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 120_000  # milliseconds that a slow machine may take for a job
ANSWER = 30_000  # and to read predictions, in a process apart
MODULE = """async (given) => {
  const main = document.querySelector('script[type="module"]').src;
  const from = (name) => import(new URL(`../parts/result/${name}.js`, main));
  const [{ Results }, { Known }, models] = await Promise.all(['rows', 'known', 'models'].map(from));
  return (%s)(given, Results, Known, models);
}"""

Row = dict[str, Any]


@pytest.fixture(scope="module")
def of_two_seeds(stack: Stack, file_id: str) -> dict[str, Any]:
    job = stack.wait_for(stack.start(file_id, "ft", suffix="twins", n_seeds=2, seed=3)["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


@pytest.fixture
def own(stack: Stack, file_id: str) -> dict[str, Any]:
    """A finished job about whose line no other job is."""
    job = stack.wait_for(stack.start(file_id, "ft")["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


def open_result(page: Page, job: dict[str, Any], query: str = "") -> None:
    page.goto(f"/jobs/{job['id']}/result{query}")
    settle(page)


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def cell(job: dict[str, Any], model: str, split: str, metric: str, seed: int | None = None) -> Row:
    (found,) = [
        row
        for row in job["results"]
        if (row["model"], row["split"], row["metric"]) == (model, split, metric)
        and seed in (None, row["seed"])
    ]
    return dict(found)


def numbers(page: Page) -> Locator:
    return page.get_by_role("region", name="Results by split").locator("tbody tr")


def evaluate(page: Page, function: str, given: Any) -> Any:
    return page.evaluate(MODULE % function, given)


def rows_of(models: list[str], *, seeds: tuple[int, ...] = (0,)) -> list[Row]:
    return [
        {"seed": seed, "model": model, "split": split, "metric": "accuracy", "value": 0.5}
        | {"low": 0.4, "high": 0.6, "n": 10, "selection": False}
        for seed in seeds
        for model in models
        for split in ("val", "night", "test")
    ]


def job_of(method: str, inputs: tuple[str, ...] = (), **hyperparameters: Any) -> dict[str, Any]:
    options = {"hyperparameters": hyperparameters, "inputs": list(inputs)}
    own = {"id": "ftjob-x", "theta0": "base:demo", "n_seeds": 1}
    return {**own, "method": {"type": method, method: options}}


def test_every_number_is_the_services(page: Page, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    splits = [row.inner_text().split()[0] for row in numbers(page).all()]
    assert splits == ["test", "val", "night"]  # ID first
    for split, row in zip(splits, numbers(page).all(), strict=True):
        before = cell(finished, "zero_shot", split, "accuracy")
        after = cell(finished, "fine_tuned", split, "accuracy")
        for place, found in ((1, before), (2, after)):
            shown = row.locator("td").nth(place)
            expect(shown).to_contain_text(percent(found["value"]))
            expect(shown).to_contain_text(f"{percent(found['low'])} to {percent(found['high'])}")
        change = after["value"] - before["value"]
        word = "better" if change > 0 else "worse" if change < 0 else "the same"
        expect(row.locator("td").nth(3)).to_contain_text(f"{abs(100 * change):.1f}")
        expect(row.locator("td").nth(3)).to_contain_text(word)
    said = percent(cell(finished, "fine_tuned", "test", "accuracy")["value"])
    expect(page.get_by_text(f"On test (ID) accuracy is {said}")).to_be_visible()


def test_losses_are_said_as_plainly_as_gains(page: Page, finished: dict[str, Any]) -> None:
    values = {("zero_shot", "night"): 0.8, ("fine_tuned", "night"): 0.7}
    changed = [
        {**row, "value": values[row["model"], row["split"]], "low": 0.6, "high": 0.9}
        if row["metric"] == "accuracy" and (row["model"], row["split"]) in values
        else {**row, "value": 0.01}
        if row["metric"] == "mcnemar_p_holm"
        else row
        for row in finished["results"]
    ]
    answer = {**finished, "results": changed}
    path = re.compile(f"/v1/fine_tuning/jobs/{finished['id']}$")
    page.route(path, lambda route: route.fulfill(json=answer))
    open_result(page, finished)
    row = numbers(page).filter(has_text="night")
    expect(row.locator("td").nth(3)).to_have_text(re.compile(r"−10\.0\s*worse"))
    expect(row.locator("td").nth(4)).to_have_text("no, p = 0.01")
    expect(page.get_by_text("It is worse than zero-shot on night (−10.0).")).to_be_visible()
    assert violations(page) == []


def test_the_metric_is_in_the_address(page: Page, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    page.get_by_label("Metric").select_option("nll")
    page.reload()
    settle(page)
    expect(page.get_by_label("Metric")).to_have_value("nll")
    found = cell(finished, "fine_tuned", "night", "nll")["value"]
    shown = numbers(page).filter(has_text="night").locator("td").nth(2).inner_text()
    assert float(shown.split()[0]) == pytest.approx(found, rel=1e-2)


def test_the_slider_moves_everything(page: Page, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    slider = page.get_by_label("Interpolation")
    expect(slider).to_have_attribute("aria-valuetext", "fine-tuned")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert page.url.endswith("?alpha=0.5")
    expect(page.get_by_role("heading", name="Alpha 0.5")).to_be_visible()
    between = percent(cell(finished, "wise_ft@0.5", "night", "accuracy")["value"])
    expect(numbers(page).filter(has_text="night").locator("td").nth(2)).to_contain_text(between)
    shown = re.compile(rf"shown: alpha 0.5: ID .*, shifted {re.escape(between)}")
    expect(page.get_by_role("img", name=shown)).to_be_visible()
    expect(slider).to_be_focused()
    page.reload()
    settle(page)
    expect(slider).to_have_attribute("aria-valuetext", "alpha 0.5")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "zero-shot")
    expect(page.get_by_role("heading", name="Winners and losers")).to_be_hidden()
    page.keyboard.press("End")
    assert "alpha" not in page.url
    assert violations(page) == []


def test_the_whole_curve_and_a_point_of_it_kept(
    page: Page, stack: Stack, own: dict[str, Any]
) -> None:
    open_result(page, own)
    slider = page.get_by_label("Interpolation")
    expect(slider).to_have_attribute("max", "2")
    page.get_by_role("button", name="Score the whole curve").click()
    expect(page.get_by_text("The whole curve is being scored")).to_be_visible()
    page.reload()  # it is found again
    settle(page)
    expect(slider).to_have_attribute("max", "10", timeout=SECONDS)
    expect(page.get_by_role("button", name="Score the whole curve")).to_have_count(0)
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.url.endswith("alpha=0.3")
    page.get_by_role("button", name="Keep alpha 0.3 as a model").click()
    kept = page.get_by_text("Alpha 0.3 is a model").locator("xpath=following-sibling::dd[1]/a")
    expect(kept).to_be_visible(timeout=SECONDS)
    model = stack.client.get(f"/v1/models/{kept.inner_text()}").json()
    assert (model["kind"], model["method"]) == ("fine_tuned", "wise_ft")
    job = stack.job(model["job_id"])
    assert job["method"]["wise_ft"]["inputs"] == [own["fine_tuned_model"]]
    # What was read off the slider is what the model is.
    shown = numbers(page).filter(has_text="night").locator("td").nth(2)
    expect(shown).to_contain_text(percent(cell(job, "wise_ft@0.3", "night", "accuracy")["value"]))
    kept.click()
    settle(page)
    expect(page.get_by_role("heading", name="Alpha 0.3, the job's model")).to_be_visible()


def test_images_that_flipped(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    path = f"/v1/fine_tuning/jobs/{finished['id']}/predictions"
    found = stack.client.get(path, params={"split": "test", "change": "all"}).json()
    assert found["total"] > 0
    open_result(page, finished, "?split=test&change=all")
    noun = "image" if found["total"] == 1 else "images"
    heading = page.get_by_role("heading", name=f"{found['total']} {noun}")
    expect(heading).to_be_visible(timeout=ANSWER)
    items = page.get_by_role("region", name="Images whose answer changed").locator("li")
    expect(items).to_have_count(len(found["data"]))
    first, item = found["data"][0], items.first
    for text in (first["image"], first["label"], first["before"]["label"], first["after"]["label"]):
        expect(item).to_contain_text(text)
    # The picture is the image's own: of one colour, told from its class.
    drawn = "canvas => [...canvas.getContext('2d').getImageData(56, 56, 1, 1).data.slice(0, 3)]"
    page.locator(".flips[aria-busy=false]").wait_for()
    red, green, blue = item.locator("canvas").evaluate(drawn)
    brightest = {"ant": red, "bee": green, "cat": blue}[first["label"]]
    assert brightest == max(red, green, blue) and brightest < 255


def test_winners_and_losers_by_class(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    path = f"/v1/fine_tuning/jobs/{finished['id']}/predictions"
    found = stack.client.get(path, params={"split": "test", "change": "all"}).json()["classes"]
    open_result(page, finished, "?split=test&change=all")
    rows = page.get_by_role("region", name="Classes, by change").locator("tbody tr")
    expect(rows).to_have_count(len(found), timeout=ANSWER)
    for each in found:
        row = rows.filter(has=page.get_by_role("button", name=each["label"]))
        expect(row).to_contain_text(percent(each["right_before"] / each["images"]))
        expect(row).to_contain_text(percent(each["right_after"] / each["images"]))
    button = page.get_by_role("button", name=found[0]["label"], exact=True)
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    of_class = page.get_by_role("heading", name=f"of {found[0]['label']}")
    expect(of_class).to_be_visible(timeout=ANSWER)
    expect(button).to_be_focused()
    assert f"class={found[0]['label']}" in page.url
    page.get_by_label("Split", exact=True).select_option("night")
    assert "split=night" in page.url and "class=" not in page.url
    page.reload()
    settle(page)
    expect(page.get_by_label("Split", exact=True)).to_have_value("night")
    assert violations(page) == []


def test_without_predictions_it_says_why(watch: Watch, finished: dict[str, Any]) -> None:
    watch.allow("status of 409")
    page = watch.page
    error = {"message": "Its files were deleted.", "code": "no_predictions", "param": None}

    def answer(route: Route) -> None:
        route.fulfill(status=409, json={"error": {**error, "type": "invalid_request_error"}})

    page.route("**/predictions?*", answer)
    open_result(page, finished)
    expect(page.get_by_text("Its files were deleted.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_pictures_that_cannot_be_had_leave_the_words(
    watch: Watch, finished: dict[str, Any]
) -> None:
    watch.allow("status of 409")
    page = watch.page
    error = {"message": "Their data set was deleted.", "code": "dataset_deleted", "param": "split"}

    def answer(route: Route) -> None:
        route.fulfill(status=409, json={"error": {**error, "type": "invalid_request_error"}})

    page.route("**/predictions/sheet?*", answer)
    open_result(page, finished, "?split=test&change=all")
    expect(page.get_by_text("Their data set was deleted.")).to_be_visible(timeout=ANSWER)
    items = page.get_by_role("region", name="Images whose answer changed").locator("li")
    expect(items.first).to_contain_text("This model")
    expect(items.locator("canvas")).to_have_count(0)


def test_what_it_left_can_be_had(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    card = page.locator("section", has=page.get_by_role("heading", name="Downloads"))
    with page.expect_download() as download:
        card.get_by_role("link", name="results.json").click()
    rows = json.loads(Path(download.value.path()).read_text())["rows"]
    assert len(rows) == len(finished["results"])
    links = card.get_by_role("link").evaluate_all("links => links.map((link) => link.href)")
    assert len(links) == len(finished["result_files"]) + 3
    for link in links:
        if "format=" not in link or "format=open_clip" in link:  # others are converted first
            assert page.request.head(link).status in (200, 405)
    expect(card.get_by_role("link", name="ONNX Runtime")).to_be_visible()


def test_snippets_are_ready(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    card = page.locator("section", has=page.get_by_role("heading", name="Use it"))
    for name in ("huggingface_hub", "openai", "open_clip"):
        card.get_by_text(name, exact=True).click()
    texts = card.locator("pre").all_inner_texts()
    assert len(texts) == 4
    for text in texts[:2]:
        assert f"{stack.address}/v1/models/{finished['fine_tuned_model']}" in text
    for text in texts[1:]:
        compile(text, "snippet", "exec")


def test_calibration_before_and_after(page: Page, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    rows = page.get_by_role("region", name="Calibration by split").locator("tbody tr")
    row = rows.filter(has_text="night")
    for place, (model, metric) in enumerate(
        (
            ("zero_shot", "ece"),
            ("fine_tuned", "ece"),
            ("fine_tuned", "ece_calibrated"),
            ("zero_shot", "nll"),
            ("fine_tuned", "nll"),
            ("fine_tuned", "nll_calibrated"),
        ),
        start=1,
    ):
        shown = float(row.locator("td").nth(place).inner_text())
        value = cell(finished, model, "night", metric)["value"]
        assert shown == pytest.approx(value, rel=1e-2, abs=1e-3)


def test_several_seeds_together_and_apart(page: Page, of_two_seeds: dict[str, Any]) -> None:
    values = [
        cell(of_two_seeds, "fine_tuned", "test", "accuracy", seed)["value"] for seed in (3, 4)
    ]
    open_result(page, of_two_seeds)
    row = numbers(page).filter(has_text=re.compile("^test"))
    expect(row.locator("td").nth(2)).to_contain_text(percent(sum(values) / 2))
    page.get_by_label("Seeds").select_option("4")
    expect(row.locator("td").nth(2)).to_contain_text(percent(values[1]))
    found = cell(of_two_seeds, "fine_tuned", "test", "accuracy", 4)
    expect(row.locator("td").nth(2)).to_contain_text(percent(found["low"]))
    page.reload()
    settle(page)
    expect(page.get_by_label("Seeds")).to_have_value("4")
    # Zero-shot was scored once, and stands beside each.
    zero_shot = cell(of_two_seeds, "zero_shot", "test", "accuracy")["value"]
    expect(row.locator("td").nth(1)).to_contain_text(percent(zero_shot))
    weights = page.get_by_role("link", name="open_clip")
    expect(weights).to_have_count(2)
    expect(page.get_by_text("The model of seed 3,")).to_be_visible()
    assert violations(page) == []


def test_an_evaluation_has_no_line(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    body = {
        "model": "base:tiny",
        "training_file": finished["training_file"],
        "method": {"type": "evaluate", "evaluate": {"inputs": [finished["fine_tuned_model"]]}},
    }
    answer = stack.client.post("/v1/fine_tuning/jobs", json=body)
    assert answer.status_code == 200, answer.text
    job = stack.wait_for(answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    open_result(page, job)
    expect(page.get_by_role("heading", name=finished["fine_tuned_model"])).to_be_visible()
    expect(page.get_by_label("Interpolation")).to_be_hidden()
    value = cell(job, finished["fine_tuned_model"], "test", "accuracy")["value"]
    expect(numbers(page).first.locator("td").nth(2)).to_contain_text(percent(value))
    assert violations(page) == []


def test_a_job_without_a_result_says_so(page: Page, stack: Stack, file_id: str) -> None:
    job = stack.start(file_id, hyperparameters={"n_steps": 5000})
    open_result(page, job)
    expect(page.get_by_text("has no result yet")).to_be_visible()
    stack.client.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel").raise_for_status()
    stack.wait_for(job["id"])
    page.reload()
    expect(page.get_by_text("The job is cancelled and has no result.")).to_be_visible()


@pytest.mark.parametrize(
    ("job", "models", "expected"),
    [
        (job_of("ft"), ["zero_shot", "wise_ft@0.5", "fine_tuned"], ("zero_shot", "fine_tuned")),
        (job_of("auto"), ["zero_shot", "wise_ft@0.5", "fine_tuned", "auto"], ("zero_shot", "auto")),
        (job_of("tpgm", ("m",)), ["zero_shot", "fine_tuned", "tpgm"], ("zero_shot", "tpgm")),
        (job_of("soup", ("m", "n")), ["zero_shot", "soup"], ("zero_shot", "soup")),
        (
            job_of("wise_ft", ("m",), alpha=0.3333333, alphas=[], fisher=False),
            ["zero_shot", "fine_tuned", "wise_ft@0.333333", "wise_ft@0.5"],
            ("zero_shot", "wise_ft@0.333333"),
        ),
        (job_of("evaluate", ("m",)), ["base:demo", "m"], ("base:demo", "m")),
        (job_of("evaluate", ("m",)), ["m"], (None, "m")),
        (job_of("evaluate"), ["base:demo"], ("base:demo", "base:demo")),
    ],
)
def test_which_model_is_the_jobs(
    page: Page, finished: dict[str, Any], job: dict[str, Any], models: list[str], expected: Any
) -> None:
    open_result(page, finished)
    found = evaluate(
        page,
        "({ job, rows }, Results, Known, { modelsOf }) => modelsOf(job, new Results(rows))",
        {"job": job, "rows": rows_of(models)},
    )
    assert (found["reference"], found["made"]) == expected


def test_interpolations_of_other_jobs_join_the_line(page: Page, finished: dict[str, Any]) -> None:
    open_result(page, finished)
    own = {"id": "own", "results": rows_of(["zero_shot", "wise_ft@0.5", "fine_tuned"])}
    other = {"id": "other", "results": rows_of(["zero_shot", "wise_ft@0.1", "wise_ft@0.5"])}
    line, sources = evaluate(
        page,
        """({ own, other }, Results, Known) => {
          const known = new Known(own);
          known.take(other);
          const line = known.results().line("fine_tuned");
          return [line, line.map(({ model }) => known.sourceOf(model).id)];
        }""",
        {"own": own, "other": other},
    )
    assert [point["alpha"] for point in line] == [0, 0.1, 0.5, 1]
    assert sources == ["own", "other", "own", "own"]  # what the job scored itself comes first


@pytest.fixture(scope="module")
def of_long_names(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    archive = colour_archive(tmp_path_factory.mktemp("long") / "c.zip", per_class=8)
    shifted = archive.with_name("shifted.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(shifted, "w") as copied:
        for name in source.namelist():
            if name.startswith("night/"):
                copied.writestr(name, source.read(name))
    split = {"name": "a-long-shift-".ljust(64, "x"), "file": str(stack.upload(shifted)["id"])}
    evaluation = {"splits": [split], "allow_duplicates": True}
    file_id = str(stack.upload(archive)["id"])
    job = stack.start(file_id, "ft", suffix="s" * 37, evaluation=evaluation)
    job = stack.wait_for(job["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_names_of_any_length_fit(
    page: Page, of_long_names: dict[str, Any], scheme: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    path = f"/jobs/{of_long_names['id']}"
    for address in (path, f"{path}/result?change=all&metric=nll"):
        page.goto(address)
        settle(page)
        page.wait_for_timeout(1000)
        for summary in page.locator("summary:visible").all():
            summary.click()
        assert violations(page) == []
        assert sideways(page) == 0
