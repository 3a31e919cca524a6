"""Images of one's own: zero-shot beside fine-tuned, own labels, the shift flag, and the same call
from a shell and from Python."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RED = (200, 40, 40)

GIVE = """([kind, name, bytes]) => {
  const file = new File([new Uint8Array(bytes)], name, { type: "image/png" });
  const given = new DataTransfer();
  given.items.add(file);
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
  return event.defaultPrevented;
}"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture that the browser and the service can read."""
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 30), RED).save(path)
    return path


def open_playground(page: Page, query: str = "") -> None:
    page.goto(f"/playground{query}")
    settle(page)


def choose(page: Page, *files: Path) -> None:
    page.locator("input[type=file]").set_input_files(list(files))


def asked(stack: Stack, photo: Path, models: list[str], **parameters: Any) -> dict[str, Any]:
    """What the API answers to the same."""
    inputs = base64.b64encode(photo.read_bytes()).decode()
    body = {"models": models, "inputs": inputs, "parameters": {"top_k": 5, **parameters}}
    answer = stack.client.post("/v1/classify", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["images"][0])


def shown(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def answer_of(page: Page, model: str) -> Any:
    return page.get_by_role("group", name=model, exact=True)


def test_zero_shot_stands_beside_fine_tuned(
    page: Page, stack: Stack, finished: dict[str, Any], photo: Path
) -> None:
    models = ["base:tiny", finished["fine_tuned_model"]]
    open_playground(page, f"?models={','.join(models)}")
    choose(page, photo)
    found = asked(stack, photo, models)
    for answer in found["answers"]:
        group = answer_of(page, answer["model"])
        expect(group.get_by_role("listitem")).to_have_count(3)
        best = group.get_by_role("listitem").first
        expect(best).to_contain_text(answer["label"])
        expect(best).to_contain_text(shown(answer["score"]))
        expect(group).to_contain_text(
            f"Calibrated confidence in {answer['label']}: {shown(answer['confidence'])}"
        )
    base, tuned = (answer["label"] for answer in found["answers"])
    words = f"The label changed: {base} became {tuned}." if base != tuned else f"Both say {base}."
    expect(page.get_by_role("heading", name=words)).to_be_visible()
    expect(answer_of(page, "base:tiny")).to_contain_text("remembers no training images")
    drawn = "(canvas) => [canvas.width, ...canvas.getContext('2d').getImageData(5, 5, 1, 1).data]"
    assert page.locator("canvas").evaluate(drawn) == [40, *RED, 255]
    assert violations(page) == []


def test_a_changed_label_is_said_in_words(page: Page) -> None:
    """Of answers as the API gives them, for any number of models."""
    open_playground(page)
    script = """async (answers) => {
      const main = document.querySelector('script[type="module"]').src;
      const { sentence } = await import(new URL('../parts/playground/card.js', main));
      const label_changed = new Set(answers.map((each) => each.label)).size > 1;
      return sentence({ answers, label_changed });
    }"""

    def said(*labels: str) -> str:
        given = [{"model": f"m{place}", "label": label} for place, label in enumerate(labels)]
        return str(page.evaluate(script, given))

    assert said("cat") == "m0 says cat."
    assert said("cat", "cat") == "Both say cat."
    assert said("cat", "cat", "cat") == "All say cat."
    assert said("cat", "dog") == "The label changed: cat became dog."
    assert said("cat", "dog", "cat") == "The models disagree: cat (m0, m2); dog (m1)."


def test_without_a_word_the_newest_model_is_asked(page: Page, finished: dict[str, Any]) -> None:
    open_playground(page)
    expect(page.get_by_label("Model 1 (reference)")).to_have_value("base:tiny")
    assert page.get_by_label("Model 2", exact=True).input_value().startswith("ft:tiny:")
    expect(page.get_by_text("No image yet")).to_be_visible()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_images_are_dropped_and_pasted(
    page: Page, finished: dict[str, Any], photo: Path, kind: str
) -> None:
    open_playground(page, f"?models=base:tiny,{finished['fine_tuned_model']}")
    assert page.evaluate(GIVE, [kind, "given.png", list(photo.read_bytes())])
    expect(page.get_by_role("article", name="given.png")).to_contain_text("say")
    assert page.url.endswith(finished["fine_tuned_model"])  # no file was opened instead


def test_a_broken_image_spoils_no_other(
    watch: Watch, finished: dict[str, Any], photo: Path, tmp_path: Path
) -> None:
    watch.allow("status of 400")
    page = watch.page
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    open_playground(page, f"?models=base:tiny,{finished['fine_tuned_model']}")
    choose(page, photo, broken)
    expect(page.get_by_role("article", name="red.png")).to_contain_text("say")
    card = page.get_by_role("article", name="broken.jpg")
    expect(card.get_by_role("alert")).to_contain_text("cannot be read")
    card.get_by_role("button", name="Remove broken.jpg").click()
    expect(card).to_have_count(0)


def test_own_labels_and_what_is_wrong_with_them(
    watch: Watch, stack: Stack, finished: dict[str, Any], photo: Path
) -> None:
    watch.allow("status of 4")
    page = watch.page
    models = ["base:tiny", finished["fine_tuned_model"]]
    open_playground(page, f"?models={','.join(models)}&labels=ferry")
    choose(page, photo)
    labels = page.get_by_label("Own labels, one per line")
    expect(labels).to_have_attribute("aria-invalid", "true")
    expect(labels).to_have_accessible_description(re.compile("has 1 labels; send 2 to"))
    labels.fill("a ferry\na <b>sailboat</b>")
    page.get_by_label("Templates, one per line").fill("a drawing of {}.")
    page.get_by_role("button", name="Ask again").click()
    wanted = ["a ferry", "a <b>sailboat</b>"]
    found = asked(stack, photo, models, candidate_labels=wanted, templates=["a drawing of {}."])
    for answer in found["answers"]:
        expect(answer_of(page, answer["model"])).to_contain_text(
            f"{answer['label']}{shown(answer['score'])}"
        )
    expect(labels).not_to_have_attribute("aria-invalid", "true")
    expect(answer_of(page, models[1])).to_contain_text("not calibrated for these labels")
    page.reload()
    settle(page)
    expect(labels).to_have_value("a ferry\na <b>sailboat</b>")  # it is in the URL


def test_every_fault_stands_beside_its_field(
    watch: Watch, finished: dict[str, Any], photo: Path
) -> None:
    watch.allow("status of 4")
    page = watch.page
    open_playground(page, "?models=base:tiny,ft:tiny:gone&rate=3")
    choose(page, photo)
    rate = page.get_by_label("False-alarm rate")
    expect(rate).to_have_attribute("aria-invalid", "true")
    rate.fill("0.1")
    rate.press("Enter")
    expect(page.get_by_role("group", name="Models")).to_contain_text("no model 'ft:tiny:gone'")
    page.get_by_label("Model 2", exact=True).select_option(finished["fine_tuned_model"])
    expect(page.get_by_role("article", name="red.png")).to_contain_text("say")
    expect(page.locator(".field-error")).to_have_count(0)


def test_the_shift_flag_says_how_sure_it_is(
    page: Page, stack: Stack, finished: dict[str, Any], tmp_path: Path
) -> None:
    strange = tmp_path / "strange.png"
    Image.effect_noise((64, 64), 200).convert("RGB").save(strange)
    model = finished["fine_tuned_model"]
    for rate in (0.001, 0.5):
        open_playground(page, f"?models=base:tiny,{model}&rate={rate}")
        choose(page, strange)
        flag = asked(stack, strange, [model], false_alarm_rate=rate)["answers"][0]["shift"]
        group = answer_of(page, model)
        expect(
            group.get_by_text("shifted" if flag["shifted"] else "not shifted", exact=True)
        ).to_be_visible()
        expect(group).to_contain_text(f"{shown(flag['p'])} look at least as unusual")
        expect(group).to_contain_text(f"up to {100 * rate:g} % of ordinary images are flagged")
        expect(group.get_by_role("link")).to_have_attribute(
            "href", f"/jobs/{finished['id']}/result?metric=shift_flagged"
        )


def test_a_mixture_says_whom_it_listened_to(
    page: Page, stack: Stack, file_id: str, finished: dict[str, Any], photo: Path
) -> None:
    body = {
        "model": "base:tiny",
        "training_file": file_id,
        "method": {"type": "vrf", "vrf": {"inputs": [finished["id"]]}},
    }
    made = stack.client.post("/v1/fine_tuning/jobs", json=body)
    assert made.status_code == 200, made.text
    job = stack.wait_for(made.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    model = job["fine_tuned_model"]
    open_playground(page, f"?models=base:tiny,{model}")
    choose(page, photo)
    weights = asked(stack, photo, [model])["answers"][0]["member_weights"]
    group = answer_of(page, model)
    for name, weight in weights.items():
        expect(group).to_contain_text(f"{name} {shown(weight)}")


def test_the_request_can_be_run_as_it_stands(
    page: Page, stack: Stack, finished: dict[str, Any], photo: Path
) -> None:
    hostile = photo.rename(photo.with_name('it\'s "red" $(touch hit).png'))
    models = ["base:tiny", finished["fine_tuned_model"]]
    labels = ["it's", 'a "quoted" $(touch hit)', "100 % \\ sure"]
    open_playground(page, f"?models={','.join(models)}")
    page.get_by_text("Own labels and the shift flag").click()
    page.get_by_label("Own labels, one per line").fill("\n".join(labels))
    choose(page, hostile)
    page.get_by_text("As a request").click()
    curl, python = (
        page.get_by_label(f"{name} lines", exact=True).inner_text() for name in ("curl", "Python")
    )
    found = asked(stack, hostile, models, candidate_labels=labels)
    environment = {**os.environ, "LIPSUM_API_KEY": stack.key}
    run: dict[str, Any] = {"cwd": hostile.parent, "env": environment, "text": True}
    by_curl = subprocess.run(["bash", "-c", curl], check=True, capture_output=True, **run)
    assert json.loads(by_curl.stdout)["images"] == [found]
    by_python = subprocess.run(
        [sys.executable, "-c", python], check=True, capture_output=True, **run
    )
    for line, answer in zip(by_python.stdout.splitlines(), found["answers"], strict=True):
        assert line.startswith(f"{answer['model']} {answer['label']} {round(answer['score'], 3)}")
    assert not (hostile.parent / "hit").exists()


def test_models_are_added_and_taken_away_by_keyboard(
    page: Page, finished: dict[str, Any], photo: Path
) -> None:
    open_playground(page, "?models=base:tiny")
    page.get_by_role("button", name="Add a model").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Model 2", exact=True)).to_be_focused()
    page.get_by_label("Model 2", exact=True).select_option(finished["fine_tuned_model"])
    assert "models=base%3Atiny%2Cft" in page.url
    choose(page, photo)
    expect(answer_of(page, finished["fine_tuned_model"])).to_be_visible()
    page.get_by_role("button", name="Remove model 1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Model 1 (reference)")).to_have_value(finished["fine_tuned_model"])
    expect(page.get_by_role("article")).to_contain_text(f"{finished['fine_tuned_model']} says")


def test_what_a_key_may_not_do_is_said(
    open_context: OpenContext, stack: Stack, finished: dict[str, Any], photo: Path
) -> None:
    for scopes, may_ask in ((["models:infer"], True), (["models:read"], False)):
        body = {"name": "little", "scopes": scopes}
        key = stack.client.post("/v1/keys", json=body).json()["secret"]
        page = open_context(key=key).new_page()
        open_playground(page, f"?models=base:tiny,{finished['fine_tuned_model']}")
        if not may_ask:
            expect(page.get_by_text("it needs the scope models:infer")).to_be_visible()
            continue
        expect(page.get_by_role("textbox", name="Model 1 (reference)")).to_have_value(
            "base:tiny"
        )  # typed
        choose(page, photo)
        expect(page.get_by_role("article", name="red.png")).to_contain_text("say")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(
    page: Page, finished: dict[str, Any], photo: Path, scheme: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    labels = "%0A".join(["a-label-without-a-space-" * 4, "b"])
    named = photo.rename(photo.with_name(f"{'a-long-name-' * 8}.png"))
    open_playground(page, f"?models=base:tiny,{finished['fine_tuned_model']}&labels={labels}")
    choose(page, named)
    expect(page.get_by_role("article")).to_contain_text("say")
    page.get_by_text("As a request").click()
    assert violations(page) == []
    assert sideways(page) == 0
