"""The studio, as a person uses it, in Debian's Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kineograph.core.files import holder
from kineograph.data.animation import animation_bytes
from kineograph.data.folder.video_folder import write_video_folder
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import read_video
from kineograph.training import run_folder

playwright = pytest.importorskip("playwright.sync_api", reason="the extra is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow

Running = Any
PROMPT = "circle moving up-right"
PAGES = {
    "create": "canvas",
    "library": "canvas",
    "data": "canvas",
    "train": ".chart polyline, .chart circle",
    "explain": ".lead",
}
"""Each page, and what is there when it is whole."""
SHOTS = os.environ.get("KINEOGRAPH_SCREENSHOTS")
"""A folder to keep screenshots in."""


def make(page: Any, prompt: str = PROMPT, clips: int = 2) -> None:
    page.get_by_label("What should happen?").fill(prompt)
    page.get_by_label("Clips").fill(str(clips))
    page.get_by_role("button", name="Make").click()


def shows(page: Any, count: int, what: str = "canvas", within: float = 30) -> None:
    """Wait until there are so many; a finished clip plays on a canvas."""
    playwright.expect(page.locator(what)).to_have_count(count, timeout=1000 * within)


def keep(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_from_a_prompt_to_a_file(
    running: Callable[..., Running], visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(running().address)
    make(page)
    cards = page.get_by_role("article")
    shows(page, 2)
    assert cards.count() == 2
    assert cards.first.locator(".verdict").inner_text()[0] in "✓✗"
    cards.first.get_by_role("button", name="Pause").click()
    cards.first.get_by_role("button", name="Frame after").click()
    cards.first.locator("summary").click()
    with page.expect_download() as download:
        cards.first.get_by_role("button", name="MP4").click()
    download.value.save_as(tmp_path / "made.mp4")
    assert len(read_video(tmp_path / "made.mp4").frames) == 4
    page.reload()
    shows(page, 2)
    assert page.get_by_label("What should happen?").input_value() == PROMPT


def test_the_library_is_there_after_a_restart(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    first = running()
    page = visit(first.address)
    make(page)
    shows(page, 2)
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(30) == 0
    page = visit(running().address + "/#library")
    shows(page, 2)
    page.get_by_label("Words of the prompt").fill("no such prompt")
    page.get_by_text("Nothing fits.").wait_for()
    page.get_by_label("Words of the prompt").fill("up-right")
    shows(page, 2)
    card = page.get_by_role("article").first
    card.locator("summary").click()
    card.get_by_role("button", name="Compare").click()
    beside = page.get_by_role("region", name="Side by side")
    playwright.expect(beside.get_by_role("article")).to_have_count(1)
    beside.locator("summary").click()
    beside.get_by_role("button", name="Compare").click()
    beside.wait_for(state="detached")
    card.get_by_role("button", name="Favourite").click()
    page.get_by_label("Favourites only").check()
    shows(page, 1)
    page.on("dialog", lambda dialog: dialog.accept())
    card.locator("summary").click()
    card.get_by_role("button", name="Delete").click()
    page.get_by_text("Nothing fits.").wait_for()


def test_the_same_prompt_on_two_models(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    page = visit(running().address)
    page.get_by_text("Settings").click()
    page.get_by_label("Beside it").select_option("gan")
    make(page, clips=1)
    shows(page, 2, ".pair canvas")
    told = page.locator(".pair").inner_text()
    assert "flow · Seed" in told
    assert "gan · Seed" in told


def test_what_is_not_known_is_said(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    page = visit(running().address)
    page.get_by_label("What should happen?").fill("cirle moving up")
    page.get_by_role("button", name="Did you mean “circle”?").click()
    assert page.get_by_label("What should happen?").input_value() == "circle moving up"
    page.locator("mark").wait_for(state="detached")
    page.get_by_role("button", name="shrinking").click()
    assert page.get_by_label("What should happen?").input_value() == "circle moving up shrinking"


def test_what_takes_long_can_be_cancelled(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    page = visit(running().address)
    page.get_by_text("Settings").click()
    page.get_by_label("Steps").fill("200")
    page.get_by_label("Best of").fill("64")
    make(page, clips=1)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled").wait_for()


def test_a_server_that_dies_and_returns(
    running: Callable[..., Running], visit: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    server = running()
    page = visit(server.address)
    page.get_by_text("Settings").click()
    page.get_by_label("Steps").fill("200")
    make(page, clips=3)
    shows(page, 3, "article")
    server.process.kill()
    server.process.wait()
    port = server.address.rpartition(":")[2]
    command = [sys.executable, "-m", "kineograph", "serve", "--port", port]
    command += ["--model", str(models), "--data", str(tmp_path / "kept")]
    again = subprocess.Popen(command)
    try:
        shows(page, 3, within=90)
    finally:
        again.send_signal(signal.SIGINT)
        assert again.wait(30) == 0


def test_data_is_looked_into(
    running: Callable[..., Running], visit: Callable[..., Any], tmp_path: Path
) -> None:
    source = Source(Config(num_frames=10, height=32, width=32))
    write_video_folder((source.clip(index, 0) for index in range(3)), tmp_path / "mine", "webp")
    sorted((tmp_path / "mine").glob("*.webp"))[0].write_bytes(b"no picture")
    page = visit(running("--folder", str(tmp_path / "mine")).address + "/#data")
    shows(page, 12)
    before = page.locator(".made").inner_text()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("13–24 of").wait_for()
    assert page.locator(".made").inner_text() != before
    page.get_by_label("Source").select_option("folder")
    shows(page, 2)
    page.get_by_role("button", name="Check this folder").click()
    page.get_by_text("broken: copy it again").wait_for()
    page.reload()
    shows(page, 2)


def test_a_training_from_the_page(
    running: Callable[..., Running], visit: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(models, tmp_path / "runs"))
    page = visit(running(runs=runs).address + "/#train")
    page.get_by_label("Recipe").select_option("tutorial-gan")
    page.get_by_label("Minutes").fill("30")
    page.get_by_role("button", name="Start training").click()
    run = page.locator(".run", has_text="tutorial-gan-1")
    try:
        page.get_by_role("img", name="autoencoder").wait_for(timeout=60_000)
        run.get_by_role("button", name="Pause").click()
        run.get_by_text("unfinished").wait_for(timeout=60_000)
        run.get_by_role("button", name="Go on").click()
        run.get_by_text("learning").wait_for(timeout=60_000)
        run.get_by_role("button", name="Stop").click(timeout=60_000)
        run.get_by_text("stopped").wait_for(timeout=60_000)
    finally:
        if holder(runs / "tutorial-gan-1"):
            run_folder.stop(runs / "tutorial-gan-1")
    page.locator(".run", has_text="flow").get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="tutorial-gan-1, flow").wait_for()
    run.get_by_role("button", name="Try it").click()
    playwright.expect(page.get_by_label("Model")).to_have_value("tutorial-gan-1")


def test_clips_of_a_check_stand_still_where_a_person_wants_that(
    running: Callable[..., Running], visit: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(models, tmp_path / "runs"))
    check = {"step": 2, "accuracy": 0.5, "accuracies": {PROMPT: 0.5}}
    with (runs / "flow" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(check) + "\n")
    sheet = runs / "flow" / "samples" / "step-000002.webp"
    sheet.parent.mkdir(exist_ok=True)
    sheet.write_bytes(animation_bytes(Source(Config()).clip(0, 0), "webp"))
    address = running(runs=runs).address + "/#train"
    reduced = {"reduced_motion": "reduce"}
    for told, first, then in (({}, "img", "canvas"), (reduced, "canvas", "img")):
        page = visit(address, **told)
        page.locator(f"{first}.samples").wait_for()
        page.get_by_role("button", name="Clips of this check").click()
        page.locator(f"{then}.samples").wait_for()
        playwright.expect(page.locator(f"{first}.samples")).not_to_be_visible()
    page.wait_for_function("document.querySelector('canvas.samples').width == 64")


def test_how_noise_becomes_a_clip(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    page = visit(running().address + "/#explain")
    page.get_by_label("What should happen?").fill(PROMPT)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="Step 0 of 8").wait_for()
    page.get_by_text("100 %").wait_for()
    shows(page, 9, ".strip img")
    page.get_by_role("heading", name="Step 1 of 8").wait_for()  # it goes on by itself
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Step 8").click()
    page.get_by_text("arrives at the clip").wait_for()
    page.get_by_text("First frame differs").wait_for()


def test_how_two_networks_play(running: Callable[..., Running], visit: Callable[..., Any]) -> None:
    page = visit(running().address + "/#explain")
    page.get_by_label("Model").select_option("gan")
    shows(page, 12, within=60)
    assert page.locator(".score").count() == 18
    before = page.locator(".duel").inner_text()
    page.get_by_role("button", name="Other clips").click()
    playwright.expect(page.locator(".duel")).not_to_have_text(before, timeout=60_000)
    page.get_by_role("button", name="Projector view").click()
    playwright.expect(page.get_by_role("navigation")).not_to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("navigation").wait_for()


def test_little_is_loaded_before_the_first_paint(
    running: Callable[..., Running], visit: Callable[..., Any]
) -> None:
    page = visit(running().address)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.decodedBodySize)")
    assert len(loaded) < 30
    assert sum(loaded) < 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["narrow", "wide"])
def test_anybody_can_use_it(
    running: Callable[..., Running], visit: Callable[..., Any], size: str, scheme: str
) -> None:
    """No serious finding of axe, nothing that is wider than the screen, in either language."""
    page = visit(running().address, size, color_scheme=scheme)
    page.get_by_text("Settings").click()
    make(page)
    shows(page, 2)
    for place, ready in PAGES.items():
        page.goto(page.url.partition("#")[0] + f"#{place}")
        page.wait_for_selector(ready)
        if place == "explain":
            page.get_by_role("button", name="Show").click()
            shows(page, 9, ".strip img")
        page.keyboard.press("Tab")
        found = axe.Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not serious, [(each["id"], each["nodes"][0]["html"]) for each in serious]
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, place
        keep(page, f"{place}-{size}-{scheme}")
    page.get_by_label("Language").select_option("zh-Hant")
    page.get_by_role("link", name="創作").click()
    page.get_by_text("要發生什麼").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    keep(page, f"chinese-{size}-{scheme}")


def test_a_key_is_asked_for(running: Callable[..., Running], visit: Callable[..., Any]) -> None:
    key = "a-key-that-is-long-enough"
    page = visit(running(KINEOGRAPH_API_KEY=key).address)
    page.get_by_label("This service needs an API key").fill(key)
    page.get_by_role("button", name="Open").click()
    make(page, clips=1)
    page.wait_for_selector("canvas")
