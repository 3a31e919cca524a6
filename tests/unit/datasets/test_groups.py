"""`groups.csv`: where it may lie, what it may say, and that it reaches the index."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.folder_zip import FolderZip
from core.datasets.check import check
from core.datasets.groups import MAX_BYTES, MAX_GROUP_CHARACTERS, MAX_GROUPS
from core.datasets.index import DatasetIndex
from core.datasets.limits import Limits
from core.datasets.structure import Structure, inspect
from core.demo.worlds import PLACES
from core.errors import InvalidDataset, ServiceError, TooLarge

from .conftest import Saver
from .trees import as_tar, as_zip, tree

NAMES = ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "test/dog/2.png")
HEADER = b"file,group\n"
ONE = HEADER + b"test/cat/2.png,indoors\n"


@pytest.fixture
def seen(save: Saver, limits: Limits) -> Any:
    def inspect_with(content: bytes, *, at: str = "groups.csv", root: str = "") -> Structure:
        files = {root + name: b"x" for name in NAMES}
        return inspect(save(as_zip({**files, at: content})), limits)

    return inspect_with


def refusal(call: Any, *arguments: Any, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def index_of(save: Saver, limits: Limits, data: bytes) -> DatasetIndex:
    path = save(data)
    structure = inspect(path, limits)
    return check(
        path, structure, limits, max_unreadable_fraction=0.0, progress=lambda done, total: None
    )


def test_groups_are_known_from_the_upload_on(seen: Any) -> None:
    content = b'group,file\r\n\xc3\xa9t\xc3\xa9,test/cat/2.png\r\n\r\n"a, b",train/dog/1.png\r\n'
    structure = seen(b"\xef\xbb\xbf" + content)
    assert structure.groups == ["a, b", "été"]
    assert structure.ignored_count == 0
    assert seen(HEADER).groups == []


def test_an_archive_without_the_file_has_no_groups(save: Saver, limits: Limits) -> None:
    assert inspect(save(as_zip(tree(*NAMES))), limits).groups == []


def test_a_row_stored_before_groups_is_still_read(seen: Any) -> None:
    before = seen(HEADER).model_dump(exclude={"groups"})
    assert Structure.model_validate(before).groups == []


@pytest.mark.parametrize("prefix", ["", "birds/"])
def test_names_are_of_the_archive_or_below_the_wrapping(seen: Any, prefix: str) -> None:
    content = HEADER + f"{prefix}test/cat/2.png,indoors\n".encode()
    assert seen(content, at="birds/groups.csv", root="birds/").groups == ["indoors"]


def test_elsewhere_it_is_a_stray_file(seen: Any) -> None:
    structure = seen(ONE, at="train/groups.csv")
    assert (structure.groups, structure.ignored) == ([], ["train/groups.csv"])


def test_two_group_files(save: Saver, limits: Limits) -> None:
    files = {"m/cat/1.png": b"x", "m/dog/1.png": b"x", "groups.csv": HEADER, "m/groups.csv": HEADER}
    error = refusal(inspect, save(as_zip(files)), limits)
    assert error.code == "invalid_groups_csv"
    assert "'m/groups.csv'" in error.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "file and group"),
        (b"file\ntest/cat/2.png\n", "file and group"),
        (b"file,group,file\n", "each once"),
        (b"file,group,place\ntest/cat/2.png,a,b\n", "'place'"),
        (b"File,group\n", "'File'"),
        (b"file;group\ntest/cat/2.png;a\n", "'file;group'"),
        (b"test/cat/2.png,a\n", "'test/cat/2.png'"),  # no header
        (b"\xff\xfef\x00i\x00l\x00e\x00", "UTF-8"),
        (ONE + b"test/cat/2.png,indoors\n", "line 3 names 'test/cat/2.png' a second time"),
        (HEADER + b"test/cat/3.png,a\n", "line 2 names 'test/cat/3.png', which is no image"),
        (HEADER + b"../test/cat/2.png,a\n", "no image"),
        (HEADER + b"/etc/passwd,a\n", "no image"),
        (HEADER + b"groups.csv,a\n", "no image"),
        (HEADER + b"test/cat,a\n", "no image"),
        (HEADER + b"test/cat/2.png\x00,a\n", "no image"),
        (HEADER + b"test/cat/2.png\n", "line 2 has 1 fields"),
        (HEADER + b"test/cat/2.png,a,b\n", "double quotes"),
        (HEADER + b"test/cat/2.png,\n", "0 characters"),
        (HEADER + b"test/cat/2.png, a\n", "space"),
        (HEADER + b"test/cat/2.png,%s\n" % (b"a" * (MAX_GROUP_CHARACTERS + 1)), "201 characters"),
        (HEADER + b"test/cat/2.png,a\x00b\n", "U+0000"),
        (HEADER + b'test/cat/2.png,"a\nb"\n', "U+000A"),
        (HEADER + b"test/cat/2.png,a\x1b[31m\n", "U+001B"),
        (HEADER + "test/cat/2.png,a\u202eb\n".encode(), "U+202E"),
        (HEADER + b'test/cat/2.png,"a\n', "not CSV"),  # a quote that never closes
        (HEADER + b'test/cat/2.png,"a"b\n', "not CSV"),
        (HEADER + b'test/cat/2.png,"%s"\n' % (b"a" * 200_000), "not CSV"),
    ],
)
def test_groups_refused(seen: Any, content: bytes, words: str) -> None:
    error = refusal(seen, content)
    assert error.code == "invalid_groups_csv", error.message
    assert words in error.message
    assert "Correct it, or leave it out." in error.message
    assert len(error.message) < 400


def test_too_many_groups(save: Saver, limits: Limits) -> None:
    names = [f"test/cat/{number}.png" for number in range(MAX_GROUPS + 1)]
    files = dict.fromkeys(["test/dog/1.png", *names], b"x")
    rows = [f"{name},group {number}\n".encode() for number, name in enumerate(names)]
    assert len(inspect(save(as_zip({**files, "groups.csv": HEADER + b"".join(rows[:-1])})),
                       limits).groups) == MAX_GROUPS  # fmt: skip
    error = refusal(inspect, save(as_zip({**files, "groups.csv": HEADER + b"".join(rows)})), limits)
    assert (error.code, f"{MAX_GROUPS} groups" in error.message) == ("invalid_groups_csv", True)


def test_groups_too_large(save: Saver, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.max_image_bytes >= MAX_BYTES  # or a smaller limit would speak first
    monkeypatch.setattr("core.datasets.groups.MAX_BYTES", len(ONE) - 1)
    error = refusal(inspect, save(as_tar({**tree(*NAMES), "groups.csv": ONE})), limits)
    assert isinstance(error, TooLarge)
    assert error.code == "groups_csv_too_large"
    assert f"{len(ONE)} bytes" in error.message


def test_groups_reach_the_index_and_its_file(save: Saver, limits: Limits) -> None:
    files = {**tree(*NAMES), "groups.csv": ONE}
    index = index_of(save, limits, as_zip(files))
    assert {entry.key: entry.group for entry in index.entries} == {
        **dict.fromkeys(NAMES), "test/cat/2.png": "indoors"
    }  # fmt: skip
    assert index.summary()["splits"]["test"]["groups"] == {"indoors": 1}
    data = index.to_parquet_bytes()
    assert DatasetIndex.from_parquet_bytes(data) == index
    assert index_of(save, limits, as_tar(files, gzipped=True)).to_parquet_bytes() == data


def test_an_index_of_version_1_is_read_without_groups(save: Saver, limits: Limits) -> None:
    index = index_of(save, limits, as_zip(tree(*NAMES)))
    table = pq.read_table(io.BytesIO(index.to_parquet_bytes()))
    assert table.column("group").null_count == len(NAMES)
    metadata = table.schema.metadata[b"lipsum"].replace(
        b'"schema_version": 2', b'"schema_version": 1'
    )
    out = io.BytesIO()
    before = table.drop_columns("group").replace_schema_metadata({b"lipsum": metadata})
    assert pa.types.is_dictionary(before.schema.field("split").type)
    pq.write_table(before, out)
    assert DatasetIndex.from_parquet_bytes(out.getvalue()) == index


def test_a_worlds_own_groups_are_accepted(tmp_path: Path, limits: Limits) -> None:
    PLACES.write_archive(tmp_path / "places.zip", train_per_class=1, test_per_class=2)
    structure = inspect(tmp_path / "places.zip", limits)
    assert {"duck on water", "duck on land"} <= set(structure.groups)
    assert structure.ignored == []


def test_a_changed_file_is_checked_again(save: Saver, limits: Limits) -> None:
    structure = inspect(save(as_zip({**tree(*NAMES), "groups.csv": ONE})), limits)
    other = save(as_zip({**tree(*NAMES), "groups.csv": ONE + b"nothing.png,a\n"}))
    with pytest.raises(InvalidDataset, match=r"nothing\.png"):
        check(other, structure, limits, max_unreadable_fraction=0.0, progress=lambda *_: None)


def test_a_pushed_folder_keeps_its_groups(tmp_path: Path, limits: Limits) -> None:
    folder = tmp_path / "birds"
    for name, data in {**tree(*NAMES), "groups.csv": ONE, "notes.txt": b"mine"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    target = tmp_path / "birds.zip"
    target.write_bytes(b"".join(FolderZip(folder).chunks()))
    with zipfile.ZipFile(target) as archive:
        assert archive.read("groups.csv") == ONE
        assert len(archive.namelist()) == len(NAMES) + 1
    assert inspect(target, limits).groups == ["indoors"]
