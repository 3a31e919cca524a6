"""The tables of a card, in Markdown: rows of (split, model), one table a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from core.learning.report.document import average_values
from core.learning.report.protocol import Protocol, RobustnessLine
from core.learning.report.rows import ResultRow, corruption_splits
from core.learning.shifts import parse_shift_name

SMALLEST_P = 0.001  # below it "<0.001" says enough


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is left-aligned, the others right-aligned."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|---|" + "---:|" * (len(header) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Tables:
    """The rows of one seed, told as tables. A table without content is None."""

    rows: Sequence[ResultRow]
    protocol: Protocol
    lines: Sequence[RobustnessLine] = ()
    class_subsets: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def accuracy(self) -> str:
        """Right answers, beside zero-shot's and in the worst class and group."""
        grouped = any(row.metric == "worst_group" for row in self.rows)
        header = ["split", "model", "top-1 %", "95 % interval", "change", "p", "worst class %"]
        body = []
        for split, model in self._natural:
            found = self._values[split, model, "accuracy"]
            body.append(
                [
                    self._split_label(split),
                    self.protocol.model_label(model),
                    f"{100 * found.value:.2f}",
                    _interval(found),
                    self._change(split, model),
                    self._p(split, model),
                    self._number(split, model, "worst_class", 1, 100),
                    *([self._number(split, model, "worst_group", 1, 100)] if grouped else []),
                    str(found.n),
                ]
            )
        return markdown_table([*header, *(["worst group %"] if grouped else []), "images"], body)

    def calibration(self) -> str:
        """How sure the models are, and how far they moved from zero-shot."""
        columns = (
            ("NLL", "nll", 4),
            ("NLL at T", "nll_calibrated", 4),
            ("ECE", "ece", 4),
            ("ECE at T", "ece_calibrated", 4),
            ("energy gap", "energy_gap", 3),
            ("distortion", "feature_distortion", 4),
            ("flagged as shifted", "shift_flagged", 3),
        )
        kept = [column for column in columns if any(row.metric == column[1] for row in self.rows)]
        body = [
            [
                self._split_label(split),
                self.protocol.model_label(model),
                *(self._number(split, model, metric, digits) for _, metric, digits in kept),
            ]
            for split, model in self._natural
        ]
        return markdown_table(["split", "model", *(title for title, _, _ in kept)], body)

    def temperatures(self) -> str | None:
        """T of each model, as a sentence."""
        found = [f"{row.model} {row.value:.3g}" for row in self.rows if row.metric == "temperature"]
        return f"T, fitted on val: {', '.join(found)}." if found else None

    def corruptions(self, model: str) -> str | None:
        """Accuracy under each built-in shift, and the change that `model` made."""
        splits = corruption_splits(self.rows)
        if not splits:
            return None
        models = [name for name in self._models if any((s, name) in self._scored for s in splits)]
        body = []
        for split in splits:
            name, severity = parse_shift_name(split)
            label = f"{name} {severity}"
            body.append(
                [
                    f"{label} (selection)" if self.protocol.used(split) else label,
                    *(self._number(split, each, "accuracy", 1, 100) for each in models),
                    self._change(split, model),
                    self._p(split, model),
                ]
            )
        labels = [self.protocol.model_label(each) for each in models]
        return markdown_table(["top-1 %", *labels, f"change of {model}", "p"], body)

    def averages(self) -> str | None:
        """The named averages, and below them their members."""
        columns = (("top-1 %", "accuracy", 2, 100), ("NLL", "nll", 4, 1), ("ECE", "ece", 4, 1))
        body, members = [], []
        for average in self.protocol.averages:
            values = average_values(average, self.rows)
            found = {(model, metric): value for (_, model, metric), value in values.items()}
            scored = [model for model in self._models if (model, "accuracy") in found]
            label = self.protocol.average_label(average)
            for model in scored:
                cells = [
                    f"{factor * found[model, metric]:.{digits}f}"
                    for _, metric, digits, factor in columns
                ]
                body.append([label, self.protocol.model_label(model), *cells])
            if scored:
                members.append(f"- {label}: {', '.join(map(self._split_label, average.members))}")
        if not body:
            return None
        table = markdown_table(["average", "model", *(title for title, _, _, _ in columns)], body)
        return "\n".join([table, "", *members])

    def robustness(self) -> str | None:
        """What lies above the line through the given baselines, in points."""
        if not self.lines:
            return None
        body = [
            [
                self._split_label(line.split),
                self.protocol.model_label(line.model),
                f"{100 * line.fit.value:+.2f}",
                f"{100 * line.fit.expected:.2f}",
                str(line.fit.n),
                "yes" if line.fit.extrapolated else "no",
            ]
            for line in self.lines
        ]
        header = ["split", "model", "points above the line", "line %", "baselines", "extrapolated"]
        return markdown_table(header, body)

    @cached_property
    def _values(self) -> dict[tuple[str, str, str], ResultRow]:
        return {(row.split, row.model, row.metric): row for row in self.rows}

    @cached_property
    def _models(self) -> list[str]:
        return list(dict.fromkeys(row.model for row in self.rows))

    @cached_property
    def _scored(self) -> set[tuple[str, str]]:
        return {(row.split, row.model) for row in self.rows if row.metric == "accuracy"}

    @cached_property
    def _natural(self) -> list[tuple[str, str]]:
        """(split, model) of the tables' rows: all splits but the built-in ones."""
        built_in = corruption_splits(self.rows)
        splits = dict.fromkeys(row.split for row in self.rows if row.split not in built_in)
        return [(s, m) for s in splits for m in self._models if (s, m) in self._scored]

    def _split_label(self, split: str) -> str:
        subset = self.class_subsets.get(split)
        label = self.protocol.split_label(split)
        return label if subset is None else f"{label} ({len(subset)} classes)"

    def _number(self, split: str, model: str, metric: str, digits: int, factor: float = 1.0) -> str:
        row = self._values.get((split, model, metric))
        return "" if row is None else f"{factor * row.value:.{digits}f}"

    def _change(self, split: str, model: str) -> str:
        row = self._values.get((split, model, "accuracy_change"))
        return "" if row is None else f"{100 * row.value:+.2f} ({_interval(row)})"

    def _p(self, split: str, model: str) -> str:
        row = self._values.get((split, model, "mcnemar_p_holm"))
        if row is None:
            return ""
        return f"<{SMALLEST_P}" if row.value < SMALLEST_P else f"{row.value:.3f}"


def _interval(row: ResultRow) -> str:
    """In per cent."""
    return f"{100 * (row.low or 0):.1f} to {100 * (row.high or 0):.1f}"
