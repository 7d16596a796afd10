"""The playground: how large is it, how soon is the first clip there, and how fast are the others?

    python benchmarks/playground.py

Builds the page, opens it in Chromium on the processor (WebAssembly, one thread), and prints how
many times as long a clip takes there as in PyTorch on one thread, by turns in one run; writes
``benchmarks/results/playground.json``. Needs npm, Chromium and `pip install 'kineograph[onnx]'`.
"""

from __future__ import annotations

import argparse
import gzip
import http.server
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

from kineograph import api
from kineograph.models import bundled
from kineograph.training.environment import environment

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "playground.json"
BUILD = ROOT.parent / "docs" / "playground" / "build.py"
PROMPT = "circle moving up-right"
ROUNDS, CLIPS = 5, 16
ELSEWHERE = "asyncify", "webgpu"  # in the names of files that a machine without WebGPU never loads
JUDGED = ".verdict.yes, .verdict.no"
MAKE = """async ([name, count]) => {
    const { Model } = await import("./model.js");
    const ort = await import("./vendor/ort.wasm.min.mjs");
    self[name] ??= Model.open(`models/${name}`, ort, ["wasm"]);
    const model = await self[name];
    const make = (item) => model.clip("circle moving up-right", 0, { item });
    await make(0);
    const began = performance.now();
    for (let item = 0; item < count; item++) await make(item);
    return (performance.now() - began) / count;
}"""


class Server(http.server.SimpleHTTPRequestHandler):
    """Any server of files would do; this one is silent."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def compressed(site: Path) -> dict[str, int]:
    """Bytes, by gzip, of what a visitor without WebGPU loads."""
    parts: dict[str, int] = {}
    for file in site.rglob("*"):
        if file.is_file() and not any(part in file.name for part in ELSEWHERE):
            top, *inside = file.relative_to(site).parts
            name = inside[0] if top == "models" else "runtime" if top == "vendor" else "page"
            parts[name] = parts.get(name, 0) + len(gzip.compress(file.read_bytes(), 9))
    return parts


def first_clip(browser: Any, address: str) -> dict[str, float]:
    """Seconds from the navigation, and from the page's load event, to the first clip."""
    page = browser.new_page()
    page.goto(address)
    page.locator(JUDGED).nth(0).wait_for(timeout=60_000)
    told: dict[str, float] = page.evaluate(
        """() => {
            const at = performance.getEntriesByName("clip")[0].startTime;
            const { loadEventEnd } = performance.getEntriesByType("navigation")[0];
            return { navigation: at / 1000, load: (at - loadEventEnd) / 1000 };
        }"""
    )
    page.close()
    return told


def here(name: str) -> float:
    """Milliseconds a clip, in PyTorch."""
    pipeline = api.load(name)
    pipeline.batch([PROMPT], [0])
    began = time.perf_counter()
    for item in range(CLIPS):
        pipeline.batch([PROMPT], [item])
    return 1000 * (time.perf_counter() - began) / CLIPS


def main() -> None:
    """Build, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        subprocess.run([sys.executable, BUILD, folder], check=True)
        sizes = compressed(site)
        serve = partial(Server, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with sync_playwright() as started:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            firsts = [first_clip(browser, address) for _ in range(ROUNDS)]
            page = browser.new_page()
            page.goto(address)
            page.locator(JUDGED).nth(3).wait_for(timeout=60_000)
            clips: dict[str, dict[str, float]] = {}
            for name in bundled.NAMES:
                turns = [(page.evaluate(MAKE, [name, CLIPS]), here(name)) for _ in range(ROUNDS)]
                there, own = (statistics.median(each) for each in zip(*turns, strict=True))
                ratio = statistics.median(a / b for a, b in turns)
                clips[name] = {"browser": there, "pytorch": own, "ratio": ratio}
                print(f"{name}: a clip takes {ratio:.1f} times as long as in PyTorch")
            version = browser.version
            browser.close()
        server.shutdown()
    found = {
        "environment": environment(),
        "chromium": version,
        "compressed_bytes": sizes,
        "first_clip_seconds": {
            key: round(statistics.median(each[key] for each in firsts), 2) for key in firsts[0]
        },
        "milliseconds_a_clip": {
            name: {key: round(value, 1) for key, value in told.items()}
            for name, told in clips.items()
        },
    }
    print(found["compressed_bytes"], found["first_clip_seconds"], found["milliseconds_a_clip"])
    asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
