"""Faults of hyperparameters, as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidSpec
from core.jobs.hyperparameters import allowed, find_method, resolve_hyperparameters
from core.jobs.request import JobRequest


def refuse(method: str, values: dict[str, Any]) -> InvalidSpec:
    request = JobRequest.model_validate(
        {
            "model": "base:tiny",
            "training_file": "file-1",
            "method": {"type": method, method: {"hyperparameters": values}},
        }
    )
    with pytest.raises(InvalidSpec) as caught:
        resolve_hyperparameters(find_method(request), request, 100)
    return caught.value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"learning_rate": 5},
            'learning_rate is 5; it must be "auto" or a number greater than 0 and at most 1.',
        ),
        (
            {"batch_size": 0},
            'batch_size is 0; it must be "auto" or an integer at least 1 and at most 65536.',
        ),
        (
            {"learning_rate": "fast"},
            "learning_rate is 'fast'; "
            'it must be "auto" or a number greater than 0 and at most 1.',
        ),
        (
            {"label_smoothing": 1},
            "label_smoothing is 1; it must be a number at least 0 and less than 1.",
        ),
        ({"clip_norm": -1}, "clip_norm is -1; it must be a number greater than 0 or null."),
        (
            {"precision": "fp8"},
            'precision is \'fp8\'; it must be "auto" or "bf16" or "fp32".',
        ),
        (
            {"n_texts": 1.5},
            "n_texts is 1.5; it must be an integer at least 1 and at most 4096.",
        ),
        (
            {"beta1": float("nan")},
            "beta1 is nan; it must be a number at least 0 and less than 1.",
        ),
    ],
)
def test_values_out_of_range(values: dict[str, Any], message: str) -> None:
    refused = refuse("lipsum_ft", values)
    assert refused.message == message
    assert refused.code == "invalid_hyperparameter"
    assert refused.param == f"method.lipsum_ft.hyperparameters.{next(iter(values))}"


def test_a_misspelt_name() -> None:
    refused = refuse("lipsum_ft", {"learning_rat": 1e-5})
    assert refused.code == "unknown_hyperparameter"
    assert refused.message.startswith("lipsum_ft has no hyperparameter 'learning_rat'; it has ")
    assert refused.message.endswith("Did you mean learning_rate?")
    assert "text_length" in refused.message


def test_a_method_without_any() -> None:
    assert refuse("evaluate", {"alpha": 1}).message == (
        "evaluate has no hyperparameter 'alpha'; it has none."
    )


def test_all_of_them_at_once() -> None:
    message = refuse("ft", {"beta1": 2, "beta2": "x", "nonsense": 1}).message
    for name in ("beta1 is 2", "beta2 is 'x'", "'nonsense'"):
        assert name in message


def test_every_field_of_every_method_can_be_described() -> None:
    from core.learning.methods import registry

    for method in registry().values():
        for schema in method.Hyperparameters.model_json_schema().get("properties", {}).values():
            assert "another value" not in allowed(schema)


def test_auto_may_be_written_out_as_openais_clients_do() -> None:
    names = ("learning_rate", "batch_size", "n_epochs", "n_steps", "micro_batch_size", "precision")
    request = JobRequest.model_validate(
        {
            "model": "base:tiny",
            "training_file": "file-1",
            "hyperparameters": dict.fromkeys(names, "auto"),
        }
    )
    left_out = JobRequest.model_validate({"model": "base:tiny", "training_file": "file-1"})
    resolved = [
        resolve_hyperparameters(find_method(each), each, 100) for each in (request, left_out)
    ]
    assert resolved[0] == resolved[1]
