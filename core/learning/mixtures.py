"""Models that answer together: what is stored beside their weights, and the answer.

Each class holds the constants of one kind of mixture and turns the members' logits into
probabilities. Logits are scale * features @ head of each member, over the same classes in the
same order; where a split holds only some classes, the others are masked before every softmax.
A mixture's directory holds the constants, `classes.json` and a folder for each member: a whole
model, head included (`core.learning.models`).

Shapes: N images, D features, K classes, V images of the bank.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.learning.evaluation import mask_columns
from core.learning.merging import widened
from core.learning.mixture_snippets import ENSEMBLE_SNIPPET, VRF_SNIPPET

VRF_FILE = "vrf.safetensors"
ENSEMBLE_FILE = "ensemble.json"

QUERIES = 512  # images whose distances are taken at a time
BANK_ROWS = 8192  # images of the bank at a time: 16 MB of distances in float32

Space = Literal["probabilities", "logits"]


class Mixture(Protocol):
    """What every kind of mixture is to those who score, store and serve it."""

    snippet: ClassVar[str]  # Python for the model card

    @property
    def members(self) -> tuple[str, ...]:
        """The folders of its members."""

    @property
    def bytes(self) -> int:
        """Of memory that the constants take."""

    def answer(
        self,
        features: Sequence[Tensor],
        logits: Sequence[Tensor],
        subset: Sequence[int] | None = None,
    ) -> Tensor:
        """Probabilities (N, K), float32 or wider, of each member's unit features (N, D) and
        logits (N, K), in the members' order; `subset` lists the columns the split can hold."""

    def weights_of(self, features: Sequence[Tensor]) -> Tensor:
        """How much each member's answer counts (N, M), rows summing to 1, for each image."""

    def save(self, directory: Path) -> None:
        """Write the constants."""


def load_mixture(directory: Path) -> Mixture | None:
    """The mixture a directory holds; None where it holds one model.

    Raises ValueError for constants that are missing or wrong.
    """
    if (directory / VRF_FILE).is_file():
        return VrfMixture.load(directory)
    if (directory / ENSEMBLE_FILE).is_file():
        return OutputEnsemble.load(directory)
    return None


@dataclass(frozen=True)
class VrfMixture:
    """VRF: a fine-tuned and a zero-shot model, mixed by each image's distance to the images that
    zero-shot failed on (`core.learning.combine.vrf` has the formula). `ceiling` is the most that
    the fine-tuned model can weigh: 1 in VRF, chosen by `core.learning.methods.auto`.

    Raises ValueError for constants that no mixture has.
    """

    members: ClassVar[tuple[str, ...]] = ("zero_shot", "fine_tuned")
    snippet: ClassVar[str] = VRF_SNIPPET

    bank_VD: Tensor  # float32, the fine-tuned model's unit features of zero-shot failures
    k: int
    a: float
    b: float
    temperature_zero_shot: float
    temperature_fine_tuned: float
    metric: str = "sq_l2"
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        if self.bank_VD.ndim != 2 or not bool(self.bank_VD.isfinite().all()):
            raise ValueError(
                f"VRF's bank is {tuple(self.bank_VD.shape)}; it must be finite features (V, D)"
            )
        if not 1 <= self.k <= max(1, len(self.bank_VD)):
            raise ValueError(f"VRF's k is {self.k}, and its bank has {len(self.bank_VD)} images")
        if not math.isfinite(self.a):
            raise ValueError(f"VRF's a is {self.a}; it must be finite")
        for name in ("b", "temperature_zero_shot", "temperature_fine_tuned"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"VRF's {name} is {getattr(self, name)}; it must be positive")
        if not 0 <= self.ceiling <= 1:
            raise ValueError(f"VRF's ceiling is {self.ceiling}; it must be from 0 to 1")
        if self.metric != "sq_l2":
            raise ValueError(f"VRF's metric is {self.metric!r}; only sq_l2 is known")

    @property
    def bytes(self) -> int:
        return self.bank_VD.nbytes

    def answer(
        self,
        features: Sequence[Tensor],
        logits: Sequence[Tensor],
        subset: Sequence[int] | None = None,
    ) -> Tensor:
        """`probabilities` of the members' features and logits, zero-shot first."""
        _, features_ft_ND = features
        logits_zs_NK, logits_ft_NK = logits
        return self.probabilities(features_ft_ND, logits_ft_NK, logits_zs_NK, subset)[0]

    def weights_of(self, features: Sequence[Tensor]) -> Tensor:
        """Of the members' features, zero-shot first."""
        tuned_N = self.weights(features[1])
        return torch.stack([1.0 - tuned_N, tuned_N], dim=1)

    def probabilities(
        self,
        features_ft_ND: Tensor,
        logits_ft_NK: Tensor,
        logits_zs_NK: Tensor,
        subset: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The answers (N, K), and the fine-tuned model's weight (N,) in each; float32 or wider.

        Features are the fine-tuned model's, L2-normalised; `subset` lists the columns the split
        can hold.
        """
        weights_N = self.weights(features_ft_ND)
        tuned_NK = _softmax(logits_ft_NK, subset, self.temperature_fine_tuned)
        zero_shot_NK = _softmax(logits_zs_NK, subset, self.temperature_zero_shot)
        weights_N1 = weights_N[:, None]
        return weights_N1 * tuned_NK + (1.0 - weights_N1) * zero_shot_NK, weights_N

    def weights(self, features_ft_ND: Tensor) -> Tensor:
        """omega (N,) times the ceiling; omega is 1 where the bank is empty: zero-shot then has
        nothing to add."""
        features_ND = widened(features_ft_ND)
        if len(self.bank_VD) == 0:
            return features_ND.new_full((len(features_ND),), self.ceiling)
        distances_N = squared_distance_to_kth(features_ND, self.bank_VD, self.k)
        return self.ceiling * torch.sigmoid(-(distances_N - self.a) / self.b)

    def constants(self) -> dict[str, float]:
        """The numbers beside the bank, by the formula's names; a ceiling only where there is
        one."""
        found = {
            "k": self.k,
            "a": self.a,
            "b": self.b,
            "T_zs": self.temperature_zero_shot,
            "T_ft": self.temperature_fine_tuned,
        }
        return found if self.ceiling == 1 else {**found, "ceiling": self.ceiling}

    def save(self, directory: Path) -> None:
        """Write `vrf.safetensors`: the bank, and the constants as JSON in its metadata."""
        # One key: safetensors writes several in no certain order, and equal models have equal
        # bytes.
        constants = {**self.constants(), "metric": self.metric}
        save_file(
            {"bank": self.bank_VD.detach().cpu().float().contiguous()},
            directory / VRF_FILE,
            metadata={"vrf": json.dumps(constants, sort_keys=True)},
        )

    @classmethod
    def load(cls, directory: Path) -> VrfMixture:
        """Read what `save` wrote. Raises ValueError for constants that are missing or wrong."""
        with safe_open(directory / VRF_FILE, framework="pt") as file:
            bank = file.get_tensor("bank")
            constants = json.loads((file.metadata() or {}).get("vrf", "{}"))
        missing = sorted({"k", "a", "b", "T_zs", "T_ft", "metric"} - constants.keys())
        if missing:
            raise ValueError(f"{VRF_FILE} has no {', '.join(missing)} in its metadata")
        return cls(
            bank.float(),
            int(constants["k"]),
            float(constants["a"]),
            float(constants["b"]),
            float(constants["T_zs"]),
            float(constants["T_ft"]),
            str(constants["metric"]),
            float(constants.get("ceiling", 1.0)),
        )


@dataclass(frozen=True)
class OutputEnsemble:
    """Two or more models with one weight each for all images.

    `members` are the folders that hold them, plain names. Weights are made to sum to 1. Raises
    ValueError for fewer than two members, numbers that do not match, or weights that no mixture
    has.
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    space: Space = "probabilities"
    snippet: ClassVar[str] = ENSEMBLE_SNIPPET

    def __post_init__(self) -> None:
        if len(self.members) < 2 or len(self.weights) != len(self.members):
            raise ValueError(
                f"the ensemble has {len(self.members)} members and {len(self.weights)} weights; "
                "give two members or more, and one weight to each"
            )
        for member in self.members:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", member):
                raise ValueError(f"{member!r} is no plain name of a folder")
        total = sum(self.weights)
        if not (min(self.weights) >= 0 and 0 < total < math.inf):
            raise ValueError(f"the weights are {self.weights}; none may be negative, nor all 0")
        if self.space not in ("probabilities", "logits"):
            raise ValueError(f"the space is {self.space!r}; it is probabilities or logits")
        object.__setattr__(self, "weights", tuple(weight / total for weight in self.weights))

    @property
    def bytes(self) -> int:
        return 0

    def answer(
        self,
        features: Sequence[Tensor],
        logits: Sequence[Tensor],
        subset: Sequence[int] | None = None,
    ) -> Tensor:
        """`probabilities` of the members' logits; their features do not matter."""
        return self.probabilities(logits, subset)

    def weights_of(self, features: Sequence[Tensor]) -> Tensor:
        """The same for every image."""
        return torch.tensor(self.weights, dtype=torch.float64).expand(len(features[0]), -1)

    def probabilities(
        self, logits: Sequence[Tensor], subset: Sequence[int] | None = None
    ) -> Tensor:
        """The answers (N, K), float32 or wider, of each member's logits (N, K), in their order.

        `subset` lists the columns the split can hold.
        """
        if len(logits) != len(self.members):
            raise ValueError(f"{len(logits)} members answered, and there are {len(self.members)}")
        if self.space == "logits":
            return _softmax(self._mean([widened(each) for each in logits]), subset, 1.0)
        return self._mean([_softmax(each, subset, 1.0) for each in logits])

    def save(self, directory: Path) -> None:
        """Write `ensemble.json`."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        (directory / ENSEMBLE_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> OutputEnsemble:
        """Read what `save` wrote."""
        found = json.loads((directory / ENSEMBLE_FILE).read_text(encoding="utf-8"))
        return cls(tuple(found["members"]), tuple(found["weights"]), found["space"])

    def _mean(self, answers: Sequence[Tensor]) -> Tensor:
        total = self.weights[0] * answers[0]
        for weight, answer in zip(self.weights[1:], answers[1:], strict=True):
            total = total + weight * answer
        return total


def nearest_counted(n_bank: int) -> int:
    """k: a thousandth of the bank, and at least the nearest image."""
    return max(1, n_bank // 1000)


def squared_distance_to_kth(features_ND: Tensor, bank_VD: Tensor, k: int) -> Tensor:
    """Squared L2 distance (N,) of each row to its k-th nearest row of the bank, k from 1 to V.

    Computed a block at a time, in the features' precision and on their device: memory does not
    grow with N times V.
    """
    parts = []
    for queries_QD in torch.split(features_ND, QUERIES):
        nearest_Qk = queries_QD.new_empty(len(queries_QD), 0)
        own_Q1 = queries_QD.square().sum(dim=1, keepdim=True)
        for rows_RD in torch.split(bank_VD, BANK_ROWS):
            block_RD = rows_RD.to(queries_QD)
            norms_R = torch.linalg.vector_norm(block_RD, dim=1)
            distances_QR = own_Q1 + norms_R.square() - 2.0 * queries_QD @ block_RD.T
            nearest_Qk = torch.cat([nearest_Qk, distances_QR], dim=1)
            nearest_Qk = nearest_Qk.topk(min(k, nearest_Qk.shape[1]), largest=False).values
        parts.append(nearest_Qk[:, k - 1].clamp(min=0.0))  # rounding may leave it below
    return torch.cat(parts) if parts else features_ND.new_empty(0)


def _softmax(logits_NK: Tensor, subset: Sequence[int] | None, temperature: float) -> Tensor:
    masked_NK = mask_columns(widened(logits_NK), subset)
    return (masked_NK / temperature).softmax(dim=-1)
