"""Marks, ids and lengths of texts come from the model and its tokenizer."""

from pathlib import Path
from string import ascii_lowercase

import open_clip
import pytest
import torch
from open_clip.tokenizer import HFTokenizer
from transformers import BertConfig, BertTokenizerFast

from core.learning.random_text import DrawnTexts
from core.learning.text_tower import NoRandomTexts, TextTower
from tests.builders import TINY_VISION, tiny_clip

# One family each: what open_clip's own configurations differ in.
EXACT = {
    "clip, pooled at the largest id": {},
    "custom text, pooled at the largest id": {"custom_text": True},
    "custom text, pooled at the end id": {"custom_text": True, "pool_type": "eos", "eos_id": 49407},
    "clip with a linear projection": {"custom_text": True, "proj_bias": True},
}
WHOLE_CONTEXT = {
    "bidirectional": {"custom_text": True, "no_causal_mask": True},
    "appended class token": {"custom_text": True, "embed_cls": True},
    "pooled at the last position": {"custom_text": True, "pool_type": "last"},
    "pooled at the first position": {"custom_text": True, "pool_type": "first"},
}


@pytest.mark.parametrize("family", EXACT)
def test_a_causal_tower_needs_only_the_text_itself(family: str) -> None:
    clip = tiny_clip(**EXACT[family])
    clip.model.double()
    tower = clip.text
    assert tower.stops_at_end_of_text
    ids = DrawnTexts(tower, seed=3).token_ids(0, 12, 8)
    assert ids.shape == (12, 10)
    padded = torch.nn.functional.pad(ids, (0, 67))
    with torch.no_grad():
        short, whole = tower.features(ids), clip.text_features(padded)
    torch.testing.assert_close(short, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", WHOLE_CONTEXT)
def test_every_other_tower_gets_its_whole_context(family: str) -> None:
    clip = tiny_clip(**WHOLE_CONTEXT[family])
    tower = clip.text
    assert not tower.stops_at_end_of_text
    ids = DrawnTexts(tower, seed=3).token_ids(0, 6, 8)
    assert ids.shape == (6, 77)
    with torch.no_grad():
        torch.testing.assert_close(tower.features(ids), clip.text_features(ids))


def test_a_hugging_face_encoder_is_read_from_its_own_tokenizer(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ascii_lowercase, "photo", "dog"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    BertConfig(
        vocab_size=40,  # rows of the embedding; the tokenizer knows fewer
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    ).save_pretrained(tmp_path)
    text = {
        "hf_model_name": str(tmp_path),
        "hf_model_pretrained": False,
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "hf_proj_type": "linear",
        "context_length": 20,
    }
    model = open_clip.CustomTextCLIP(embed_dim=8, vision_cfg=dict(TINY_VISION), text_cfg=text)
    tower = TextTower(model.eval(), HFTokenizer(str(tmp_path), context_length=20))
    assert not tower.stops_at_end_of_text
    frame = tower.frame()
    assert (frame.prefix, frame.suffix, frame.padding) == ((2,), (3,), 0)
    assert frame.ordinary.tolist() == list(range(5, len(words)))
    ids = DrawnTexts(tower, seed=0).token_ids(0, 4, 8)
    assert ids.shape == (4, 20)
    with torch.no_grad():
        assert tower.features(ids).norm(dim=-1).allclose(torch.ones(4))


def test_random_texts_are_ordinary_ids_between_the_two_marks() -> None:
    ids = DrawnTexts(tiny_clip().text, seed=0).token_ids(0, 2000, 8)
    assert (ids[:, 0] == 49406).all() and (ids[:, -1] == 49407).all()
    inside = ids[:, 1:-1]
    assert inside.min() >= 0 and inside.max() <= 49405
    # Uniform: 16 000 draws over 16 equal ranges, chi-square with 15 degrees of freedom.
    counts = torch.histc(inside.float(), bins=16, min=0, max=49406)
    assert ((counts - 1000) ** 2 / 1000).sum() < 50


def test_random_texts_depend_on_seed_and_step_alone() -> None:
    tower = tiny_clip().text
    first, again = DrawnTexts(tower, seed=1), DrawnTexts(tower, seed=1)
    again.token_ids(5, 80, 8)  # what was drawn before does not matter
    assert first.token_ids(7, 80, 8).equal(again.token_ids(7, 80, 8))
    assert not first.token_ids(7, 80, 8).equal(first.token_ids(8, 80, 8))
    assert not first.token_ids(7, 80, 8).equal(DrawnTexts(tower, seed=2).token_ids(7, 80, 8))


def test_texts_too_long_for_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="need 82 positions.*context has 77"):
        DrawnTexts(tiny_clip().text, seed=0).token_ids(0, 1, 80)


class _MarkedBy:
    """A tokenizer that writes a text as given rows do: start, words, end, padding."""

    all_special_ids = (1, 2, 0)
    pad_token_id = 0
    vocab_size = 50

    def __init__(self, start: list[int], end: list[int]) -> None:
        self._start, self._end = start, end

    def __call__(self, texts: list[str]) -> torch.Tensor:
        rows = [[*self._start, *([7] if text else []), *self._end] for text in texts]
        return torch.tensor([row + [0] * (12 - len(row)) for row in rows])


@pytest.mark.parametrize(
    ("start", "end", "missing"),
    [([], [2], "no start-of-text"), ([1], [], "no end-of-text")],
)
def test_a_tokenizer_without_marks_is_refused_by_name(
    start: list[int], end: list[int], missing: str
) -> None:
    tower = TextTower(tiny_clip().model, _MarkedBy(start, end))
    with pytest.raises(NoRandomTexts, match=f"_MarkedBy puts {missing}"):
        DrawnTexts(tower, seed=0)


def test_marks_of_another_vocabulary_are_read_from_its_tokenizer() -> None:
    frame = TextTower(tiny_clip().model, _MarkedBy([1], [2])).frame()
    assert (frame.prefix, frame.suffix, frame.padding) == ((1,), (2,), 0)
    assert frame.context_length == 12


def test_open_clips_own_tokenizer_is_read_right() -> None:
    tokenizer = open_clip.SimpleTokenizer()
    frame = tiny_clip().text.frame()
    assert frame.prefix == (tokenizer.sot_token_id,)
    assert frame.suffix == (tokenizer.eot_token_id,)
    assert len(frame.ordinary) == tokenizer.vocab_size - 2
