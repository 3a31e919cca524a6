"""A job request turned into a specification, or a sentence that says what is wrong with it.

Everything that can be known before a trainer runs is checked here: the model, the method and
its hyperparameters, the files, their layout and the splits. Nothing is written, and nothing is
read but rows; what needs the images themselves is checked by the job's first duty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.datasets.structure import Structure, require_scorable, require_trainable, single_split
from core.errors import InvalidDataset, InvalidRequest, InvalidSpec
from core.ids import ALIAS, MODEL_ID, checkpoint_model_id, fine_tuned_model_id
from core.jobs.anchor import resolve_anchor
from core.jobs.continuing import resolve_continued, with_continued
from core.jobs.evaluation import require_free_name, resolve_evaluation
from core.jobs.faults import Faults
from core.jobs.held_out import find_held_out, require_new
from core.jobs.hyperparameters import find_method, resolve_hyperparameters
from core.jobs.inputs import require_fitting, require_one_model, resolve_inputs
from core.jobs.integrations import resolve_integrations
from core.jobs.lookup import Lookup
from core.jobs.recipes import with_recipe
from core.jobs.request import JobRequest
from core.jobs.seeds import LARGEST_SEED, one_for_each, resolve_seeds
from core.jobs.spec import (
    VALIDATION_FRACTION,
    DatasetReference,
    JobSpec,
    ModelReference,
    SplitReference,
)
from core.learning.architecture import architecture_of
from core.learning.combine.base import Combination
from core.learning.methods import registry
from core.learning.methods.base import Method
from core.records.tables import Model
from core.settings import Settings
from core.validation import shown

TRAINING_PURPOSES = ("fine-tune",)
SCORING_PURPOSES = ("fine-tune", "evals")
_TRAIN, _VAL = "train", "val"
_LARGEST_STEP = 10_000_000


def resolve_job(request: JobRequest, *, lookup: Lookup, settings: Settings, job_id: str) -> JobSpec:
    """The specification of the job. Raises InvalidSpec or InvalidDataset, `param` set."""
    spec = _resolve(request, lookup, settings, job_id, Faults())
    assert spec is not None  # or a fault was raised
    return spec


def check_job(
    request: JobRequest, *, lookup: Lookup, settings: Settings, job_id: str
) -> tuple[JobSpec | None, list[InvalidRequest]]:
    """The specification, or everything that is wrong with the request."""
    faults = Faults(collect=True)
    spec = _resolve(request, lookup, settings, job_id, faults)
    return spec, faults.found


def _resolve(
    request: JobRequest, lookup: Lookup, settings: Settings, job_id: str, faults: Faults
) -> JobSpec | None:
    """None when there are faults. What needs something that is at fault is not checked."""
    request = faults.attempt(with_recipe, request) or request
    request = request.model_copy(update={"model": id_of(request.model, lookup)})
    continued = faults.attempt(with_continued, request, lookup)
    request = continued or request
    method = faults.attempt(find_method, request)
    named = faults.attempt(find_model, request.model, lookup, "model")
    theta0 = None
    if named is not None:
        theta0 = faults.attempt(resolve_anchor, request, method, named, lookup)
    scores_only = method is None or method.kind == "evaluation"
    if method is not None and theta0 is not None:
        faults.attempt(require_fit, method, theta0)
        if not scores_only and named is not None:
            faults.attempt(require_one_model, named, "model")
    data = _resolve_data(request, lookup, faults, scores_only=scores_only)
    inputs, hyperparameters = None, None
    if method is not None and theta0 is not None and data is not None:
        inputs = faults.attempt(resolve_inputs, request, method, theta0, data.classes, lookup)
    if method is not None:
        n_train = 1 if data is None else data.n_train  # says whether they are right, not what
        hyperparameters = faults.attempt(resolve_hyperparameters, method, request, n_train)
    model_id = None if theta0 is None else faults.attempt(_model_id, request, theta0, job_id)
    asked = request.integrations or []
    integrations = faults.attempt(resolve_integrations, asked, settings, lookup.project_id)
    evaluation = None
    if data is not None:
        names = list(dict.fromkeys([*(split.name for split in data.splits), *data.missing]))
        evaluation = resolve_evaluation(request.evaluation, names, faults)
    if method is None or theta0 is None or named is None or data is None or inputs is None:
        return None
    starts: list[Model] | None = [] if named is theta0 else [named]
    if request.continue_from is not None:
        starts = None
        if continued is not None:
            starts = faults.attempt(resolve_continued, request, theta0, data.classes, lookup)
    if starts is None:
        return None
    seeds = faults.attempt(resolve_seeds, request, method, inputs, starts, lookup)
    held_out = find_held_out([theta0, *starts, *inputs], data.splits, lookup)
    if issubclass(method, Combination) and hyperparameters is not None:
        combination = method(hyperparameters)
        faults.attempt(require_fitting, combination, inputs)
        faults.attempt(require_new, held_out, combination)
    if faults.found or hyperparameters is None or model_id is None:
        return None
    assert evaluation is not None and seeds is not None and integrations is not None
    return JobSpec(
        job_id=job_id,
        method=method.name,
        hyperparameters=hyperparameters,
        theta0=reference(theta0),
        starts=[reference(model) for model in one_for_each(starts, seeds)],
        inputs=[reference(model) for model in inputs],
        model_id=model_id,
        datasets=list(data.datasets.values()),
        splits=data.splits,
        seeds=seeds,
        held_out_seed=held_out.seed,
        held_out_is_new=held_out.conflict is None,
        alphas=sorted(set(request.evaluation.alphas)) if method.kind == "training" else [],
        allow_duplicates=request.evaluation.allow_duplicates,
        max_unreadable_fraction=settings.max_unreadable_fraction,
        corruptions=evaluation.corruptions,
        baselines=request.evaluation.baselines,
        averages=evaluation.averages,
        integrations=integrations,
    )


def id_of(name: str, lookup: Lookup) -> str:
    """The id of the model that an alias points at now; what is no alias stays as it is."""
    found = lookup.model(name) if ALIAS.fullmatch(name) else None
    return name if found is None else found.id


def find_model(model_id: str, lookup: Lookup, param: str) -> Model:
    """A registered base or a model of the project. A path or URL is no model's name either."""
    found = lookup.model(model_id) if MODEL_ID.fullmatch(model_id) else None
    if found is None:
        bases = lookup.bases()
        named = f"Registered bases are {', '.join(bases)}." if bases else "No base is registered."
        raise InvalidSpec(
            f"There is no model {shown(model_id)}; a job names a registered base or a fine-tuned "
            f"model, never a path or URL. {named} The operator adds one with `lipsum base add`.",
            code="unknown_model",
            param=param,
        )
    return found


def reference(model: Model) -> ModelReference:
    """The model's row as a specification names it."""
    return ModelReference(
        id=model.id,
        object_key=model.object_key,
        sha256=model.sha256,
        size=model.size,
        base=model.info.get("base"),
        selected_on=model.info.get("selected_on", []),
    )


def require_fit(method: type[Method], theta0: Model) -> None:
    """Raises InvalidSpec, naming the methods that do fit, when this one cannot run on the base."""
    base = architecture_of(theta0.info)
    why = method.misfit(base)
    if why is None:
        return
    fitting = [name for name, other in registry().items() if other.misfit(base) is None]
    raise InvalidSpec(
        f"{method.name} does not fit {theta0.id}: {why}. Methods that fit it are "
        f"{', '.join(fitting)}.",
        code="method_does_not_fit",
        param="method.type",
    )


@dataclass
class _Data:
    """The job's files and splits as they are put together."""

    training: Structure
    classes: list[str]  # columns of the head: those of the first split, as the trainer has them
    datasets: dict[str, DatasetReference] = field(default_factory=dict)
    splits: list[SplitReference] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # names of splits whose files are at fault

    @property
    def n_train(self) -> int:
        """Images that are trained on: a validation slice that will be held out is not."""
        total = sum(self.training.splits.get(_TRAIN, {}).values())
        has_val = any(split.name == _VAL for split in self.splits)
        held_out = 0 if has_val else max(1, round(total * VALIDATION_FRACTION))
        return max(1, total - held_out)


def _resolve_data(
    request: JobRequest, lookup: Lookup, faults: Faults, *, scores_only: bool
) -> _Data | None:
    """None when the training file is at fault; other files are then only looked for."""
    data = faults.attempt(_open_training, request, lookup, scores_only=scores_only)
    if request.validation_file is not None:
        file = request.validation_file
        _attempt_split(data, lookup, faults, _VAL, file, "validation_file")
    for number, split in enumerate(request.evaluation.splits):
        param = f"evaluation.splits.{number}"
        faults.attempt(_require_not_train, split.name, f"{param}.name")
        faults.attempt(require_free_name, split.name, f"{param}.name")
        _attempt_split(
            data, lookup, faults, split.name, split.file, f"{param}.file", split.selection
        )
    if data is not None:
        faults.attempt(_check_split_names, data.splits)
    return data


def _open_training(request: JobRequest, lookup: Lookup, *, scores_only: bool) -> _Data:
    purposes = SCORING_PURPOSES if scores_only else TRAINING_PURPOSES
    structure, dataset = _open_file(request.training_file, "training_file", purposes, lookup)
    with _blaming("training_file"):
        if not scores_only:
            require_trainable(structure)
        names = _main_split_first(structure)
        classes = list(structure.splits[names[0]])
        _require_two_classes(classes)
        data = _Data(structure, classes, {dataset.version: dataset})
        for name in names:
            require_free_name(name, "training_file")
            require_scorable(structure, name, classes)
            data.splits.append(
                SplitReference(name=name, version=dataset.version, archive_split=name)
            )
    return data


def _attempt_split(
    data: _Data | None,
    lookup: Lookup,
    faults: Faults,
    name: str,
    file_id: str,
    param: str,
    selection: bool = False,
) -> None:
    if data is None:
        faults.attempt(_open_file, file_id, param, SCORING_PURPOSES, lookup)
    elif not faults.attempt(_add_split, data, lookup, name, file_id, param, selection):
        data.missing.append(name)


def _main_split_first(structure: Structure) -> list[str]:
    """`train`, or the split of most classes where there is none: it has all that are scored."""
    if _TRAIN in structure.splits:
        return list(structure.splits)  # which begins with it
    return sorted(structure.splits, key=lambda name: -len(structure.splits[name]))


def _require_two_classes(classes: list[str]) -> None:
    if len(classes) < 2:
        raise InvalidDataset(
            f"There is only one class, {shown(classes[0])}. At least two are needed to tell apart.",
            code="one_class",
        )


def _require_not_train(name: str, param: str) -> None:
    if name == _TRAIN:
        raise InvalidSpec(
            f"{param} is 'train', which is what training_file holds; give the split another name.",
            code="reserved_split",
            param=param,
        )


def _add_split(
    data: _Data, lookup: Lookup, name: str, file_id: str, param: str, selection: bool
) -> bool:
    """True: it is there."""
    structure, dataset = _open_file(file_id, param, SCORING_PURPOSES, lookup)
    with _blaming(param):
        archive_split = single_split(structure)
        require_scorable(structure, archive_split, data.classes)
    data.datasets[dataset.version] = dataset
    data.splits.append(
        SplitReference(
            name=name, version=dataset.version, archive_split=archive_split, selection=selection
        )
    )
    return True


def _open_file(
    file_id: str, param: str, purposes: tuple[str, ...], lookup: Lookup
) -> tuple[Structure, DatasetReference]:
    row = lookup.file(file_id)
    if row is None:
        raise InvalidSpec(
            f"{param} is {shown(file_id)}, and there is no such file; upload one with "
            "POST /v1/files, or list yours with GET /v1/files.",
            code="unknown_file",
            param=param,
        )
    if row.purpose not in purposes or row.structure is None or row.dataset_version is None:
        raise InvalidSpec(
            f"{param} is {file_id}, a file with purpose {row.purpose!r}; it must be an archive "
            f"of images uploaded with purpose {' or '.join(map(repr, purposes))}.",
            code="wrong_purpose",
            param=param,
        )
    dataset = lookup.dataset(row.dataset_version)
    if row.status != "processed" or dataset is None:
        raise InvalidSpec(
            f"{param} is {file_id}, which is not processed (its status is {row.status!r}); "
            "upload it again.",
            code="file_not_processed",
            param=param,
        )
    return Structure.model_validate(row.structure), DatasetReference(
        version=dataset.id,
        archive_key=dataset.archive_key,
        archive_size=dataset.archive_size,
        index_key=dataset.index_key,
    )


def _check_split_names(splits: list[SplitReference]) -> None:
    repeated = [name for name, count in Counter(s.name for s in splits).items() if count > 1]
    if not repeated:
        return
    name = repeated[0]
    raise InvalidSpec(
        f"The split {name!r} is given twice: by the training file, validation_file or "
        f"evaluation.splits (all splits: {', '.join(split.name for split in splits)}). Leave "
        "one out, or give it another name.",
        code="duplicate_split",
        param="validation_file" if name == _VAL else "evaluation.splits",
    )


def _model_id(request: JobRequest, theta0: Model, job_id: str) -> str:
    """The finished model's id; those of its seeds and checkpoints must fit as well."""
    base_name = theta0.id.split(":")[1]
    model_id = fine_tuned_model_id(base_name, request.suffix, job_id)
    longest = checkpoint_model_id(f"{model_id}:seed-{LARGEST_SEED}", _LARGEST_STEP)
    if not MODEL_ID.fullmatch(longest):
        room = len(request.suffix or "") - (len(longest) - 96)
        raise InvalidSpec(
            f"suffix has {len(request.suffix or '')} characters; with the base {base_name} it "
            f"may have {max(0, room)}, because model ids have at most 96.",
            param="suffix",
        )
    return model_id


@contextmanager
def _blaming(param: str) -> Iterator[None]:
    """Faults of an archive name the field that named the archive."""
    try:
        yield
    except InvalidDataset as error:
        error.param = error.param or param
        raise
