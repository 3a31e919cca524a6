"""The formats by name, for those who do not load torch."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["onnx", "transformers"]
FORMATS: tuple[Format, ...] = get_args(Format)
REVISION = 1  # raised when what is written for the same model changes
CANNOT_EXPORT = 3  # the exit status of `python -m core.learning.formats` that says so
