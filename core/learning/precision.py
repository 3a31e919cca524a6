"""Which number format towers compute in."""

from __future__ import annotations

import torch


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype towers are trained in: None for float32. "auto" is bf16 where the device does it
    well."""
    if precision == "fp32":
        return None
    if precision == "bf16" or has_fast_bf16(device):
        return torch.bfloat16
    return None


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for it; without them bf16 is emulated and slow."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public name for this.
    return bool(torch.cpu._is_avx512_bf16_supported())
