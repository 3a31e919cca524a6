"""The base's own small tokenizer: byte-level BPE, 2048 pieces, in Hugging Face's file layout.

It is learnt from the drawn web's sentences and, so that other words are more than single bytes,
from ImageNet's class names as open_clip lists them. Bytes are the fallback: any text encodes.

The ids serve open_clip's pooling, which takes a text's feature at its largest id: end of text is
the last id and start of text the one before; 0 pads; everything between is an ordinary piece.
"""

from __future__ import annotations

import json
from pathlib import Path

from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from core.demo.captions import TEMPLATES, every_sentence
from core.demo.shapes import CLASSES

VOCABULARY_SIZE = 2048
CONTEXT_LENGTH = 32
PAD, START, END = "<pad>", "<start_of_text>", "<end_of_text>"


def write_tokenizer(directory: Path) -> None:
    """Learn the pieces (the same ones every time) and write both tokenizer files."""
    tokenizer = _learn()
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_LENGTH,
        "pad_token": PAD,
        "bos_token": START,
        "eos_token": END,
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        # A caption that happens to spell a special token is still just text.
        "split_special_tokens": True,
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _learn() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    # The leading space makes a word the same piece at the start of a sentence as inside one.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - 2,
        special_tokens=[PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_special_tokens([START, END])
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    if (start, end) != (VOCABULARY_SIZE - 2, VOCABULARY_SIZE - 1):
        raise RuntimeError(f"start and end of text got ids {start} and {end}, not the last two")
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, start), (END, end)]
    )
    return tokenizer


def _corpus() -> list[str]:
    sentences = every_sentence(CLASSES)
    sentences += [template.format(name) for template in TEMPLATES for name in CLASSES]
    for template in OPENAI_IMAGENET_TEMPLATES:
        sentences += [template(name) for name in CLASSES]
    return sentences + list(IMAGENET_CLASSNAMES)
