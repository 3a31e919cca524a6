"""What every merge of models' tensors shares: what may be merged, and the loop over the names.

A model is a mapping of names to tensors, "head" among them where the head trained by itself
(`core.learning.states`). Mappings may read a tensor when it is asked for: one name is merged at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Head

State = Mapping[str, "Tensor"]
"""A model's tensors as `core.learning.states` names them; one may be read when asked for."""


class CannotCombine(ValueError):
    """Models that do not go together, saying which and why."""


def check_states(states: Mapping[str, State]) -> None:
    """Refuse models that cannot be merged; `states` gives each the name that messages use.

    Raises `CannotCombine` naming the first key that one model lacks, whose shape or dtype differs,
    or that is not finite, and the models.
    """
    if not states:
        raise CannotCombine("there is no model to merge; name at least one")
    (first_name, first), *others = states.items()
    for name, state in others:
        lonely = sorted(first.keys() ^ state.keys())
        if lonely:
            has, lacks = (first_name, name) if lonely[0] in first else (name, first_name)
            raise CannotCombine(
                f"{lonely[0]!r} is in {has} and not in {lacks}; merge models of one architecture "
                "whose heads are of one kind"
            )
    for key in first:
        tensors = {name: state[key] for name, state in states.items()}
        _check_tensors(key, tensors)


def check_heads(heads: Mapping[str, Head]) -> None:
    """Refuse heads whose columns mean different classes; `heads` gives each its name in messages.

    Raises `CannotCombine` naming the first class that differs and the models.
    """
    (first_name, first), *others = heads.items()
    for name, head in others:
        if head.class_keys == first.class_keys:
            continue
        lonely = sorted(set(head.class_keys) ^ set(first.class_keys))
        if lonely:
            has, lacks = (first_name, name) if lonely[0] in first.class_keys else (name, first_name)
            raise CannotCombine(
                f"class {lonely[0]!r} is in {has} and not in {lacks}; combine models that were "
                "trained on the same classes"
            )
        column = _first_difference(first.class_keys, head.class_keys)
        raise CannotCombine(
            f"{first_name} and {name} have the same classes in another order: column {column} is "
            f"{_shown(first.class_keys, column)} in the one and {_shown(head.class_keys, column)} "
            "in the other; train them from one class list"
        )


def check_calibration(heads: Mapping[str, Head]) -> None:
    """Refuse heads that do not share one temperature: a merged head has one scale.

    Raises `CannotCombine` naming two models and their temperatures.
    """
    (first_name, first), *others = heads.items()
    for name, head in others:
        if head.temperature != first.temperature:
            raise CannotCombine(
                f"{first_name} has temperature {first.temperature:g} and {name} "
                f"{head.temperature:g}; merge the models first and calibrate what comes out"
            )


def merge_states(
    states: Mapping[str, State], mix: Callable[[str, list[Tensor]], Tensor], *, buffers_from: str
) -> dict[str, Tensor]:
    """`mix(key, tensors)` for every key, the tensors in float32 or wider and in order of `states`.

    The result has the models' dtype. Integer and boolean buffers are those of `buffers_from`. A
    tensor that is the same in all models stays what it is, to the bit. Raises what `check_states`
    raises.
    """
    check_states(states)
    merged = {}
    for key in states[buffers_from]:
        tensors = [state[key] for state in states.values()]
        if not tensors[0].is_floating_point():
            merged[key] = states[buffers_from][key]
        elif all(tensor.equal(tensors[0]) for tensor in tensors[1:]):
            merged[key] = tensors[0]
        else:
            mixed = mix(key, [widened(tensor) for tensor in tensors])
            merged[key] = mixed.to(tensors[0].dtype)
    return merged


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is where it is at least as wide."""
    return tensor if tensor.itemsize >= 4 else tensor.float()


def _check_tensors(key: str, tensors: Mapping[str, Tensor]) -> None:
    (first_name, first), *others = tensors.items()
    for name, tensor in others:
        if tensor.shape != first.shape or tensor.dtype != first.dtype:
            raise CannotCombine(
                f"{key!r} is {tuple(first.shape)} {first.dtype} in {first_name} and "
                f"{tuple(tensor.shape)} {tensor.dtype} in {name}; merge models of one base"
            )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CannotCombine(
                f"{key!r} holds values that are not finite in {name}; its training diverged, "
                "leave it out"
            )


def _first_difference(one: list[str], other: list[str]) -> int:
    pairs = zip(one, other, strict=False)
    differing = (column for column, (a, b) in enumerate(pairs) if a != b)
    return next(differing, min(len(one), len(other)))


def _shown(class_keys: list[str], column: int) -> str:
    return repr(class_keys[column]) if column < len(class_keys) else "missing"
