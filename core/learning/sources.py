"""Where a base comes from: an open_clip tag, a hub, or a directory.

Only an operator names a source; what it gives is saved once in our own layout and never
fetched again. Weights must be safetensors unless the operator says otherwise: other formats
are pickles, and loading one runs whatever code its author put there.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import open_clip
from open_clip.factory import _find_checkpoint_in_dir
from open_clip.pretrained import download_pretrained_from_hf

from core.learning.models import Clip, ModelFault, load_directory, save_directory

_HUB = "hf-hub:"
_DIRECTORY = "local-dir:"


def fetch_base(source: str, directory: Path, *, allow_pickle: bool = False) -> Clip:
    """Fetch `source`, save it in `directory` and load it from there.

    `source` is `ARCHITECTURE/TAG` as open_clip lists them (`ViT-B-16/openai`), `hf-hub:ORG/NAME`
    or the path of a model directory. A tag whose weights were trained with QuickGELU, as all of
    OpenAI's were, gets it whatever the architecture's name says. Raises `ModelFault` with one
    sentence saying what is missing.
    """
    if source.startswith(_HUB):
        _fetch_hub(source, directory, allow_pickle)
    elif Path(source.removeprefix(_DIRECTORY)).is_dir():
        _fetch_directory(Path(source.removeprefix(_DIRECTORY)), directory, allow_pickle)
    elif "/" in source and not source.startswith(("/", ".", _DIRECTORY)):
        _fetch_tag(source, directory, allow_pickle)
    else:
        raise ModelFault(
            f"{source!r} is neither an existing directory nor ARCHITECTURE/TAG nor hf-hub:ORG/NAME"
        )
    return load_directory(directory)


def wants_quick_gelu(architecture: str, tag: str) -> bool:
    """Whether the tag's weights were trained with QuickGELU. open_clip only warns otherwise."""
    return bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu", False))


def _fetch_directory(source: Path, directory: Path, allow_pickle: bool) -> None:
    weights = _find_checkpoint_in_dir(source)
    if weights is None:
        raise ModelFault(f"{source} holds no weights (open_clip_model.safetensors)")
    _refuse_pickle(Path(weights), allow_pickle)
    _save(f"{_DIRECTORY}{source}", directory, {})


def _fetch_hub(source: str, directory: Path, allow_pickle: bool) -> None:
    try:
        weights = download_pretrained_from_hf(source.removeprefix(_HUB))
    except (OSError, RuntimeError, ValueError) as fault:
        raise ModelFault(f"{source} cannot be fetched: {_first_line(fault)}") from fault
    _refuse_pickle(Path(weights), allow_pickle)
    _save(source, directory, {})


def _fetch_tag(source: str, directory: Path, allow_pickle: bool) -> None:
    architecture, tag = source.rsplit("/", 1)
    known = open_clip.list_pretrained_tags_by_model(architecture)
    if not known:
        raise ModelFault(f"open_clip knows no pretrained architecture {architecture!r}")
    if tag not in known:
        raise ModelFault(f"{architecture} has no tag {tag!r}; it has {', '.join(sorted(known))}")
    tag_config = open_clip.get_pretrained_cfg(architecture, tag)
    try:
        weights = open_clip.download_pretrained(tag_config)
    except (OSError, RuntimeError, ValueError) as fault:
        raise ModelFault(
            f"the weights of {source} cannot be fetched: {_first_line(fault)}"
        ) from fault
    _refuse_pickle(Path(weights), allow_pickle)
    quick_gelu = wants_quick_gelu(architecture, tag)
    _save(architecture, directory, {"pretrained": tag, "force_quick_gelu": quick_gelu})


def _save(name: str, directory: Path, arguments: dict[str, Any]) -> None:
    """Create the model as open_clip does and write it in our layout."""
    try:
        model = open_clip.create_model(name, require_pretrained=True, **arguments)
        tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, KeyError) as fault:
        raise ModelFault(f"open_clip cannot load {name}: {_first_line(fault)}") from fault
    model_config: dict[str, Any] = copy.deepcopy(open_clip.get_model_config(name))
    if arguments.get("force_quick_gelu"):
        model_config["quick_gelu"] = True
    config = {
        "model_cfg": model_config,
        "preprocess_cfg": dict(open_clip.get_model_preprocess_cfg(model)),
    }
    save_directory(Clip(model.eval(), tokenizer, config, {}), directory)
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is not None:  # a Hugging Face tokenizer, which the config names but must travel along
        inner.save_pretrained(directory)


def _refuse_pickle(weights: Path, allow_pickle: bool) -> None:
    if weights.suffix != ".safetensors" and not allow_pickle:
        raise ModelFault(
            f"{weights.name} is not safetensors; loading it could run code. "
            "Convert it, or say --allow-pickle if you trust its author"
        )


def _first_line(fault: BaseException) -> str:
    return (str(fault) or type(fault).__name__).splitlines()[0]
