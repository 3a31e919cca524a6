"""What a text tower is and how its tokenizer marks a text: read from them, never assumed.

Lipsum-FT's random texts need to know which ids open and close a text, which ids are ordinary,
and how far a text must be encoded. In a causal tower pooled at the end-of-text token nothing
after that token can matter, so encoding the text alone is exact; every other tower (bidirectional,
pooled elsewhere, a Hugging Face encoder) is given its whole padded context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn


class NoRandomTexts(ValueError):
    """The tokenizer gives texts no start or no end mark, so random texts cannot be made."""


@dataclass(frozen=True)
class TextFrame:
    """One text as the tokenizer writes it: `prefix + ordinary ids + suffix`, then padding.

    `prefix` ends with the start-of-text id and `suffix` begins with the end-of-text id.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    padding: int
    context_length: int
    trailer: tuple[int, ...]  # ids that close the context after the padding, if any
    ordinary: Tensor  # (V,) int64, ids that may stand inside a text, ascending

    def rows(self, ids_ML: Tensor, *, padded: bool) -> Tensor:
        """Texts (M, n) around ordinary ids (M, L), n = the text alone or the whole context.

        Raises ValueError when L ordinary tokens do not fit the context.
        """
        n_texts, length = ids_ML.shape
        text_length = len(self.prefix) + length + len(self.suffix)
        room = self.context_length - text_length - len(self.trailer)
        if room < 0:
            raise ValueError(
                f"texts of {length} tokens need {text_length + len(self.trailer)} positions; "
                f"this model's context has {self.context_length}"
            )
        tail = [*self.suffix]
        if padded:
            tail += [self.padding] * room + [*self.trailer]
        return torch.cat(
            [
                torch.tensor(self.prefix, dtype=torch.int64).expand(n_texts, -1),
                ids_ML.to(torch.int64),
                torch.tensor(tail, dtype=torch.int64).expand(n_texts, -1),
            ],
            dim=1,
        )


class TextTower:
    """The text side of one model, for encoding rows of token ids."""

    def __init__(self, model: nn.Module, tokenizer: Callable[..., Tensor]) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @property
    def stops_at_end_of_text(self) -> bool:
        """Whether what follows the end-of-text token provably cannot change the feature."""
        tower = self._transformer()
        if tower is None:
            return False
        causal = tower.attn_mask is not None
        pooled = tower.text_pool_type if isinstance(tower, open_clip.CLIP) else tower.pool_type
        appended = getattr(tower, "cls_emb", None) is not None
        return causal and pooled in ("argmax", "eos") and not appended

    def frame(self) -> TextFrame:
        """How this tokenizer writes a text. Raises `NoRandomTexts` naming what it lacks."""
        return _read_frame(self.tokenizer, self._vocabulary_size(), self._pooled_by_largest_id())

    def trim(self, token_ids_MN: Tensor) -> Tensor:
        """The rows without what follows the longest text, where that cannot matter."""
        tower = self._transformer()
        if tower is None or not self.stops_at_end_of_text:
            return token_ids_MN
        if self._pooled_by_largest_id():
            ends = token_ids_MN.argmax(dim=-1)
        else:
            eos_id = tower.text_eos_id if isinstance(tower, open_clip.CLIP) else tower.eos_id
            ends = (token_ids_MN == eos_id).int().argmax(dim=-1)
        return token_ids_MN[:, : int(ends.max()) + 1]

    def features(self, token_ids_MN: Tensor) -> Tensor:
        """L2-normalised features (M, D) of texts of N positions, N up to the context length."""
        tower = self._transformer()
        if tower is None or not self.stops_at_end_of_text:
            return self.model.encode_text(token_ids_MN, normalize=True)  # type: ignore[operator,no-any-return]
        return nn.functional.normalize(_encode_prefix(tower, token_ids_MN), dim=-1)

    def _transformer(self) -> open_clip.CLIP | TextTransformer | None:
        """The module that holds open_clip's own text transformer, if it is one."""
        if isinstance(self.model, open_clip.CLIP):
            return self.model
        text = getattr(self.model, "text", None)
        return text if isinstance(text, TextTransformer) else None

    def _vocabulary_size(self) -> int:
        """Rows of the token embedding. A Hugging Face encoder's may exceed its tokenizer's."""
        text: Any = getattr(self.model, "text", self.model)
        return int(getattr(text, "vocab_size", None) or text.config.vocab_size)

    def _pooled_by_largest_id(self) -> bool:
        tower = self._transformer()
        if tower is None:
            return False
        pool = tower.text_pool_type if isinstance(tower, open_clip.CLIP) else tower.pool_type
        return bool(pool == "argmax")


def _encode_prefix(tower: open_clip.CLIP | TextTransformer, token_ids_MN: Tensor) -> Tensor:
    """`encode_text` of a causal tower over N positions instead of its whole context.

    open_clip adds the full positional embedding and mask in `CLIP.encode_text` and therefore
    accepts full rows only; the same modules are called here with both cut to N.
    """
    n_positions = token_ids_MN.shape[1]
    cast = tower.transformer.get_cast_dtype()
    x_MNW = tower.token_embedding(token_ids_MN).to(cast)
    x_MNW = x_MNW + tower.positional_embedding[:n_positions].to(cast)
    x_MNW = tower.transformer(x_MNW, attn_mask=tower.attn_mask[:n_positions, :n_positions])
    x_MNW = tower.ln_final(x_MNW)
    is_clip = isinstance(tower, open_clip.CLIP)
    pool_type = tower.text_pool_type if is_clip else tower.pool_type
    eos_id = tower.text_eos_id if is_clip else tower.eos_id
    pooled_MW: Tensor = text_global_pool(x_MNW, token_ids_MN, pool_type, eos_token_id=eos_id)
    projection = tower.text_projection
    if projection is None:
        return pooled_MW
    projected_MD: Tensor = (
        projection(pooled_MW) if isinstance(projection, nn.Linear) else pooled_MW @ projection
    )
    return projected_MD


def _read_frame(
    tokenizer: Callable[..., Tensor], vocabulary_size: int, pooled_by_largest_id: bool
) -> TextFrame:
    name = type(tokenizer).__name__
    special = _special_ids(tokenizer)
    row, at = _row_with_one_ordinary_token(tokenizer, special)
    prefix, rest = row[:at], row[at + 1 :]
    if not prefix or prefix[-1] not in special:
        raise NoRandomTexts(
            f"{name} puts no start-of-text token before a text, which random texts need; "
            "take a method without random texts for this base"
        )
    if not rest or rest[0] not in _end_ids(tokenizer, special):
        raise NoRandomTexts(
            f"{name} puts no end-of-text token after a text, which random texts need; "
            "take a method without random texts for this base"
        )
    suffix, padding, trailer = _split_padding(rest)
    ids = torch.arange(min(vocabulary_size, _tokenizer_size(tokenizer)))
    ordinary = ids[~torch.isin(ids, torch.tensor(sorted(special)))]
    if pooled_by_largest_id:
        # An id above the end-of-text token would take its place as the pooled position.
        ordinary = ordinary[ordinary < suffix[0]]
    return TextFrame(tuple(prefix), tuple(suffix), padding, len(row), tuple(trailer), ordinary)


def _row_with_one_ordinary_token(
    tokenizer: Callable[..., Tensor], special: set[int]
) -> tuple[list[int], int]:
    """A tokenised row in which exactly one id is an ordinary token, and where that is.

    Padding is what a longer text replaces: an id is ordinary in the row of a one-word text and
    absent from the row of the empty text.
    """
    empty = set(tokenizer([""])[0].tolist())
    for word in ("a", "the", "photo", "dog", "x"):
        row = [int(i) for i in tokenizer([word])[0].tolist()]
        ordinary = [at for at, i in enumerate(row) if i not in special and i not in empty]
        if len(ordinary) == 1:
            return row, ordinary[0]
    raise NoRandomTexts(
        f"{type(tokenizer).__name__} writes no short word as one token, so where a text starts "
        "and ends cannot be read from it; take a method without random texts for this base"
    )


def _split_padding(rest: list[int]) -> tuple[list[int], int, list[int]]:
    """What follows a text, as (end marks, padding id, ids after the padding)."""
    if len(rest) < 2:
        return rest, 0, []
    runs = [(i, rest[i]) for i in range(1, len(rest)) if rest[i] == rest[i - 1]]
    padding = max((value for _, value in runs), key=rest.count) if runs else rest[-1]
    first = next((i for i in range(1, len(rest)) if rest[i] == padding), len(rest))
    last = len(rest) - 1
    while last > first and rest[last] != padding:
        last -= 1
    return rest[:first], padding, rest[last + 1 :]


def _special_ids(tokenizer: Callable[..., Tensor]) -> set[int]:
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    return {int(i) for i in getattr(inner, "all_special_ids", [])}


def _end_ids(tokenizer: Callable[..., Tensor], special: set[int]) -> set[int]:
    """Special ids that may close a text. Padding is one only where the tokenizer says so:
    OpenAI's vocabulary as Hugging Face ships it pads with its end mark."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    named = {getattr(inner, f"{name}_token_id", None) for name in ("eos", "sep", "eot")}
    padding = getattr(inner, "pad_token_id", None)
    return {i for i in special if i != padding or i in named}


def _tokenizer_size(tokenizer: Callable[..., Tensor]) -> int:
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    size = getattr(inner, "vocab_size", None)
    return int(len(inner) if hasattr(inner, "__len__") else size)  # type: ignore[arg-type]
