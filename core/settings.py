"""Every knob of the service, its unit and its default.

Read once at start from the environment (`LIPSUM_...`) or an env file named by
`LIPSUM_ENV_FILE`; a value that does not parse stops the process with a sentence that names it.
The defaults run the whole service from one data directory with nothing but Python.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.jobs.labels import parse_labels

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

ServingPrecision = Literal["auto", "fp32", "bf16"]


class Settings(BaseSettings):
    """Settings of one process. Immutable; tests make their own with keyword arguments."""

    model_config = SettingsConfigDict(env_prefix="LIPSUM_", frozen=True, extra="forbid")

    # Where things are kept.
    data_dir: Path = Field(
        Path("data"), description="Directory of everything the service keeps on this machine."
    )
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL (postgresql+psycopg://... or sqlite:///...). "
        "Default: SQLite in the data directory.",
    )
    object_store_url: str | None = Field(
        None, description="file:///..., s3://bucket/prefix. Default: a directory in data_dir."
    )
    s3_endpoint: str | None = Field(None, description="Endpoint of an S3 server other than AWS.")
    s3_public_endpoint: str | None = Field(
        None,
        description="The same server as clients reach it, for addresses they send parts to. "
        "Default: s3_endpoint.",
    )
    s3_region: str = Field("us-east-1", description="S3 region.")
    s3_access_key_id: str | None = Field(None, description="S3 access key id.")
    s3_secret_access_key: SecretStr | None = Field(None, description="S3 secret access key.")
    broker_url: str | None = Field(
        None,
        description="Celery broker (redis://..., amqp://...). Default: a directory in data_dir.",
    )

    # The API.
    host: str = Field("127.0.0.1", description="Address the API binds to.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    serving_host: str = Field("127.0.0.1", description="Address the inference process binds to.")
    serving_port: int = Field(8001, ge=0, le=65535, description="Port of the inference process.")
    serving_url: str | None = Field(
        None, description="Where the API finds the inference process. Default: host and port above."
    )
    serving_timeout: float = Field(
        60.0, gt=0, description="Seconds the API waits for the inference process."
    )
    serving_pinned_models: tuple[str, ...] = Field(
        (),
        description="Ids of models that stay in the inference process's memory once they are "
        "there, whatever else is asked for.",
    )
    serving_model_bytes: int = Field(
        2 * GIB, gt=0, description="Bytes of model weights the inference process keeps loaded."
    )
    serving_precision: ServingPrecision = Field(
        "auto",
        description="What image towers compute in: fp32, bf16, or auto: bf16 for towers of 8 "
        "million weights and more on a device that has instructions for it.",
    )
    serving_graphs: bool = Field(
        True,
        description="Whether inference makes graphs of image towers: on a GPU CUDA graphs of all, "
        "on a CPU graphs for onnxruntime of small ones that are asked often.",
    )
    serving_reduced_decoding: bool = Field(
        True,
        description="Whether inference decodes a JPEG at 1/2, 1/4 or 1/8 of its size where that "
        "leaves twice what the model takes; evaluation never does.",
    )

    # Who may reach it.
    key_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="What API keys are hashed with, the same for every API process. Default: a "
        "file in data_dir that the first start makes.",
    )
    allowed_hosts: str = Field(
        "",
        description="Host names, separated by commas, under which the API may be asked for beside "
        "loopback names and the address it binds to.",
    )
    allowed_origins: str = Field(
        "",
        description="Origins (https://example.org), separated by commas, whose pages may change "
        "something beside pages of the API's own host.",
    )
    session_hours: float = Field(
        12.0, gt=0, le=24 * 366, description="How long somebody stays signed in to the page."
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks, separated by commas, of proxies whose X-Forwarded-For "
        "is believed. Default: none.",
    )

    refusals_wait: float = Field(
        1.0,
        ge=0,
        le=10,
        description="Seconds that a key over its limit of requests waits for being told so, at "
        "most; the wait is part of Retry-After. Whoever asks on regardless costs next to nothing.",
    )

    # Jobs.
    worker_slots: int = Field(1, ge=1, description="Jobs one worker runs at a time.")
    warm_trainers: bool = Field(
        True,
        description="Whether each free slot keeps a trainer that has loaded torch and waits for a "
        "job: jobs then begin seconds sooner. It holds about half a gigabyte of memory.",
    )
    worker_gpus: str = Field(
        "",
        description="What each slot sees as CUDA_VISIBLE_DEVICES, one word for each: `0 1`, or "
        "`0,1 2,3` for two GPUs each. Default: what the worker sees.",
    )
    worker_labels: str = Field(
        "",
        description="What jobs may ask of this worker, as name=value or a name alone, with spaces "
        "between: `gpu-mem=80g region=eu`.",
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port at which this worker answers Prometheus; no two of a machine share one. "
        "Default: it does not.",
    )
    worker_metrics_host: str = Field(
        "127.0.0.1", description="Address that port is bound to. It asks nobody for a key."
    )
    poll_seconds: float = Field(2.0, gt=0, description="Seconds between looks at the job table.")
    lease_seconds: float = Field(
        60.0, gt=0, description="Seconds a claimed job stays claimed without a heartbeat."
    )
    sweep_seconds: float = Field(
        10.0, gt=0, description="Seconds between sweeps for dead leases and unheard doorbells."
    )
    stop_grace_seconds: float = Field(
        20.0,
        ge=0,
        description="Seconds a trainer has to save its state and stop, before it is killed.",
    )
    checkpoint_seconds: float = Field(
        120.0, gt=0, description="Seconds of training between two checkpoints."
    )
    deterministic: bool = Field(
        False,
        description="Train with deterministic kernels on a GPU too, slower: a job that was "
        "interrupted then ends bit for bit as one that was not, as it does on the CPU anyway.",
    )
    stall_seconds: float = Field(
        1800.0, gt=0, description="Seconds without progress after which a trainer is killed."
    )
    max_attempts: int = Field(
        5,
        ge=1,
        description="Deaths of a worker or trainer, and faults of ours, that a job survives "
        "before it fails.",
    )
    trainer_threads: int | None = Field(
        None, ge=1, description="CPU threads of a trainer. Default: the cores divided by the slots."
    )
    trainer_processes: int | None = Field(
        None,
        ge=1,
        description="Processes that share each step of a training job, each on a GPU of its slot "
        "or, on the CPU, with its part of the slot's threads. Default: one for each GPU of the "
        "slot, and one on the CPU.",
    )
    device: str = Field("auto", description="Device of trainers and inference: auto, cpu, cuda.")
    keep_checkpoints_days: float | None = Field(
        None,
        gt=0,
        description="Days after which the checkpoints that finished jobs list are deleted; their "
        "final models stay. Default: never.",
    )
    cache_bytes: int = Field(
        20 * GIB,
        gt=0,
        description="Bytes of archives, pixels and models that a data directory's cache may hold.",
    )

    # What users may send.
    max_file_bytes: int = Field(8 * GIB, gt=0, description="Largest file a user may upload.")
    upload_seconds: float = Field(
        86_400.0, gt=0, description="Seconds in which an upload in parts must be completed."
    )
    import_prefixes: str = Field(
        "",
        description="s3://BUCKET/PREFIX that users may import from, several with spaces between.",
    )
    max_archive_entries: int = Field(
        2_000_000, gt=0, description="Most entries an archive may hold."
    )
    max_archive_bytes: int = Field(
        64 * GIB, gt=0, description="Most bytes an archive may hold once decompressed."
    )
    max_compression_ratio: float = Field(
        200.0, gt=1, description="Largest ratio of decompressed to compressed bytes of an entry."
    )
    max_image_bytes: int = Field(64 * MIB, gt=0, description="Largest single image file.")
    max_image_pixels: int = Field(
        50_000_000, gt=0, description="Most pixels (width x height) an image may have."
    )
    max_classes: int = Field(20_000, ge=2, description="Most classes a dataset may have.")
    max_unreadable_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of unreadable images that is skipped (and reported) instead of "
        "failing the dataset.",
    )
    max_request_images: int = Field(64, ge=1, description="Most images in one inference request.")
    max_candidate_labels: int = Field(
        1000, ge=2, description="Most candidate labels in one zero-shot request."
    )

    # Where webhooks may go.
    outgoing_hosts: tuple[str, ...] = Field(
        (),
        description="Host names and networks (10.2.0.0/16) that webhooks may go to although they "
        "are not public, as a JSON list. Plain http is possible to these alone.",
    )
    outgoing_ports: tuple[int, ...] = Field(
        (443,), description="Ports that webhooks may go to, as a JSON list."
    )

    # Where jobs may log to beside here.
    mlflow_tracking_uri: str | None = Field(
        None, description="http(s) address of the MLflow server that jobs may log to."
    )
    mlflow_tracking_username: str | None = Field(None, description="Its user, if it asks for one.")
    mlflow_tracking_password: SecretStr | None = Field(None, description="Its user's password.")
    mlflow_tracking_token: SecretStr | None = Field(
        None, description="A bearer token, where the MLflow server asks for that instead."
    )

    # Logs.
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_json: bool = Field(False, description="Write logs as one JSON object a line.")

    @field_validator("import_prefixes")
    @classmethod
    def _are_buckets(cls, value: str) -> str:
        for prefix in value.split():
            if not prefix.startswith("s3://") or not prefix.removeprefix("s3://").strip("/"):
                raise ValueError(f"{prefix!r} is not s3://BUCKET or s3://BUCKET/PREFIX")
        return value

    @field_validator("worker_labels")
    @classmethod
    def _are_labels(cls, value: str) -> str:
        parse_labels(value)
        return value

    @model_validator(mode="after")
    def _has_a_gpu_for_each_slot(self) -> Self:
        words = self.worker_gpus.split()
        if words and len(words) != self.worker_slots:
            raise ValueError(
                f"worker_gpus has {len(words)} words and worker_slots is {self.worker_slots}; give "
                "each slot a word"
            )
        return self

    @cached_property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'lipsum.db'}"

    @cached_property
    def resolved_object_store_url(self) -> str:
        return self.object_store_url or (self.data_dir.resolve() / "objects").as_uri()

    @cached_property
    def resolved_serving_url(self) -> str:
        return self.serving_url or f"http://{self.serving_host}:{self.serving_port}"

    @cached_property
    def allowed_imports(self) -> tuple[str, ...]:
        """What users may import from, as BUCKET/PREFIX."""
        prefixes = self.import_prefixes.split()
        return tuple(prefix.removeprefix("s3://").strip("/") for prefix in prefixes)

    @cached_property
    def local_address(self) -> str:
        """The API's URL for programs on this machine; a name that it answers to."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        host = loopback.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @cached_property
    def broker_directory(self) -> Path:
        """Where the default broker keeps its messages."""
        return self.data_dir.resolve() / "broker"

    @cached_property
    def spool_directory(self) -> Path:
        """Uploads on their way in, on the data volume and never in a small /tmp."""
        return self.data_dir.resolve() / "spool"

    @cached_property
    def cache_directory(self) -> Path:
        """What can be made again: fetched archives, decoded pixels, loaded models."""
        return self.data_dir.resolve() / "cache"

    @cached_property
    def key_secret_path(self) -> Path:
        """Where the secret that API keys are hashed with lies, unless it is a setting."""
        return self.data_dir.resolve() / "key_secret"

    @cached_property
    def api_key_path(self) -> Path:
        """Where the first start leaves the first API key, readable by its owner only."""
        return self.data_dir.resolve() / "api_key"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment. Raises `pydantic.ValidationError` naming each bad value."""
    env_file = os.environ.get("LIPSUM_ENV_FILE")
    return Settings(_env_file=env_file, **overrides)  # type: ignore[arg-type]
