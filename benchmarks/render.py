"""Clips a second of the source `tutorial`, beside the tutorial's own way with PIL, in one run.

    python benchmarks/render.py

Prints the ratio and writes ``benchmarks/results/render.json``. The tutorial draws frame by frame
with ``ImageDraw`` and saves each as a PNG; both parts are timed.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kineograph.data.sources.tutorial import Config, Source
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "render.json"
OURS, THEIRS = 4_000, 100  # clips


def drawn_by_pil(source: Source, count: int, folder: Path) -> tuple[float, float]:
    """Seconds a clip of drawing, and of drawing and saving."""
    facts = source.batch(np.arange(count), 0).facts
    drawing = saving = 0.0
    for number, each in enumerate(facts):
        assert each is not None
        thing = each.objects[0]
        place = folder / f"video_{number}"
        place.mkdir()
        for frame, ((x, y), size) in enumerate(zip(thing.position, thing.size, strict=True)):
            start = time.perf_counter()
            picture = Image.new("RGB", (64, 64), (255, 255, 255))
            box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
            ImageDraw.Draw(picture).ellipse(box, fill=(0, 0, 0))
            drawn = time.perf_counter()
            picture.save(place / f"frame_{frame}.png")
            drawing += drawn - start
            saving += time.perf_counter() - drawn
    return drawing / count, (drawing + saving) / count


def main() -> None:
    """Measure, print, write."""
    source = Source(Config())
    source.batch(np.arange(256), 0)  # warm
    start = time.perf_counter()
    for first in range(0, OURS, 500):
        source.batch(np.arange(first, first + 500), 0)
    ours = OURS / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        drawn, saved = drawn_by_pil(source, THEIRS, Path(folder))
    print(f"source tutorial: {ours:,.0f} clips/s of 10×64×64")
    print(f"ratio to PIL: {ours * drawn:.0f}; to PIL and PNG files: {ours * saved:.0f}")
    told = {
        "clips_per_second": round(ours),
        "ratio_to_pil": round(ours * drawn, 1),
        "ratio_to_pil_and_png": round(ours * saved, 1),
        "environment": environment(),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
