"""The Celery app: a doorbell and nothing else.

Its one task takes no arguments, is acknowledged before it runs and is over in microseconds. It
never runs a job: a broker that loses, doubles or re-delivers its message can do no harm.
"""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

from core import doorbell
from core.settings import Settings


def make_celery(settings: Settings, on_ring: Callable[[], None]) -> Celery:
    """An app whose worker calls `on_ring` for each message."""
    url = doorbell.broker_url(settings)
    app = Celery("lipsum", set_as_current=False)
    app.conf.update(
        broker_url=url,
        broker_transport_options=doorbell.transport_options(url, settings.broker_directory),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever: the supervisor polls meanwhile
        accept_content=["json"],
        task_serializer="json",
        task_acks_late=False,
        task_ignore_result=True,
        task_default_queue=doorbell.QUEUE_NAME,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_detect_quorum_queues=False,
    )

    @app.task(name=doorbell.TASK_NAME)  # type: ignore[untyped-decorator]
    def wake() -> None:
        on_ring()

    return app
