"""The `lipsum` command: one file here per group of commands, each imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from core.errors import ServiceError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Robust fine-tuning of CLIP-like models, as a service.",
)
bases = typer.Typer(no_args_is_help=True, help="Base models that jobs may name (operator).")
keys = typer.Typer(no_args_is_help=True, help="API keys (operator).")
projects = typer.Typer(no_args_is_help=True, help="Who owns things (operator).")
app.add_typer(bases, name="base")
app.add_typer(keys, name="keys")
app.add_typer(projects, name="projects")

KeyArgument = Annotated[str, typer.Argument(help="Id that `lipsum keys list` shows.")]
ProjectOption = Annotated[str | None, typer.Option(help="Name or id. Default: the first one.")]


@app.command()
def up() -> None:
    """Run the whole service on this machine: API, inference and one worker."""
    from cli.up import run

    raise typer.Exit(run(_settings()))


@app.command()
def api() -> None:
    """Run the HTTP API alone."""
    from cli.servers import run_api

    run_api(_settings())


@app.command("serve-models")
def serve_models() -> None:
    """Run the inference process alone."""
    from cli.servers import run_serving

    run_serving(_settings())


@app.command()
def worker() -> None:
    """Run one worker alone."""
    from worker.supervisor import main as run_worker

    raise typer.Exit(run_worker(_settings()))


@app.command()
def prepare() -> None:
    """Bring the database up to date; on a first start make a key and register the demo base."""
    from cli.prepare import prepare as run_prepare

    done = run_prepare(_settings())
    typer.echo(f"ready; the API key is in {done.api_key_path}")


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Runs of each method.")] = 1,
    record: Annotated[
        Path | None, typer.Option(help="Where the results go as JSON. Default: the data directory.")
    ] = None,
) -> None:
    """Run the main job against a service started for it, and check everything it gives back."""
    from cli.demo.run import run_demo

    raise typer.Exit(run_demo(_settings(), n_seeds=seeds, record=record))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE.npz")],
) -> None:
    """Replay recorded steps of the official Lipsum-FT code through our trainer."""
    from cli.verify import run_verify

    raise typer.Exit(run_verify(path))


@app.command()
def methods(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """List every method with its one-line description and citation."""
    from cli.methods import show_methods

    show_methods(as_json=as_json)


@app.command("recipes")
def recipes_(
    name: Annotated[str | None, typer.Argument(help="Show this one whole.")] = None,
) -> None:
    """List named settings with their sources, or show one."""
    from cli.recipes import show_recipe, show_recipes

    if name is None:
        show_recipes()
    else:
        show_recipe(name)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Unpacked data.")],
    layout: Annotated[str, typer.Option(help="imagenet, domainnet, ...; a wrong name lists all.")],
    to: Annotated[Path, typer.Option("--to", help="The ZIP to write.", metavar="FILE.zip")],
    limit_per_class: Annotated[
        int | None, typer.Option(min=1, help="Images of each class of each split.")
    ] = None,
) -> None:
    """Make an archive of a well-known data set as it lies on a disk."""
    from cli.layouts import convert as run_convert

    run_convert(source, layout, to, limit_per_class=limit_per_class)


@app.command()
def push(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder of images or an archive.")],
    direct: Annotated[
        bool, typer.Option("--direct", help="Into the service's S3 store, past the service.")
    ] = False,
) -> None:
    """Upload a folder of labelled images, or an archive; prints the file's id.

    Interrupted, the same command goes on where it was.
    """
    from cli.push import push as run_push

    typer.echo(run_push(path, direct=direct))


@app.command()
def train(
    training_file: Annotated[str, typer.Argument(help="Id that `lipsum push` printed.")],
    model: Annotated[str, typer.Option(help="Base or fine-tuned model.")] = "base:demo",
    method: Annotated[
        str | None, typer.Option(help="See `lipsum methods`. Default: the recipe's, or lipsum_ft.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="See `lipsum recipes`.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Job or model to combine or score, repeatable."),
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(help="base: keep to the base that --model was made from, not to --model."),
    ] = None,
    continue_from: Annotated[
        str | None,
        typer.Option(
            "--continue",
            help="Finished job, or a model of one, to go on from with a new schedule. Its method "
            "and settings, unless others are given.",
        ),
    ] = None,
    hyperparameters: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, repeatable.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE_ID of a shifted split, repeatable.")
    ] = None,
    corruption: Annotated[
        list[str] | None,
        typer.Option(help="Built-in shift, repeatable: corruption.all.3, corruption.noise.5, ..."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="FILE_ID of images that choose the checkpoint.")
    ] = None,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Accept trained images that are scored.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of every draw.")] = None,
    n_seeds: Annotated[
        int | None, typer.Option(min=1, max=10, help="Runs: seed, seed + 1, ... Default: 1.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="Part of the model's id.")] = None,
    priority: Annotated[int, typer.Option(help="The highest of your jobs goes first.")] = 0,
    requires: Annotated[
        list[str] | None,
        typer.Option(help="What its worker must have, repeatable: 'gpu-mem>=40g', region=eu."),
    ] = None,
) -> None:
    """Submit a job: training, or a combination of finished models; prints its id."""
    from cli.jobs import train as run_train

    job = run_train(
        training_file=training_file,
        model=model,
        method=method,
        recipe=recipe,
        inputs=inputs or [],
        anchor=anchor,
        continue_from=continue_from,
        hyperparameters=_pairs(hyperparameters, "--set"),
        splits=_pairs(split, "--split"),
        validation_file=validation,
        corruptions=corruption or [],
        allow_duplicates=allow_duplicates,
        seed=seed,
        n_seeds=n_seeds,
        suffix=suffix,
        priority=priority,
        requires=requires or [],
    )
    typer.echo(job)


@app.command()
def compare(
    target: Annotated[
        str, typer.Argument(help="FILE_ID, or a drawn world: demo, places, signs, plankton")
    ],
    methods: Annotated[
        str, typer.Option(help="METHOD, COMBINATION or METHOD+COMBINATION, by commas; or all.")
    ] = "ft,wise_ft,lipsum_ft,lipsum_ft+wise_ft",
    model: Annotated[str, typer.Option(help="Base that a FILE_ID is compared on.")] = "base:demo",
    hyperparameters: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for all that train, repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="First seed of each method.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Runs of each method.")] = 1,
    budget: Annotated[
        float | None, typer.Option(help="Seconds of running time after which no job begins.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the report's folder goes. Default: here.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Also write the report's document here, as JSON.")
    ] = None,
) -> None:
    """Compare methods on one data set and report which to take."""
    from cli.compare.run import compare as run_compare
    from cli.jobs import value

    raise typer.Exit(
        run_compare(
            _settings(),
            target,
            methods=methods.split(","),
            model=model,
            hyperparameters={
                name: value(text) for name, text in _pairs(hyperparameters, "--set").items()
            },
            seed=seed,
            n_seeds=seeds,
            budget=budget,
            out=out,
            record=record,
        )
    )


@app.command()
def watch(job: Annotated[str, typer.Argument(help="Id that `lipsum train` printed.")]) -> None:
    """Follow a job to its end and print its table; exit status 1 unless it succeeded."""
    from cli.jobs import watch as run_watch

    raise typer.Exit(run_watch(job))


@app.command()
def logs(
    job: Annotated[str, typer.Argument(help="Id that `lipsum train` printed.")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the job has ended.")
    ] = False,
) -> None:
    """Print what a job's trainers printed."""
    from cli.logs import logs as run_logs

    run_logs(job, follow=follow)


@bases.command("add")
def base_add(
    name: Annotated[str, typer.Argument(help="The base becomes base:NAME.")],
    source: Annotated[
        str, typer.Argument(help="ARCHITECTURE/TAG, hf-hub:ORG/NAME, or a model directory.")
    ],
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept weights that are not safetensors.")
    ] = False,
) -> None:
    """Fetch a model and register it."""
    from cli.bases import add

    typer.echo(add(_settings(), name, source, allow_pickle=allow_pickle))


@bases.command("list")
def base_list() -> None:
    """List registered bases."""
    from cli.bases import show

    show(_settings())


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    project: ProjectOption = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do, repeatable; a wrong one lists all. Default: a user's."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Until it expires.")] = None,
) -> None:
    """Make a key; it is shown this once."""
    from cli.keys import create

    typer.echo(create(_settings(), name, project, scope or [], days))


@keys.command("list")
def keys_list(project: ProjectOption = None) -> None:
    """List a project's keys without their secrets."""
    from cli.keys import show

    show(_settings(), project)


@keys.command("rotate")
def keys_rotate(
    key: KeyArgument,
    overlap: Annotated[
        float, typer.Option(min=0, help="Seconds for which the present secret stays valid.")
    ] = 86400,
) -> None:
    """Give a key a new secret; it is shown this once."""
    from cli.keys import rotate

    typer.echo(rotate(_settings(), key, overlap))


@keys.command("revoke")
def keys_revoke(key: KeyArgument) -> None:
    """Make a key open nothing any more."""
    from cli.keys import revoke

    revoke(_settings(), key)


@projects.command("create")
def projects_create(
    name: Annotated[str, typer.Argument(help="Whose files, jobs and models it is for.")],
) -> None:
    """Make a project; prints its id."""
    from cli.keys import create_project

    typer.echo(create_project(_settings(), name))


@projects.command("list")
def projects_list() -> None:
    """List projects and what they are limited to."""
    from cli.keys import show_projects

    show_projects(_settings())


@projects.command("delete")
def projects_delete(
    project: Annotated[str, typer.Argument(help="Its name or id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a project and all it has: files, models, results, keys. There is no way back."""
    from cli.housekeeping import delete_project

    if not yes:
        typer.confirm(f"Remove {project} and every byte of it?", abort=True)
    typer.echo(delete_project(_settings(), project))


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete objects that nothing names and that are older than a day."""
    from cli.housekeeping import collect

    raise typer.Exit(collect(_settings(), dry_run=dry_run))


@app.command()
def backup(to: Annotated[Path, typer.Argument(help="A directory, new or of a backup.")]) -> None:
    """Write or renew a backup of the database and all objects, while the service runs."""
    from cli.housekeeping import back_up

    raise typer.Exit(back_up(_settings(), to))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A backup.")],
) -> None:
    """Fill an empty database and object store from a backup, before the service is started."""
    from cli.housekeeping import restore as run_restore

    raise typer.Exit(run_restore(_settings(), source))


@app.command("limit")
def limit(
    owner: Annotated[str, typer.Argument(help="Id of a key, or name or id of a project.")],
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    concurrent_jobs: Annotated[int | None, typer.Option(min=0, help="Not ended.")] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0, help="Files and models.")] = None,
    device_seconds_per_month: Annotated[
        int | None, typer.Option(min=0, help="In which jobs run.")
    ] = None,
    running_jobs: Annotated[
        int | None, typer.Option(min=0, help="Of a project: held by workers at once.")
    ] = None,
) -> None:
    """Limit a key, or all keys of a project together; what is left out is not limited."""
    from cli.keys import limit as run_limit
    from core.access.limits import ProjectLimits

    wanted = ProjectLimits(
        requests_per_minute=requests_per_minute,
        concurrent_jobs=concurrent_jobs,
        stored_bytes=stored_bytes,
        device_seconds_per_month=device_seconds_per_month,
        running_jobs=running_jobs,
    )
    typer.echo(run_limit(_settings(), owner, wanted))


def main() -> None:
    """The console script: a fault the user can act on is one sentence, not a traceback."""
    try:
        app()
    except ServiceError as fault:
        Console(stderr=True).print(f"[red]{fault.code}[/red]: {fault.message}", highlight=False)
        sys.exit(1)


def _settings() -> Any:
    from core.settings import load_settings

    return load_settings()


def _pairs(items: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{item!r} is not NAME=VALUE", param_hint=option)
        pairs[name] = value
    return pairs


if __name__ == "__main__":
    main()
