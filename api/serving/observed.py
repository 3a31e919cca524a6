"""What the inference process counts, and what it holds, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0)
_IMAGES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Standing:
    """What is there at one moment."""

    waiting_images: int  # those that are being decoded too
    models: int
    model_bytes: int
    graphs: int  # of these models
    graphs_coming: int


class Observations:
    """Of one process."""

    def __init__(self, look: Callable[[], Standing]) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "lipsum_inference_answers",
            "Questions that were answered, and how",
            ["question", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "lipsum_inference_seconds",
            "From a question to its answer",
            ["question"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "lipsum_inference_batch_images",
            "Images that went through a tower together",
            buckets=_IMAGES,
            registry=self._registry,
        )
        self._registry.register(_Now(look))

    def answered(self, question: str, status: int, seconds: float) -> None:
        """A question, named by its path, got its answer."""
        self._answers.labels(question, str(status)).inc()
        self._seconds.labels(question).observe(seconds)

    def passed(self, n_images: int) -> None:
        """So many images went through a tower together."""
        self._batches.observe(n_images)

    def text(self) -> bytes:
        """Everything, in Prometheus's format."""
        return generate_latest(self._registry)


class _Now:
    """The gauges as Prometheus's library wants them."""

    def __init__(self, look: Callable[[], Standing]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        found = self._look()
        for name, text, value in (
            ("waiting_images", "Images that are decoded or wait for a tower", found.waiting_images),
            ("models", "Models in memory", found.models),
            ("model_bytes", "What they take of it", found.model_bytes),
            ("graphs", "Models that onnxruntime answers for", found.graphs),
            ("graphs_coming", "Models of which a graph is being made", found.graphs_coming),
        ):
            yield GaugeMetricFamily(f"lipsum_inference_{name}", text, value)
