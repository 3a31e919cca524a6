"""One export in a process of its own, which may take memory and time and give it back.

    python -m core.learning.formats onnx MODEL_DIRECTORY TARGET_DIRECTORY

What the format cannot hold is said on standard error, with the status CANNOT_EXPORT.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.ending import end_process
from core.learning.formats.base import CannotExport
from core.learning.formats.names import CANNOT_EXPORT, FORMATS
from core.learning.models import ModelFault


def main(name: str, source: Path, target: Path) -> int:
    """The exit status."""
    try:
        if name == "onnx":
            from core.learning.formats.onnx_graph import export_onnx

            export_onnx(source, target)
        else:
            from core.learning.formats.transformers_clip import export_transformers

            export_transformers(source, target)
    except (CannotExport, ModelFault) as fault:
        print(fault, file=sys.stderr)
        return CANNOT_EXPORT
    return 0


if __name__ == "__main__":
    _, asked, given, wanted = sys.argv
    if asked not in FORMATS:
        sys.exit(f"{asked!r} is none of {', '.join(FORMATS)}")
    end_process(main(asked, Path(given), Path(wanted)))
