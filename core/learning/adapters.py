"""R-Adapter's adapters: a linear residual map behind every attention and MLP of both towers.

    h(X) = X + gamma s_a X A^T,   A = F (E, E), or A = U D with U (E, r) and D (r, E)

X (..., E) is what the attention's `out_proj` or the MLP's `c_proj` gives; s_a is a scalar that
trains. Adapters stand beside the model as forward hooks, and only between `insert` and `remove`:
at any other time, and in its state at all times, the model is a plain CLIP.
Source: Kim et al., "Efficient and versatile robust fine-tuning of zero-shot models", ECCV 2024,
arXiv 2408.05749; a low rank starts with D random and U zero, as the authors' code has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from core.learning.randomness import generator

SCALE_START = 0.1  # s_a before training


class Adapters:
    """All adapters of a model, in the order of its modules; they begin by changing nothing.

    `parameters` and `averages` (their moving averages) have the same names.
    """

    def __init__(self, model: nn.Module, *, rank: int | None, seed: int) -> None:
        """Raises ValueError for a model with a tower that has none of open_clip's blocks."""
        self._all = [
            Adapter(name, module, projection, _start(projection, rank, seed, number))
            for number, (name, module, projection) in enumerate(_sites(model))
        ]
        self.parameters = {
            f"adapters.{adapter.name}.{part}": parameter
            for adapter in self._all
            for part, parameter in adapter.parameters.items()
        }
        self.averages = {
            f"adapters.{adapter.name}.{part}": average
            for adapter in self._all
            for part, average in adapter.averages.items()
        }
        self._hooks: list[RemovableHandle] = []

    def __len__(self) -> int:
        return len(self._all)

    def insert(self, factors: Sequence[float]) -> None:
        """Let every adapter act, its change of the output multiplied by its factor gamma."""
        self.remove()
        for adapter, factor in zip(self._all, factors, strict=True):
            self._hooks.append(adapter.module.register_forward_hook(adapter.hook(factor)))

    def remove(self) -> None:
        """Let no adapter act."""
        while self._hooks:
            self._hooks.pop().remove()

    def accumulate(self, decay: float) -> None:
        """average <- decay average + (1 - decay) parameter; s_a, U and D each by itself."""
        for name, parameter in self.parameters.items():
            self.averages[name].lerp_(parameter.detach(), 1.0 - decay)

    def folded(self, scale: float) -> dict[str, Tensor]:
        """What the projections are with `scale` times the averaged adapters folded into them.

            W_rep = (I + scale s_a A) W,   b_rep = (I + scale s_a A) b

        Names are those of the model's state. Computed in float64, given in the weights' dtype.
        """
        found = {}
        for adapter in self._all:
            change_EE = scale * adapter.averaged_map()
            for kind, tensor in adapter.projection.named_parameters():
                value = tensor.detach().double()
                found[f"{adapter.name}.{kind}"] = (value + change_EE @ value).to(tensor.dtype)
        return found


class Adapter:
    """One adapter: what it adapts, what of it trains and the average of that."""

    def __init__(
        self, name: str, module: nn.Module, projection: nn.Linear, start: dict[str, Tensor]
    ) -> None:
        self.name = name  # of the projection
        self.module = module  # whose output is the projection's
        self.projection = projection
        self.parameters = {part: nn.Parameter(value) for part, value in start.items()}
        self.averages = {part: value.clone() for part, value in start.items()}

    def hook(self, factor: float) -> Callable[[nn.Module, Any, Any], Any]:
        """A forward hook of `module`; attention gives a tuple, the output first."""

        def adapted(module: nn.Module, inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (self._adapted(output[0], factor), *output[1:])
            return self._adapted(output, factor)

        return adapted

    def averaged_map(self) -> Tensor:
        """s_a A (E, E) of the averages, float64."""
        values = {part: average.double() for part, average in self.averages.items()}
        full = values["full"] if "full" in values else values["up"] @ values["down"]
        return values["scale"] * full

    def _adapted(self, outputs: Tensor, factor: float) -> Tensor:
        # A factor of zero is multiplied like any other: dropped adapters get zero gradients, not
        # none, or the optimiser would pass them over and not let their momentum decay.
        own = self.parameters
        if "full" in own:
            changes = functional.linear(outputs, own["full"])
        else:
            changes = functional.linear(functional.linear(outputs, own["down"]), own["up"])
        return outputs + factor * own["scale"] * changes


def _start(projection: nn.Linear, rank: int | None, seed: int, number: int) -> dict[str, Tensor]:
    """An adapter's tensors before training. A rank no smaller than the width saves nothing: full.

    D is Xavier-uniform: within sqrt(6 / (r + E)).
    """
    weight = projection.weight.detach()
    width = projection.out_features
    scale = torch.full((), SCALE_START, dtype=weight.dtype, device=weight.device)
    if rank is None or rank >= width:
        return {"scale": scale, "full": weight.new_zeros(width, width)}
    bound = math.sqrt(6 / (rank + width))
    drawn = generator(seed, "adapters", number).uniform(-bound, bound, size=(rank, width))
    return {
        "scale": scale,
        "up": weight.new_zeros(width, rank),
        "down": torch.from_numpy(drawn).to(weight),
    }


def _sites(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Linear]]:
    """(Projection's name, module it ends, projection) of each block, attention then MLP."""
    # A captioning model's text decoder gives no features and is in neither.
    for tower, prefixes in (("image", ("visual.",)), ("text", ("transformer.", "text."))):
        blocks = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, ResidualAttentionBlock) and name.startswith(prefixes)
        ]
        if not blocks:
            raise ValueError(
                f"the {tower} tower has no transformer blocks of open_clip's standard kind, which "
                "adapters stand behind; take flyp or ft for this base"
            )
        for name, block in blocks:
            yield f"{name}.attn.out_proj", block.attn, block.attn.out_proj
            yield f"{name}.mlp.c_proj", block.mlp, block.mlp.c_proj
