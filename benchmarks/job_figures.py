"""What the benchmark of jobs found, in a line each, beside what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.figures import NAMES, Figure, mb, ms, thousands

FIRST_STEP_SECONDS = 1.0
OVERHEAD = 1.03  # times the training by itself


def figures(parts: Mapping[str, Any]) -> list[Figure]:
    """The table of these parts, each as its module's `measure` gave it."""
    return [figure for name, found in parts.items() for figure in _OF_PARTS[name](found)]


def _first_step(found: Mapping[str, Any]) -> Iterator[Figure]:
    waiting, started = (found[name]["seconds"]["p50"] for name in ("waiting", "started"))
    yield Figure(
        "submission to the first step done, a trainer waits",
        f"{waiting:.2f} s",
        f"under {FIRST_STEP_SECONDS:.0f} s",
        waiting < FIRST_STEP_SECONDS,
    )
    yield Figure(
        "the same, a trainer is started",
        f"{started / waiting:.1f} times that ({started:.2f} s)",
    )
    yield Figure("memory of a trainer that waits", mb(found["waiting_bytes"]))


def _overhead(found: Mapping[str, Any]) -> Iterator[Figure]:
    job = sorted(row["job"] for row in found["pairs"])[len(found["pairs"]) // 2]
    yield Figure(
        f"a job of {job:.0f} s",
        f"{found['ratio']:.3f} times the training by itself",
        f"at most {OVERHEAD}",
        found["ratio"] <= OVERHEAD,
    )


def _claims(found: Mapping[str, Any]) -> Iterator[Figure]:
    many, few = (str(size) for size in found["queued"])
    together, alone = _by_name(found["together"]), _by_name(found["alone"])
    if not together:
        return
    most, least = (together[size]["claims_per_second"] for size in (many, few))
    yield Figure(
        f"claims of {found['workers']} workers, {thousands(many)} queued",
        f"{most:.0f} a second, {most / least:.2f} of those with {few} ({least:.0f})",
    )
    of_many, of_few = (alone[size]["p50"] for size in (many, few))
    yield Figure(
        f"claim and give back alone, {thousands(many)} queued, p50",
        f"{of_many / of_few:.2f} times {few} ({ms(of_many)} against {ms(of_few)})",
    )


def _sweeps(found: Mapping[str, Any]) -> Iterator[Figure]:
    smallest, largest = (str(pick(found["sizes"])) for pick in (min, max))
    for kind, by_size in found["seconds"].items():
        for percent in ("p50", "p99"):
            most, least = (by_size[size][percent] for size in (largest, smallest))
            yield Figure(
                f"a sweep over {thousands(largest)} jobs, {NAMES[kind]}, {percent}",
                f"{most / least:.2f} times {thousands(smallest)} ({ms(most)} against {ms(least)})",
            )


def _by_name(found: Mapping[Any, Any]) -> dict[str, Any]:
    """As JSON has it, where the keys are texts."""
    return {str(size): value for size, value in found.items()}


_OF_PARTS = {
    "first_step": _first_step,
    "overhead": _overhead,
    "claims": _claims,
    "sweeps": _sweeps,
}
