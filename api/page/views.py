"""Which pages there are. Add one here, a module of its name in static/js/pages, and its lines in
tests/unit/api/route_matrix.txt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A page: where it is, the module that fills it, and its place in the navigation."""

    path: str
    module: str
    title: str
    section: str | None = None  # of the navigation, marked as current


VIEWS = (
    View("/", "jobs", "Jobs", "Jobs"),
    View("/sign-in", "sign_in", "Sign in"),
    View("/datasets", "datasets", "Datasets", "Datasets"),
    View("/datasets/{dataset_id}", "dataset", "Dataset", "Datasets"),
    View("/jobs/new", "new_job", "New job", "Jobs"),
    View("/jobs/{job_id}", "job", "Job", "Jobs"),
    View("/jobs/{job_id}/result", "result", "Result", "Jobs"),
    View("/compare", "compare", "Compare", "Compare"),
    View("/playground", "playground", "Playground", "Playground"),
    View("/models", "models", "Models", "Models"),
    View("/operate", "operate", "Operate", "Operate"),
)

SECTIONS = (
    ("Jobs", "/"),
    ("Datasets", "/datasets"),
    ("Compare", "/compare"),
    ("Playground", "/playground"),
    ("Models", "/models"),
    ("Operate", "/operate"),
)
