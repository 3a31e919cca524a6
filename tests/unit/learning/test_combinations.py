"""Merges and output ensembles in float64 against their papers' formulas in NumPy.

Each value with one coefficient a thousandth off must not match, so no test passes by looseness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.learning.combine.model_stock import model_stock
from core.learning.combine.soup import greedy, uniform
from core.learning.combine.temperature import calibrate
from core.learning.combine.tpgm import learn_gammas, project
from core.learning.combine.wise_ft import interpolate
from core.learning.merging import CannotCombine, check_calibration, check_heads
from core.learning.methods import registry
from core.learning.mixtures import OutputEnsemble, load_mixture
from core.learning.models import Head
from tests.unit.learning.fixed_step import softmax

State = dict[str, torch.Tensor]
Array = np.ndarray


def states(n: int, dtype: torch.dtype = torch.float64) -> list[State]:
    """A start, n - 1 models that left it in about the same direction, and integer buffers."""
    draws = np.random.default_rng(5)
    shapes = {"w": (6, 5), "b": (6,), "scale": (), "head": (5, 3)}
    start = {name: draws.normal(size=shape) for name, shape in shapes.items()}
    common = {name: draws.normal(size=shape) for name, shape in shapes.items()}
    found = []
    for number in range(n):
        state = {
            name: start[name] + (number > 0) * (common[name] + 0.5 * draws.normal(size=shape))
            for name, shape in shapes.items()
        }
        tensors = {name: torch.as_tensor(array).to(dtype) for name, array in state.items()}
        found.append({**tensors, "count": torch.tensor([number])})
    return found


def arrays(state: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {name: t.numpy() for name, t in state.items() if t.is_floating_point()}


def close(found: Mapping[str, torch.Tensor], expected: Mapping[str, Array]) -> bool:
    return all(
        np.allclose(found[name].numpy(), expected[name], rtol=1e-9, atol=1e-12) for name in expected
    )


def identical(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> bool:
    """To the bit, the sign of zero included."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype
        and found[name].equal(tensor)
        and found[name].signbit().equal(tensor.signbit())
        for name, tensor in expected.items()
    )


# Soups.


def test_a_uniform_soup_is_the_mean() -> None:
    inputs = states(4)
    soup = uniform(inputs)

    def formula(first: float) -> dict[str, Array]:
        each = [arrays(state) for state in inputs]
        weights = [first, 1 / 4, 1 / 4, 1 / 4]
        return {
            name: sum(w * array[name] for w, array in zip(weights, each, strict=True))
            for name in each[0]
        }

    assert close(soup, formula(1 / 4))
    assert not close(soup, formula(1.001 / 4))
    assert soup["count"].tolist() == [0]  # the first input's


@pytest.mark.parametrize("n", [2, 3])
def test_a_uniform_soup_of_equal_models_is_that_model_bit_for_bit(n: int) -> None:
    state = states(2, torch.float32)[1]
    state["w"][0, 0] = -0.0
    copies = [{name: t.clone() for name, t in state.items()} for _ in range(n)]
    assert identical(uniform(copies), state)


def test_a_greedy_soup_tries_the_best_first_and_keeps_what_does_not_harm() -> None:
    inputs = states(4)
    each = [arrays(state)["w"] for state in inputs]
    tried: list[Array] = []
    answers = iter([0.79, 0.8, 0.81])  # lower, equal, higher

    def evaluate(candidate: Mapping[str, torch.Tensor]) -> float:
        tried.append(candidate["w"].numpy())
        return next(answers)

    soup, kept = greedy(inputs, [0.5, 0.8, 0.7, 0.6], evaluate)
    assert kept == [1, 3, 0]
    for found, members in zip(tried, ([1, 2], [1, 3], [1, 3, 0]), strict=True):
        assert np.allclose(found, np.mean([each[m] for m in members], axis=0), rtol=1e-12)
    assert np.allclose(soup["w"].numpy(), (each[0] + each[1] + each[3]) / 3, rtol=1e-12)
    assert soup["count"].tolist() == [1]  # the best input's


def test_a_greedy_soup_that_nothing_joins_is_its_best_model() -> None:
    inputs = states(3)
    soup, kept = greedy(inputs, [0.2, 0.4, 0.4], lambda candidate: 0.39)
    assert kept == [1] and identical(soup, inputs[1])  # of equals the first given


@pytest.mark.parametrize("accuracies", [[0.1], [0.1, 0.2, float("nan")]])
def test_a_greedy_soup_needs_every_inputs_accuracy(accuracies: list[float]) -> None:
    with pytest.raises(ValueError, match="3 models have accuracies"):
        greedy(states(3), accuracies, lambda candidate: 1.0)


# Model Stock.


def test_model_stock_equals_its_formula() -> None:
    theta0, *inputs = states(4)
    merged = model_stock(theta0, inputs)

    def formula(k: float) -> dict[str, Array]:
        start, ends = arrays(theta0), [arrays(state) for state in inputs]
        expected = {}
        for name in start:
            deviations = [(end[name] - start[name]).ravel() for end in ends]
            cosines = [
                deviations[i]
                @ deviations[j]
                / (np.linalg.norm(deviations[i]) * np.linalg.norm(deviations[j]))
                for i in range(3)
                for j in range(i)
            ]
            c = max(0.0, float(np.mean(cosines)))
            assert c > 0.1 or name == "scale"  # one number each: +1 or -1 a pair, -1/3 here
            t = k * c / ((k - 1) * c + 1)
            mean = np.mean([end[name] for end in ends], axis=0)
            expected[name] = t * mean + (1 - t) * start[name]
        return expected

    assert close(merged, formula(3))
    assert not close(merged, formula(3.003))
    assert merged["count"].tolist() == [1]


def test_model_stock_returns_to_theta0_where_models_disagree() -> None:
    theta0 = {"w": torch.zeros(2), "b": torch.ones(2)}
    one = {"w": torch.tensor([1.0, 0.2]), "b": torch.tensor([1.0, 2.0])}
    other = {"w": torch.tensor([-1.0, 0.3]), "b": torch.ones(2)}  # opposed; unchanged
    assert identical(model_stock(theta0, [one, other]), theta0)


def test_model_stock_of_equal_models_is_that_model() -> None:
    theta0, one = states(2, torch.float32)
    merged = model_stock(theta0, [one, dict(one)])
    for name in arrays(one):
        torch.testing.assert_close(merged[name], one[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1])
def test_model_stock_needs_two_models(n: int) -> None:
    theta0, *inputs = states(3)
    with pytest.raises(ValueError, match=f"at least 2 models.* there are {n}"):
        model_stock(theta0, inputs[:n])


# TPGM.


def l2(deviation: Array) -> Array:
    norm: Array = np.sqrt((deviation**2).sum()) + 1e-8
    return norm


def mars(deviation: Array) -> Array:
    if deviation.ndim < 2:
        return np.abs(deviation).sum() + 1e-8  # type: ignore[no-any-return]
    return np.abs(deviation).sum(axis=1, keepdims=True) + 1e-8  # type: ignore[no-any-return]


NORMS: Any = pytest.mark.parametrize(("norm", "norms_of"), [("l2", l2), ("mars", mars)])


@NORMS
def test_a_projection_equals_its_formula(norm: Any, norms_of: Callable[[Array], Array]) -> None:
    theta0, theta1 = states(2)
    start, end = arrays(theta0), arrays(theta1)
    gammas = {
        name: share * float(np.median(norms_of(end[name] - start[name])))
        for name, share in zip(start, (1.0, 0.4, 0.7, 1.1), strict=True)
    }

    def formula(factor: float) -> dict[str, Array]:
        return {
            name: start[name]
            + np.minimum(1, factor * gammas[name] / norms_of(end[name] - start[name]))
            * (end[name] - start[name])
            for name in start
        }

    projected = project(theta0, theta1, gammas, norm)
    assert close(projected, formula(1.0))
    assert not close(projected, formula(1.001))
    assert projected["count"].tolist() == [1]


@NORMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_infinite_and_zero_radii_give_the_parents_bit_for_bit(
    norm: Any, norms_of: object, dtype: torch.dtype
) -> None:
    theta0, theta1 = states(2, dtype)
    theta0["count"] = theta1["count"]
    theta0["w"][0, :2] = torch.tensor([-0.0, 3.0])
    theta1["w"][0, :2] = torch.tensor([3.0, -0.0])
    names = [name for name in theta0 if name != "count"]
    assert identical(project(theta0, theta1, dict.fromkeys(names, np.inf), norm), theta1)
    assert identical(project(theta0, theta1, dict.fromkeys(names, 0.0), norm), theta0)


@NORMS
def test_radii_are_learned_by_adam_on_the_given_loss(
    norm: Any, norms_of: Callable[[Array], Array]
) -> None:
    theta0, theta1 = states(2)
    theta1["b"] = theta0["b"]  # what did not train has no radius
    start, end = arrays(theta0), arrays(theta1)
    draws = np.random.default_rng(8)
    # Quadratic, around somewhere on the way; the goal differs from batch to batch.
    goals = {
        name: start[name] + 0.8 * (end[name] - start[name]) + 0.05 * draws.normal(size=(30, 1, 1))
        for name in ("w", "head")
    }

    def loss(weights: Mapping[str, torch.Tensor], batch: int) -> torch.Tensor:
        assert weights["b"].equal(theta1["b"]) and weights["count"].equal(theta1["count"])
        terms = [
            (weights[name] - torch.from_numpy(goals[name][batch])).square().sum() for name in goals
        ]
        return torch.stack(terms).sum() / 2 + 3.0 * (weights["scale"] - theta0["scale"]).square()

    found = learn_gammas(theta0, theta1, loss, n_steps=30, learning_rate=0.1, norm=norm)
    assert sorted(found) == ["head", "scale", "w"]

    def formula(rate: float) -> dict[str, float]:
        learned = {}
        for name in found:
            deviation = end[name] - start[name]
            n = norms_of(deviation)
            gamma, first, second = float(np.min(n)) / 2, 0.0, 0.0
            for step in range(30):
                theta = start[name] + np.minimum(1, gamma / n) * deviation
                if name == "scale":
                    gradient = 6.0 * (theta - start[name])
                else:
                    gradient = theta - goals[name][step]
                slope = float((gradient * deviation / n * (gamma / n <= 1)).sum())
                first = 0.9 * first + 0.1 * slope
                second = 0.999 * second + 0.001 * slope**2
                corrected = np.sqrt(second / (1 - 0.999 ** (step + 1)))
                gamma -= rate * first / (1 - 0.9 ** (step + 1)) / (corrected + 1e-8)
                gamma = float(np.clip(gamma, 1e-8, np.max(n)))
            learned[name] = gamma
        return learned

    expected, mutated = formula(0.1), formula(0.1001)
    for name in found:
        assert found[name] == pytest.approx(expected[name], rel=1e-9)
    assert any(found[name] != pytest.approx(mutated[name], rel=1e-9) for name in found)
    assert found["scale"] < 0.3 * l2(end["scale"] - start["scale"])  # pulled to theta0
    assert found["w"] > 0.55 * np.min(norms_of(end["w"] - start["w"]))  # let further out


def test_a_radius_that_grows_to_its_bound_returns_the_fine_tuned_model() -> None:
    theta0, theta1 = states(2, torch.float32)

    def loss(weights: Mapping[str, torch.Tensor], batch: int) -> torch.Tensor:
        names = ("w", "b", "scale", "head")
        return torch.stack([(weights[k] - theta1[k]).square().sum() for k in names]).sum()

    gammas = learn_gammas(theta0, theta1, loss, n_steps=300, learning_rate=0.1)
    assert identical(project(theta0, theta1, gammas), theta1)


def test_radii_that_mean_nothing_are_refused() -> None:
    theta0, theta1 = states(2)
    for gamma in (-1.0, np.nan):
        with pytest.raises(ValueError, match="the radius of 'b' is"):
            project(theta0, theta1, {"w": 1.0, "b": gamma, "scale": 1.0, "head": 1.0})
    with pytest.raises(ValueError, match="the radius of 'head' is nan"):
        project(theta0, theta1, {"w": 1.0, "b": 1.0, "scale": 1.0})
    with pytest.raises(ValueError, match="the loss of batch 0 is nan"):
        learn_gammas(theta0, theta1, lambda weights, batch: weights["w"].sum() * np.nan)


# Refusals that all merges share.


def every_merge(theta0: State, theta1: State) -> list[Callable[[], object]]:
    fine = {name: tensor.clone() for name, tensor in theta0.items()}
    radii = dict.fromkeys(theta0, 1.0)
    return [
        lambda: interpolate(theta0, theta1, 0.5),
        lambda: uniform([theta0, theta1]),
        lambda: greedy([theta0, theta1], [1.0, 0.5], lambda candidate: 1.0),
        lambda: model_stock(theta0, [fine, theta1]),
        lambda: project(theta0, theta1, radii),
        lambda: learn_gammas(theta0, theta1, lambda weights, batch: weights["w"].sum()),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y.pop("head"), "'head' is in .* and not in (theta1|input 2)"),
        (lambda y: y.update(w=torch.zeros(6, 4)), r"'w' is \(6, 5\) .* and \(6, 4\) .*"),
        (lambda y: y.update(b=y["b"].float()), "'b' is .*float64 in .*float32 in (theta1|input 2)"),
        (lambda y: y["b"].fill_(np.nan), "'b' holds .* not finite in (theta1|input 2)"),
        (lambda y: y["b"].fill_(-np.inf), "'b' holds .* not finite in (theta1|input 2)"),
    ],
)
def test_models_that_do_not_fit_are_refused_by_every_merge(change: Any, message: str) -> None:
    theta0, theta1 = states(2)
    change(theta1)
    for merge in every_merge(theta0, theta1):
        with pytest.raises(ValueError, match=message):
            merge()


def head(class_keys: list[str]) -> Head:
    weight = torch.eye(4, len(class_keys))
    return Head(weight, 100.0, class_keys, class_keys, ["a photo of a {}."], {})


def test_heads_of_other_classes_or_another_order_are_refused() -> None:
    first = head(["ant", "bee", "cow"])
    check_heads({"a": first, "b": head(["ant", "bee", "cow"])})
    with pytest.raises(ValueError, match="class 'dog' is in b and not in a"):
        check_heads({"a": first, "b": head(["ant", "bee", "cow", "dog"])})
    with pytest.raises(ValueError, match="class 'bee' is in a and not in c"):
        check_heads({"a": first, "b": first, "c": head(["ant", "cow"])})
    with pytest.raises(ValueError, match="a and b .* column 1 is 'bee' .* and 'cow' in the other"):
        check_heads({"a": first, "b": head(["ant", "cow", "bee"])})


def test_heads_that_are_calibrated_apart_are_not_merged() -> None:
    plain = head(["ant", "bee"])
    warm = replace(plain, temperature=1.5)
    check_calibration({"a": warm, "b": warm})
    with pytest.raises(CannotCombine, match=r"a has temperature 1 and b 1\.5; merge the models"):
        check_calibration({"a": plain, "b": warm})


# Output ensembles and temperature.


def logits_of(n_members: int) -> list[Array]:
    draws = np.random.default_rng(6)
    return [draws.normal(0, 2, (7, 4)) for _ in range(n_members)]


@pytest.mark.parametrize("space", ["probabilities", "logits"])
@pytest.mark.parametrize("subset", [None, [0, 2, 3]])
def test_an_ensemble_equals_its_formula(space: Any, subset: list[int] | None) -> None:
    given = logits_of(3)
    ensemble = OutputEnsemble(("a", "b", "c"), (2.0, 1.0, 5.0), space)
    found = ensemble.probabilities([torch.from_numpy(z) for z in given], subset).numpy()
    columns = [0, 1, 2, 3] if subset is None else subset

    def formula(weights: tuple[float, ...]) -> Array:
        expected = np.zeros((7, 4))
        members = [z[:, columns] for z in given]
        if space == "logits":
            mean = sum(w * z for w, z in zip(weights, members, strict=True))
            expected[:, columns] = softmax(np.asarray(mean))
        else:
            expected[:, columns] = sum(
                w * softmax(z) for w, z in zip(weights, members, strict=True)
            )
        return expected

    assert np.allclose(found, formula((2 / 8, 1 / 8, 5 / 8)), rtol=1e-9, atol=1e-12)
    assert not np.allclose(found, formula((2.002 / 8, 1 / 8, 5 / 8)), rtol=1e-9, atol=1e-12)
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_an_ensemble_is_stored_and_read(tmp_path: Path) -> None:
    ensemble = OutputEnsemble(("one", "two"), (1.0, 3.0), "logits")
    ensemble.save(tmp_path)
    assert OutputEnsemble.load(tmp_path) == load_mixture(tmp_path) == ensemble
    assert ensemble.weights == (0.25, 0.75)


@pytest.mark.parametrize(
    ("members", "weights", "message"),
    [
        (("a",), (1.0,), "1 members and 1 weights"),
        (("a", "b"), (1.0,), "2 members and 1 weights"),
        (("a", "b"), (1.0, -1.0), "none may be negative"),
        (("a", "b"), (0.0, 0.0), "nor all 0"),
        (("a", "b"), (1.0, np.nan), "none may be negative"),
        (("a", "../b"), (1.0, 1.0), "no plain name"),
        (("a", ".."), (1.0, 1.0), "no plain name"),
    ],
)
def test_ensembles_that_mean_nothing_are_refused(members: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OutputEnsemble(members, weights)
    with pytest.raises(ValueError, match="1 members answered, and there are 2"):
        OutputEnsemble(("a", "b"), (1.0, 1.0)).probabilities([torch.zeros(2, 3)])


def test_temperature_divides_the_scale_and_changes_no_answer() -> None:
    draws = np.random.default_rng(2)
    features = draws.normal(size=(400, 4))
    given = head(["ant", "bee", "cow"])
    weight = torch.from_numpy(draws.normal(size=(4, 3)))
    given = Head(weight, 9.0, given.classes, given.class_keys, given.templates, {})
    raw = features @ weight.numpy()
    # Drawn at scale 3: the model is three times too sure.
    labels = np.array([draws.choice(3, p=p) for p in softmax(3.0 * raw)])
    calibrated, temperature = calibrate(
        given, torch.from_numpy(9.0 * raw), torch.from_numpy(labels)
    )
    assert temperature == pytest.approx(3.0, rel=0.2)
    assert calibrated.scale == 9.0 / temperature
    assert calibrated.temperature == temperature
    again, _ = calibrate(
        calibrated, torch.from_numpy(calibrated.scale * raw), torch.from_numpy(labels)
    )
    assert again.temperature == pytest.approx(temperature, rel=1e-4)  # of both together
    assert calibrated.weight.equal(weight) and calibrated.class_keys == given.class_keys

    def nll(scale: float) -> float:
        return float(-np.log(softmax(scale * raw)[np.arange(400), labels]).mean())

    assert nll(calibrated.scale) <= min(nll(calibrated.scale * f) for f in (0.98, 1.02))
    assert nll(calibrated.scale) < nll(9.0)
    assert (raw * calibrated.scale).argmax(axis=1).tolist() == (9.0 * raw).argmax(axis=1).tolist()


# The registry.


def test_combinations_say_how_many_models_they_read_and_what_they_store() -> None:
    found = {
        name: (entry.n_inputs, entry.output)
        for name, entry in registry().items()
        if entry.kind == "combination"
    }
    assert found == {
        "ensemble": ((2, None), "mixture"),
        "model_stock": ((2, None), "weights"),
        "soup": ((2, None), "weights"),
        "temperature": ((1, 1), "weights"),
        "tpgm": ((1, 1), "weights"),
        "vrf": ((1, 1), "mixture"),
        "wise_ft": ((1, 1), "weights"),
    }
    assert registry()["evaluate"].n_inputs == (0, None)
    assert registry()["ft"].n_inputs == (0, 0)


def test_an_ensembles_weights_are_checked_before_the_job() -> None:
    ensemble = registry()["ensemble"]
    assert ensemble.resolve({}, n_train=1) == {"weights": None, "space": "probabilities"}
    for weights in ([1.0], [0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="weights"):
            ensemble.resolve({"weights": weights}, n_train=1)
