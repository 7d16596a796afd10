"""Real files, damaged: every one loads, or says in one line what is wrong, and runs nothing.

A process of its own, so that its memory has a limit and a crash is seen:
``python tests/fuzzing.py LOADER COUNT [FIRST]``. It prints what it found as JSON, a case a line.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from damage import KINDS, Mutation, Random, chosen, of_bytes, of_json, of_numbers

from kineograph import recipes
from kineograph.core import config, files
from kineograph.core.errors import KineographError
from kineograph.data.clip import Clip
from kineograph.data.folder import cache
from kineograph.data.sources import folder as folder_source
from kineograph.data.sources import tutorial
from kineograph.models import checkpoint, flow
from kineograph.models.base import VideoShape
from kineograph.sampling.export import export
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training import run_folder
from kineograph.training.loop import Trainer
from kineograph.training.metrics_log import read_metrics
from kineograph.training.settings import TrainingConfig

PATIENCE = 5.0  # seconds; a case takes some milliseconds
ROOM = 512 * 1024**2  # bytes that a case may take more than loading the files as they were
LONGEST = 600  # characters of what an error says, besides paths
CODE = "import pathlib\npathlib.Path('ran').touch()\nclass Config: ...\nclass Model: ...\n"
FORBIDDEN = (
    "pickle.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "socket.",
)


# ---- real files, and who loads them ------------------------------------------------------------

SHAPE = VideoShape(4, 16, 16)
SMALL = flow.Config(
    width=8, depth=1, drawing_width=4, detail=4, text_features=8, appearance=2, turns_a_step=2
)
DATA = tutorial.Config(num_clips=8, num_frames=4, height=16, width=16)


def make_tokenizer() -> CaptionTokenizer:
    return CaptionTokenizer.train(tutorial.CAPTIONS[:4])


def make_model(home: Path) -> None:
    tokenizer = make_tokenizer()
    for objects, name in ((1, "model"), (0, "still")):
        settings = config.build(flow.Config, config.to_dict(SMALL) | {"objects": objects})
        model = checkpoint.make("flow", settings, SHAPE, tokenizer.vocabulary_size)
        info = {"recipe": recipes.resolve("tutorial").to_dict(), "captions": ["circle"], "fps": 10}
        told: dict[str, Any] = {"family": "flow", "model_config": settings, "info": info}
        checkpoint.save(home / name, model, tokenizer, card="A card.", **told)


def open_model(path: Path) -> None:
    checkpoint.load(path.parent)


def trainer(home: Path) -> Trainer:
    tokenizer = make_tokenizer()
    model = checkpoint.make("flow", SMALL, SHAPE, tokenizer.vocabulary_size)
    settings = TrainingConfig(
        steps=3, batch_size=2, precision="fp32", evaluate_every=0, checkpoint_every=2
    )
    source = tutorial.Source(DATA)
    return Trainer(model, source, tokenizer, settings, seed=0, folder=home)


@functools.cache
def one_trainer() -> Trainer:
    return trainer(Path("nowhere"))


def make_run(home: Path) -> None:
    settings = {"training": {"steps": 3, "minutes": 1.5, "stop_at": 0.9}}
    text = config.to_toml(recipes.resolve("tutorial", settings).to_dict())
    (home / "config.toml").write_text(text)
    trainer(home).run()
    for old in run_folder.checkpoints(home / "checkpoints")[:-1]:
        shutil.rmtree(old)
    rows = [json.loads(line) for line in (home / "metrics.jsonl").read_text().splitlines()]
    rows[1] |= {"accuracy": 0.5, "accuracies": {"circle moving up": 0.5}}
    (home / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def open_checkpoint(path: Path) -> None:
    each = one_trainer()
    each.checkpoints = path.parents[1]
    each.resume()


def make_recipe(home: Path) -> None:
    for name in ("tutorial", "shapes", "digits", "tutorial-baseline"):
        text = config.to_toml(recipes.resolve(name).to_dict())
        (home / f"{name}.toml").write_text(text)


def open_recipe(path: Path) -> None:
    recipes.resolve(str(path))


def make_pack(home: Path) -> None:
    from kineograph.data.folder.layouts import recognise
    from kineograph.data.folder.packing import pack

    clips = home.with_name("clips")
    clips.mkdir()
    for k in range(1, 5):
        frames = np.random.default_rng(k).integers(256, size=(3 + k, 16, 16, 3), dtype=np.uint8)
        export([Clip(frames, f"number {k}", fps=10.0)], clips / f"{k}.webp")
        (clips / f"{k}.txt").write_text(f"number {k}")
    form = folder_source.form_of(pack_config(home))
    home.rmdir()
    pack(recognise(clips), form, home, workers=1)


def pack_config(home: Path) -> folder_source.Config:
    return folder_source.Config(home, num_frames=3, height=16, width=16, held_out=0.0)


def open_pack(path: Path) -> None:
    if cache.is_pack(path.parent):
        source = folder_source.Source(pack_config(path.parent))
        for index in range(min(len(source), 8)):
            source.clip(index, 0)


def make_tokenizers(home: Path) -> None:
    (home / "tokenizer.json").write_text(make_tokenizer().to_json())


def open_tokenizer(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    CaptionTokenizer.from_json(text).encode(["circle moving up", "naïve"])


def open_run(path: Path) -> None:
    home = next(parent for parent in path.parents if (parent / "metrics.jsonl").exists())
    read_metrics(home / "metrics.jsonl")
    run_folder.told(home)


def open_seal(path: Path) -> None:
    files.check_seal(path.parent)
    if path.suffix == ".json":
        files.read_json(path)


@dataclass(frozen=True)
class Loader:
    """How its files are made and loaded, which of them are damaged, and how often they are sealed
    anew, so that what lies behind the checksums is reached."""

    make: Callable[[Path], None]
    load: Callable[[Path], None]
    patterns: tuple[str, ...]
    reseal: float = 0.9


_RUN = ("*.jsonl", "config.toml", "*/*/state.json", "*/*/manifest.json", "*/*/ema.safetensors")
LOADERS = {
    "model": Loader(make_model, open_model, ("*/*.json", "*/*.safetensors")),
    "checkpoint": Loader(make_run, open_checkpoint, ("*/*/*.json", "*/*/*.safetensors")),
    "recipe": Loader(make_recipe, open_recipe, ("*.toml",)),
    "pack": Loader(make_pack, open_pack, (*3 * ("manifest.json",), "*.bin")),
    "tokenizer": Loader(make_tokenizers, open_tokenizer, ("*.json",)),
    "run": Loader(make_run, open_run, _RUN, 0.5),
    "seal": Loader(make_model, open_seal, ("*/*.json", "*/*.safetensors"), 0.5),
}


# ---- cases -------------------------------------------------------------------------------------


def seal_anew(path: Path) -> None:
    """Make the manifest true of a folder whose files were changed."""
    folder = path.parent
    if path.name == files.MANIFEST:
        return
    told = json.loads((folder / files.MANIFEST).read_text())
    if "files" in told:
        files.seal(folder)
        return
    for shard in told["shards"]:  # a pack's
        if shard["file"] == path.name:
            shard |= {"size": path.stat().st_size, "sha256": cache._sha256(path, -1)}
            cache._sha256.cache_clear()
    sealed_pack(folder, told)


def sealed_pack(folder: Path, told: dict[str, Any]) -> None:
    told.pop("sha256", None)
    text = json.dumps(told | {"sha256": cache.digest(told)})
    (folder / files.MANIFEST).write_text(text)


def damage(path: Path, random: Random, reseal: float) -> None:
    mutate: Mutation = chosen(KINDS.get(path.suffix, [of_bytes]), random)
    path.write_bytes(mutate(path.read_bytes(), random))
    if random.random() >= reseal:
        return
    if path.name != files.MANIFEST:
        if (path.parent / files.MANIFEST).is_file():
            seal_anew(path)
    elif mutate in (of_json, of_numbers):
        try:
            told = json.loads(path.read_bytes())
            if "shards" in told or "captions" in told:
                sealed_pack(path.parent, told)
        except (ValueError, TypeError, RecursionError):
            pass  # such as is no JSON


def outcome(load: Callable[[Path], None], path: Path, ran: list[str]) -> str:
    """Of a case: "loads", "says", or what is wrong with it."""
    ran.clear()
    try:
        load(path)
        said = "loads"
    except KineographError as error:
        said = "says"
        if (
            not error.cause
            or "\n" in error.cause
            or len(error.cause) > LONGEST + 3 * len(str(path))
        ):
            return f"not a line: {error.cause[:300]!r}"
        if "memory" in error.cause:
            return f"memory: {error.cause}"
        if not is_text(str(error)):
            return f"no terminal shows it: {error.cause[:300]!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return "".join(traceback.format_exception(error)[-6:])
    return f"it ran {ran}" if ran else said


def is_text(said: str) -> bool:
    """Whether a terminal can show it."""
    try:
        return bool(said.encode())
    except UnicodeEncodeError:
        return False


def limit_memory() -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(loader: Loader, name: str, numbers: range, work: Path) -> Counter[str]:
    """Damage and load, case by case; prints what is wrong, and counts."""
    ran: list[str] = []

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            ran.append(event)
        elif event == "exec" and str(work) in getattr(args[0], "co_filename", ""):
            ran.append(args[0].co_filename)

    home = work / "files"
    home.mkdir()
    loader.make(home)
    (work / "evil.py").write_text(CODE)
    targets = [path for pattern in loader.patterns for path in sorted(home.glob(pattern))]
    for path in targets:
        loader.load(path)
    sys.addaudithook(watch)
    limit_memory()
    seen: Counter[str] = Counter()
    for number in numbers:
        target = targets[number % len(targets)]
        kept = {
            path: path.read_bytes()
            for path in (target, target.with_name(files.MANIFEST))
            if path.exists()
        }
        damage(target, np.random.default_rng([number, *name.encode()]), loader.reseal)
        cache._sha256.cache_clear()  # it goes by a time that may be the same
        print(number, target, file=sys.stderr, flush=True)  # what it was, if it crashes
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        said = outcome(loader.load, target, ran)
        faulthandler.cancel_dump_traceback_later()
        seen[said if said in ("loads", "says") else "faults"] += 1
        if said not in ("loads", "says"):
            print(json.dumps({"case": number, "file": target.name, "fault": said}), flush=True)
        for path, content in kept.items():
            path.write_bytes(content)
    return seen


def main(name: str, count: int, first: int = 0) -> None:
    torch.set_num_threads(1)
    os.fsync = lambda fd: None  # nothing here has to outlast a power cut
    with tempfile.TemporaryDirectory(prefix="kineograph-fuzz-") as work:
        os.chdir(work)
        print(json.dumps(run(LOADERS[name], name, range(first, first + count), Path(work))))
        os.chdir("/")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
