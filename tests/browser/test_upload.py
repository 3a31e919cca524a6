"""A folder or an archive on its way: sent in parts, stopped and gone on with, over a connection
that is cut and one that stalls, and after a reload."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from cli.folder_zip import FolderZip
from tests.api_service import png
from tests.browser.conftest import OpenContext, Stack
from tests.browser.picked import bitmaps, choose, drop
from tests.browser.proxy import CuttingProxy
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PART = 8 * 1024 * 1024  # bytes
PARTS = 5  # of `photos`
UNREACHABLE = r"ERR_|Failed to load resource|status of 50"  # the browser's own lines
SECONDS = 60_000  # milliseconds that a slow machine may take
SAME_FOLDER = "Choose the same folder to go on"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of 35 MB."""
    return bitmaps(tmp_path_factory.mktemp("photos") / "photos", per_class=2)


@pytest.fixture(autouse=True)
def nothing_is_pending(stack: Stack) -> Iterator[None]:
    """What one test leaves unfinished no other goes on with."""
    yield
    for upload in pending(stack):
        stack.client.post(f"/v1/uploads/{upload['id']}/cancel")


class Gate:
    """Lets so many parts through to the service, and the others wait."""

    def __init__(self, page: Page, open_for: int) -> None:
        self.passed = 0
        self._open_for = open_for
        self._waiting: list[Route] = []
        page.route("**/v1/uploads/*/parts", self._on_request)

    def open(self) -> None:
        self._open_for = 10_000
        for route in self._waiting:
            self._on_request(route)
        self._waiting = []

    def _on_request(self, route: Route) -> None:
        if route.request.method != "POST":
            route.fallback()
        elif self.passed < self._open_for:
            self.passed += 1
            route.fallback()
        else:
            self._waiting.append(route)


def open_datasets(page: Page) -> None:
    page.goto("/datasets")
    settle(page)


def card(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("^Sending"))


def pending(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.client.get("/v1/uploads", params={"status": "pending"}).json()["data"])


def parts(stack: Stack, upload_id: str) -> list[dict[str, Any]]:
    answer = stack.client.get(f"/v1/uploads/{upload_id}/parts", params={"limit": 100})
    return list(answer.json()["data"])


def wait_for(page: Page, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS / 1000
    while not is_so():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def wait_for_parts(page: Page, stack: Stack, fewest: int) -> str:
    """The id of the one upload that is pending, once so many parts of it arrived."""
    wait_for(page, lambda: len(pending(stack)) == 1)
    upload_id = str(pending(stack)[0]["id"])
    wait_for(page, lambda: len(parts(stack, upload_id)) >= fewest)
    return upload_id


def arrived(page: Page, stack: Stack) -> dict[str, Any]:
    """The newest file, once the page shows its data set."""
    page.wait_for_url(re.compile(r"/datasets/[0-9a-f]{64}"), timeout=SECONDS)
    settle(page)
    file = dict(stack.client.get("/v1/files", params={"limit": 1}).json()["data"][0])
    assert page.url.endswith(file["dataset"]["version"])
    return file


def packed(folder: Path) -> str:
    """The digest of what `lipsum push` would send."""
    return hashlib.sha256(b"".join(FolderZip(folder).chunks())).hexdigest()


def leave(page: Page) -> None:
    """As a reload does it, past the browser's question whether one is sure."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    settle(page)


def test_a_folder_is_chosen_and_its_data_set_shown(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    for number, name in enumerate(("rose/1.png", "rose/2.PNG", "ä/1.png", "ｗ/1.png", "🌻/1.png")):
        for split in ("train", "test"):
            path = tmp_path / "flowers" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(number))
    (tmp_path / "flowers" / "notes.txt").write_text("not an image")
    open_datasets(page)
    choose(page, "Choose folder", tmp_path / "flowers")
    file = arrived(page, stack)
    assert (file["filename"], file["sha256"]) == ("flowers.zip", packed(tmp_path / "flowers"))
    expect(page.get_by_role("heading", name="flowers.zip")).to_be_visible()
    expect(page.get_by_text("Its first job reads every image once")).to_be_visible()
    assert pending(stack) == []


def test_a_folder_is_dropped_anywhere(page: Page, stack: Stack, photos: Path) -> None:
    """More than a hundred files in one folder come in several batches."""
    folder = photos.parent / "many"
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(150):
            (folder / name / f"{number}.png").write_bytes(png(number))
    open_datasets(page)
    drop(page, folder)
    file = arrived(page, stack)
    assert (file["filename"], file["sha256"]) == ("many.zip", packed(folder))
    assert file["dataset"]["images"] == 300


def test_several_folders_are_dropped_together(page: Page, stack: Stack, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            path = tmp_path / split / name / "1.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(png(len(split + name)))
    open_datasets(page)
    drop(page, tmp_path / "train", tmp_path / "test")
    assert [split["name"] for split in arrived(page, stack)["dataset"]["splits"]] == [
        "train",
        "test",
    ]


def test_an_archive_goes_as_it_is(page: Page, stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=window.hit=1>"
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(png(len(name)))
    archive = tmp_path / f"{folder.name}.zip"
    archive.write_bytes(b"".join(FolderZip(folder).chunks()))
    open_datasets(page)
    drop(page, archive)
    file = arrived(page, stack)
    assert file["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert page.evaluate("window.hit") is None


def test_two_hundred_megabytes_over_a_connection_that_is_cut(
    open_context: OpenContext, stack: Stack, tmp_path: Path
) -> None:
    folder = bitmaps(tmp_path / "large", per_class=12, seed=1)
    with CuttingProxy(stack.service.settings.port) as proxy:
        page = open_context(address=proxy.address).new_page()
        watch = Watch(page, proxy.address)
        watch.allow(UNREACHABLE)
        open_datasets(page)
        choose(page, "Choose folder", folder)
        wait_for_parts(page, stack, 2)
        proxy.away(True)
        expect(card(page).get_by_text("The connection is lost.")).to_be_visible(timeout=SECONDS)
        far = float(card(page).get_by_role("progressbar").evaluate("bar => bar.value"))
        assert 0 < far < 1
        assert "of 207.4 MB" in card(page).inner_text()
        proxy.away(False)
        expect(card(page).get_by_text("a second")).to_be_visible(timeout=SECONDS)
        proxy.cut()
        file = arrived(page, stack)
        assert file["sha256"] == packed(folder)
        assert watch.unexpected() == []


def test_a_connection_that_stalls_is_given_up(
    open_context: OpenContext, stack: Stack, photos: Path
) -> None:
    """Nothing tells a browser that bytes have stopped to go out: the page's watchdog does, whose
    time is run ahead of here."""
    with CuttingProxy(stack.service.settings.port) as proxy:
        page = open_context(address=proxy.address).new_page()
        watch = Watch(page, proxy.address)
        watch.allow(UNREACHABLE)
        page.clock.install()
        open_datasets(page)
        choose(page, "Choose folder", photos)
        wait_for_parts(page, stack, 2)
        proxy.stall()
        page.wait_for_timeout(500)
        proxy.go_on_with_new_ones()
        deadline = time.monotonic() + SECONDS / 1000
        while not re.search("/datasets/[0-9a-f]{64}", page.url):
            assert time.monotonic() < deadline
            page.clock.run_for(5000)
            page.wait_for_timeout(100)
        assert arrived(page, stack)["sha256"] == packed(photos)
        assert watch.unexpected() == []


def test_after_a_reload_only_what_is_missing_is_sent(
    page: Page, stack: Stack, photos: Path
) -> None:
    open_datasets(page)
    first = Gate(page, 3)
    choose(page, "Choose folder", photos)
    upload_id = wait_for_parts(page, stack, 3)
    leave(page)
    unfinished = page.get_by_role("region", name="Not finished")
    expect(unfinished).to_contain_text("photos.zip")
    expect(unfinished).to_contain_text("25.2 MB of 34.6 MB arrived, of 8 files")
    assert violations(page) == []
    first.open()
    sent = Gate(page, 100)
    choose(page, SAME_FOLDER, photos)
    file = arrived(page, stack)
    assert file["sha256"] == packed(photos)
    assert sent.passed == PARTS - 3
    completed = stack.client.get(f"/v1/uploads/{upload_id}").json()
    assert (completed["status"], completed["file"]["id"]) == ("completed", file["id"])


@pytest.mark.parametrize("seed", [None, 7])
def test_something_else_is_not_taken_for_the_same(
    page: Page, stack: Stack, photos: Path, tmp_path: Path, seed: int | None
) -> None:
    """Not by another number of files, and not by other content of the same size."""
    open_datasets(page)
    gate = Gate(page, 3)
    choose(page, "Choose folder", photos)
    begun = wait_for_parts(page, stack, 3)
    leave(page)
    gate.open()
    other = bitmaps(tmp_path / "photos", per_class=1 if seed is None else 2, seed=seed or 0)
    choose(page, SAME_FOLDER, other)
    if seed is None:
        expect(page.get_by_role("alert")).to_contain_text(
            "photos.zip has 4 files, and it was begun with 8"
        )
        assert [upload["id"] for upload in pending(stack)] == [begun]
        return
    file = arrived(page, stack)
    assert file["sha256"] == packed(other)
    assert [upload["id"] for upload in pending(stack)] == [begun]  # nobody cancelled it


def test_it_goes_on_with_what_lipsum_push_began(page: Page, stack: Stack, photos: Path) -> None:
    source = FolderZip(photos)
    whole = b"".join(source.chunks())
    body = {"bytes": source.size, "filename": source.name, "purpose": "fine-tune"}
    upload = stack.client.post("/v1/uploads", json=body | {"mime_type": "application/zip"}).json()
    for number in (1, 4):
        data = whole[(number - 1) * PART : number * PART]
        form = {"part_number": str(number), "sha256": hashlib.sha256(data).hexdigest()}
        path = f"/v1/uploads/{upload['id']}/parts"
        stack.client.post(path, data=form, files={"data": data}).raise_for_status()
    open_datasets(page)
    unfinished = page.get_by_role("region", name="Not finished")
    expect(unfinished).to_contain_text("in another place, by lipsum push perhaps")
    sent = Gate(page, 100)
    choose(page, SAME_FOLDER, photos)
    assert arrived(page, stack)["sha256"] == hashlib.sha256(whole).hexdigest()
    assert sent.passed == PARTS - 2


def test_without_digests_of_the_browser_it_goes_on_all_the_same(
    open_context: OpenContext, stack: Stack, photos: Path
) -> None:
    """Over plain http from another host there is no `crypto.subtle`, and there are no Web Locks."""
    context = open_context()
    context.add_init_script(
        "Object.defineProperty(crypto, 'subtle', { value: undefined });"
        "Object.defineProperty(navigator, 'locks', { value: undefined })"
    )
    page = context.new_page()
    open_datasets(page)
    gate = Gate(page, 2)
    choose(page, "Choose folder", photos)
    wait_for_parts(page, stack, 2)
    leave(page)
    gate.open()
    sent = Gate(page, 100)
    choose(page, SAME_FOLDER, photos)
    assert arrived(page, stack)["sha256"] == packed(photos)
    assert sent.passed == PARTS - 2


def test_it_is_paused_and_goes_on(page: Page, stack: Stack, photos: Path) -> None:
    open_datasets(page)
    gate = Gate(page, 3)
    choose(page, "Choose folder", photos)
    upload_id = wait_for_parts(page, stack, 3)
    page.get_by_role("button", name="Pause").click()
    expect(card(page).get_by_text("Paused at 25.2 MB of 34.6 MB.")).to_be_visible()
    gate.open()
    page.wait_for_timeout(500)
    assert len(parts(stack, upload_id)) == 3
    assert violations(page) == []
    page.get_by_role("button", name="Go on").click()
    assert arrived(page, stack)["sha256"] == packed(photos)


def test_it_is_cancelled_and_nothing_is_kept(page: Page, stack: Stack, photos: Path) -> None:
    open_datasets(page)
    Gate(page, 2)
    choose(page, "Choose folder", photos)
    upload_id = wait_for_parts(page, stack, 2)
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep it").click()
    expect(card(page)).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog.get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_role("button", name="Choose folder")).to_be_visible()
    assert stack.client.get(f"/v1/uploads/{upload_id}").json()["status"] == "cancelled"
    expect(page.get_by_role("region", name="Not finished")).to_have_count(0)


def test_an_unfinished_one_is_discarded(page: Page, stack: Stack, photos: Path) -> None:
    open_datasets(page)
    gate = Gate(page, 2)
    choose(page, "Choose folder", photos)
    upload_id = wait_for_parts(page, stack, 2)
    leave(page)
    gate.open()
    page.get_by_role("button", name="Discard photos.zip").click()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_role("region", name="Not finished")).to_have_count(0)
    assert stack.client.get(f"/v1/uploads/{upload_id}").json()["status"] == "cancelled"


def test_another_tab_leaves_it_alone(open_context: OpenContext, stack: Stack, photos: Path) -> None:
    context = open_context()
    page = context.new_page()
    open_datasets(page)
    gate = Gate(page, 2)
    choose(page, "Choose folder", photos)
    wait_for_parts(page, stack, 2)
    other = context.new_page()
    open_datasets(other)
    unfinished = other.get_by_role("region", name="Not finished")
    expect(unfinished).to_contain_text("It is being sent in another tab.")
    expect(unfinished.get_by_role("button")).to_have_count(0)
    gate.open()
    arrived(page, stack)


def test_a_service_that_is_away_for_a_while_is_waited_for(
    watch: Watch, stack: Stack, photos: Path
) -> None:
    watch.allow("status of 503")
    page = watch.page
    refusals = [503, 503]

    def answer(route: Route) -> None:
        if not refusals or route.request.method != "POST":
            route.fallback()
            return
        error = {"message": "The store restarts.", "code": "unavailable"}
        route.fulfill(status=refusals.pop(), json={"error": error}, headers={"retry-after": "1"})

    open_datasets(page)
    page.route("**/v1/uploads/*/parts", answer)
    choose(page, "Choose folder", photos)
    expect(card(page).get_by_text("The store restarts. What was sent is kept")).to_be_visible()
    assert arrived(page, stack)["sha256"] == packed(photos)


def test_a_folder_that_changes_meanwhile_is_not_sent(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    folder = bitmaps(tmp_path / "changing", per_class=2, seed=2)
    open_datasets(page)
    gate = Gate(page, 1)
    choose(page, "Choose folder", folder)
    wait_for_parts(page, stack, 1)
    (folder / "train" / "bee" / "1.bmp").write_bytes(b"other")
    gate.open()
    expect(page.get_by_role("alert")).to_contain_text("train/bee/1.bmp cannot be read")
    expect(page.get_by_role("region", name="Not finished")).to_contain_text("changing.zip")


def test_a_refused_archive_says_what_is_wrong_and_whose_fault(
    watch: Watch, stack: Stack, tmp_path: Path
) -> None:
    watch.allow("status of 400")
    page = watch.page
    for name in ("train/ant/1.png", "train/2.png"):
        path = tmp_path / "mixed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(1))
    open_datasets(page)
    choose(page, "Choose folder", tmp_path / "mixed")
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("mixed.zip was not taken. What is in it is the cause.")
    expect(refusal).to_contain_text("Images lie directly in the split 'train'.")
    expect(page.get_by_role("button", name="Choose folder")).to_be_visible()
    assert pending(stack) == []
    for width, scheme in ((1280, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
        assert sideways(page) == 0


def test_what_cannot_be_a_data_set_is_not_sent_at_all(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "photos.rar").write_bytes(b"Rar!\x1a\x07\x01\x00" * 9)
    (tmp_path / "empty.zip").touch()
    (tmp_path / "one.png").write_bytes(png(1))
    (tmp_path / "texts" / "ant").mkdir(parents=True)
    (tmp_path / "texts" / "ant" / "1.txt").write_text("no image")
    open_datasets(page)
    for names, says in (
        (["photos.rar"], "photos.rar is a RAR archive."),
        (["empty.zip"], "empty.zip is empty."),
        (["one.png"], "one.png is one image."),
        (["one.png", "empty.zip"], "These are 2 files."),
        (["texts"], "There is no image in texts."),
    ):
        drop(page, *(tmp_path / name for name in names))
        expect(page.get_by_role("alert")).to_contain_text(says)
    uploads = stack.client.get("/v1/uploads").json()["data"]
    assert not {upload["filename"] for upload in uploads} & {"photos.rar", "empty.zip", "one.png"}


def test_by_keyboard(page: Page, stack: Stack, photos: Path) -> None:
    open_datasets(page)
    gate = Gate(page, 2)
    page.get_by_role("button", name="Choose folder").focus()
    with page.expect_file_chooser() as chooser:
        page.wait_for_timeout(300)  # Playwright is not at once in the dialog's way
        page.keyboard.press("Enter")
    chooser.value.set_files(photos)
    wait_for_parts(page, stack, 2)
    expect(card(page)).to_be_focused()  # not lost with the button that was pressed
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    gate.open()
    page.keyboard.press("Enter")
    arrived(page, stack)


def test_a_key_that_may_not_upload_is_told_so(open_context: OpenContext, stack: Stack) -> None:
    body = {"name": "looks", "scopes": ["files:read"]}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    page = open_context(key=key).new_page()
    watch = Watch(page, stack.address)
    open_datasets(page)
    expect(page.get_by_text("it needs the scope files:write")).to_be_visible()
    expect(page.get_by_role("button", name="Choose folder")).to_have_count(0)
    assert watch.unexpected() == []
