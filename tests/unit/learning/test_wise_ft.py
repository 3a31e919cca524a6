"""The straight line between two states, plain and weighed by Fisher information."""

from typing import Any

import numpy as np
import pytest
import torch

from core.learning.combine.wise_ft import WiseFT, fisher_interpolate, interpolate
from core.learning.fisher import diagonal_fisher

State = dict[str, torch.Tensor]


def states(dtype: torch.dtype = torch.float32) -> tuple[State, State]:
    draws = torch.Generator().manual_seed(0)

    def state() -> State:
        return {
            "w": torch.randn(3, 4, generator=draws, dtype=dtype),
            "head": torch.randn(4, 2, generator=draws, dtype=dtype),
        }

    return state(), state()


def close(found: torch.Tensor, expected: np.ndarray) -> bool:
    return np.allclose(found.numpy(), expected, rtol=1e-9, atol=0)


def test_it_is_the_papers_line_head_included() -> None:
    x, y = states(torch.float64)
    mixed = interpolate(x, y, 0.3)
    for name in x:
        a, b = x[name].numpy(), y[name].numpy()
        assert close(mixed[name], (1 - 0.3) * a + 0.3 * b)
        assert not close(mixed[name], (1 - 0.301) * a + 0.301 * b)


def test_the_ends_are_the_parents_own_tensors_to_the_sign_of_zero() -> None:
    x, y = states()
    x["w"][0, 0], y["w"][0, 0] = -0.0, 5.0
    x["w"][0, 1], y["w"][0, 1] = 2.0, -0.0
    diagonal = {name: torch.ones_like(tensor) for name, tensor in x.items()}
    for alpha, parent in ((0.0, x), (1.0, y)):
        for mixed in (
            interpolate(x, y, alpha),
            fisher_interpolate(x, y, diagonal, diagonal, alpha),
        ):
            for name in parent:
                assert mixed[name].equal(parent[name])
                assert mixed[name].signbit().equal(parent[name].signbit())


def test_what_did_not_train_stays_to_the_bit_at_every_alpha() -> None:
    x, _ = states()
    for alpha in (0.1, 1 / 3, 0.7):
        assert interpolate(x, x, alpha)["w"].equal(x["w"])


def test_half_precision_is_mixed_in_float32() -> None:
    x = {"w": torch.tensor([1.0, 2049.0]).half()}
    y = {"w": torch.tensor([2.0, 0.0]).half()}
    assert interpolate(x, y, 0.25)["w"].tolist() == [1.25, 1536.0]


def test_integer_buffers_are_copied() -> None:
    x, y = {"n": torch.tensor([1, 2])}, {"n": torch.tensor([3, 4])}
    assert interpolate(x, y, 0.5)["n"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y.pop("head"), "'head' is in theta0 and not in theta1"),
        (lambda y: y.update(z=torch.zeros(1)), "'z' is in theta1 and not in theta0"),
        (lambda y: y.update(w=torch.zeros(3, 5)), r"'w' is \(3, 4\).*\(3, 5\)"),
        (lambda y: y.update(w=y["w"].half()), "torch.float32 in theta0 and .*float16 in theta1"),
        (lambda y: y["w"].fill_(float("inf")), "'w' holds values that are not finite in theta1"),
        (lambda y: y["w"].fill_(float("nan")), "'w' holds values that are not finite in theta1"),
    ],
)
def test_states_that_do_not_fit_are_refused_by_name(change: Any, message: str) -> None:
    x, y = states()
    change(y)
    for alpha in (0.0, 0.5, 1.0):
        with pytest.raises(ValueError, match=message):
            interpolate(x, y, alpha)


def test_the_fisher_weighed_line_equals_its_formula() -> None:
    x, y = states(torch.float64)
    draws = np.random.default_rng(1)
    f0, f1 = draws.random((2, 3, 4)) * 3e-8  # some below the floor of 1e-8, some above
    assert (f0 < 1e-8).any() and (f1 < 1e-8).any() and (f0 > 1e-8).any()
    fisher0, fisher1 = {"w": torch.from_numpy(f0)}, {"w": torch.from_numpy(f1)}
    mixed = fisher_interpolate(x, y, fisher0, fisher1, 0.3)

    def formula(alpha: float, floor: float) -> np.ndarray:
        c0, c1 = (1 - alpha) * np.maximum(f0, floor), alpha * np.maximum(f1, floor)
        line: np.ndarray = (c0 * x["w"].numpy() + c1 * y["w"].numpy()) / (c0 + c1)
        return line

    assert close(mixed["w"], formula(0.3, 1e-8))
    assert not close(mixed["w"], formula(0.301, 1e-8))
    assert not close(mixed["w"], formula(0.3, 1.001e-8))
    # What the diagonals leave out is on the plain line.
    assert close(mixed["head"], 0.7 * x["head"].numpy() + 0.3 * y["head"].numpy())


@pytest.mark.parametrize(
    ("fisher0", "fisher1", "message"),
    [
        ({"w": torch.ones(3, 4)}, {}, "'w' is not in both"),
        ({"z": torch.ones(1)}, {"z": torch.ones(1)}, "'z' is not in both"),
        ({"w": torch.ones(3, 4)}, {"w": torch.ones(4)}, r"'w' in theta1 is \(4,\)"),
        ({"w": torch.full((3, 4), np.nan)}, {"w": torch.ones(3, 4)}, "'w' in theta0"),
    ],
)
def test_fisher_diagonals_that_do_not_fit_are_refused(
    fisher0: State, fisher1: State, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fisher_interpolate(*states(), fisher0, fisher1, 0.5)


def linear_classifier(n: int) -> tuple[State, torch.Tensor]:
    """Weights of softmax(2 x W + b) over 3 classes, one that is not used, and n images."""
    draws = torch.Generator().manual_seed(4)
    weights = {
        "w": torch.randn(5, 3, generator=draws, dtype=torch.float64),
        "b": torch.randn(3, generator=draws, dtype=torch.float64),
        "unused": torch.ones(2, dtype=torch.float64),
        "count": torch.tensor(7),
    }
    return weights, torch.randn(n, 5, generator=draws, dtype=torch.float64)


def test_the_fisher_diagonal_equals_its_formula_for_the_labels_it_drew() -> None:
    weights, images = linear_classifier(40)
    drawn: list[int] = []

    def log_probabilities(given: Any, x: torch.Tensor) -> torch.Tensor:
        answer = (2 * x @ given["w"] + given["b"]).log_softmax(dim=-1)
        answer.register_hook(lambda gradient: drawn.append(int(gradient[0].argmax())))
        return answer

    found = diagonal_fisher(log_probabilities, weights, images.split(7), seed=3)
    assert sorted(found) == ["b", "unused", "w"]
    assert len(drawn) == 40 and set(drawn) == {0, 1, 2}

    x, w, b = images.numpy(), weights["w"].numpy(), weights["b"].numpy()
    powers = np.exp(2 * x @ w + b)
    residual = np.eye(3)[drawn] - powers / powers.sum(axis=1, keepdims=True)

    def formula(slope: float) -> np.ndarray:
        squares: np.ndarray = ((slope * x[:, :, None] * residual[:, None, :]) ** 2).mean(axis=0)
        return squares

    assert close(found["w"], formula(2.0))
    assert not close(found["w"], formula(2.001))
    assert close(found["b"], (residual**2).mean(axis=0))
    assert found["unused"].tolist() == [0.0, 0.0]


def test_fisher_labels_are_the_models_and_a_function_of_the_seed_and_the_image() -> None:
    weights, images = linear_classifier(600)
    same = images[:1].expand(600, 5)  # one answer, many draws
    drawn: dict[int, list[int]] = {1: [], 2: []}

    def run(seed: int, size: int) -> State:
        def log_probabilities(given: Any, x: torch.Tensor) -> torch.Tensor:
            answer = (0.2 * x @ given["w"] + given["b"]).log_softmax(dim=-1)
            answer.register_hook(lambda gradient: drawn[seed].append(int(gradient[0].argmax())))
            return answer

        return diagonal_fisher(log_probabilities, weights, same.split(size), seed)

    once, again = run(1, 600), run(1, 11)
    assert drawn[1][:600] == drawn[1][600:]  # however the images are cut into batches
    assert all(once[name].equal(again[name]) for name in once)
    run(2, 600)
    assert drawn[2] != drawn[1][:600]
    powers = np.exp(0.2 * same[0].numpy() @ weights["w"].numpy() + weights["b"].numpy())
    shares = powers / powers.sum()
    frequencies = np.bincount(drawn[1][:600], minlength=3) / 600
    assert np.abs(frequencies - shares).max() < 4 * np.sqrt(0.25 / 600)


def test_fisher_information_of_nothing_is_refused() -> None:
    weights, images = linear_classifier(1)
    with pytest.raises(ValueError, match="needs images"):
        diagonal_fisher(lambda w, x: x, weights, [], seed=0)
    with pytest.raises(ValueError, match="image 0 sum to nan"):
        diagonal_fisher(lambda w, x: x @ w["w"] * float("nan"), weights, [images], seed=0)


def test_the_grid_is_ordered_and_the_kept_model_has_a_default() -> None:
    resolved = WiseFT.resolve({"alphas": [1, 0.5, 0, 0.5]}, n_train=10)
    assert resolved == {"alpha": 0.5, "alphas": [0.0, 0.5, 1.0], "fisher": False}
    with pytest.raises(ValueError, match="alphas"):
        WiseFT.resolve({"alphas": [0.5, 1.1]}, n_train=10)
