"""A comparison request as rows: everything is checked, and what trains becomes a job at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.comparisons.plan import Contender, job_request, make_plan
from core.comparisons.request import ComparisonRequest
from core.errors import InvalidRequest, InvalidSpec
from core.ids import new_id
from core.jobs.estimate import training_steps
from core.jobs.hyperparameters import find_method, resolve_hyperparameters
from core.jobs.lookup import RecordsLookup
from core.jobs.request import JobRequest
from core.jobs.resolve import find_model, require_fit, resolve_job
from core.jobs.spec import JobSpec
from core.learning.architecture import architecture_of
from core.records import comparisons, jobs
from core.records.tables import Comparison, Model
from core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_CONTENDERS = "methods"


class Draft:
    """A checked comparison that is not written yet."""

    def __init__(self, request: ComparisonRequest, plan: list[Contender]) -> None:
        self.id = new_id("cmp")
        self.request = request
        self.plan = plan
        self.jobs: dict[str, tuple[JobRequest, JobSpec]] = {}  # of what trains, by label


def check(
    session: Session, project_id: str, request: ComparisonRequest, settings: Settings
) -> Draft:
    """The comparison's contenders, those that train resolved. Reads rows only.

    Raises InvalidSpec or InvalidDataset, `param` naming the contender at fault.
    """
    lookup = RecordsLookup(session, project_id)
    theta0 = find_model(request.model, lookup, "model")
    request = request.model_copy(update={"model": theta0.id})  # an alias may move meanwhile
    draft = Draft(request, make_plan(request, architecture_of(theta0.info)))
    for contender in draft.plan:
        asked = job_request(request, contender, draft.id, list(contender.of))
        try:
            if contender.of:
                _check_combination(asked, theta0)
            else:
                job_id = new_id("ftjob")
                spec = resolve_job(asked, lookup=lookup, settings=settings, job_id=job_id)
                draft.jobs[contender.label] = (asked, spec)
        except InvalidSpec as error:
            raise _of_contender(error, contender) from error
    return draft


def write(
    session: Session,
    project_id: str,
    draft: Draft,
    written: dict[str, Any],
    key_id: str | None = None,
) -> Comparison:
    """The comparison, its contenders and the jobs of those that train, in one transaction.

    `written` is the request as the user wrote it, `key_id` the key it came with. Ring
    `core.doorbell` after the commit.
    """
    for asked, spec in draft.jobs.values():
        body = asked.model_dump(mode="json", exclude_unset=True)
        steps = training_steps(spec)
        jobs.create(session, project_id, spec, body, key_id=key_id, steps=steps)
    rows = [
        {
            "label": contender.label,
            "method": contender.method.model_dump(mode="json"),
            "of": list(contender.of),
            "job_id": draft.jobs[contender.label][1].job_id
            if contender.label in draft.jobs
            else None,
        }
        for contender in draft.plan
    ]
    written = {**written, "model": draft.request.model}
    return comparisons.create(session, project_id, draft.id, written, rows, key_id=key_id)


def _check_combination(asked: JobRequest, theta0: Model) -> None:
    """What can be known before there are models to combine."""
    method = find_method(asked)
    require_fit(method, theta0)
    resolve_hyperparameters(method, asked, n_train=1)  # no combination's depend on the images


def _of_contender(error: InvalidSpec, contender: Contender) -> InvalidRequest:
    """The same fault, saying whose it is; what is wrong with a file or the model is nobody's."""
    if error.param is None or not error.param.startswith("method"):
        return error
    return InvalidSpec(
        f"{contender.label}: {error.message}",
        code=error.code,
        param=_CONTENDERS,
    )
