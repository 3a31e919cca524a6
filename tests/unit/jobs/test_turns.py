"""Whose turn it is, and what a queue's future looks like."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jobs.turns import HALF_LIFE, Share, Slot, Waiting, decayed, in_turn, places, starts


def share(name: str, held: int = 0, served: float = 0.0, first_at: float = 0.0) -> Share:
    return Share(name, held, served, first_at)


def names(shares: list[Share]) -> list[str]:
    return [each.project_id for each in shares]


def test_the_fewest_slots_then_the_least_time_then_the_oldest_job() -> None:
    shares = [
        share("young", 0, 5.0, 9.0),
        share("busy", 2),
        share("old", 0, 5.0, 1.0),
        share("served", 0, 6.0),
        share("half", 1),
    ]
    assert names(in_turn(shares)) == ["old", "young", "served", "half", "busy"]


def test_a_project_that_has_all_it_may_has_no_turn() -> None:
    full = replace(share("full", 2), most=2)
    assert names(in_turn([full, share("busy", 3)])) == ["busy"]
    assert names(in_turn([replace(full, most=3)])) == ["full"]


def test_time_that_was_had_comes_to_count_less() -> None:
    assert decayed(100.0, 0.0) == 100.0
    assert decayed(100.0, HALF_LIFE) == pytest.approx(50.0)
    assert decayed(100.0, -5.0) == 100.0  # clocks are set back


_SHARES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.0]), st.integers(1, 6)),
    min_size=1,
    max_size=5,
)


@given(_SHARES)
def test_places_are_those_of_claims_one_after_the_other(
    drawn: list[tuple[int, float, int]],
) -> None:
    """The closed form against giving slots away one by one."""
    shares = {f"p{n}": share(f"p{n}", held, served) for n, (held, served, _) in enumerate(drawn)}
    left = {f"p{n}": count for n, (_, _, count) in enumerate(drawn)}
    order: list[str] = []
    standing = dict(shares)
    while any(left.values()):
        turn = in_turn(standing[name] for name, count in left.items() if count)[0].project_id
        order.append(turn)
        left[turn] -= 1
        standing[turn] = replace(standing[turn], held=standing[turn].held + 1)
    for n, (_, _, count) in enumerate(drawn):
        others = {shares[f"p{m}"]: drawn[m][2] for m in range(len(drawn)) if m != n}
        expected = [place for place, name in enumerate(order) if name == f"p{n}"]
        assert places(shares[f"p{n}"], others, count) == expected


def test_jobs_start_as_slots_become_free() -> None:
    waiting = {"a": [Waiting("a1", 10.0), Waiting("a2", 10.0)], "b": [Waiting("b1", 5.0)]}
    slots = [Slot(100.0), Slot(103.0, "a")]
    found = starts(slots, [share("a", 1), share("b")], waiting)
    assert found == {"b1": 100.0, "a1": 103.0, "a2": 105.0}


def test_what_waits_for_the_unknown_is_unknown() -> None:
    waiting = {"a": [Waiting("a1", None), Waiting("a2", 1.0)]}
    assert starts([Slot(1.0)], [share("a")], waiting) == {"a1": 1.0}
    assert starts([], [share("a")], waiting) == {}


def test_a_limit_holds_slots_free_until_one_is_given_back() -> None:
    limited = replace(share("a", 1), most=1)
    waiting = {"a": [Waiting("a1", 10.0), Waiting("a2", 10.0)], "b": [Waiting("b1", 5.0)]}
    slots = [Slot(0.0), Slot(0.0), Slot(20.0, "a")]
    found = starts(slots, [limited, share("b")], waiting)
    assert found == {"b1": 0.0, "a1": 20.0, "a2": 30.0}
    closed = replace(limited, held=0, most=0)
    assert starts([Slot(0.0)], [closed], {"a": waiting["a"]}) == {}


@dataclass
class Replay:
    """A service of the same policy in fake time, whose jobs take as long as they take."""

    n_slots: int
    durations: dict[str, float]  # of each job; nobody is told
    kinds: dict[str, str]
    noise: random.Random
    now: float = 0.0
    held: dict[str, tuple[str, float, float]] = field(default_factory=dict)  # project, from, until
    served: dict[str, float] = field(default_factory=dict)
    queues: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    done: list[tuple[str, float]] = field(default_factory=list)  # kind and seconds, in order
    started: dict[str, float] = field(default_factory=dict)

    def shares(self) -> list[Share]:
        return [
            Share(
                name,
                sum(project == name for project, _, _ in self.held.values()),
                self.served.get(name, 0.0),
                queue[0][0],
            )
            for name, queue in self.queues.items()
            if queue
        ]

    def expected(self, job: str) -> float | None:
        like = [seconds for kind, seconds in self.done if kind == self.kinds[job]]
        found = like or [seconds for _, seconds in self.done]
        return median(found) if found else None

    def forecast(self) -> dict[str, float]:
        """As `core.records.scheduling` asks for it. Trainers know what is left of what they do
        within a tenth; of what waits only the durations of finished jobs tell."""
        slots = [Slot(self.now)] * (self.n_slots - len(self.held))
        for project, _, end in self.held.values():
            left = (end - self.now) * self.noise.uniform(0.9, 1.1)
            slots.append(Slot(self.now + left, project))
        waiting = {
            name: [Waiting(job, self.expected(job)) for _, job in queue]
            for name, queue in self.queues.items()
        }
        return starts(slots, self.shares(), waiting)

    def advance(self, until: float) -> None:
        """Ends and begins jobs until then."""
        while True:
            self._fill()
            ends = [(end, job) for job, (_, _, end) in self.held.items()]
            if not ends or min(ends)[0] > until:
                self.now = until
                return
            self.now, job = min(ends)
            project, since, _ = self.held.pop(job)
            self.served[project] = self.served.get(project, 0.0) + self.now - since
            self.done.append((self.kinds[job], self.now - since))

    def _fill(self) -> None:
        while len(self.held) < self.n_slots and self.shares():
            project = in_turn(self.shares())[0].project_id
            _, job = self.queues[project].pop(0)
            self.started[job] = self.now
            self.held[job] = (project, self.now, self.now + self.durations[job])


def test_estimates_in_a_replay_of_200_jobs_are_right_within_a_factor_of_two() -> None:
    """Three projects, four slots, three kinds of jobs whose durations vary by half either way.
    What is compared is how long a job waits from when it is asked after. Without what comes later:
    newer jobs of another project go first, which nobody can know."""
    draws = random.Random(5)
    kinds = {f"job{n}": draws.choice("abc") for n in range(200)}
    typical = {"a": 60.0, "b": 300.0, "c": 1200.0}
    durations = {job: typical[kind] * draws.uniform(0.67, 1.5) for job, kind in kinds.items()}
    replay = Replay(4, durations, kinds, random.Random(6))
    arrivals: dict[str, list[str]] = {}
    for n, job in enumerate(kinds):
        arrivals.setdefault("p" + draws.choice("xxxyyz"), []).append(job)
        if n == 19:  # a few have finished before the crowd comes
            _arrive(replay, arrivals)
            replay.advance(8000.0)
    _arrive(replay, arrivals)
    at_once: dict[str, tuple[float, float]] = {}
    later: list[tuple[str, float, float]] = []
    while any(replay.queues.values()):
        asked, found = replay.now, replay.forecast()
        later += [(job, asked, at) for job, at in found.items()]
        at_once = at_once or {job: (asked, at) for job, at in found.items()}
        replay.advance(replay.now + 2000.0)

    def ratio(job: str, asked: float, at: float) -> float:
        return (at - asked) / (replay.started[job] - asked)

    def waits(job: str, asked: float) -> bool:
        return replay.started[job] - asked > 600.0  # what begins soon has no ratio to speak of

    first = [ratio(job, *told) for job, told in at_once.items() if waits(job, told[0])]
    assert len(first) > 150
    assert [each for each in first if not 0.5 <= each <= 2.0] == []
    every = [ratio(*told) for told in later if waits(*told[:2])]
    wrong = [each for each in every if not 0.5 <= each <= 2.0]
    assert len(every) > 900
    assert len(wrong) <= 0.01 * len(every)


def _arrive(replay: Replay, arrivals: dict[str, list[str]]) -> None:
    for project, jobs in arrivals.items():
        replay.queues.setdefault(project, []).extend((replay.now, job) for job in jobs)
    arrivals.clear()
