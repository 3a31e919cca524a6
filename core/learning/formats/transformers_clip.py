"""Hugging Face's `transformers.CLIPModel`: towers, tokenizer, image processor; the head beside it.

Only what that class can hold is written: a vision transformer that pools its class token, a causal
text transformer that pools at the end of the text, OpenAI's tokenizer. `from_pretrained` reads the
directory; `head.safetensors` holds (W, scale) as in our own layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer
from transformers.image_utils import PILImageResampling

from core.learning.formats.base import CannotExport, copy_head, random_images, require_equal
from core.learning.models import Clip, load_directory

TEXTS = (
    "a photo of a cat.",
    "It's 3 o'clock; nobody naps!",
    "",
)  # that what was written is tried on

_RESAMPLING = {"bicubic": PILImageResampling.BICUBIC, "bilinear": PILImageResampling.BILINEAR}
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_PLAIN = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_TRANSPOSED = {  # open_clip multiplies from the right
    "text_projection": "text_projection.weight",
    "visual.proj": "visual_projection.weight",
}
_TOWERS = {
    "transformer.resblocks.": "text_model.encoder.layers.",
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
}


def export_transformers(source: Path, target: Path) -> None:
    """Write the model directory `source` for `CLIPModel.from_pretrained(target)`.

    Raises CannotExport for a tower, tokenizer or transform that the class cannot hold, and
    `core.learning.models.ModelFault`.
    """
    clip = load_directory(source)
    _require_towers(clip)
    processor = _processor(clip)
    tokenizer = _tokenizer(clip)
    model = CLIPModel(_config(clip, tokenizer))
    model.train(False)
    state = _state(clip)
    missing = sorted(model.state_dict().keys() ^ state.keys())
    if missing:
        raise CannotExport(f"transformers' CLIPModel has no place for, or lacks, {missing[0]}")
    try:
        model.load_state_dict(state)
    except RuntimeError as fault:
        raise CannotExport(f"transformers' CLIPModel is built otherwise: {fault}") from fault
    _compare(model, tokenizer, clip)
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target)
    processor.save_pretrained(target)
    tokenizer.save_pretrained(target)
    copy_head(source, target)


def _require_towers(clip: Clip) -> None:
    config = clip.config["model_cfg"]
    vision, text = config["vision_cfg"], config.get("text_cfg") or {}
    if vision.get("timm_model_name") or not isinstance(vision.get("layers", 12), int):
        raise CannotExport(
            "its image tower is no vision transformer of open_clip's, which is all that "
            "transformers' CLIPModel has; take format=onnx"
        )
    if not text or text.get("hf_model_name"):
        raise CannotExport("it has no text tower of open_clip's, which CLIPModel needs")


def _config(clip: Clip, tokenizer: CLIPTokenizer) -> CLIPConfig:
    config = clip.config["model_cfg"]
    vision, text = config["vision_cfg"], config["text_cfg"]
    width, head_width = int(vision.get("width", 768)), int(vision.get("head_width", 64))
    activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
    return CLIPConfig(
        projection_dim=clip.embed_dim,
        vision_config={
            "hidden_size": width,
            "intermediate_size": int(width * vision.get("mlp_ratio", 4.0)),
            "num_hidden_layers": vision.get("layers", 12),
            "num_attention_heads": width // head_width,
            "image_size": clip.image_size,
            "patch_size": vision.get("patch_size", 16),
            "projection_dim": clip.embed_dim,
            "hidden_act": activation,
        },
        text_config={
            "vocab_size": text.get("vocab_size", 49408),
            "hidden_size": text.get("width", 512),
            "intermediate_size": int(text.get("width", 512) * text.get("mlp_ratio", 4.0)),
            "num_hidden_layers": text.get("layers", 12),
            "num_attention_heads": text.get("heads", 8),
            "max_position_embeddings": text.get("context_length", 77),
            "projection_dim": clip.embed_dim,
            "hidden_act": activation,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.eos_token_id,
        },
    )


def _state(clip: Clip) -> dict[str, Tensor]:
    """The weights under transformers' names. Raises CannotExport for one that has no such name."""
    found: dict[str, Tensor] = {}
    for own, tensor in clip.model.state_dict().items():
        name = own.removeprefix("text.")  # of a model whose text tower is a module of its own
        if name in _PLAIN:
            found[_PLAIN[name]] = tensor
        elif name in _TRANSPOSED:
            found[_TRANSPOSED[name]] = tensor.T.contiguous()
        else:
            found |= _of_block(name, tensor)
    return found


def _of_block(name: str, tensor: Tensor) -> Mapping[str, Tensor]:
    for own, theirs in _TOWERS.items():
        if not name.startswith(own):
            continue
        number, _, part = name.removeprefix(own).partition(".")
        layer = f"{theirs}{number}."
        stem, _, kind = part.rpartition(".")
        if stem in _BLOCK:
            return {f"{layer}{_BLOCK[stem]}.{kind}": tensor}
        if part.startswith("attn.in_proj_"):
            kind = part.removeprefix("attn.in_proj_")
            thirds = tensor.chunk(3)
            return {
                f"{layer}self_attn.{each}_proj.{kind}": third.contiguous()
                for each, third in zip("qkv", thirds, strict=True)
            }
    raise CannotExport(f"transformers' CLIPModel has no place for {name}")


def _tokenizer(clip: Clip) -> CLIPTokenizer:
    own = clip.tokenizer
    if not isinstance(own, open_clip.SimpleTokenizer) or clip.tokenizer_files:
        raise CannotExport("its tokenizer is not OpenAI's, which CLIPModel's is")
    merges = list(own.bpe_ranks)  # pairs, the most frequent first
    first, last = "<|startoftext|>", "<|endoftext|>"
    renamed = {own.sot_token_id: first, own.eot_token_id: last}
    vocabulary = {renamed.get(place, token): place for token, place in own.encoder.items()}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=int(own.context_length or 77),
    )


def _processor(clip: Clip) -> CLIPImageProcessor:
    config, side = clip.preprocess_config, clip.image_size
    resampling = _RESAMPLING.get(config.interpolation)
    if resampling is None or config.mode != "RGB":
        raise CannotExport(
            f"its images are {config.mode}, resized by {config.interpolation}; CLIPImageProcessor "
            "takes RGB, bicubic or bilinear"
        )
    square = {"height": side, "width": side}
    if config.resize_mode == "shortest":
        size, crops = {"shortest_edge": side}, True
    elif config.resize_mode == "squash":
        size, crops = square, False
    else:
        raise CannotExport(
            f"its transform fits images in by {config.resize_mode!r}, which CLIPImageProcessor "
            "has not"
        )
    return CLIPImageProcessor(
        size=size,
        crop_size=square,
        do_center_crop=crops,
        resample=resampling,
        image_mean=list(config.mean),
        image_std=list(config.std),
    )


@torch.inference_mode()
def _compare(model: CLIPModel, tokenizer: CLIPTokenizer, clip: Clip) -> None:
    images = random_images(clip)
    found = model.get_image_features(pixel_values=images).pooler_output
    require_equal(
        functional.normalize(found, dim=-1), clip.image_features(images), "image features"
    )
    texts = list(TEXTS)
    tokens: Any = tokenizer(texts, padding=True, return_tensors="pt")
    found = model.get_text_features(**tokens).pooler_output
    expected = clip.text_features(clip.tokenizer(texts))
    require_equal(functional.normalize(found, dim=-1), expected, "text features")
