"""Labels that files say: WebDataset shards, `metadata.csv`, Parquet; and Zstandard."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.datasets.archive import open_archive
from core.datasets.check import check
from core.datasets.limits import Limits
from core.datasets.plain import is_plain, write_plain
from core.datasets.structure import Structure, inspect
from core.errors import InvalidDataset, ServiceError

from .conftest import Refused, Saver
from .crafted import tar_bytes, tar_member
from .test_check import ignore
from .trees import as_tar, as_zip, picture

Files = dict[str, bytes]
SHARD: Files = {
    **{f"00{n}.png": picture(n) for n in range(4)},
    **{f"00{n}.cls": str(n % 2).encode() for n in range(4)},
}
TABLE: Files = {
    **{f"{n}.png": picture(n) for n in range(4)},
    "metadata.csv": b"file_name,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,dog\n",
}


def zstandard(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def as_tar_zst(files: Files) -> bytes:
    return zstandard(as_tar(files))


def as_tar_gz(files: Files) -> bytes:
    return as_tar(files, gzipped=True)


@pytest.fixture
def structure(save: Saver, limits: Limits) -> Callable[[bytes], Structure]:
    """Of an archive that must be accepted and read to the last image, plain copy and all."""

    def read(data: bytes) -> Structure:
        path = save(data)
        found = inspect(path, limits)
        index = check(path, found, limits, max_unreadable_fraction=0.0, progress=ignore)
        plain = path
        if not is_plain(path):
            plain = path.with_name("plain")
            write_plain(path, plain, limits)
        with open_archive(path, limits) as archive, open_archive(plain, limits) as copy:
            for entry in index.entries:
                assert copy.read(entry.key) == archive.read(entry.key)
        again = inspect(plain, limits)
        assert again.splits == found.splits
        return found

    return read


class TestWebDataset:
    @pytest.mark.parametrize("pack", [as_tar, as_tar_gz, as_tar_zst])
    def test_classes_by_number(
        self, structure: Callable[[bytes], Structure], pack: Callable[[Files], bytes]
    ) -> None:
        found = structure(pack(SHARD))
        assert found.format == "webdataset"
        assert found.splits == {"train": {"0": 2, "1": 2}}
        assert (found.ignored_count, found.total_images) == (0, 4)

    def test_classes_by_name_and_readable_names(
        self, structure: Callable[[bytes], Structure]
    ) -> None:
        files = {
            "a.jpg": picture(1, "JPEG"),
            "a.txt": b"tabby cat\n",
            "b.png": picture(2),
            "b.txt": b"dog",
            "classes.json": b'{"names": {"tabby cat": "cat", "dog": "hound"}}',
        }
        found = structure(as_tar(files))
        assert found.splits == {"train": {"dog": 1, "tabby cat": 1}}
        assert found.readable_names == {"dog": "hound", "tabby cat": "cat"}
        assert found.ignored_count == 0

    def test_classes_in_json(self, structure: Callable[[bytes], Structure]) -> None:
        files = {f"{n}.png": picture(n) for n in range(4)}
        says = [{"label": "cat", "caption": "x"}, {"cls": 3}, {"class_name": "dog"}, "owl"]
        for number, content in enumerate(says):
            files[f"{number}.json"] = json.dumps(content).encode()
            files[f"{number}.txt"] = b"a caption that is not the class"
        assert structure(as_tar(files)).splits == {"train": {"3": 1, "cat": 1, "dog": 1, "owl": 1}}

    def test_splits_are_folders(self, structure: Callable[[bytes], Structure]) -> None:
        files = {
            f"shard/{split}/{part}/{name}": data
            for split in ("train", "test", "sketch")
            for part in "xy"
            for name, data in {"1.png": picture(ord(part) + len(split)), "1.cls": b"7"}.items()
        }
        found = structure(as_tar(files))
        assert found.splits == {split: {"7": 2} for split in ("train", "test", "sketch")}

    def test_keys_end_at_the_first_dot(self, structure: Callable[[bytes], Structure]) -> None:
        files = {"a.b/1.png": picture(1), "a.b/1.cls": b"0", "a.b/2.x.png": picture(2)}
        with pytest.raises(InvalidDataset, match=r"'a\.b/2\.x\.png' has no label"):
            structure(as_tar(files))

    def test_a_class_may_be_called_as_a_split(
        self, structure: Callable[[bytes], Structure]
    ) -> None:
        files = {"1.png": picture(1), "1.cls": b"train", "2.png": picture(2), "2.cls": b"test"}
        assert structure(as_tar(files)).splits == {"train": {"test": 1, "train": 1}}

    def test_groups_go_by_the_shards_own_names(self, save: Saver, limits: Limits) -> None:
        wrapped = {f"birds/{name}": data for name, data in SHARD.items()}
        for groups in (b"file,group\n000.png,land\n", b"file,group\nbirds/000.png,land\n"):
            path = save(as_tar({**wrapped, "birds/groups.csv": groups}))
            found = inspect(path, limits)
            assert found.groups == ["land"]
            index = check(path, found, limits, max_unreadable_fraction=0.0, progress=ignore)
            assert [e.key for e in index.entries if e.group] == ["train/0/000.png"]

    def test_captions_beside_class_folders_are_no_labels(
        self, structure: Callable[[bytes], Structure]
    ) -> None:
        files = {
            f"{name}/{n}.{kind}": data
            for name in ("cat", "dog")
            for n in range(3)
            for kind, data in (("png", picture(n + len(name) * ord(name[0]))), ("txt", b"furry"))
        }
        found = structure(as_tar(files))
        assert found.format == "tar"
        assert found.splits == {"train": {"cat": 3, "dog": 3}}
        assert found.ignored_count == 6

    @pytest.mark.parametrize(
        ("changes", "code", "words"),
        [
            ({"003.cls": None}, "missing_label", "'003.png'"),
            ({"003.jpg": picture(9, "JPEG")}, "ambiguous_sample", "'003.jpg'"),
            ({"003.cls": b""}, "invalid_label", "'003.cls'"),
            ({"003.cls": b"a/b"}, "invalid_label", "a/b"),
            ({"003.cls": b"two\nlines"}, "invalid_label", "003.cls"),
            ({"003.cls": b"\xff\xfe"}, "invalid_label", "003.cls"),
            ({"003.cls": b".."}, "path_traversal", ".."),
            ({"003.cls": b"x" * 201}, "invalid_label", "200"),
            ({"003.cls": b"0" * 2_000_000}, "label_file_too_large", "2000000"),
            ({"003.cls": b" 1"}, "class_name", "' 1'"),
            ({"003.cls": b"1\xe2\x80\xae"}, "invalid_label", "\\u202e"),
            ({"a/003.cls": b"0", "a_003.cls": b"0", "a/003.png": b"x", "a_003.png": b"y"},
             "duplicate_name", "a_003"),
        ],
    )  # fmt: skip
    def test_labels_that_cannot_be_used(
        self,
        save: Saver,
        limits: Limits,
        changes: dict[str, bytes | None],
        code: str,
        words: str,
    ) -> None:
        merged = {**SHARD, **changes}
        data = as_tar({name: data for name, data in merged.items() if data is not None})
        with pytest.raises(ServiceError) as caught:
            inspect(save(data), limits)
        assert caught.value.code == code, caught.value.message
        assert words in caught.value.message

    def test_json_that_says_no_class(self, save: Saver, limits: Limits) -> None:
        for content in (b"{}", b'{"label": null}', b'{"label": true}', b"[1]", b"{", b"1.5"):
            data = as_tar({"1.png": picture(1), "1.json": content})
            with pytest.raises(InvalidDataset) as caught:
                inspect(save(data), limits)
            assert caught.value.code == "invalid_label"


class TestMetadataCsv:
    @pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz, as_tar_zst])
    def test_labels_of_a_folder(
        self, structure: Callable[[bytes], Structure], pack: Callable[[Files], bytes]
    ) -> None:
        found = structure(pack(TABLE))
        assert found.format == "csv"
        assert found.splits == {"train": {"cat": 2, "dog": 2}}
        assert found.ignored_count == 0

    def test_columns_in_any_order_and_others_passed_over(
        self, structure: Callable[[bytes], Structure]
    ) -> None:
        files = {
            "data/images/1.png": picture(1),
            "data/images/deep/2.png": picture(2),
            "data/metadata.csv": (
                '\ufefflabel,text,file_name\r\n"cat, tabby","a ""quoted"" text",images/1.png\r\n'
                "dog,,images/deep/2.png\r\n"
            ).encode(),
        }
        assert structure(as_zip(files)).splits == {"train": {"cat, tabby": 1, "dog": 1}}

    def test_a_table_for_each_split(self, structure: Callable[[bytes], Structure]) -> None:
        files: Files = {}
        for number, split in enumerate(("train", "test")):
            files[f"{split}/1.png"] = picture(number)
            files[f"{split}/metadata.csv"] = b"file_name,label\n1.png,cat\n"
        assert structure(as_zip(files)).splits == {"train": {"cat": 1}, "test": {"cat": 1}}

    def test_a_column_for_the_split(self, structure: Callable[[bytes], Structure]) -> None:
        table = (
            b"file_name,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,night\n3.png,b,night\n"
        )
        found = structure(as_zip({**TABLE, "metadata.csv": table}))
        assert found.splits == {"train": {"a": 1, "b": 1}, "night": {"a": 1, "b": 1}}

    def test_a_table_of_something_else_beside_class_folders(
        self, structure: Callable[[bytes], Structure]
    ) -> None:
        files = {
            "cat/1.png": picture(1),
            "dog/1.png": picture(2),
            "metadata.csv": b"file_name,text\ncat/1.png,furry\n",
        }
        found = structure(as_zip(files))
        assert (found.format, found.ignored) == ("zip", ["metadata.csv"])

    @pytest.mark.parametrize(
        ("table", "code", "words"),
        [
            (b"file_name,label\n0.png,a\n", "missing_label", "'1.png'"),
            (b"file_name,label\n0.png,a\n0.png,a\n", "invalid_metadata_csv", "second time"),
            (b"file_name,label\n9.png,a\n", "invalid_metadata_csv", "'9.png'"),
            (b"file_name,label\n../0.png,a\n", "invalid_metadata_csv", "no image"),
            (b"name,label\n0.png,a\n", "invalid_metadata_csv", "file_name"),
            (b"file_name,label,label\n", "invalid_metadata_csv", "each once"),
            (b"file_name,label\n0.png\n", "invalid_metadata_csv", "1 fields"),
            (b"file_name,label\n0.png,\n", "invalid_label", "Line 2"),
            (b"file_name,label\n0.png,a/b\n", "invalid_label", "a/b"),
            (b"file_name,label,split\n0.png,a,../x\n", "invalid_metadata_csv", "split"),
            (b'file_name,label\n"0.png,a\n', "invalid_metadata_csv", "not CSV"),
            (b"\xff\xfe", "invalid_metadata_csv", "UTF-8"),
            (b"", "invalid_metadata_csv", "first line"),
        ],
    )
    def test_tables_that_cannot_be_used(
        self, save: Saver, limits: Limits, table: bytes, code: str, words: str
    ) -> None:
        with pytest.raises(InvalidDataset) as caught:
            inspect(save(as_zip({**TABLE, "metadata.csv": table})), limits)
        assert caught.value.code == code, caught.value.message
        assert words in caught.value.message


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def parquet(
    images: list[Any],
    labels: Any,
    *,
    names: list[str] | None = None,
    columns: tuple[str, str] = ("image", "label"),
    image_type: Any = IMAGE,
    **options: Any,
) -> bytes:
    """A file as `datasets` writes it."""
    table = pa.table({columns[0]: pa.array(images, image_type), columns[1]: labels})
    if names is not None:
        features = {columns[1]: {"names": names, "_type": "ClassLabel"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def rows(count: int) -> list[dict[str, Any]]:
    kinds = ("PNG", "JPEG", "WEBP")
    return [{"bytes": picture(n * 9999, kinds[n % 3]), "path": f"{n}.jpg"} for n in range(count)]


class TestParquet:
    def test_classes_of_the_feature(self, structure: Callable[[bytes], Structure]) -> None:
        data = parquet(
            rows(50), pa.array([n % 3 for n in range(50)]), names=["cat", "dog", "train"],
            row_group_size=7,
        )  # fmt: skip
        found = structure(data)
        assert found.format == "parquet"
        assert found.splits == {"train": {"cat": 17, "dog": 17, "train": 16}}

    def test_labels_without_a_feature(self, structure: Callable[[bytes], Structure]) -> None:
        texts = pa.array(["a", "b", "a"]).dictionary_encode()
        assert structure(parquet(rows(3), texts)).splits == {"train": {"a": 2, "b": 1}}
        numbers = pa.array([5, 6, 5], pa.int32())
        assert structure(parquet(rows(3), numbers)).splits == {"train": {"5": 2, "6": 1}}

    def test_other_names_of_columns(self, structure: Callable[[bytes], Structure]) -> None:
        data = parquet(
            rows(2), pa.array([0, 1]), names=["x", "y"], columns=("img", "fine_label")
        )  # fmt: skip
        assert structure(data).splits == {"train": {"x": 1, "y": 1}}
        large = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
        data = parquet(rows(2), pa.array(["x", "y"]), image_type=large, compression="zstd")
        assert structure(data).splits == {"train": {"x": 1, "y": 1}}

    def test_images_in_the_order_of_rows(self, save: Saver, limits: Limits) -> None:
        data = parquet(rows(30), pa.array(["a"] * 30), row_group_size=4)
        with open_archive(save(data), limits) as archive:
            names = [entry.name for entry in archive.entries]
            some = names[5:25:6]
            expected = [rows(30)[number]["bytes"] for number in range(5, 25, 6)]
            assert [data for _, data in archive.iterate(some[::-1])] == expected
            assert archive.read(names[29]) == rows(30)[29]["bytes"]

    @pytest.mark.parametrize(
        ("labels", "names", "code"),
        [
            (pa.array([0, -1]), ["a", "b"], "invalid_label"),
            (pa.array([0, 2]), ["a", "b"], "invalid_label"),
            (pa.array([0, None]), ["a", "b"], "invalid_label"),
            (pa.array(["a", "b/c"]), None, "invalid_label"),
            (pa.array(["a", ".."]), None, "path_traversal"),
            (pa.array([0.5, 1.5]), None, "invalid_label"),
            (pa.array([True, False]), None, "invalid_label"),
            (pa.array([0, 1]), ["a", 7], "class_name_ok"),
        ],
    )
    def test_labels_that_cannot_be_used(
        self, save: Saver, limits: Limits, labels: Any, names: Any, code: str
    ) -> None:
        path = save(parquet(rows(2), labels, names=names))
        if code == "class_name_ok":
            assert inspect(path, limits).splits == {"train": {"7": 1, "a": 1}}
            return
        with pytest.raises(InvalidDataset) as caught:
            inspect(path, limits)
        assert caught.value.code == code, caught.value.message

    @pytest.mark.parametrize(
        ("images", "code"),
        [
            ([{"bytes": None, "path": "/etc/passwd"}], "missing_image"),
            ([None], "missing_image"),
            ([{"bytes": as_zip({"a": b"a"}), "path": None}], "nested_archive"),
        ],
    )
    def test_images_that_are_none(
        self, save: Saver, limits: Limits, images: list[Any], code: str
    ) -> None:
        with pytest.raises(InvalidDataset) as caught:
            inspect(save(parquet(images, pa.array(["a"]))), limits)
        assert caught.value.code == code

    @pytest.mark.parametrize("columns", [("picture", "caption"), ("image", "caption")])
    def test_columns_that_are_not_there(
        self, save: Saver, limits: Limits, columns: tuple[str, str]
    ) -> None:
        with pytest.raises(InvalidDataset, match="caption") as caught:
            inspect(save(parquet(rows(2), pa.array(["x", "y"]), columns=columns)), limits)
        assert caught.value.code == "unknown_columns"

    def test_one_large_value_said_a_million_times(self, refused: Refused) -> None:
        """A dictionary of one image: five kilobytes of rows that are a gigabyte of images."""
        row = {"bytes": b"\x89PNG\r\n\x1a\n" + bytes(1 << 19), "path": None}
        table = pa.table({"image": pa.array([row], IMAGE), "label": pa.array(["a"])})
        out = io.BytesIO()
        many = pa.concat_tables([table] * 2000)
        pq.write_table(many, out)
        assert len(out.getvalue()) < 1 << 20
        refused(out.getvalue(), "compression_ratio", "200")

    def test_limits_hold(self, refused: Refused) -> None:
        data = parquet(rows(5), pa.array(["a"] * 5))
        refused(data, "too_many_entries", "5", "4", max_archive_entries=4)
        refused(data, "entry_too_large", max_image_bytes=20)
        refused(data, "archive_too_large", max_archive_bytes=200)

    def test_damage(self, refused: Refused) -> None:
        data = parquet(rows(5), pa.array(["a"] * 5))
        refused(data[:-1], "archive_corrupt", "Parquet")
        refused(b"PAR1" + bytes(100), "archive_corrupt")
        refused(b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\x7fPAR1", "archive_corrupt")


class TestZstandard:
    def test_a_tar(self, structure: Callable[[bytes], Structure]) -> None:
        files = {f"{name}/{n}.png": picture(n + ord(name)) for name in "ab" for n in range(3)}
        assert structure(as_tar_zst(files)).format == "tar.zst"

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
    def test_as_the_command_makes_it(
        self, structure: Callable[[bytes], Structure], tmp_path: Path
    ) -> None:
        files = {f"{name}/{n}.png": picture(n + ord(name)) for name in "ab" for n in range(3)}
        for options in (["-1"], ["-19", "--long=27"]):
            done = subprocess.run(
                ["zstd", *options, "-c"], input=as_tar(files), capture_output=True, check=True
            )
            assert structure(done.stdout).format == "tar.zst"

    def test_several_frames_are_one_stream(self, structure: Callable[[bytes], Structure]) -> None:
        data = as_tar({"a/1.png": picture(1), "b/1.png": picture(2)})
        frames = b"".join(
            zstandard(data[start : start + 700]) for start in range(0, len(data), 700)
        )
        assert structure(frames).total_images == 2

    def test_cut_off(self, refused: Refused) -> None:
        data = as_tar_zst({"a/1.png": bytes(range(256)) * 900})
        for kept in (5, len(data) // 2, len(data) - 1):
            refused(data[:kept], "archive_truncated", str(kept))

    def test_damaged(self, refused: Refused) -> None:
        data = as_tar_zst({"a/1.png": b"x"})
        refused(data + b"and more", "archive_corrupt", "byte")
        refused(b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "archive_corrupt")

    def test_of_something_else(self, refused: Refused) -> None:
        refused(zstandard(b"some text"), "not_an_archive", "some text")
        refused(zstandard(bytes(10240)), "archive_empty")

    def test_a_bomb(self, refused: Refused) -> None:
        tar = tar_bytes(tar_member("a/1.jpg"), end=bytes(80 << 20))
        refused(zstandard(tar), "compression_ratio", "200")
        refused(zstandard(tar), "archive_too_large", max_archive_bytes=1 << 20)

    def test_nested(self, refused: Refused) -> None:
        refused(as_tar_zst({"a/1.jpg": zstandard(b"x")}), "nested_archive")
