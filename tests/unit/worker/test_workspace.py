"""Where a trainer's inputs come from."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


def unpacked(directory: Path) -> Path:
    """The images of a small archive."""
    shutil.unpack_archive(colour_archive(directory / "a.zip", per_class=3), directory / "images")
    return directory / "images"


def gzipped_tar(directory: Path) -> Path:
    target = directory / "a.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        archive.add(unpacked(directory), arcname=".")
    return target


def zstandard_tar(directory: Path) -> Path:
    plain = gzip.decompress(gzipped_tar(directory).read_bytes())
    target = directory / "a.tar.zst"
    target.write_bytes(pa.Codec("zstd").compress(plain, asbytes=True))
    return target


def parquet(directory: Path) -> Path:
    images = sorted(unpacked(directory).rglob("train/*/*.png"))
    table = {
        "image": [{"bytes": path.read_bytes(), "path": path.name} for path in images],
        "label": [path.parent.name for path in images],
    }
    pq.write_table(pa.table(table), directory / "a.parquet", row_group_size=4)
    return directory / "a.parquet"


@pytest.mark.parametrize(
    ("make", "kept_as", "count"),
    [(gzipped_tar, "tar", 14), (zstandard_tar, "tar", 14), (parquet, "zip", 9)],
)
def test_an_archive_that_is_a_stream_is_kept_plain_and_reads_the_same(
    workspace: Workspace,
    tmp_path: Path,
    make: Callable[[Path], Path],
    kept_as: str,
    count: int,
) -> None:
    source = make(tmp_path)
    kept = workspace.archive(store_archive(workspace, source))
    with (
        open_archive(kept, workspace.limits) as plain,
        open_archive(source, workspace.limits) as stream,
    ):
        assert plain.format == kept_as
        names = [entry.name for entry in stream.entries]
        assert len(names) == count
        for name in names:
            assert plain.read(name) == stream.read(name)
    assert list(workspace.directory.iterdir()) == []


def test_a_damaged_one_leaves_nothing_in_the_cache(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "cut.tar.gz"
    source.write_bytes(gzip.compress(b"x" * 100_000)[:-20])
    with pytest.raises(InvalidDataset):
        workspace.archive(store_archive(workspace, source))
    assert not (workspace.settings.cache_directory / "archives").exists()
