"""A comparison's request as contenders, and what is refused before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from core.comparisons.plan import Contender, job_request, make_plan
from core.comparisons.request import ComparisonRequest
from core.errors import InvalidSpec
from core.learning.architecture import Architecture
from core.learning.methods import registry

TRANSFORMERS = Architecture("transformer", "transformer")


def request(methods: Any, **fields: Any) -> ComparisonRequest:
    return ComparisonRequest.model_validate(
        {"model": "base:tiny", "training_file": "file-1", "methods": methods, **fields}
    )


def plan(methods: Any, **fields: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    made = make_plan(request(methods, **fields), TRANSFORMERS)
    return [(each.label, each.method.type, each.of) for each in made]


def refusal(methods: Any, **fields: Any) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        make_plan(request(methods, **fields), TRANSFORMERS)
    return caught.value


def test_a_combination_reads_plain_fine_tuning_and_comes_after_it() -> None:
    assert plan(["wise_ft", "lipsum_ft", "ft"]) == [
        ("lipsum_ft", "lipsum_ft", ()),
        ("ft", "ft", ()),
        ("wise_ft", "wise_ft", ("ft",)),
    ]


def test_what_a_combination_reads_is_added() -> None:
    assert plan(["lipsum_ft+vrf"]) == [
        ("lipsum_ft", "lipsum_ft", ()),
        ("lipsum_ft+vrf", "vrf", ("lipsum_ft",)),
    ]


def test_contenders_with_settings_of_their_own() -> None:
    strong = {
        "label": "strong",
        "method": {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": {"penalty_weight": 10}}},
    }
    half = {"label": "half", "method": {"type": "wise_ft"}, "of": ["strong"]}
    assert plan([half, strong, "ft"]) == [
        ("strong", "lipsum_ft", ()),
        ("ft", "ft", ()),
        ("half", "wise_ft", ("strong",)),
    ]


def test_all_is_every_method_that_fits() -> None:
    labels = [label for label, _, _ in plan("all", n_seeds=2)]
    trained = {name for name, method in registry().items() if method.kind == "training"}
    assert trained <= set(labels)
    assert {"wise_ft", "vrf", "tpgm", "soup", "model_stock", "ensemble"} <= set(labels)
    assert "lipsum_ft+wise_ft" in labels
    assert len(labels) == len(set(labels))


def test_all_leaves_out_what_does_not_fit_the_base_or_the_seeds() -> None:
    resnet = Architecture("resnet", "none")
    labels = {each.label for each in make_plan(request("all", n_seeds=1), resnet)}
    assert not {"r_adapter", "flyp", "starft", "soup", "model_stock", "ensemble"} & labels
    assert {"ft", "wise_ft"} <= labels


def test_shared_hyperparameters_and_own_ones() -> None:
    own = {"label": "own", "method": {"type": "ft", "ft": {"hyperparameters": {"n_steps": 7}}}}
    asked = request(["lipsum_ft", own], hyperparameters={"n_steps": 5}, n_seeds=3, seed=4)
    jobs = [job_request(asked, each, "cmp-1", []) for each in make_plan(asked, TRANSFORMERS)]
    steps = [job.method.options()["hyperparameters"]["n_steps"] for job in jobs]
    assert steps == [5, 7]
    assert {(job.seed, job.n_seeds) for job in jobs} == {(4, 3)}
    assert jobs[1].metadata == {"comparison": "cmp-1", "contender": "own"}
    assert jobs[0].evaluation.alphas == [0.25, 0.5, 0.75]


def test_a_combination_is_asked_of_its_parents_jobs() -> None:
    asked = request(["ft"], n_seeds=3, evaluation={"alphas": [0.1]})
    wise = Contender("w", request([{"method": {"type": "wise_ft"}}]).methods[0].method, ("ft",))  # type: ignore[union-attr]
    job = job_request(asked, wise, "cmp-1", ["ftjob-1"])
    assert job.method.options() == {"inputs": ["ftjob-1"]}
    assert (job.seed, job.n_seeds) == (None, 1)
    assert job.evaluation.alphas == [0.1]


@pytest.mark.parametrize(
    ("methods", "fields", "code", "said"),
    [
        ([], {}, "invalid_spec", "empty"),
        (["nope"], {}, "unknown_method", "'nope'"),
        (["evaluate"], {}, "unknown_method", "'evaluate'"),
        (["ft", "ft"], {}, "duplicate_contender", "given twice"),
        (["wise_ft+ft"], {}, "invalid_method", "a method that trains and a combination"),
        (["ft+lipsum_ft"], {}, "invalid_method", "a method that trains and a combination"),
        (["soup"], {}, "wrong_number_of_inputs", "reads 1 models; soup takes at least 2"),
        (["ft"], {"hyperparameters": {"n_texts": 3}}, "unknown_hyperparameter", "'n_texts'"),
        (
            [{"method": {"type": "wise_ft"}, "of": ["gone"]}],
            {},
            "unknown_contender",
            "'gone', which is no contender",
        ),
        (
            ["wise_ft", {"label": "x", "method": {"type": "vrf"}, "of": ["wise_ft"]}],
            {},
            "invalid_contender",
            "a combination itself",
        ),
        (["auto+wise_ft"], {}, "is_a_mixture", "reads auto, which makes a mixture"),
        ([{"method": {"type": "ft"}, "of": ["ft"]}], {}, "invalid_spec", "leave `of` out"),
        (
            [{"method": {"type": "wise_ft"}, "of": ["ft", "kd"]}],
            {},
            "wrong_number_of_inputs",
            "reads 2 models",
        ),
        (
            [{"method": {"type": "wise_ft", "wise_ft": {"inputs": ["ftjob-1"]}}}],
            {},
            "invalid_method",
            "leave inputs out",
        ),
    ],
)
def test_refusals(methods: Any, fields: dict[str, Any], code: str, said: str) -> None:
    fault = refusal(methods, **fields)
    assert (fault.code, said in fault.message) == (code, True), fault.message
    assert fault.param is not None
