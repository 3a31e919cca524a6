"""What one worker counts, and what its trainers say of their speed, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from core.errors import InvalidRequest
from core.jobs.messages import Speed


class Seen(Protocol):
    """What is looked at of an attempt."""

    slot: int
    failure: str | None

    @property
    def speed(self) -> Speed | None: ...


class Observations:
    """Of one worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._attempts = Counter(
            "lipsum_attempts",
            "Attempts that are over, by how their job then stood; `lost` is without the lease",
            ["status"],
            registry=self._registry,
        )
        self._failures = Counter(
            "lipsum_attempt_failures",
            "Attempts that failed",
            ["reason"],
            registry=self._registry,
        )
        self.storage_errors = Counter(
            "lipsum_worker_storage_errors",
            "Times the object store failed this worker's sweeps",
            registry=self._registry,
        )

    def ended(self, attempt: Seen, status: str | None) -> None:
        """An attempt is over; `status` is its job's."""
        self._attempts.labels(status or "lost").inc()
        if attempt.failure is not None:
            self._failures.labels(attempt.failure).inc()

    def serve(self, host: str, port: int, attempts: Callable[[], Sequence[Seen]]) -> None:
        """Answers at `http://HOST:PORT/metrics` until the process ends. Raises InvalidRequest when
        the port cannot be had."""
        self._registry.register(_Attempts(attempts))
        try:
            start_http_server(port, host, self._registry)
        except OSError as error:
            raise InvalidRequest(
                f"worker_metrics_port {port} cannot be had on {host}: {error.strerror}. Give each "
                "worker of a machine a port of its own.",
                code="port_taken",
            ) from error


class _Attempts:
    """The attempts' gauges as Prometheus's library wants them, read in a thread of its own."""

    def __init__(self, attempts: Callable[[], Sequence[Seen]]) -> None:
        self._attempts = attempts

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("lipsum_slots_busy", "Attempts under way")
        step = GaugeMetricFamily("lipsum_step_seconds", "Of the newest steps", labels=["slot"])
        images = GaugeMetricFamily("lipsum_images_per_second", "Trained on", labels=["slot"])
        memory = GaugeMetricFamily(
            "lipsum_device_memory_bytes", "Of the GPU, held by the trainer", labels=["slot"]
        )
        attempts = list(self._attempts())
        running.add_metric([], len(attempts))
        for attempt in attempts:
            speed, slot = attempt.speed, [str(attempt.slot)]
            if speed is None:
                continue
            step.add_metric(slot, speed.step_seconds)
            images.add_metric(slot, speed.images_per_second)
            if speed.device_memory_bytes is not None:
                memory.add_metric(slot, speed.device_memory_bytes)
        yield from (running, step, images, memory)
