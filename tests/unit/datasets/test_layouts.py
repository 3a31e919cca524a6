"""Well-known data sets on miniature trees of their real shape, and the archives made of them."""

from __future__ import annotations

import importlib.util
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image

from cli.layouts import convert
from core.datasets.archive import open_archive
from core.datasets.check import check
from core.datasets.index import DatasetIndex
from core.datasets.layouts import KNOWN_LAYOUTS, write_archive
from core.datasets.layouts.facts import (
    imagenet_a_classes,
    imagenet_names,
    imagenet_r_classes,
    objectnet_to_imagenet,
    openai_templates,
)
from core.datasets.layouts.zip_stream import ZipParts, ZipStream, zip_stream
from core.datasets.limits import Limits
from core.datasets.structure import (
    Structure,
    inspect,
    require_scorable,
    require_trainable,
    single_split,
)
from core.errors import ServiceError, StorageFault

from .trees import picture

WNIDS = list(imagenet_names())
R_ONLY = sorted(imagenet_r_classes() - imagenet_a_classes())
A_ONLY = sorted(imagenet_a_classes() - imagenet_r_classes())


def plant(root: Path, *names: str, form: str = "JPEG") -> Path:
    """A different picture at each name below `root`."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number * 5000, form, size=(12, 9)))
    return root


def examined(path: Path, limits: Limits) -> tuple[Structure, DatasetIndex]:
    """The archive as the service sees it: inspected, and every image of it decoded."""
    structure = inspect(path, limits)
    index = check(
        path, structure, limits, max_unreadable_fraction=0.0, progress=lambda done, total: None
    )
    return structure, index


def keys_of(index: DatasetIndex) -> set[str]:
    return {entry.key for entry in index.entries}


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Three classes out of order, two images to train on and one to test on, of each."""
    source = tmp_path / "ILSVRC2012"
    for wnid in (WNIDS[999], WNIDS[0], WNIDS[500]):
        plant(source, f"train/{wnid}/{wnid}_7.JPEG", f"train/{wnid}/{wnid}_10.JPEG")
        plant(source, f"val/{wnid}/ILSVRC2012_val_00000001.JPEG")
    (source / "LOC_synset_mapping.txt").write_text("not an image")
    return source


@pytest.fixture
def domainnet(tmp_path: Path) -> Path:
    """Two classes in four domains, one image of real in neither list."""
    source = tmp_path / "DomainNet"
    for domain in ("real", "painting", "sketch", "quickdraw"):
        names = [
            f"{domain}/{label}/{domain}_{number}.jpg"
            for label in ("aircraft_carrier", "The_Eiffel_Tower")
            for number in (1, 2, 3)
        ]
        plant(source, *names)
        for part, numbers in (("train", (1,)), ("test", (2, 3))):
            lines = [
                f"{domain}/{label}/{domain}_{number}.jpg {code}\n"
                for code, label in enumerate(("aircraft_carrier", "The_Eiffel_Tower"))
                for number in numbers
            ]
            (source / f"{domain}_{part}.txt").write_text("".join(lines))
    plant(source, "real/aircraft_carrier/real_unlisted.jpg")
    return source


# Facts about classes.


def timm_lines(name: str) -> list[str]:
    """A list of classes as timm ships it, which took it from the data sets' authors."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "data" / "_info" / name).read_text().split()


def test_imagenet_has_its_classes_in_the_order_of_their_indices() -> None:
    assert len(WNIDS) == 1000
    assert sorted(WNIDS) == WNIDS == timm_lines("imagenet_synsets.txt")
    assert list(imagenet_names().values()) == list(open_clip.IMAGENET_CLASSNAMES)
    # Fixed points: the first, the last, and the two cranes, whose order a mistake would swap.
    assert imagenet_names()["n01440764"] == "tench"
    assert imagenet_names()["n15075141"] == "toilet paper"
    assert imagenet_names()["n02012849"] == "crane bird"
    assert imagenet_names()["n03126707"] == "construction crane"


def test_subsets_of_imagenet_have_their_classes() -> None:
    assert imagenet_r_classes() == set(timm_lines("imagenet_r_synsets.txt"))
    assert imagenet_a_classes() == set(timm_lines("imagenet_a_synsets.txt"))
    assert len(imagenet_r_classes()) == len(imagenet_a_classes()) == 200
    assert len(imagenet_r_classes() & imagenet_a_classes()) == 86
    assert (imagenet_r_classes() | imagenet_a_classes()) <= set(WNIDS)


def test_objectnet_maps_to_imagenet() -> None:
    sizes = [len(wnids) for wnids in objectnet_to_imagenet().values()]
    assert len(sizes) == 313
    assert [sizes.count(0), sizes.count(1), sizes.count(2), sizes.count(3)] == [200, 104, 6, 3]
    wnids = [wnid for found in objectnet_to_imagenet().values() for wnid in found]
    assert len(wnids) == len(set(wnids)) == 125  # no ImageNet class is two of ObjectNet's
    assert set(wnids) <= set(WNIDS)
    names = {
        folder: {imagenet_names()[wnid] for wnid in found}
        for folder, found in objectnet_to_imagenet().items()
    }
    assert names["banana"] == {"banana"}
    assert names["full_sized_towel"] == {"bath towel"}
    assert names["chair"] == {"barber chair", "folding chair", "rocking chair"}
    assert names["squeegee"] == set()


def test_templates_are_openais() -> None:
    expected = tuple(template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES)
    assert openai_templates() == expected
    assert len(expected) == 80


# Trees that are of their layout.


def test_imagenet(imagenet: Path, tmp_path: Path, limits: Limits) -> None:
    written = write_archive(imagenet, "imagenet", tmp_path / "in.zip")
    structure, index = examined(written.path, limits)
    require_trainable(structure)
    assert structure.classes == [WNIDS[0], WNIDS[500], WNIDS[999]]
    assert structure.splits == written.splits
    assert structure.splits == {
        "train": dict.fromkeys(structure.classes, 2),
        "test": dict.fromkeys(structure.classes, 1),
    }
    assert structure.readable_names == {
        "n01440764": "tench",
        WNIDS[500]: "cliff dwelling",
        "n15075141": "toilet paper",
    }
    assert structure.templates == list(openai_templates())
    assert structure.ignored_count == 0
    assert written.size == written.path.stat().st_size
    assert written.total_classes == 1000
    # The images are the tree's own files, to the byte.
    with zipfile.ZipFile(written.path) as archive:
        for entry in index.entries:
            split, rest = entry.key.split("/", 1)
            original = imagenet / {"train": "train", "test": "val"}[split] / rest
            assert archive.read(entry.key) == original.read_bytes()


def test_imagenet_v2_folders_are_numbers(tmp_path: Path, limits: Limits) -> None:
    inside = tmp_path / "imagenetv2-matched-frequency-format-val"
    plant(inside, "2/a.jpeg", "10/b.jpeg", "999/c.jpeg")
    for source in (tmp_path, inside):  # the folder itself, and the one it was unpacked into
        target = tmp_path / f"{source.name}.zip"
        structure, index = examined(write_archive(source, "imagenet-v2", target).path, limits)
        assert structure.classes == [WNIDS[2], WNIDS[10], WNIDS[999]]
        assert keys_of(index) == {
            f"imagenet-v2/{WNIDS[2]}/a.jpeg",
            f"imagenet-v2/{WNIDS[10]}/b.jpeg",
            f"imagenet-v2/{WNIDS[999]}/c.jpeg",
        }


@pytest.mark.parametrize(
    ("layout", "wnids"),
    [
        ("imagenet-r", sorted(imagenet_r_classes())),
        ("imagenet-a", sorted(imagenet_a_classes())),
    ],
)
def test_subsets_hold_all_their_classes(
    layout: str, wnids: list[str], tmp_path: Path, limits: Limits
) -> None:
    source = plant(tmp_path / layout, *(f"{wnid}/art_0.jpg" for wnid in wnids))
    (source / "README.txt").write_text("about")
    written = write_archive(source, layout, tmp_path / "subset.zip")
    structure, _ = examined(written.path, limits)
    assert structure.classes == wnids
    assert structure.readable_names == {wnid: imagenet_names()[wnid] for wnid in wnids}
    assert written.splits == {layout: dict.fromkeys(wnids, 1)}
    assert written.total_classes == 200


def test_shifted_sets_are_scored_with_imagenets_classes(
    imagenet: Path, tmp_path: Path, limits: Limits
) -> None:
    trained = inspect(write_archive(imagenet, "imagenet", tmp_path / "in.zip").path, limits)
    plant(tmp_path / "sketch", f"{WNIDS[500]}/sketch_0.JPEG", f"{WNIDS[0]}/sketch_1.JPEG")
    written = write_archive(tmp_path, "imagenet-sketch", tmp_path / "sketch.zip")
    assert list(written.splits) == ["imagenet-sketch"]
    structure, _ = examined(written.path, limits)
    require_scorable(structure, single_split(structure), trained.classes)
    # And the same check refuses a class that was not trained on.
    plant(tmp_path / "sketch", f"{WNIDS[501]}/sketch_2.JPEG")
    other = inspect(write_archive(tmp_path, "imagenet-sketch", tmp_path / "more.zip").path, limits)
    with pytest.raises(ServiceError, match=WNIDS[501]):
        require_scorable(other, single_split(other), trained.classes)


def test_domainnet(domainnet: Path, tmp_path: Path, limits: Limits) -> None:
    written = write_archive(domainnet, "domainnet", tmp_path / "dn.zip")
    structure, index = examined(written.path, limits)
    require_trainable(structure)
    assert structure.classes == ["aircraft_carrier", "The_Eiffel_Tower"]
    assert list(structure.splits) == ["train", "test", "painting", "sketch"]
    assert structure.splits["train"] == {"aircraft_carrier": 1, "The_Eiffel_Tower": 1}
    assert {entry.key for entry in index.entries_of("train")} == {
        "train/aircraft_carrier/real_1.jpg",
        "train/The_Eiffel_Tower/real_1.jpg",
    }
    assert {entry.key for entry in index.entries_of("painting")} == {
        f"painting/{label}/painting_{number}.jpg"
        for label in ("aircraft_carrier", "The_Eiffel_Tower")
        for number in (2, 3)
    }
    # The paper's prompts have the folders' names as they are.
    assert structure.readable_names == {
        "aircraft_carrier": "aircraft_carrier",
        "The_Eiffel_Tower": "The_Eiffel_Tower",
    }
    for split in structure.splits:
        require_scorable(structure, split, structure.classes)


def test_domainnet_lists_may_lie_in_a_folder(domainnet: Path, tmp_path: Path) -> None:
    expected = write_archive(domainnet, "domainnet", tmp_path / "beside.zip")
    (domainnet / "splits").mkdir()
    for path in domainnet.glob("*.txt"):
        path.rename(domainnet / "splits" / path.name)
    moved = write_archive(domainnet, "domainnet", tmp_path / "within.zip")
    assert moved.path.read_bytes() == expected.path.read_bytes()


def test_objectnet_loses_its_border_and_its_merged_classes(tmp_path: Path, limits: Limits) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = [[[255, 0, 0]]] * 4
    for folder in ("banana", "chair", "squeegee"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "images" / folder / "0a1b.png")
    written = write_archive(tmp_path, "objectnet-104", tmp_path / "on.zip")
    banana = next(wnid for wnid, name in imagenet_names().items() if name == "banana")
    assert written.splits == {"objectnet-104": {banana: 1}}
    structure, _ = examined(written.path, limits)
    assert structure.classes == [banana]
    with zipfile.ZipFile(written.path) as archive:
        inside = Image.open(io.BytesIO(archive.read(f"objectnet-104/{banana}/0a1b.png")))
    assert np.array_equal(np.asarray(inside), pixels[2:-2, 2:-2])


def test_limit_keeps_the_first_of_each_class_of_each_split(
    domainnet: Path, imagenet: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    written = write_archive(
        imagenet, "imagenet", tmp_path / "in.zip", limit_per_class=1, progress=seen.append
    )
    assert {split: set(classes.values()) for split, classes in written.splits.items()} == {
        "train": {1},
        "test": {1},
    }
    with zipfile.ZipFile(written.path) as archive:
        assert f"train/{WNIDS[0]}/{WNIDS[0]}_10.JPEG" in archive.namelist()  # "_10" before "_7"
    assert seen == [1, 2, 3, 4, 5, 6]
    written = write_archive(domainnet, "domainnet", tmp_path / "dn.zip", limit_per_class=1)
    with zipfile.ZipFile(written.path) as archive:
        assert "sketch/The_Eiffel_Tower/sketch_2.jpg" in archive.namelist()
        assert "sketch/The_Eiffel_Tower/sketch_3.jpg" not in archive.namelist()


def test_equal_trees_give_equal_stored_archives(imagenet: Path, tmp_path: Path) -> None:
    first = write_archive(imagenet, "imagenet", tmp_path / "first.zip").path
    for path in imagenet.rglob("*.JPEG"):
        os.utime(path, (0, 0))
    second = write_archive(imagenet, "imagenet", tmp_path / "second.zip").path
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_command_says_what_was_written(
    imagenet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(imagenet, "imagenet", tmp_path / "in.zip", limit_per_class=None)
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "train 6 3 of 1000" in printed
    assert "test 3 3 of 1000" in printed
    assert (tmp_path / "in.zip").is_file()


# Trees that are not.


@pytest.mark.parametrize("layout", sorted(set(KNOWN_LAYOUTS) - {"objectnet"}))
def test_other_trees_are_refused(layout: str, tmp_path: Path) -> None:
    for source, found in (
        (plant(tmp_path / "flowers", "rose/1.jpg", "tulip/1.jpg"), "rose"),
        (tmp_path / "nowhere", "is no folder"),
    ):
        message = refusal(source, layout, tmp_path / "out.zip")
        assert "is not laid out as expected: it should hold" in message
        assert found in message


@pytest.mark.parametrize(
    ("layout", "folder", "words"),
    [
        ("imagenet-r", A_ONLY[0], ("ImageNet-R's 200 classes", A_ONLY[0], "1 of its 2 folders")),
        ("imagenet-a", R_ONLY[0], ("ImageNet-A's 200 classes", R_ONLY[0])),
        ("imagenet-v2", "1000", ("0/ to 999/", "1000")),
        ("imagenet-v2", "007", ("0/ to 999/", "007")),
        ("imagenet-sketch", "n00000001", ("1000 classes", "n00000001")),
        ("objectnet-104", "images/castle", ("ObjectNet's class folders", "castle")),
    ],
)
def test_classes_outside_the_data_set_are_refused(
    layout: str, folder: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    good = {"imagenet-v2": "7", "objectnet-104": "images/banana", "imagenet-r": R_ONLY[0]}
    source = tmp_path / "set"
    plant(source, f"{good.get(layout, A_ONLY[0])}/1.png", form="PNG")
    write_archive(source, layout, tmp_path / "good.zip")
    plant(source, f"{folder}/1.png", form="PNG")
    message = refusal(source, layout, tmp_path / "bad.zip")
    for word in words:
        assert word in message


def test_imagenet_that_is_not_whole_is_refused(imagenet: Path, tmp_path: Path) -> None:
    target = tmp_path / "in.zip"
    loose = plant(imagenet, "val/ILSVRC2012_val_00000002.JPEG") / "val/ILSVRC2012_val_00000002.JPEG"
    assert "holds images directly" in refusal(imagenet, "imagenet", target)
    loose.unlink()
    only_in_val = plant(imagenet, f"val/{WNIDS[3]}/1.JPEG") / "val" / WNIDS[3]
    message = refusal(imagenet, "imagenet", target)
    assert "1 classes of test are not among the 3 to train on" in message
    assert WNIDS[3] in message
    (only_in_val / "1.JPEG").unlink()
    assert "holds nothing" in refusal(imagenet, "imagenet", target)
    only_in_val.rmdir()
    write_archive(imagenet, "imagenet", target)  # which was all that was wrong


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("real/aircraft_carrier/real_9.jpg 0", ("Line 3", "real_9.jpg", "no such file")),
        ("sketch/aircraft_carrier/sketch_1.jpg 0", ("Line 3", "real/CLASS/FILE LABEL")),
        ("real/../real_test.txt 0", ("Line 3", "real/CLASS/FILE LABEL")),
        ("real/aircraft_carrier/real_1.jpg", ("Line 3", "real/CLASS/FILE LABEL")),
    ],
)
def test_damaged_lists_are_refused(
    line: str, words: tuple[str, ...], domainnet: Path, tmp_path: Path
) -> None:
    with (domainnet / "real_train.txt").open("a") as file:
        file.write(line)
    message = refusal(domainnet, "domainnet", tmp_path / "dn.zip")
    for word in words:
        assert word in message


def test_missing_lists_are_refused(domainnet: Path, tmp_path: Path) -> None:
    (domainnet / "sketch_test.txt").unlink()
    message = refusal(domainnet, "domainnet", tmp_path / "dn.zip")
    assert "the list sketch_test.txt" in message
    assert "'painting/', 'painting_test.txt'" in message  # what is there


def test_objectnet_as_papers_score_it_is_refused(tmp_path: Path) -> None:
    plant(tmp_path, "images/banana/1.png", form="PNG")
    message = refusal(tmp_path, "objectnet", tmp_path / "on.zip")
    assert "chair" in message and "objectnet-104" in message


def test_pictures_that_are_all_border_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "banana"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(picture(1, size=(4, 40)))
    assert "4 x 40" in refusal(tmp_path, "objectnet-104", tmp_path / "on.zip")
    (folder / "1.png").write_bytes(picture(1, size=(40, 40))[:-20])
    assert "1.png" in refusal(tmp_path, "objectnet-104", tmp_path / "on.zip")


def test_wrong_requests_are_refused(imagenet: Path, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="'imagenet-c'.*domainnet, imagenet, imagenet-v2"):
        write_archive(imagenet, "imagenet-c", tmp_path / "in.zip")
    with pytest.raises(ServiceError, match="limit_per_class is 0"):
        write_archive(imagenet, "imagenet", tmp_path / "in.zip", limit_per_class=0)
    with pytest.raises(StorageFault, match="in.zip could not be made"):
        write_archive(imagenet, "imagenet", tmp_path / "no" / "in.zip")
    (tmp_path / "in.zip").write_bytes(b"mine")
    with pytest.raises(ServiceError, match="exists already"):
        write_archive(imagenet, "imagenet", tmp_path / "in.zip")
    assert (tmp_path / "in.zip").read_bytes() == b"mine"


def refusal(source: Path, layout: str, target: Path) -> str:
    """The sentence of the refusal, which must leave nothing behind."""
    with pytest.raises(ServiceError) as caught:
        write_archive(source, layout, target)
    assert list(target.parent.glob(f"{target.name}*")) == []
    return caught.value.message


# The ZIP writer beyond what a miniature needs.


def test_more_entries_than_a_plain_zip_can_count(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "many.zip"
    count = 65_540
    with path.open("w+b") as file, zip_stream(file) as archive:
        for number in range(count):
            archive.add(f"train/é/{number}.png", io.BytesIO(b"%d" % number))
    with zipfile.ZipFile(path) as reread:
        assert len(reread.infolist()) == count
        assert reread.read(f"train/é/{count - 1}.png") == b"%d" % (count - 1)
    with open_archive(path, limits) as opened:
        assert len(opened.entries) == count
        assert opened.read("train/é/7.png") == b"7"


def test_offsets_beyond_four_gibibytes(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "long.zip"
    with path.open("w+b") as file:
        parts = ZipParts(io.BytesIO())
        archive = ZipStream(file, parts)
        archive.add("train/a/1.png", io.BytesIO(b"first"))
        parts._offset = file.seek(2**32 + 5)  # a hole, which takes no room on the disk
        archive.add("train/b/1.png", io.BytesIO(b"second"))
        archive.finish()
    with zipfile.ZipFile(path) as reread:
        assert reread.testzip() is None
        assert reread.getinfo("train/b/1.png").header_offset == 2**32 + 5
    with open_archive(path, limits) as opened:
        assert opened.read("train/a/1.png") == b"first"
        assert opened.read("train/b/1.png") == b"second"


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.zip"
        with path.open("w+b") as file, zip_stream(file) as archive:
            archive.add("warm", io.BytesIO(b"up"))
            tracemalloc.start()
            for number in range(count):
                archive.add(f"train/n01440764/n01440764_{number:08}.JPEG", io.BytesIO(b"x"))
            highest = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return highest

    assert peak(8000) < peak(1000) + 8000  # a byte an entry; zipfile takes some 400
