"""Models on disk: open_clip reads what we write, and packing loses nothing."""

import os
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch

from core.learning.evaluation import head_logits
from core.learning.models import (
    Head,
    ModelFault,
    load_directory,
    load_head,
    save_directory,
    save_head,
)
from core.learning.packing import pack, unpack
from core.learning.sources import fetch_base
from core.learning.zero_shot import DEFAULT_TEMPLATES, build_head
from tests.builders import random_image, tiny_clip, unit_head

ROOT = Path(__file__).parents[3]


def head() -> Head:
    return Head(
        unit_head(8, 3), 14.5, ["cat", "dog", "ant"], ["c", "d", "a"], ["a {}."], {"s": [0, 2]}
    )


def test_a_saved_model_gives_the_same_probabilities_through_open_clip(tmp_path: Path) -> None:
    clip = tiny_clip(seed=4)
    save_directory(clip, tmp_path)
    save_head(head(), tmp_path)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    image = preprocess(random_image(1))[None]
    loaded, own = load_directory(tmp_path), load_head(tmp_path)
    assert own is not None
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(model.eval().encode_image(image), dim=-1)
        ours = loaded.image_features(loaded.preprocess(random_image(1))[None])
        expected = clip.image_features(clip.preprocess(random_image(1))[None])
    assert ours.equal(expected) and theirs.equal(expected)
    assert own.logits(ours).equal(head_logits(ours, head().weight, 14.5))
    assert (own.classes, own.class_keys, own.class_subsets) == (
        ["cat", "dog", "ant"],
        ["c", "d", "a"],
        {"s": [0, 2]},
    )
    assert loaded.scale == pytest.approx(clip.scale)


def test_a_model_without_a_head_has_none(tmp_path: Path) -> None:
    save_directory(tiny_clip(), tmp_path)
    assert load_head(tmp_path) is None


def test_packing_is_deterministic_and_members_are_byte_ranges(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    save_directory(tiny_clip(), directory)
    save_head(head(), directory)
    members = pack(directory, tmp_path / "a.tar")
    assert pack(directory, tmp_path / "b.tar") == members
    packed = (tmp_path / "a.tar").read_bytes()
    assert packed == (tmp_path / "b.tar").read_bytes()
    for name, (offset, size) in members.items():
        assert packed[offset : offset + size] == (directory / name).read_bytes()
    assert set(members) >= {"head.safetensors", "open_clip_model.safetensors", "SHA256SUMS"}
    unpack(tmp_path / "a.tar", tmp_path / "again")
    assert load_directory(tmp_path / "again").scale == load_directory(directory).scale


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    save_directory(tiny_clip(), directory)
    members = pack(directory, tmp_path / "a.tar")
    packed = bytearray((tmp_path / "a.tar").read_bytes())
    packed[members["open_clip_model.safetensors"][0] + 5000] ^= 1
    (tmp_path / "a.tar").write_bytes(bytes(packed))
    with pytest.raises(ValueError, match="open_clip_model.safetensors .* recorded digest"):
        unpack(tmp_path / "a.tar", tmp_path / "again")


def test_a_directory_is_fetched_as_a_base(tmp_path: Path) -> None:
    save_directory(tiny_clip(seed=2), tmp_path / "source")
    base = fetch_base(str(tmp_path / "source"), tmp_path / "base")
    image = tiny_clip(seed=2).preprocess(random_image(0))[None]
    with torch.no_grad():
        assert base.image_features(image).equal(tiny_clip(seed=2).image_features(image))


def test_pickled_weights_are_refused_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    source = tmp_path / "source"
    save_directory(tiny_clip(), source)
    (source / "open_clip_model.safetensors").unlink()
    torch.save(tiny_clip().model.state_dict(), source / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelFault, match="open_clip_pytorch_model.bin is not safetensors"):
        fetch_base(str(source), tmp_path / "base")
    fetch_base(str(source), tmp_path / "base", allow_pickle=True)
    assert (tmp_path / "base" / "open_clip_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ViT-B-16/nonsense", "ViT-B-16 has no tag 'nonsense'; it has .*openai"),
        ("Nonsense/openai", "open_clip knows no pretrained architecture 'Nonsense'"),
        ("/no/such/place", "is neither an existing directory"),
    ],
)
def test_a_source_that_is_not_there_is_one_sentence(
    tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(ModelFault, match=message) as caught:
        fetch_base(source, tmp_path)
    assert "\n" not in str(caught.value)


_FETCH = """
import sys
from pathlib import Path
from core.learning.models import ModelFault
from core.learning.sources import fetch_base
try:
    fetch_base(sys.argv[1], Path(sys.argv[2]))
except ModelFault as fault:
    sys.exit(str(fault))
"""


def fetch_offline(source: str, target: Path, hub: Path) -> subprocess.CompletedProcess[str]:
    """`fetch_base` in a process whose hub is a folder: the hub's own cache, without a network."""
    environment = {**os.environ, "HF_HOME": str(hub), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", _FETCH, source, str(target)]
    return subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, cwd=ROOT
    )


def test_a_hub_model_is_fetched_as_a_base(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "hub" / "models--lab--tiny"
    save_directory(tiny_clip(seed=5), repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    done = fetch_offline("hf-hub:lab/tiny", tmp_path / "base", tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    image = tiny_clip().preprocess(random_image(0))[None]
    with torch.no_grad():
        fetched = load_directory(tmp_path / "base").image_features(image)
        assert fetched.equal(tiny_clip(seed=5).image_features(image))


@pytest.mark.parametrize("source", ["hf-hub:lab/missing", "ViT-B-32/openai"])
def test_what_cannot_be_fetched_is_one_sentence(tmp_path: Path, source: str) -> None:
    done = fetch_offline(source, tmp_path / "base", tmp_path / "hub")
    assert done.returncode == 1
    assert "cannot be fetched" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "base").exists()


def test_openai_tags_ask_for_quick_gelu() -> None:
    from core.learning.sources import wants_quick_gelu

    assert wants_quick_gelu("ViT-B-16", "openai")
    assert not wants_quick_gelu("ViT-B-16", "laion2b_s34b_b88k")


def test_the_zero_shot_head_is_the_mean_of_eighty_templates() -> None:
    clip = tiny_clip()
    assert len(DEFAULT_TEMPLATES) == 80
    weight = build_head(clip, ["cat", "aircraft_carrier"], DEFAULT_TEMPLATES)
    texts = clip.tokenizer([t.format("aircraft_carrier") for t in DEFAULT_TEMPLATES])
    with torch.no_grad():
        mean = clip.text_features(texts).mean(dim=0)
    torch.testing.assert_close(weight[:, 1], mean / mean.norm(), rtol=1e-5, atol=1e-6)
