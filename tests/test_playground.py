"""The playground: what it makes in a browser is what PyTorch makes here."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kineograph import api
from kineograph.models import bundled
from kineograph.models.base import noise_for

pytestmark = pytest.mark.slow

BUILD = Path(__file__).resolve().parents[1] / "docs" / "playground" / "build.py"
MOST_BYTES = 8_000_000
"""Of the page and the GAN, compressed, on a machine without WebGPU."""
PROMPTS = {
    "tutorial-gan": [
        "circle moving up-right",
        "Circle  moving up",
        "a PRISM, of all things: 圓形 ½!",
    ],
    "shapes": ["a small blue ring moving up-left quickly on a grey background", "disc"],
}
SHOTS = os.environ.get("KINEOGRAPH_SCREENSHOTS")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is published."""
    pytest.importorskip("onnxruntime", reason="the extra is not installed")
    if not shutil.which("npm"):
        pytest.skip("npm is not installed (Debian: apt install npm)")
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, BUILD, out], check=True)
    return out


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Any server of files will do."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(visit: Callable[..., Any], address: str) -> Any:
    """The page, when its first clips are there."""
    page = visit(address)
    page.locator(".verdict.yes, .verdict.no").nth(3).wait_for(timeout=60_000)
    return page


def test_the_first_clips_come_by_themselves_and_are_judged(page: Any) -> None:
    assert "do what the prompt says" in page.locator("#told").inner_text()
    page.get_by_role("textbox", name="Prompt").fill("")
    page.get_by_role("button", name="Make", exact=True).click()
    assert "The prompt is empty" in page.locator("#told").inner_text()
    count = page.get_by_role("spinbutton", name="Clips")
    count.fill("")
    page.get_by_role("button", name="circle moving up", exact=True).click()
    assert page.locator(".card").count() == 4, "what is no number asks for nothing"
    page.get_by_label("Model").select_option("shapes")
    count.fill("2")
    page.get_by_role("button", name="a small blue ring").click()
    page.locator(".card", has_text="a small blue ring").nth(1).wait_for()
    page.locator(".verdict.yes, .verdict.no").nth(1).wait_for(timeout=60_000)


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_noise_is_that_of_pytorch(page: Any, seed: int) -> None:
    for item, count in ((0, 75), (3, 410), (1, 16)):
        drawn = page.evaluate(
            """async ([seed, item, count]) => {
                const { normal, seedFor } = await import("./random.js");
                return [...normal(seedFor(seed, item), count)];
            }""",
            [seed, item, count],
        )
        wanted = noise_for(seed, [item], (count,))[0]
        assert torch.allclose(torch.tensor(drawn), wanted, atol=1e-5)


@pytest.mark.parametrize("name", bundled.NAMES)
def test_tokens_are_those_of_the_tokenizer(page: Any, name: str) -> None:
    pipeline = api.load(name)
    prompts = [*pipeline.info["captions"][:40], *PROMPTS[name], " ", "-up--right_x!"]
    found = page.evaluate(
        """async ([name, prompts]) => {
            const { Tokenizer } = await import("./tokenizer.js");
            const told = await (await fetch(`models/${name}/tokenizer.json`)).json();
            const tokenizer = new Tokenizer(told);
            return prompts.map((prompt) => tokenizer.encode(prompt));
        }""",
        [name, prompts],
    )
    for prompt, ids in zip(prompts, found, strict=True):
        wanted = pipeline.tokenizer.encode([prompt])[0].tolist()
        assert (ids or [0]) == wanted, prompt


@pytest.mark.parametrize("name", bundled.NAMES)
def test_clips_are_those_of_pytorch(page: Any, name: str) -> None:
    pipeline = api.load(name)
    for prompt in PROMPTS[name]:
        for seed, item in ((0, 0), (11, 3)):
            made = page.evaluate(
                """async ([name, prompt, seed, item]) => {
                    const { Model } = await import("./model.js");
                    const ort = await import("./vendor/ort.wasm.min.mjs");
                    self[name] ??= Model.open(`models/${name}`, ort, ["wasm"]);
                    const model = await self[name];
                    return [...(await model.clip(prompt, seed, { item }))];
                }""",
                [name, prompt, seed, item],
            )
            wanted = pipeline.batch([prompt], [item], seed)[0].frames
            pixels = np.array(made).reshape(*wanted.shape[:3], 4)
            assert (pixels[..., 3] == 255).all()
            assert np.abs(pixels[..., :3] - wanted.astype(int)).max() <= 2, (prompt, seed, item)


def test_it_is_small_and_asks_nobody_else(site: Path, page: Any) -> None:
    files = [file for file in site.iterdir() if file.is_file()]
    files += [*(site / "models/tutorial-gan").iterdir()]
    files += [file for file in (site / "vendor").iterdir() if "webgpu" not in file.name]
    files = [file for file in files if "asyncify" not in file.name]
    assert sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) <= MOST_BYTES
    asked = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    assert asked
    assert all(name.startswith(page.url) for name in asked)


@pytest.mark.parametrize("size", ["narrow", "wide"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(
    visit: Callable[..., Any], address: str, size: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(address, size, color_scheme=scheme)
    page.locator(".verdict.yes, .verdict.no").nth(3).wait_for(timeout=60_000)
    found = axe.Axe().run(page).response["violations"]
    assert not [each for each in found if each["impact"] in ("serious", "critical")], json.dumps(
        found, indent=1
    )[:3000]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/playground-{size}-{scheme}.png", full_page=True)
