"""Pictures of every view of the page, wide and at 360 pixels, light and dark.

    make demo                          # its data is what is shown
    make up                            # and, in another terminal:
    python -m docs.screenshots

Needs Debian's chromium. Pictures go to docs/page/; look at each before it is committed.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import BrowserContext, sync_playwright

from core.settings import Settings

FOLDER = Path(__file__).parent / "page"
WIDTHS = {"wide": 1280, "narrow": 360}
SCHEMES: tuple[Any, ...] = ("light", "dark")
COLOURS = 128  # of a picture: a fifth of the bytes, and text stays sharp
TALLEST = 4000  # pixels
SETTLED = 2500  # milliseconds for charts and pictures


def views(client: httpx.Client) -> dict[str, str]:
    """Name and address of every view, of what the service has."""
    jobs = client.get("/v1/fine_tuning/jobs").json()["data"]
    finished = [job for job in jobs if job["status"] == "succeeded"]
    dataset = client.get("/v1/datasets").json()["data"][0]["id"]
    newest = finished[0]["id"]
    several = ",".join(job["id"] for job in finished[:3])
    tabs = ("keys", "usage", "workers", "queue", "projects", "audit")
    return {
        "sign-in": "/sign-in",
        "jobs": "/",
        "datasets": "/datasets",
        "dataset": f"/datasets/{dataset}",
        "new-job": "/jobs/new",
        "job": f"/jobs/{newest}",
        "result": f"/jobs/{newest}/result?alpha=0.5",
        "compare": f"/compare?jobs={several}",
        "playground": "/playground",
        "models": "/models",
        **{f"operate-{tab}": f"/operate?tab={tab}" for tab in tabs},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every view of the page.")
    settings = Settings()
    parser.add_argument("--address", default=settings.local_address)
    parser.add_argument("--key-file", type=Path, default=settings.data_dir / "api_key")
    parser.add_argument("--only", nargs="*", help="names of views")
    options = parser.parse_args()
    key = options.key_file.read_text().strip()
    bearer = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=options.address, headers=bearer) as client:
        wanted = views(client)
    if options.only:
        wanted = {name: wanted[name] for name in options.only}
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for width in WIDTHS:
            for scheme in SCHEMES:
                context = browser.new_context(
                    base_url=options.address,
                    color_scheme=scheme,
                    viewport={"width": WIDTHS[width], "height": 800},
                )
                context.request.post("/session", headers=bearer)
                for name, path in wanted.items():
                    _take(context, path, FOLDER / f"{name}-{width}-{scheme}.png")
                context.close()
        browser.close()


def _take(context: BrowserContext, path: str, target: Path) -> None:
    page = context.new_page()
    page.goto(path)
    page.locator('#view[aria-busy="false"]').wait_for()
    page.wait_for_timeout(SETTLED)
    taken = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    cut = taken.crop((0, 0, taken.width, min(taken.height, TALLEST))).convert("RGB")
    cut.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    page.close()


if __name__ == "__main__":
    main()
