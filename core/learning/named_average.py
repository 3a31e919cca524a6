"""A mean over splits that cannot be told without saying over which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NamedAverage:
    """A mean over named splits, each with equal weight, which says over which.

    Raises ValueError for no members or one named twice.
    """

    name: str
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError(f"the average {self.name!r} names no split; list its members")
        twice = [split for split in self.members if self.members.count(split) > 1]
        if twice:
            raise ValueError(f"the average {self.name!r} names {twice[0]!r} twice; list it once")

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.members)})"

    def of(self, values: Mapping[str, float]) -> float:
        """The mean of the members' values; splits that are not members are left out of it.

        Raises ValueError when a member has no value: a mean over fewer splits is another number.
        """
        missing = [split for split in self.members if split not in values]
        if missing:
            raise ValueError(
                f"the average {self} has no value for {', '.join(missing)}; score every member"
            )
        return sum(values[split] for split in self.members) / len(self.members)
