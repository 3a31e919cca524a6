"""The modules that make an archive of a folder in the browser, each by itself, beside what Python
makes of the same."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from cli.folder_zip import FolderZip
from core.datasets.layouts.zip_stream import ZipParts, zip_size
from tests.browser.watched import settle

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Names whose order differs between folders and paths, UTF-16 and UTF-8, upper and lower case.
NAMES = (
    "train/a/1.png",
    "train/a.b/1.png",
    "train/a-b/1.png",
    "train/a b/1.png",
    "train/B/1.JPG",
    "train/b/10.png",
    "train/b/9.png",
    "train/é/1.webp",
    "train/\uff21/1.png",
    "train/\U0001f33b/1.png",
    "classes.json",
    "train/metadata.csv",
    "test/a/1.tiff",
    "test/" + "x" * 70 + "/1.png",
)


@pytest.fixture
def modules(page: Page) -> Page:
    """A page that can load them: `upload(name)` is a module."""
    page.goto("/datasets")
    settle(page)
    page.evaluate(
        """() => {
          const main = document.querySelector('script[type="module"]').src;
          window.load = (path) => import(new URL(`../${path}.js`, main));
          window.upload = (name) => load(`parts/upload/${name}`);
        }"""
    )
    return page


def test_checksums(modules: Page) -> None:
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 4096):
        data = os.urandom(size)
        found = modules.evaluate(
            """async (given) => {
              const bytes = Uint8Array.from(given);
              const { crc32 } = await upload('crc32');
              const { plainSha256, sha256 } = await upload('digest');
              const half = bytes.length >> 1;
              return {
                crc: crc32(bytes),
                inTwo: crc32(bytes.subarray(half), crc32(bytes.subarray(0, half))),
                plain: [...plainSha256(bytes)],
                quick: await sha256(bytes),
              };
            }""",
            list(data),
        )
        digest = hashlib.sha256(data)
        assert found == {
            "crc": zlib.crc32(data),
            "inTwo": zlib.crc32(data),
            "plain": list(digest.digest()),
            "quick": digest.hexdigest(),
        }


def test_equal_folders_give_the_bytes_of_lipsum_push(modules: Page, tmp_path: Path) -> None:
    """However the browser lists them, and whatever ranges are asked for."""
    content = {name: os.urandom(97 * (number + 1)) for number, name in enumerate(NAMES)}
    content["train/b/large.bmp"] = os.urandom(5_000_000)  # read in pieces
    content["train/b/empty.png"] = b""
    for name, data in content.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "photos" / "train" / "notes.txt").write_text("left out")
    modules.evaluate(
        """() => {
          const input = document.createElement('input');
          Object.assign(input, { type: 'file', webkitdirectory: true, id: 'given' });
          document.body.append(input);
        }"""
    )
    modules.locator("#given").set_input_files(tmp_path / "photos")
    found = modules.evaluate(
        """async () => {
          const { chosen } = await upload('pick');
          const { FolderZip } = await upload('folder_zip');
          const files = [...document.getElementById('given').files].reverse();
          const { name, entries, images, left } = chosen(files);
          const { size } = new FolderZip(entries);
          const digest = async (bytes) => (await upload('digest')).sha256(bytes);
          const digests = [];
          for (const step of [size, 1_000_003, 65_537]) {
            const zip = new FolderZip(entries);
            const whole = new Uint8Array(size);
            // The last range first: any part can be made, and made again.
            for (let end = size; end > 0; end -= step) {
              const start = Math.max(0, end - step);
              whole.set(await zip.read(start, end), start);
            }
            digests.push(await digest(whole));
          }
          const few = new FolderZip(entries.slice(0, 3));
          const small = Array.from(await few.read(0, few.size));
          const names = entries.map((entry) => entry.name);
          return { name, size, images, left, digests, small, names };
        }"""
    )
    source = FolderZip(tmp_path / "photos")
    expected = b"".join(source.chunks())
    assert (found["name"], found["left"], found["images"]) == ("photos", 1, len(content) - 2)
    assert found["size"] == len(expected)
    assert set(found["digests"]) == {hashlib.sha256(expected).hexdigest()}
    with zipfile.ZipFile(io.BytesIO(expected)) as archive:
        assert found["names"] == archive.namelist()
    with zipfile.ZipFile(io.BytesIO(bytes(found["small"]))) as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            assert archive.read(entry) == content[entry.filename]


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1), (65_534, 1), (65_535, 1), (3, 2**32 - 2), (70_000, 10**6)]
)
def test_numbers_that_do_not_fit_have_their_zip64_fields(
    modules: Page, count: int, size: int
) -> None:
    """More files than 65 534, or more than 4 GiB of them. Compared is all but their content."""
    found = modules.evaluate(
        """async ({ count, size }) => {
          const { FolderZip } = await upload('folder_zip');
          const entry = (_, at) => ({ name: `é/${at}.png`, file: { size } });
          const zip = new FolderZip(Array.from({ length: count }, entry));
          for (const entry of zip.entries) entry.crc = 0x01020304; // not computed of so much
          const ending = await zip.read(zip.directoryOffset, zip.size);
          const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', ending));
          return { size: zip.size, length: ending.length, digest: [...digest] };
        }""",
        {"count": count, "size": size},
    )
    parts = ZipParts(io.BytesIO())
    for number in range(count):
        parts.header(f"é/{number}.png", size, 0x01020304)
    ending = b"".join(parts.ending())
    assert found["size"] == zip_size((f"é/{number}.png", size) for number in range(count))
    assert found["length"] == len(ending)
    assert bytes(found["digest"]) == hashlib.sha256(ending).digest()


def test_a_file_of_four_gigabytes_is_refused(modules: Page) -> None:
    said = modules.evaluate(
        """async () => {
          const { FolderZip } = await upload('folder_zip');
          try { new FolderZip([{ name: 'a/1.png', file: { size: 2 ** 32 - 1 } }]); }
          catch (error) { return error.message; }
        }"""
    )
    assert said == "a/1.png has 4294967295 bytes; an image must be smaller than 4 GiB. Take it out."


@pytest.mark.parametrize(
    ("total", "count", "last"),
    [
        (1, 1, [0, 1]),
        (2**23, 1, [0, 2**23]),
        (2**23 + 1, 2, [2**23, 2**23 + 1]),
        (10_000 * 2**23, 10_000, [9_999 * 2**23, 10_000 * 2**23]),
        (10_000 * 2**23 + 1, 5_001, [5_000 * 2**24, 10_000 * 2**23 + 1]),
    ],
)
def test_parts_cover_everything(modules: Page, total: int, count: int, last: list[int]) -> None:
    found = modules.evaluate(
        """async (total) => {
          const { plan } = await upload('parts');
          const ranges = plan(total);
          const isWhole = ranges.every(([start], at) => start === (at ? ranges[at - 1][1] : 0));
          return { count: ranges.length, last: ranges.at(-1), isWhole };
        }""",
        total,
    )
    assert found == {"count": count, "last": last, "isWhole": True}


def test_the_rate_is_of_the_last_seconds(modules: Page) -> None:
    found: list[Any] = modules.evaluate(
        """async () => {
          const { Rate } = await upload('rate');
          const rate = new Rate();
          const seen = [rate.perSecond];
          for (let second = 0; second <= 60; second += 1) rate.note(1000 * second, 1000 * second);
          seen.push(rate.perSecond);
          for (let second = 61; second <= 80; second += 1) {
            rate.note(60_000 + 10 * (second - 60), 1000 * second);
          }
          seen.push(rate.perSecond);
          rate.note(0, 81_000); // a new beginning
          seen.push(rate.perSecond);
          return seen;
        }"""
    )
    assert found == [None, 1000, 10, None]


def test_what_is_waited_for_and_what_is_not(modules: Page) -> None:
    modules.clock.install()
    found = modules.evaluate(
        """async () => {
          const { patiently } = await upload('patience');
          const { ApiError, Unreachable } = await load('core/api');
          const { signal } = new AbortController();
          const outcomes = {};
          const faults = {
            away: new Unreachable(),
            restarting: new ApiError(503, { code: 'unavailable' }, 2),
            busy: new ApiError(409, { code: 'busy' }),
            tooFast: new ApiError(429, { code: 'rate_limit_exceeded' }, 1),
            noMore: new ApiError(429, { code: 'insufficient_quota' }),
            noRoom: new ApiError(507, { code: 'storage_error' }),
            wrong: new ApiError(400, { code: 'invalid_request' }),
            other: new ApiError(409, { code: 'upload_not_pending' }),
          };
          for (const [name, fault] of Object.entries(faults)) {
            let tries = 0;
            const work = () => {
              tries += 1;
              if (tries < 4) throw fault;
              outcomes[name] = 'done';
            };
            patiently(work, { signal, trouble() {} }).catch((error) => {
              outcomes[name] = error === fault ? 'thrown' : 'something else';
            });
          }
          window.outcomes = outcomes;
        }"""
    )
    assert found is None
    for _ in range(30):
        modules.clock.run_for(1000)
    waited = dict.fromkeys(("away", "restarting", "busy", "tooFast"), "done")
    given_up = dict.fromkeys(("noMore", "noRoom", "wrong", "other"), "thrown")
    assert modules.evaluate("window.outcomes") == waited | given_up
