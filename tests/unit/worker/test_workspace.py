"""Where a trainer's inputs come from."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from core.datasets.archive import open_archive
from core.errors import InvalidDataset
from core.jobs.spec import DatasetReference
from core.objects import ObjectStore
from tests import service_builders as build
from tests.jobs import colour_archive, service_settings
from worker.pipeline.reports import Reporter
from worker.pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = service_settings(tmp_path / "data")
    work = tmp_path / "work"
    work.mkdir()
    reporter = Reporter(os.open(os.devnull, os.O_WRONLY))
    store = ObjectStore.from_settings(settings)
    return Workspace(build.specification(), 1, settings, store, reporter, work)


def store_archive(workspace: Workspace, path: Path) -> DatasetReference:
    workspace.store.put_file("files/x", path)
    return DatasetReference(
        version="v1", archive_key="files/x", archive_size=path.stat().st_size, index_key="i"
    )


def gzipped_tar(directory: Path) -> tuple[Path, list[str]]:
    """A tar.gz of the images of a small archive, and their names."""
    folder = directory / "images"
    shutil.unpack_archive(colour_archive(directory / "a.zip", per_class=3), folder)
    target = directory / "a.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname=".")
    return target, sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))


def test_a_gzipped_archive_is_kept_plain_and_reads_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    source, names = gzipped_tar(tmp_path)
    kept = workspace.archive(store_archive(workspace, source))
    assert names
    with (
        open_archive(kept, workspace.limits) as plain,
        open_archive(source, workspace.limits) as gzipped,
    ):
        assert plain.format == "tar"
        for name in names:
            assert plain.read(name) == gzipped.read(name)
    assert list(workspace.directory.iterdir()) == []


def test_a_damaged_one_leaves_nothing_in_the_cache(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "cut.tar.gz"
    source.write_bytes(gzip.compress(b"x" * 100_000)[:-20])
    with pytest.raises(InvalidDataset):
        workspace.archive(store_archive(workspace, source))
    assert not (workspace.settings.cache_directory / "archives").exists()
