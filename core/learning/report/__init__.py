"""A job's result rows as people read them: tables, the model's card, the results document.

All are views of the same rows (seed, model, split, metric, value, low, high, n) and of the
protocol that says how they came about; nothing is computed here but means over named splits and
spread over seeds. Importing this loads no torch.
"""

from core.learning.report.card import CardFacts, model_card
from core.learning.report.document import results_document
from core.learning.report.protocol import Protocol, RobustnessLine
from core.learning.report.rows import (
    Cell,
    ResultRow,
    corruption_splits,
    mean_over_seeds,
    shifted_splits,
)
from core.learning.report.tables import markdown_table

__all__ = [
    "CardFacts",
    "Cell",
    "Protocol",
    "ResultRow",
    "RobustnessLine",
    "corruption_splits",
    "markdown_table",
    "mean_over_seeds",
    "model_card",
    "results_document",
    "shifted_splits",
]
