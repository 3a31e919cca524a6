"""`lipsum logs`: what a job's trainers printed."""

from __future__ import annotations

import sys

import httpx

from cli.client import make_client
from core.errors import InvalidRequest, Unavailable

_QUIET_FOR_HOURS = httpx.Timeout(30.0, read=None)  # a trainer may print nothing for that long


def logs(job_id: str, *, follow: bool) -> None:
    """Writes the log to standard output; with `follow` until the job has ended, going on where it
    was when a connection breaks. Raises InvalidRequest for what the service refuses."""
    client = make_client()
    url = f"{str(client.base_url).rstrip('/')}/fine_tuning/jobs/{job_id}/logs"
    headers = {"authorization": f"Bearer {client.api_key}"}
    written = 0
    while True:
        query = {"follow": "true", "offset": str(written)} if follow else {}
        try:
            with httpx.stream(
                "GET", url, params=query, headers=headers, timeout=_QUIET_FOR_HOURS
            ) as answer:
                if answer.is_error:
                    raise InvalidRequest(answer.read().decode("utf-8", "replace"))
                for data in answer.iter_raw():
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                    written += len(data)
            return
        except httpx.RemoteProtocolError:  # cut off
            if not follow:
                raise Unavailable("The connection broke before the log was whole.") from None
        except httpx.TransportError as error:
            raise Unavailable(f"The service does not answer at {url}: {error}.") from error
