"""Which folders are splits and classes, and what training and scoring ask of them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from core.datasets.layout import MAX_CLASS_CHARACTERS, SPLIT_NAME
from core.datasets.limits import Limits
from core.datasets.structure import (
    Structure,
    inspect,
    require_scorable,
    require_trainable,
    single_split,
)
from core.errors import InvalidDataset, ServiceError
from core.jobs.request import SplitName

from .conftest import Saver
from .trees import as_tar, as_zip, tree

CLASSES = ("cat/1.jpg", "cat/2.png", "dog/1.webp")
SPLITS = (
    "train/cat/1.jpg",
    "train/dog/1.jpg",
    "val/cat/2.jpg",
    "sketch/dog/3.jpg",
    "art/cat/4.jpg",
)


@pytest.fixture
def seen(save: Saver, limits: Limits) -> Any:
    def inspect_tree(
        *names: str, files: dict[str, bytes] | None = None, folders: tuple[str, ...] = ()
    ) -> Structure:
        data = as_zip({**dict.fromkeys(names, b"x"), **(files or {})}, folders)
        return inspect(save(data), limits)

    return inspect_tree


def refusal(call: Any, *arguments: Any, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def test_class_folders_are_train(seen: Any) -> None:
    structure = seen(*CLASSES)
    assert structure.splits == {"train": {"cat": 2, "dog": 1}}
    assert structure.classes == ["cat", "dog"]
    assert (structure.total_images, structure.total_bytes, structure.format) == (3, 3, "zip")
    require_trainable(structure)


def test_split_folders(seen: Any) -> None:
    structure = seen(*SPLITS)
    assert list(structure.splits) == ["train", "val", "art", "sketch"]
    assert structure.splits["sketch"] == {"dog": 1}
    require_trainable(structure)
    require_scorable(structure, "sketch", structure.classes)


def test_depth_tells_splits_without_the_three_names(seen: Any) -> None:
    structure = seen("photo/cat/1.jpg", "sketch/cat/1.jpg")
    assert list(structure.splits) == ["photo", "sketch"]
    error = refusal(require_trainable, structure)
    assert error.code == "no_train_split"
    assert "'photo'" in error.message


@pytest.mark.parametrize("root", ["mydata/", "a/b/", "my data/v1.2/"])
@pytest.mark.parametrize("names", [CLASSES, SPLITS])
def test_wrapping_folders_come_off(seen: Any, root: str, names: tuple[str, ...]) -> None:
    plain = seen(*names)
    wrapped = seen(*(root + name for name in names))
    assert wrapped.root == root
    assert wrapped.splits == plain.splits
    assert wrapped.layout.place(root + names[0]) == plain.layout.place(names[0])


def test_train_alone_is_no_wrapping(seen: Any) -> None:
    structure = seen("train/cat/1.jpg", "train/dog/1.jpg")
    assert (structure.root, structure.has_splits) == ("", True)


def test_one_split_of_any_name(seen: Any) -> None:
    for name in ("sketch", "test", "train"):
        assert single_split(seen(f"{name}/cat/1.jpg", f"{name}/dog/1.jpg")) in (name, "train")
    error = refusal(single_split, seen(*SPLITS))
    assert error.code == "ambiguous_split"
    assert "'sketch'" in error.message


def test_one_class_may_be_scored_and_not_trained(seen: Any) -> None:
    structure = seen("cat/1.jpg", "cat/2.jpg")
    assert single_split(structure) == "train"
    require_scorable(structure, "train", ["dog", "cat"])
    error = refusal(require_trainable, structure)
    assert error.code == "one_class"
    assert "'cat'" in error.message


def test_scored_classes_must_be_trained(seen: Any) -> None:
    structure = seen(*SPLITS, "sketch/fox/1.jpg", "sketch/Ant/1.jpg")
    assert structure.classes == ["cat", "dog"]  # those of train
    error = refusal(require_scorable, structure, "sketch", structure.classes)
    assert error.code == "unknown_classes"
    assert "'Ant', 'fox'" in error.message
    assert refusal(require_scorable, structure, "real", ["cat"]).code == "unknown_split"


def test_class_order(seen: Any) -> None:
    structure = seen("b/1.jpg", "A/1.jpg", "C/1.jpg", "_/1.jpg", "é/1.jpg", "10/1.jpg", "9/1.jpg")
    assert structure.classes == ["10", "9", "_", "A", "b", "C", "é"]


@pytest.mark.parametrize(
    ("names", "code", "word"),
    [
        (("cat/1.jpg", "2.jpg"), "image_outside_class", "'/'"),
        (("1.jpg", "2.jpg"), "image_outside_class", "2 images"),
        (("train/1.jpg", "train/cat/1.jpg"), "image_outside_class", "'train'"),
        (("cat/1.jpg", "dog/puppy/1.jpg"), "mixed_layout", "'dog/puppy'"),
        (("train/cat/1.jpg", "dog/1.jpg"), "mixed_layout", "'dog'"),
        (("train/cat/old/1.jpg", "train/dog/1.jpg"), "too_deep", "'train/cat/old'"),
        (("cat/a/b/1.jpg", "dog/a/b/1.jpg"), "mixed_layout", "'cat/a/b'"),
        (("x/1.jpg", "x/cat/1.jpg"), "mixed_layout", "'x'"),
        (("cat/1.jpg", ".git/1.jpg"), "hidden_folder", "'.git'"),
        (("train/cat/1.jpg", ".old/cat/1.jpg"), "hidden_folder", "'.old'"),
        (("cat/1.jpg", " /1.jpg"), "class_name", "' '"),
        (("cat/1.jpg", "dog /1.jpg"), "class_name", "'dog '"),
        (("cat/1.jpg", "d" * (MAX_CLASS_CHARACTERS + 1) + "/1.jpg"), "class_name", "201"),
        (("train/cat/1.jpg", "my sketch/cat/1.jpg"), "split_name", "'my sketch'"),
        (("train/cat/1.jpg", "s" * 65 + "/cat/1.jpg"), "split_name", "sss"),
        (("Train/cat/1.jpg", "photo/cat/1.jpg"), "split_name", "'train'"),
        (("train/cat/1.jpg", "validation/cat/1.jpg"), "split_name", "'val'"),
        (("readme.txt", "cat/1.gif"), "no_images", "'readme.txt'"),
    ],
)
def test_layout_refused(seen: Any, names: tuple[str, ...], code: str, word: str) -> None:
    error = refusal(seen, *names)
    assert error.code == code, error.message
    assert word in error.message


def test_too_many_classes(save: Saver, limits: Limits) -> None:
    data = as_zip(tree("a/1.jpg", "b/1.jpg", "c/1.jpg"))
    narrow = dataclasses.replace(limits, max_classes=2)
    assert refusal(inspect, save(data), narrow).code == "too_many_classes"


def test_empty_class(seen: Any) -> None:
    structure = seen(*CLASSES, folders=("fox",))
    assert structure.empty_classes == {"train": ["fox"]}
    single_split(structure)
    error = refusal(require_trainable, structure)
    assert error.code == "empty_class"
    assert "'fox'" in error.message
    assert seen(*CLASSES, "fox/1.gif").empty_classes == {"train": ["fox"]}


def test_empty_class_elsewhere_is_no_matter(seen: Any) -> None:
    structure = seen(*SPLITS, folders=("train", "train/cat", "sketch/cat", "empty"))
    assert structure.empty_classes == {"sketch": ["cat"]}
    require_trainable(structure)


def test_other_files_are_reported(seen: Any) -> None:
    structure = seen(*CLASSES, "README.md", "cat/labels.csv", ".DS_Store")
    assert structure.ignored == ["README.md", "cat/labels.csv"]
    assert structure.ignored_count == 2


def test_many_other_files_are_refused(seen: Any) -> None:
    error = refusal(seen, *CLASSES, *(f"cat/{number}.txt" for number in range(21)))
    assert error.code == "too_many_other_files"
    assert "'cat/0.txt'" in error.message


def class_names(**content: Any) -> dict[str, bytes]:
    return {"classes.json": json.dumps(content).encode()}


def test_class_names(seen: Any) -> None:
    content = class_names(
        names={"cat": "a tabby", "dog": "Hündin", "fox": "no folder"}, templates=["a {}.", "{}"]
    )
    structure = seen(*CLASSES, files=content)
    assert structure.readable_names == {"cat": "a tabby", "dog": "Hündin"}
    assert structure.templates == ["a {}.", "{}"]
    assert structure.ignored_count == 0
    wrapped = seen(
        *(f"my/{name}" for name in CLASSES), files={"my/classes.json": content["classes.json"]}
    )
    assert wrapped.readable_names == structure.readable_names


def test_class_names_with_a_byte_order_mark(seen: Any) -> None:
    structure = seen(*CLASSES, files={"classes.json": b'\xef\xbb\xbf{"templates": ["{}"]}'})
    assert (structure.readable_names, structure.templates) == ({}, ["{}"])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "JSON"),
        (b"\xff", "UTF-8"),
        (b"[1]", "list"),
        (b"[" * 100_000, "JSON"),
        (b'{"classes": {}}', "'classes'"),
        (b'{"names": {}, "names": {}}', "twice"),
        (b'{"names": {"cat": "a", "cat": "b"}}', "'cat'"),
        (b'{"names": ["cat"]}', "object"),
        (b'{"names": {"cat": "a"}}', "'dog'"),
        (b'{"names": {"cat": "a", "Dog": "b"}}', "'Dog'"),
        (b'{"names": {"cat": "a", "dog": 1}}', "'dog'"),
        (b'{"names": {"cat": "a", "dog": "  "}}', "'dog'"),
        (b'{"names": {"cat": "a", "dog": "b\\u0000"}}', "control"),
        (b'{"names": {"cat": "a", "dog": "%s"}}' % (b"x" * 201), "200"),
        (b'{"names": %s}' % (b"9" * 5000), "JSON"),
        (b'{"templates": []}', "1 to 500"),
        (b'{"templates": "a {}"}', "1 to 500"),
        (b'{"templates": ["a photo"]}', "exactly once"),
        (b'{"templates": ["{} {}"]}', "exactly once"),
        (b'{"templates": ["{} {0.__class__}"]}', "exactly once"),
        (b'{"templates": ["a {c}."]}', "exactly once"),
        (b'{"templates": [5]}', "template 0"),
    ],
)
def test_class_names_refused(seen: Any, content: bytes, word: str) -> None:
    error = refusal(seen, *CLASSES, files={"classes.json": content})
    assert error.code == "invalid_classes_json", error.message
    assert word in error.message


def test_class_names_too_large(save: Saver, limits: Limits) -> None:
    data = as_tar({**tree(*CLASSES), "classes.json": b" " * (8 * 1024 * 1024 + 1)})
    error = refusal(inspect, save(data), limits)
    assert error.code == "classes_json_too_large"


def test_two_class_name_files(seen: Any) -> None:
    content = b'{"templates": ["{}"]}'
    error = refusal(seen, "m/cat/1.jpg", files={"classes.json": content, "m/classes.json": content})
    assert "'m/classes.json'" in error.message


def test_structure_is_json(seen: Any) -> None:
    structure = seen(*SPLITS, "x.txt", files=class_names(templates=["{}"]))
    again = Structure.model_validate_json(structure.model_dump_json())
    assert again == structure
    assert list(again.splits) == list(structure.splits)


def test_the_same_in_every_format(save: Saver, limits: Limits) -> None:
    files = tree(*SPLITS, "notes.txt")
    folders = ("train", "train/fox")
    found = [
        inspect(save(data), limits)
        for data in (
            as_zip(files, folders),
            as_tar(files, folders),
            as_tar(files, folders, gzipped=True),
        )
    ]
    assert [structure.format for structure in found] == ["zip", "tar", "tar.gz"]
    assert len({structure.model_dump_json(exclude={"format"}) for structure in found}) == 1


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "", "a b", "é", "a/b", "x" * 64, "x" * 65])
def test_split_names_are_those_a_job_may_use(name: str) -> None:
    try:
        TypeAdapter(SplitName).validate_python(name)
    except ValidationError:
        assert not SPLIT_NAME.fullmatch(name)
    else:
        assert SPLIT_NAME.fullmatch(name)


def test_inspect_reads_no_image(seen: Any) -> None:
    assert seen(*CLASSES).total_images == 3  # each of which is the byte "x"


def test_errors_are_the_datasets(seen: Any) -> None:
    assert isinstance(refusal(seen, "1.jpg"), InvalidDataset)
