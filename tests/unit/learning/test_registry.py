"""What every entry of the registry owes its reader."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from core.learning.architecture import Architecture, architecture_of, read_architecture
from core.learning.methods import registry
from core.learning.methods.base import Method, TrainingMethod

MAX_LINES = 160  # of a method's file: short enough to read beside its paper


@pytest.mark.parametrize("name", registry())
def test_an_entry_says_what_it_is(name: str) -> None:
    entry = registry()[name]
    document = inspect.getdoc(inspect.getmodule(entry)) or ""
    assert entry.name == name and entry.title
    assert entry.description.endswith(".") and entry.description.count(".") == 1
    assert re.search(r"(19|20)\d\d", entry.citation)
    assert len(inspect.getsource(inspect.getmodule(entry)).splitlines()) <= MAX_LINES  # type: ignore[arg-type]
    if issubclass(entry, TrainingMethod):
        assert "Trains:" in document and "Frozen:" in document and "Recipe:" in document
        assert re.search(r"Source: ", document)


@pytest.mark.parametrize("name", registry())
def test_every_knob_is_described(name: str) -> None:
    properties = registry()[name].Hyperparameters.model_json_schema().get("properties", {})
    assert [knob for knob, schema in properties.items() if not schema.get("description")] == []


def test_the_registry_loads_no_torch() -> None:
    program = (
        "import sys; from core.learning.methods import registry; registry();"
        "print([name for name in ('torch', 'open_clip', 'torchvision') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "[]", answer.stderr


def test_methods_say_which_towers_they_fit() -> None:
    every = {
        "image_tower": ["transformer", "resnet", "other"],
        "text_tower": ["transformer", "other", "none"],
    }
    assert registry()["lipsum_ft"].fits() == every
    assert registry()["flyp"].fits() == {**every, "text_tower": ["transformer", "other"]}
    assert registry()["r_adapter"].fits() == {
        "image_tower": ["transformer"],
        "text_tower": ["transformer"],
    }
    fitting: Method | type[Method] = registry()["r_adapter"]
    assert fitting.misfit(Architecture()) is None  # unknown: seen when it is loaded


def test_architecture_is_read_from_open_clips_configuration() -> None:
    text = {"width": 8}
    assert read_architecture({"vision_cfg": {"layers": 12}, "text_cfg": text}) == Architecture(
        "transformer", "transformer"
    )
    assert read_architecture(
        {"vision_cfg": {"layers": [3, 4, 6, 3]}, "text_cfg": {"hf_model_name": "x"}}
    ) == Architecture("resnet", "other")
    timm = read_architecture({"vision_cfg": {"timm_model_name": "vit_base"}})
    assert timm == Architecture("other", "none")
    assert architecture_of(timm.as_info()) == timm
    assert architecture_of({}) == Architecture("unknown", "unknown")
