"""The tables, for SQLite and PostgreSQL alike.

Times are epoch seconds of the database's clock (`core.records.clock.now`). Every owned table has
`project_id`. No relationships are declared: a row is plain values and loads nothing by itself.
JSON columns are text to the database; no query looks inside them.
"""

from __future__ import annotations

from core.records.tables.access import (
    ApiKey,
    AuditLine,
    IdempotentRequest,
    KeySecret,
    LimitRow,
    Project,
    RateBucket,
    RequestCount,
)
from core.records.tables.base import Base
from core.records.tables.content import (
    UPLOAD_STATUSES,
    Alias,
    DatasetVersion,
    DoomedObject,
    File,
    Model,
    Upload,
    UploadPart,
)
from core.records.tables.delivery import (
    OutboxRow,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    Worker,
)
from core.records.tables.jobs import (
    COMPARISON_STATUSES,
    PHASES,
    STATUS_REASONS,
    Comparison,
    ContenderRow,
    Job,
    JobCheckpoint,
    JobEvent,
    JobLog,
    JobMetadata,
    JobMetric,
    JobTransition,
    SplitResultRow,
)

__all__ = [
    "COMPARISON_STATUSES",
    "PHASES",
    "STATUS_REASONS",
    "UPLOAD_STATUSES",
    "Alias",
    "ApiKey",
    "AuditLine",
    "Base",
    "Comparison",
    "ContenderRow",
    "DatasetVersion",
    "DoomedObject",
    "File",
    "IdempotentRequest",
    "Job",
    "JobCheckpoint",
    "JobEvent",
    "JobLog",
    "JobMetadata",
    "JobMetric",
    "JobTransition",
    "KeySecret",
    "LimitRow",
    "Model",
    "OutboxRow",
    "Project",
    "RateBucket",
    "RequestCount",
    "SplitResultRow",
    "Upload",
    "UploadPart",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]
