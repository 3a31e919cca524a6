"""Zero-shot, fine-tuned and a mixture side by side, against what the job itself found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from core.jobs.messages import Message, StoredModel
from core.jobs.spec import ModelReference
from core.prediction import Answer, Compared, Comparison
from tests.integration.finished_jobs import (
    Array,
    FinishedJob,
    plain_answers,
    rows_of,
    softmax,
    stored,
)
from tests.integration.serving import asked, encoded, stored_weights

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def vrf(finished: FinishedJob) -> list[Message]:
    return finished.combine("vrf")


def compare(
    job: FinishedJob,
    models: list[StoredModel | ModelReference],
    images: list[Image.Image],
    **asks: object,
) -> list[list[Answer]]:
    """Each model's answers to all images."""
    pngs = encoded(images)
    theta0 = job.spec.theta0.id
    comparison = Comparison.model_validate(
        {
            "models": [
                Compared(
                    **vars(stored_weights(model)), theta0=None if model.id == theta0 else theta0
                )
                for model in models
            ],
            "image_sizes": [len(png) for png in pngs],
            **asks,
        }
    )
    found = asked(job.settings, lambda engine: engine.compare(comparison, pngs)).images
    return [list(answers) for answers in zip(*found, strict=True)]


def by_label(answer: Answer) -> list[float]:
    scores = {score.label: score.score for score in answer.scores}
    return [scores[label] for label in CLASSES]


def expected_confidence(logits_NK: Array, temperature: float) -> list[float]:
    return [float(value) for value in softmax(logits_NK / temperature).max(axis=1)]


def test_each_answers_as_its_job_found_it(finished: FinishedJob, vrf: list[Message]) -> None:
    rows = finished.predictions(vrf, "vrf", 3, "test")
    images = finished.images(row["key"] for row in rows)
    mixture, tuned = stored(vrf)[0], stored(finished.messages)[0]
    theirs = compare(finished, [finished.spec.theta0, tuned, mixture], images)
    for name, answers in zip(("zero_shot", "fine_tuned", "vrf"), theirs, strict=True):
        messages = finished.messages if name == "fine_tuned" else vrf
        expected = finished.predictions(messages, name, 3, "test")
        assert [row["key"] for row in expected] == [row["key"] for row in rows]
        for answer, row in zip(answers, expected, strict=True):
            assert answer.scores[0].label == CLASSES[row["top_labels"][0]]
            assert by_label(answer)[row["label"]] == pytest.approx(
                row["true_probability"], abs=1e-4
            )


def test_confidence_is_the_temperature_of_the_jobs_own_table(
    finished: FinishedJob, vrf: list[Message]
) -> None:
    images = finished.images([f"test/{name}/00{n}.png" for name in CLASSES for n in range(3)])
    mixture, tuned = stored(vrf)[0], stored(finished.messages)[0]
    theirs = compare(finished, [finished.spec.theta0, tuned, mixture], images)
    own = rows_of(finished.messages)
    _, zero_shot = plain_answers(finished.unpacked(mixture) / "zero_shot", images)
    _, logits = plain_answers(finished.unpacked(tuned), images)
    mixed = np.log([by_label(answer) for answer in theirs[2]])
    for answers, logits_NK, temperature in (
        (theirs[0], zero_shot, own[3, "zero_shot", "val", "temperature"]),
        (theirs[1], logits, own[3, "fine_tuned", "val", "temperature"]),
        (theirs[2], mixed, rows_of(vrf)[3, "vrf", "val", "temperature"]),
    ):
        found = [answer.confidence for answer in answers]
        assert found == pytest.approx(expected_confidence(logits_NK, temperature), abs=1e-3)
    # Alone, theta0 has no classes; with others' labels nothing was calibrated for it.
    (alone,) = compare(
        finished, [finished.spec.theta0], images[:1], labels=["dog", "owl"], templates=["{}"]
    )
    assert (alone[0].confidence, alone[0].shift) == (None, None)


def test_the_flag_is_raised_as_often_as_the_table_says(finished: FinishedJob) -> None:
    tuned = stored(finished.messages)[0]
    table = rows_of(finished.messages)
    for split in ("test", "night"):
        rows = finished.predictions(finished.messages, "fine_tuned", 3, split)
        images = finished.images(row["key"] for row in rows)
        (answers,) = compare(finished, [tuned], images)
        shifts = [answer.shift for answer in answers]
        assert all(shift is not None and 0 < shift.p <= 1 for shift in shifts)
        if split == "test":  # in the table energies are over the classes that a split can hold
            assert [shift.energy for shift in shifts if shift] == pytest.approx(
                [row["energy"] for row in rows], abs=1e-3
            )
        flagged = [shift is not None and shift.p <= 0.05 for shift in shifts]
        rate = table[3, "fine_tuned", split, "shift_flagged"]
        assert rate == pytest.approx(sum(flagged) / len(flagged))
    assert (3, "fine_tuned", "val", "shift_flagged") not in table
    assert (3, "zero_shot", "test", "shift_flagged") not in table


def test_a_mixture_says_what_each_member_weighed(finished: FinishedJob, vrf: list[Message]) -> None:
    mixture, tuned = stored(vrf)[0], stored(finished.messages)[0]
    images = finished.images(["test/ant/000.png", "night/bee/001.png"])
    theirs = compare(finished, [mixture, tuned], images)
    for answer in theirs[0]:
        assert answer.weights is not None
        assert answer.weights.keys() == {"zero_shot", "fine_tuned"}
        assert math.isclose(sum(answer.weights.values()), 1.0)
    # It is as far from home as its fine-tuned member takes the image to be.
    assert [answer.shift for answer in theirs[0]] == [answer.shift for answer in theirs[1]]
    assert all(answer.weights is None for answer in theirs[1])


def test_own_labels_are_for_everybody(finished: FinishedJob) -> None:
    tuned = stored(finished.messages)[0]
    images = finished.images(["test/ant/000.png"])
    labels = ["a red square", "a green square"]
    theirs = compare(
        finished, [finished.spec.theta0, tuned], images, labels=labels, templates=["{}"], top_k=1
    )
    for answers in theirs:
        assert len(answers[0].scores) == 1
        assert answers[0].scores[0].label in labels
    # How far the image lies from what a model was trained on does not depend on what is asked.
    (alone,) = compare(finished, [tuned], images)
    assert theirs[1][0].shift == alone[0].shift is not None
