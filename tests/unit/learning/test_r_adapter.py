"""R-Adapter: its loss, its adapters, and what is left of them in the finished model."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor

from core.learning.adapters import Adapters
from core.learning.architecture import Architecture
from core.learning.methods.flyp import info_nce
from core.learning.methods.r_adapter import RAdapter, drop_factors, mpm_nce
from core.learning.models import Clip
from core.learning.trainer import Trainer
from tests.builders import TINY_TEXT, make_trainer, tiny_clip
from tests.unit.learning.fixed_step import Array, unit

N_ADAPTERS = 8  # attention and MLP of two blocks in two towers
RANKS = [None, 3]
LIVELY = {"learning_rate": 1e-2, "ema_decay": 0.9}  # moves far in a few steps

SIX = np.array([0, 1, 0, 2, 1, 0])
CONSTANTS = {"scale": 7.3, "margin": 0.05, "noise": 0.02}


def expected_mpm_nce(
    v: Array, u: Array, labels: Array, scale: float, margin: float, noise: float
) -> float:
    n = len(labels)
    total = 0.0
    for i in range(n):
        positives = int((labels == labels[i]).sum())
        row, column = np.empty(n), np.empty(n)
        target = np.empty(n)
        for j in range(n):
            other = labels[i] != labels[j]
            row[j] = scale * (v[i] @ u[j] + margin * other)
            column[j] = scale * (v[j] @ u[i] + margin * other)
            target[j] = noise / (n - positives) if other else (1 - noise) / positives
        for z in (row, column):
            total -= 0.5 * float(target @ (z - np.log(np.exp(z).sum()))) / n
    return total


def pairs(n: int) -> tuple[Array, Array]:
    draws = np.random.default_rng(0)
    return unit(draws.normal(size=(n, 4))), unit(draws.normal(size=(n, 4)))


def found_mpm_nce(v: Array, u: Array, labels: Array, **constants: float) -> float:
    tensors = [torch.from_numpy(x) for x in (v, u, labels)]
    scale = constants.pop("scale")
    return float(mpm_nce(*tensors, scale, **constants))


def test_mpm_nce_equals_the_papers_formula_in_float64() -> None:
    v, u = pairs(6)
    expected = expected_mpm_nce(v, u, SIX, **CONSTANTS)
    assert found_mpm_nce(v, u, SIX, **CONSTANTS) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_wrong_coefficient_of_mpm_nce_is_seen(name: str) -> None:
    v, u = pairs(6)
    wrong = {**CONSTANTS, name: CONSTANTS[name] * 1.01}
    expected = expected_mpm_nce(v, u, SIX, **wrong)
    assert found_mpm_nce(v, u, SIX, **CONSTANTS) != pytest.approx(expected, rel=1e-6)


def test_mpm_nce_without_margin_and_noise_is_info_nce_where_classes_are_unique() -> None:
    v, u = pairs(6)
    expected = float(info_nce(torch.from_numpy(v), torch.from_numpy(u), 7.3))
    found = found_mpm_nce(v, u, np.arange(6), scale=7.3, margin=0.0, noise=0.0)
    assert found == pytest.approx(expected, rel=1e-12)
    repeated = found_mpm_nce(v, u, SIX, scale=7.3, margin=0.0, noise=0.0)
    assert repeated != pytest.approx(expected, rel=1e-3)


def test_mpm_nce_of_one_class_spreads_nothing_over_others() -> None:
    v, u = pairs(6)
    z = 7.3 * v @ u.T
    rows = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    columns = z - np.log(np.exp(z).sum(axis=0, keepdims=True))
    expected = -0.5 * (rows.mean() + columns.mean())
    found = found_mpm_nce(v, u, np.zeros(6, dtype=np.int64), **CONSTANTS)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rank", RANKS)
def test_adapters_do_to_an_output_what_the_paper_writes(rank: int | None) -> None:
    model = tiny_clip().model.double()
    adapters = Adapters(model, rank=rank, seed=0)
    fill(adapters)
    block = model.get_submodule("visual.transformer.resblocks.1")
    x = torch.randn(2, 3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain, plain_attention = block.mlp(x), block.attn(x, x, x)[0]
    adapters.insert([1.25] * N_ADAPTERS)
    for name, before, after in (
        ("mlp.c_proj", plain, block.mlp(x)),
        ("attn.out_proj", plain_attention, block.attn(x, x, x)[0]),
    ):
        prefix = f"adapters.visual.transformer.resblocks.1.{name}."
        own = {
            part.removeprefix(prefix): p.detach().numpy()
            for part, p in adapters.parameters.items()
            if part.startswith(prefix)
        }
        a = own["full"] if rank is None else own["up"] @ own["down"]
        y = before.detach().numpy()
        expected = y + 1.25 * own["scale"] * y @ a.T
        np.testing.assert_allclose(after.detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("rank", RANKS)
def test_training_starts_exactly_at_zero_shot(rank: int | None) -> None:
    trainer = make_trainer("r_adapter", rank=rank)
    before = features(trainer.student.clip)
    adapters_of(trainer).insert([1.25] * N_ADAPTERS)
    for plain, adapted in zip(before, features(trainer.student.clip), strict=True):
        assert adapted.equal(plain)
    adapters_of(trainer).remove()
    assert all(float(s) == np.float32(0.1) for s in scales(trainer))
    trainer.train_step()
    adapters_of(trainer).insert([1.0] * N_ADAPTERS)
    for plain, adapted in zip(before, features(trainer.student.clip), strict=True):
        assert not adapted.equal(plain)


@pytest.mark.parametrize("rank", RANKS)
def test_the_folded_model_equals_adapters_acting(rank: int | None) -> None:
    trainer = make_trainer("r_adapter", double=True, rank=rank, n_steps=12, **LIVELY)
    clip, adapters = trainer.student.clip, adapters_of(trainer)
    zero_shot = features(clip)
    for _ in range(12):
        trainer.train_step()
    with trainer.finished() as head:
        folded = features(clip)
        assert head.from_text
    with torch.no_grad():
        for name, parameter in adapters.parameters.items():
            parameter.copy_(adapters.averages[name])
    adapters.insert([0.5] * N_ADAPTERS)
    acting = features(clip)
    adapters.insert([0.51] * N_ADAPTERS)
    acting_wrongly = features(clip)
    for a, b, wrong, start in zip(folded, acting, acting_wrongly, zero_shot, strict=True):
        assert largest(a, b) < 1e-12
        assert largest(a, wrong) > 1e-6
        assert largest(a, start) > 1e-3


def test_folded_weights_are_the_papers() -> None:
    adapters = Adapters(model := tiny_clip().model.double(), rank=3, seed=0)
    fill(adapters)
    adapters.accumulate(0.0)
    name = "transformer.resblocks.0.attn.out_proj"
    s, u, d = (
        adapters.parameters[f"adapters.{name}.{part}"].detach().numpy()
        for part in ("scale", "up", "down")
    )
    m = np.eye(16) + 0.5 * s * u @ d
    folded = adapters.folded(0.5)
    for kind in ("weight", "bias"):
        own = model.get_parameter(f"{name}.{kind}").detach().numpy()
        np.testing.assert_allclose(folded[f"{name}.{kind}"].numpy(), m @ own, rtol=1e-10)
    assert len(folded) == 2 * N_ADAPTERS


def test_the_model_stays_a_plain_clip() -> None:
    before = {name: t.clone() for name, t in tiny_clip().model.state_dict().items()}
    trainer = make_trainer("r_adapter", n_steps=3, **LIVELY)
    model = trainer.student.clip.model
    start = features(trainer.student.clip)
    for _ in range(3):
        trainer.train_step()
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(after[name].equal(before[name]) for name in before)
    assert not any(name.startswith("adapters") for name, _ in model.named_parameters())
    # Between steps no adapter acts, so whoever holds the model then may load other weights.
    assert all(a.equal(b) for a, b in zip(start, features(trainer.student.clip), strict=True))
    state = trainer.state()
    assert set(state.weights) == set(before)
    changed = {name for name in before if not state.weights[name].equal(before[name])}
    assert sum(name.endswith(".weight") for name in changed) == N_ADAPTERS
    assert all(".out_proj." in name or ".c_proj." in name for name in changed)


@pytest.mark.parametrize(("micro", "rank"), [(1, None), (3, 3), (7, None)])
def test_micro_batches_do_not_change_the_step(micro: int, rank: int | None) -> None:
    knobs = {"double": True, "n_steps": 10, "drop_probability": 0.4, "rank": rank}
    whole = make_trainer("r_adapter", **knobs)
    parts = make_trainer("r_adapter", **knobs, micro_batch_size=micro)
    for _ in range(10):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-9)
        assert float(b["gradient_norm"]) == pytest.approx(float(a["gradient_norm"]), rel=1e-9)


def test_drops_are_a_function_of_seed_step_and_module_alone() -> None:
    drawn = [drop_factors(3, step, 40, 0.25) for step in range(50)]
    assert {factor for step in drawn for factor in step} == {0.0, 1 / 0.75}
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.05)
    assert drop_factors(3, 17, 9, 0.25) == drawn[17][:9]  # after others, and of fewer modules
    assert drop_factors(4, 17, 40, 0.25) != drawn[17] != drawn[18]
    assert drop_factors(3, 17, 40, 0.0) == [1.0] * 40


def test_a_dropped_adapter_gets_a_gradient_of_zero() -> None:
    trainer = make_trainer("r_adapter", drop_probability=0.5)
    factors = drop_factors(trainer.student.seed, 0, N_ADAPTERS, 0.5)
    assert set(factors) == {0.0, 2.0}
    trainer.train_step()
    full = [p for name, p in trainer.student.added.items() if name.endswith(".full")]
    assert [bool(p.grad.any()) for p in full if p.grad is not None] == [f > 0 for f in factors]


def test_the_average_equals_the_explicit_weighted_sum() -> None:
    m, n_steps = 0.8, 6
    trainer = make_trainer(
        "r_adapter", double=True, rank=2, n_steps=n_steps, ema_decay=m, learning_rate=1e-2
    )
    passed = [copies(trainer.student.added)]
    for _ in range(n_steps):
        trainer.train_step()
        passed.append(copies(trainer.student.added))
    shares = [m**n_steps] + [(1 - m) * m ** (n_steps - t) for t in range(1, n_steps + 1)]
    for name, average in adapters_of(trainer).averages.items():
        expected = sum(share * p[name] for share, p in zip(shares, passed, strict=True))
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-12, atol=1e-15)
        assert not np.allclose(average.numpy(), passed[-1][name], rtol=1e-6, atol=0)


def test_a_low_rank_is_smaller_and_its_start_is_the_seeds() -> None:
    def down(rank: int, seed: int) -> Tensor:
        own = Adapters(tiny_clip().model, rank=rank, seed=seed).parameters
        return own["adapters.visual.transformer.resblocks.0.attn.out_proj.down"].detach()

    assert down(3, 0).shape == (3, 16)
    assert down(3, 0).equal(down(3, 0))
    assert not down(3, 0).equal(down(3, 1))
    assert float(down(3, 0).abs().max()) <= (6 / 19) ** 0.5
    full = Adapters(tiny_clip().model, rank=16, seed=0).parameters
    assert any(name.endswith(".full") for name in full)
    assert not any(name.endswith(".down") for name in full)


def test_it_fits_transformers_only() -> None:
    fitting = [Architecture(), Architecture("transformer", "transformer")]
    assert [RAdapter.misfit(base) for base in fitting] == [None, None]
    refused = RAdapter.misfit(Architecture("resnet", "transformer"))
    assert refused is not None and refused.endswith("this base's image tower is a resnet")
    refused = RAdapter.misfit(Architecture("transformer", "other"))
    assert refused is not None and refused.endswith("text tower is of another library")
    refused = RAdapter.misfit(Architecture("transformer", "none"))
    assert refused is not None and refused.endswith("has no text tower")


def test_an_unknown_base_without_blocks_is_refused_when_loaded() -> None:
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
    resnet = open_clip.CLIP(embed_dim=8, vision_cfg=vision, text_cfg=TINY_TEXT)
    with pytest.raises(ValueError, match="the image tower has no transformer blocks"):
        Adapters(resnet, rank=None, seed=0)


def adapters_of(trainer: Trainer) -> Adapters:
    assert isinstance(trainer.method, RAdapter)
    return trainer.method.adapters


def scales(trainer: Trainer) -> list[Tensor]:
    return [p.detach() for n, p in trainer.student.added.items() if n.endswith(".scale")]


def features(clip: Clip) -> tuple[Tensor, Tensor]:
    """Of three images and two texts, on the one attention kernel."""
    dtype = next(clip.model.parameters()).dtype
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(5)).to(dtype)
    texts = clip.tokenizer(["a photo of a red fox.", "a bus"])
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return clip.image_features(images), clip.text_features(texts)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def fill(adapters: Adapters) -> None:
    """Random values for every parameter."""
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in adapters.parameters.values():
            parameter.copy_(torch.randn(parameter.shape, generator=draws))


def copies(parameters: dict[str, torch.nn.Parameter]) -> dict[str, Array]:
    return {name: p.detach().numpy().copy() for name, p in parameters.items()}


def largest(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())
