"""What this process counts of its requests, and what it says of the service when it is asked.

Counters are of one process: whoever adds several up knows each by its address. Gauges are read from
the database when they are asked for, so every process says the same of the service.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.records import gauges
from core.records.engine import Database

PREFIX = "/v1"  # of all routes that ask for a key but `/metrics`
NO_ROUTE = "none"  # stands for whatever is asked for that does not exist
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Observations:
    """Of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lipsum_requests",
            "Requests that were answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "lipsum_request_seconds",
            "From a request to the first byte of its answer",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.storage_errors = Counter(
            "lipsum_storage_errors",
            "Times the object store or the spool failed a request",
            registry=self._registry,
        )
        self._streams = Gauge(
            "lipsum_open_answers",
            "Answers that are being sent, event streams among them",
            registry=self._registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request got the first line of its answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def opened(self) -> None:
        self._streams.inc()

    def closed(self) -> None:
        self._streams.dec()

    def text(self, database: Database, lease_seconds: float) -> bytes:
        """Everything, in Prometheus's format. Raises Unavailable without a database."""
        with database.read() as session:
            found = gauges.read(session, lease_seconds)
        service = CollectorRegistry()
        service.register(_Service(found))
        return generate_latest(self._registry) + generate_latest(service)


class Observed:
    """Middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observations: Observations = scope["app"].state.observations
        begun = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _route_of(scope)
                seconds = time.perf_counter() - begun
                observations.answered(scope["method"], route, message["status"], seconds)
            await send(message)

        observations.opened()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            observations.closed()


def _route_of(scope: Scope) -> str:
    """The route as it is written, with its prefix, which routes do not know themselves."""
    template = getattr(scope.get("route"), "path_format", None)
    if template is None:
        return NO_ROUTE
    return PREFIX + template if scope["path"].startswith(f"{PREFIX}/") else str(template)


class _Service:
    """The service's gauges as Prometheus's library wants them."""

    def __init__(self, found: gauges.Gauges) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        found = self._found
        yield _family("lipsum_jobs", "Jobs that have not ended", found.jobs, "status")
        yield GaugeMetricFamily("lipsum_queue_depth", "Jobs that wait for a worker", found.waiting)
        yield GaugeMetricFamily(
            "lipsum_queue_oldest_seconds", "Age of the oldest of them", found.oldest_waiting
        )
        yield _family(
            "lipsum_lease_age_seconds",
            "Since a worker renewed the lease that it renewed least lately",
            found.lease_ages,
            "worker",
        )
        yield GaugeMetricFamily("lipsum_workers", "Workers heard of within a lease", found.workers)
        yield GaugeMetricFamily("lipsum_worker_slots", "Their slots", found.slots)
        yield GaugeMetricFamily(
            "lipsum_doorbells_unheard", "Jobs whose doorbell is to be rung", found.unheard_doorbells
        )
        yield GaugeMetricFamily(
            "lipsum_webhook_deliveries_pending",
            "Webhook deliveries that wait",
            found.pending_deliveries,
        )


def _family(name: str, text: str, values: dict[str, int] | dict[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
