"""VRF's mixture in float64 against its formula in NumPy, and its constants' fit and storage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.learning import mixtures
from core.learning.combine.vrf import A_GRID, B_GRID, fit_vrf, zero_shot_failures
from core.learning.mixtures import VRF_FILE, VrfMixture, squared_distance_to_kth
from tests.unit.learning.fixed_step import softmax, unit

Array = np.ndarray

N, D, K, V = 9, 6, 4, 40


def given(seed: int = 0, n: int = N) -> tuple[Array, Array, Array, Array]:
    """Bank, features, fine-tuned and zero-shot logits."""
    draws = np.random.default_rng(seed)
    bank = unit(draws.normal(size=(V, D))).astype(np.float32).astype(np.float64)
    features = unit(draws.normal(size=(n, D)))
    return bank, features, draws.normal(0, 3, (n, K)), draws.normal(0, 3, (n, K))


def tensors(*arrays: Array) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def mixture(bank: Array, k: int = 3, a: float = 0.9, b: float = 0.4) -> VrfMixture:
    t_zs, t_ft = 1.7, 0.6
    return VrfMixture(torch.from_numpy(bank).float(), k, a, b, t_zs, t_ft)


def masked_softmax(logits: Array, subset: list[int] | None) -> Array:
    probabilities = np.zeros_like(logits)
    columns = list(range(logits.shape[1])) if subset is None else subset
    probabilities[:, columns] = softmax(logits[:, columns])
    return probabilities


@pytest.mark.parametrize("subset", [None, [1, 3]])
def test_the_mixture_equals_its_formula(subset: list[int] | None) -> None:
    bank, features, z_ft, z_zs = given()
    found, weights = mixture(bank).probabilities(*tensors(features, z_ft, z_zs), subset)

    def formula(
        a: float = 0.9, b: float = 0.4, t_zs: float = 1.7, t_ft: float = 0.6, k: int = 3
    ) -> Array:
        distances = ((features[:, None] - bank[None]) ** 2).sum(axis=2)
        d = np.sort(distances, axis=1)[:, k - 1]
        omega = 1 / (1 + np.exp((d - a) / b))[:, None]
        expected: Array = omega * masked_softmax(z_ft / t_ft, subset) + (
            1 - omega
        ) * masked_softmax(z_zs / t_zs, subset)
        return np.concatenate([expected, omega], axis=1)

    seen = np.concatenate([found.numpy(), weights.numpy()[:, None]], axis=1)
    assert np.allclose(seen, formula(), rtol=1e-9, atol=1e-12)
    for mutated in (
        formula(a=0.9009),
        formula(b=0.4004),
        formula(t_zs=1.7017),
        formula(t_ft=0.6006),
        formula(k=2),
    ):
        assert not np.allclose(seen, mutated, rtol=1e-9, atol=1e-12)


def test_a_ceiling_scales_the_fine_tuned_models_weight() -> None:
    bank, features, z_ft, z_zs = given()
    whole = mixture(bank)
    low = replace(whole, ceiling=0.3)
    asked = tensors(features, z_ft, z_zs)
    (of_whole, weights), (of_low, low_weights) = (m.probabilities(*asked) for m in (whole, low))
    zero_shot = softmax(z_zs / 1.7)
    assert np.allclose(low_weights.numpy(), 0.3 * weights.numpy(), rtol=1e-12)
    expected = zero_shot + 0.3 * (of_whole.numpy() - zero_shot)
    assert np.allclose(of_low.numpy(), expected, rtol=1e-9)
    empty = replace(low, bank_VD=torch.zeros(0, D), k=1)
    assert empty.weights(asked[0]).tolist() == [0.3] * N


def test_weights_forced_to_one_and_zero_give_either_models_calibrated_answer() -> None:
    bank, features, z_ft, z_zs = given()
    found, weights = mixture(bank, a=1e6).probabilities(*tensors(features, z_ft, z_zs))
    assert weights.tolist() == [1.0] * N
    assert np.allclose(found.numpy(), softmax(z_ft / 0.6), rtol=1e-9, atol=0)
    found, weights = mixture(bank, a=-1e6).probabilities(*tensors(features, z_ft, z_zs))
    assert weights.tolist() == [0.0] * N
    assert np.allclose(found.numpy(), softmax(z_zs / 1.7), rtol=1e-9, atol=0)


@pytest.mark.parametrize("k", [1, 2, 17])
def test_distances_by_blocks_are_those_of_the_whole(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixtures, "QUERIES", 4)
    monkeypatch.setattr(mixtures, "BANK_ROWS", 7)  # smaller than k, and no divisor of V
    bank, features, _, _ = given()
    found = squared_distance_to_kth(*tensors(features, bank), k)
    expected = np.sort(((features[:, None] - bank[None]) ** 2).sum(axis=2), axis=1)[:, k - 1]
    assert np.allclose(found.numpy(), expected, rtol=1e-9)
    itself = squared_distance_to_kth(torch.from_numpy(bank).float(), torch.from_numpy(bank), 1)
    assert float(itself.min()) >= 0.0 and float(itself.max()) < 1e-6


def test_the_bank_is_what_only_the_fine_tuned_model_answers_right() -> None:
    features = torch.arange(8, dtype=torch.float64).reshape(4, 2)
    labels = torch.tensor([0, 1, 2, 1])
    right_ft = torch.tensor([0, 1, 2, 0])
    right_zs = torch.tensor([0, 0, 0, 1])
    bank = zero_shot_failures(features, right_ft, right_zs, labels)
    assert bank.dtype == torch.float32 and bank.tolist() == [[2.0, 3.0], [4.0, 5.0]]


def validation(n: int = 600) -> tuple[Array, Array, Array, Array, Array]:
    """A bank in one corner; fine-tuning is right near it, zero-shot far from it."""
    draws = np.random.default_rng(12)
    corner = unit(np.eye(D)[:1])
    bank = unit(corner + 0.1 * draws.normal(size=(2500, D)))
    features = unit(corner * draws.uniform(-1, 1, (n, 1)) + 0.3 * draws.normal(size=(n, D)))
    labels = draws.integers(0, K, n)
    near = (features @ corner[0])[:, None]
    right = 2.0 * np.eye(K)[labels]
    z_ft = (1 + near) * right + draws.normal(size=(n, K))
    z_zs = (1 - near) * right + draws.normal(size=(n, K))
    return bank.astype(np.float32), features, z_ft, z_zs, labels


def test_the_constants_are_the_best_of_the_grid_on_validation() -> None:
    bank, features, z_ft, z_zs, labels = validation()
    fitted = fit_vrf(*tensors(bank, features, z_ft, z_zs, labels))
    assert fitted.k == 2  # floor(2500 / 1000)
    assert list(A_GRID) == pytest.approx(np.linspace(0.1, 2.0, 20))
    assert list(B_GRID) == pytest.approx(np.linspace(0.1, 1.0, 10))
    tuned = softmax(z_ft / fitted.temperature_fine_tuned)
    zero_shot = softmax(z_zs / fitted.temperature_zero_shot)
    for logits, scaled in ((z_ft, tuned), (z_zs, zero_shot)):
        assert scaled.max(axis=1).mean() == pytest.approx(
            (logits.argmax(axis=1) == labels).mean(), abs=1e-5
        )

    distances = ((features[:, None] - bank.astype(np.float64)[None]) ** 2).sum(axis=2)
    d = np.sort(distances, axis=1)[:, 1]
    ranked = []
    for a in np.linspace(0.1, 2.0, 20):
        for b in np.linspace(0.1, 1.0, 10):
            omega = 1 / (1 + np.exp((d - a) / b))[:, None]
            p = omega * tuned + (1 - omega) * zero_shot
            right = int((p.argmax(axis=1) == labels).sum())
            nll = -np.log(p[np.arange(len(labels)), labels]).sum()
            ranked.append((-right, nll, a, b))
    right, _, a, b = min(ranked)
    assert (fitted.a, fitted.b) == pytest.approx((a, b))
    # The grid matters here: fixed constants elsewhere on it do worse, and so do both models.
    assert -right > max(
        (tuned.argmax(axis=1) == labels).sum(), (zero_shot.argmax(axis=1) == labels).sum()
    )
    answers, _ = fitted.probabilities(*tensors(features, z_ft, z_zs))
    assert int((answers.argmax(dim=1).numpy() == labels).sum()) == -right


def test_given_constants_are_kept() -> None:
    arrays = tensors(*validation(100))
    fitted = fit_vrf(*arrays, a=1.5, b=0.6)
    assert (fitted.a, fitted.b) == (1.5, 0.6)
    half = fit_vrf(*arrays, a=1.5)
    assert half.a == 1.5 and half.b in B_GRID


def test_an_empty_failure_set_trusts_fine_tuning() -> None:
    bank, features, z_ft, z_zs, labels = validation(100)
    fitted = fit_vrf(*tensors(bank[:0], features, z_ft, z_zs, labels))
    found, weights = fitted.probabilities(*tensors(features, z_ft, z_zs))
    assert weights.tolist() == [1.0] * 100 and fitted.k == 1
    expected = softmax(z_ft / fitted.temperature_fine_tuned)
    assert np.allclose(found.numpy(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("n_bank", [V, 0])
@pytest.mark.parametrize("ceiling", [1.0, 0.7])
def test_it_is_stored_and_read_with_equal_bytes_each_time(
    tmp_path: Path, n_bank: int, ceiling: float
) -> None:
    bank, features, z_ft, z_zs = given()
    saved = replace(mixture(bank[:n_bank], k=1, a=1 / 3), ceiling=ceiling)
    contents = set()
    for number in range(5):
        directory = tmp_path / str(number)
        directory.mkdir()
        saved.save(directory)
        contents.add((directory / VRF_FILE).read_bytes())
    assert len(contents) == 1
    assert load_file(tmp_path / "0" / VRF_FILE)["bank"].dtype == torch.float32
    read = VrfMixture.load(tmp_path / "0")
    inputs = tensors(features, z_ft, z_zs)
    assert read.a == 1 / 3 and read.metric == "sq_l2" and read.ceiling == ceiling
    assert ("ceiling" in read.constants()) == (ceiling < 1)  # VRF's own has none
    assert read.probabilities(*inputs)[0].equal(saved.probabilities(*inputs)[0])


def test_a_file_that_says_too_little_is_refused(tmp_path: Path) -> None:
    save_file({"bank": torch.ones(2, 3)}, tmp_path / VRF_FILE, metadata={"vrf": '{"k": 1}'})
    with pytest.raises(ValueError, match="has no T_ft, T_zs, a, b, metric"):
        VrfMixture.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bank_VD": torch.full((2, 3), np.nan)}, "must be finite features"),
        ({"bank_VD": torch.ones(3)}, r"bank is \(3,\)"),
        ({"k": 0}, "k is 0, and its bank has 2"),
        ({"k": 3}, "k is 3, and its bank has 2"),
        ({"a": np.inf}, "a is inf"),
        ({"b": 0.0}, "b is 0.0"),
        ({"ceiling": 1.1}, "ceiling is 1.1"),
        ({"ceiling": -0.1}, "ceiling is -0.1"),
        ({"ceiling": np.nan}, "ceiling is nan"),
        ({"temperature_zero_shot": -1.0}, "temperature_zero_shot is -1.0"),
        ({"metric": "l2"}, "metric is 'l2'"),
    ],
)
def test_constants_that_no_mixture_has_are_refused(change: dict[str, object], message: str) -> None:
    constants: dict[str, object] = {
        "bank_VD": torch.ones(2, 3),
        "k": 1,
        "a": 1.0,
        "b": 1.0,
        "temperature_zero_shot": 1.0,
        "temperature_fine_tuned": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        VrfMixture(**{**constants, **change})  # type: ignore[arg-type]


def test_float32_answers_stay_near_the_formula_and_sum_to_one() -> None:
    bank, features, z_ft, z_zs = given(n=50)
    wide, _ = mixture(bank).probabilities(*tensors(features, z_ft, z_zs))
    narrow, weights = mixture(bank).probabilities(
        *(t.float() for t in tensors(features, z_ft, z_zs))
    )
    assert narrow.dtype == weights.dtype == torch.float32
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-4, atol=1e-5)
    assert narrow.sum(dim=1).tolist() == pytest.approx([1.0] * 50, abs=1e-5)
