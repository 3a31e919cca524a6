"""The base in the repository: loads like any open_clip model, small, and as its card says."""

import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from core.demo.base_files import BASE, MODEL_CFG, load_tokenizer, model_card, to_pixels
from core.demo.captions import DOMAINS
from core.demo.scoring import GATE
from core.demo.vocabulary import CONTEXT_LENGTH, VOCABULARY_SIZE, write_tokenizer
from core.demo.world import CLASSES, TEMPLATES, render

START, END, PAD = VOCABULARY_SIZE - 2, VOCABULARY_SIZE - 1, 0

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(BASE)


@pytest.fixture(scope="module")
def numbers():
    return json.loads((BASE / "pretraining.json").read_text())


def test_it_loads_from_anywhere_and_after_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(BASE, tmp_path / "some where" / "base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    name = "local-dir:some where/base"
    model, _, transform = open_clip.create_model_and_transforms(name)
    texts = open_clip.get_tokenizer(name)(["a photo of a cup."])
    picture = transform(render("clipart", "test", CLASSES.index("cup"), 0))[None]
    assert texts.shape == (1, CONTEXT_LENGTH)
    assert model.encode_text(texts).shape == model.encode_image(picture).shape
    assert model.encode_text(texts).shape == (1, MODEL_CFG["embed_dim"])


def test_it_is_small_and_plain() -> None:
    files = {path.name: path.stat().st_size for path in BASE.iterdir()}
    assert set(files) == {
        "README.md",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "pretraining.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert files["open_clip_model.safetensors"] <= 10 * MEBIBYTE
    assert sum(files.values()) <= 12 * MEBIBYTE
    with safe_open(BASE / "open_clip_model.safetensors", "pt") as tensors:
        loaded = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    assert all(tensor.dtype == torch.float16 for tensor in loaded.values())
    assert sum(tensor.numel() for tensor in loaded.values()) <= 5_000_000


def test_its_towers_are_open_clips_own() -> None:
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{BASE}")
    assert isinstance(model, open_clip.CLIP)
    assert isinstance(model.visual, open_clip.transformer.VisionTransformer)
    assert model.attn_mask is not None, "the text tower is causal"
    picture = render("real", "test", 0, 0)
    mine = to_pixels(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
                     .reshape(1, *picture.size, 3).numpy())  # fmt: skip
    torch.testing.assert_close(transform(picture)[None], mine)
    other_size = transform(Image.new("RGB", (200, 120)))
    assert other_size.shape == mine.shape[1:]


def test_a_text_is_start_pieces_end_padding(tokenizer) -> None:
    (ids,) = tokenizer(["a photo of an umbrella, in the style of a sketch"])
    end = int(ids.argmax())
    assert ids.shape == (CONTEXT_LENGTH,)
    assert ids[0] == START
    assert ids[end] == END == VOCABULARY_SIZE - 1
    assert set(ids[end + 1 :].tolist()) == {PAD}
    assert all(PAD < piece < START for piece in ids[1:end].tolist())


@pytest.mark.parametrize(
    "text",
    [
        "zxqwv",
        "ÉCLAIR naïve 東京 🚗",
        "<end_of_text> <start_of_text> <pad>",
        "<END_OF_TEXT>",
        "tabs\tand\nlines",
        "",
    ],
)
def test_any_text_encodes_to_ordinary_pieces(tokenizer, text: str) -> None:
    (ids,) = tokenizer([text])
    end = int(ids.argmax())
    inside = ids[1:end].tolist()
    assert all(PAD < piece < START for piece in inside)
    spelt = tokenizer.tokenizer.decode(inside, clean_up_tokenization_spaces=False)
    assert spelt.strip() == " ".join(text.lower().split())


def test_a_long_text_keeps_its_end(tokenizer) -> None:
    (ids,) = tokenizer(["umbrella " * 100])
    assert (ids[0], ids[-1]) == (START, END)


def test_letter_case_and_place_in_the_sentence_do_not_matter(tokenizer) -> None:
    first, second = tokenizer(["Umbrella", "the UMBRELLA"])
    assert first[1] == second[2]


def test_class_names_are_single_pieces_and_prompts_fit(tokenizer) -> None:
    for name in CLASSES:
        (ids,) = tokenizer([name])
        assert int(ids.argmax()) == 2, f"{name} is more than one piece"
    longest = max(int((row != PAD).sum()) for row in tokenizer(
        [f"{template.format(name)} in the style of a pencil drawing on old paper"
         for template in TEMPLATES for name in CLASSES]))  # fmt: skip
    assert longest < CONTEXT_LENGTH


def test_there_is_room_for_random_texts(tokenizer) -> None:
    assert len(tokenizer.tokenizer) == VOCABULARY_SIZE
    assert set(tokenizer.tokenizer.all_special_ids) == {PAD, START, END}


def test_the_tokenizer_can_be_made_again(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (BASE / name).read_bytes()


def test_the_card_is_made_of_the_stored_numbers(numbers) -> None:
    card = (BASE / "README.md").read_text()
    assert card == model_card(numbers)
    for split in ("pretrain_validation", "demo_test"):
        for domain in DOMAINS:
            assert f"{numbers['zero_shot_accuracy'][split][domain]:.2f}" in card


def test_the_stored_numbers_pass_the_gate_and_describe_these_files(numbers) -> None:
    accuracy = numbers["zero_shot_accuracy"]["demo_test"]
    assert set(accuracy) == set(DOMAINS)
    assert all(GATE[0] <= value <= GATE[1] for value in accuracy.values())
    model = open_clip.create_model(f"local-dir:{BASE}")
    assert sum(parameter.numel() for parameter in model.parameters()) == numbers["parameters"]
    assert model.logit_scale.exp().item() == pytest.approx(numbers["logit_scale"], rel=2e-3)
