"""Clips a second of every source, of packing and of reading a pack, beside the tutorial's way.

    python benchmarks/data.py
    python benchmarks/data.py --sprites SHEETS --mnist FOLDER    # with real data

Everything runs in one process on one thread, one after the other, 64×64×10. The tutorial draws
frame by frame with PIL's ``ImageDraw``, saves each frame as a PNG, and trains from those files: a
clip drawn, saved and read that way is the measure. Prints the ratios and writes
``benchmarks/results/data.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kineograph.core.errors import RequestError
from kineograph.data.clip import Source
from kineograph.data.folder.packing import pack
from kineograph.data.folder.video_folder import write_video_folder
from kineograph.data.sources import digits, folder, shapes, sprites, tutorial
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "data.json"
BATCH = 250


def rendered(source: Source, clips: int) -> float:
    """Clips a second of a source, a batch at a time, after a first batch that warms it."""
    source.batch(np.arange(BATCH) % len(source), 0)
    start = time.perf_counter()
    for first in range(0, clips, BATCH):
        source.batch(np.arange(first, first + BATCH) % len(source), 1)
    return clips / (time.perf_counter() - start)


def tutorials_way(count: int, place: Path) -> dict[str, float]:
    """Clips a second of PIL drawing the same discs, saving each frame as PNG, and reading it."""
    source = tutorial.Source(tutorial.Config())
    facts = [facts for facts in source.batch(np.arange(count), 0).facts if facts]
    pictures = []
    start = time.perf_counter()
    for each in facts:
        thing = each.objects[0]
        for (x, y), size in zip(thing.position, thing.size, strict=True):
            picture = Image.new("RGB", (64, 64), (255, 255, 255))
            box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
            ImageDraw.Draw(picture).ellipse(box, fill=(0, 0, 0))
            pictures.append(picture)
    found = {"PIL, drawn": count / (time.perf_counter() - start)}
    files = [place / f"frame_{k}.png" for k in range(len(pictures))]

    def save() -> None:
        for picture, file in zip(pictures, files, strict=True):
            picture.save(file)

    found["PNG files, written"] = timed(save, count)
    found["PNG files, read"] = timed(lambda: [np.asarray(Image.open(f)) for f in files], count)
    return found


def timed(work: Callable[[], object], clips: int) -> float:
    """Clips a second of something that handles so many."""
    start = time.perf_counter()
    work()
    return clips / (time.perf_counter() - start)


def of_files(count: int, place: Path) -> dict[str, float]:
    """MP4 files decoded, packed, and read from the pack."""
    source = tutorial.Source(tutorial.Config())
    clips = [source.clip(k, 0) for k in range(count)]
    videos = place / "videos"
    write_video_folder(clips, videos)
    settings = folder.Config(videos, held_out=0.0)
    decoded = folder.Source(settings)
    found = {}
    found["folder of MP4, decoded"] = timed(lambda: decoded.batch(np.arange(count), 0), count)
    layout, form = folder.layout_of(settings), folder.form_of(settings)
    packing = timed(lambda: pack(layout, form, videos / "kineograph-pack", workers=1), count)
    found["folder of MP4, packed"] = packing
    found["pack, read"] = rendered(folder.Source(settings), 40 * BATCH)
    return found


def sources(sheets: str, mnist: str) -> dict[str, Source]:
    """What can be tried here: digits need scikit-learn, sprites a folder of sheets."""
    found: dict[str, Source] = {
        "tutorial": tutorial.Source(tutorial.Config()),
        "shapes, one object": shapes.Source(shapes.Config(two_objects=0.0)),
        "shapes, two objects": shapes.Source(shapes.Config(two_objects=1.0)),
    }
    try:
        found["digits, one"] = digits.Source(digits.Config(path=mnist, two_digits=0.0))
        found["digits, two"] = digits.Source(digits.Config(path=mnist, two_digits=1.0))
    except RequestError as error:
        print(f"digits are left out: {error}")
    if sheets:
        found["sprites"] = sprites.Source(sprites.Config(path=sheets))
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", default="", help="folder of layered sheets")
    parser.add_argument("--mnist", default="", help="folder of MNIST's IDX files")
    arguments = parser.parse_args()
    speeds = {
        name: rendered(source, 4000)
        for name, source in sources(arguments.sprites, arguments.mnist).items()
    }
    with tempfile.TemporaryDirectory() as place:
        speeds |= of_files(200, Path(place))
        way = tutorials_way(200, Path(place))
    theirs = 1 / sum(1 / speed for speed in way.values())
    speeds |= way
    for name, speed in speeds.items():
        print(f"{name:24} {speed:10,.0f} clips/s  {speed / theirs:8.1f} times the tutorial's way")
    print(f"{'the tutorial: all three':24} {theirs:10,.0f} clips/s")
    told = {
        "benchmark": "data",
        "clips_per_second": {name: round(speed, 1) for name, speed in speeds.items()},
        "tutorials_way_clips_per_second": round(theirs, 1),
        "ratio": {name: round(speed / theirs, 1) for name, speed in speeds.items()},
        "environment": environment(),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
