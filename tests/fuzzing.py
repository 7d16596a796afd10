"""Real files, damaged: every one loads, or says in one line what is wrong, and runs nothing.

A process of its own, so that its memory has a limit and a crash is seen:
``python tests/fuzzing.py LOADER COUNT [FIRST]``. It prints what it found as JSON, a case a line.
"""

from __future__ import annotations

import copy
import faulthandler
import functools
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch

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
Random = np.random.Generator
Mutation = Callable[[bytes, Random], bytes]

NUMBERS: list[Any] = [0, -1, 1, 2, 7, 255, 2**16, 2**31, 2**32, 2**53, 2**63, -(2**63), 2**64]
NUMBERS += [10**30, 10**400, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf")]
VALUES: list[Any] = [None, True, False, "", "x", "5", "1e9", [], [[]], {}, {"a": 1}, [1, 2, 3]]
VALUES += ["evil.py", "../evil.py", "\udc80", "é" * 3, "x" * 5000, "\0", "F64", "I8", "BF16"]
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


# ---- damage ------------------------------------------------------------------------------------


def of_bytes(content: bytes, random: Random) -> bytes:
    """One to four places flipped, cut, inserted, doubled or overwritten."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        where = int(random.integers(0, max(1, len(data))))
        length = int(2 ** random.integers(0, 10))
        match int(random.integers(7)):
            case 0 if data:
                data[where] ^= 1 << int(random.integers(8))
            case 1:
                del data[where : where + length]
            case 2:
                del data[where:]
            case 3:
                data[where:where] = random.bytes(length)
            case 4:
                data[where:where] = data[where : where + length]
            case 5:
                data[where : where + 8] = int(random.integers(2**63)).to_bytes(8, "little")
            case 6:
                data[where : where + length] = bytes(length)
    return bytes(data)


def of_numbers(content: bytes, random: Random) -> bytes:
    """One number in a text becomes another."""
    found = list(re.finditer(rb"\d+(\.\d+)?", content))
    if not found:
        return of_bytes(content, random)
    number = found[int(random.integers(len(found)))]
    return (
        content[: number.start()] + repr(chosen(NUMBERS, random)).encode() + content[number.end() :]
    )


def of_lines(content: bytes, random: Random) -> bytes:
    """One line is lost, doubled or elsewhere."""
    lines = content.split(b"\n")
    line = lines.pop(int(random.integers(len(lines))))
    for _ in range(int(random.integers(3))):
        lines.insert(int(random.integers(len(lines) + 1)), line)
    return b"\n".join(lines)


def chosen(values: list[Any], random: Random) -> Any:
    return copy.deepcopy(values[int(random.integers(len(values)))])  # which may be changed later


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a tree of JSON with each of its keys."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(inside):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def of_tree(tree: Any, random: Random) -> Any:
    """One to three values of a tree changed, lost, doubled, renamed or put elsewhere."""
    for _ in range(int(random.integers(1, 4))):
        where = list(places(tree))
        if not where:
            return tree
        inside, key = where[int(random.integers(len(where)))]
        match int(random.integers(8)):
            case 0 | 1:
                inside[key] = chosen(NUMBERS, random)
            case 2 | 3:
                inside[key] = chosen(VALUES, random)
            case 4:
                del inside[key]
            case 5:
                other, its = where[int(random.integers(len(where)))]
                inside[key] = json.loads(json.dumps(other[its]))
            case 6 if isinstance(inside, dict):
                inside[str(chosen(VALUES, random))] = inside.pop(key)
            case 6 | 7 if isinstance(inside, list):
                inside[key:key] = [inside[key]] * int(2 ** random.integers(0, 8))
            case _ if isinstance(inside[key], int | float) and not isinstance(inside[key], bool):
                inside[key] = inside[key] * int(random.integers(2, 2000)) + int(random.integers(2))
    return tree


def of_json(content: bytes, random: Random) -> bytes:
    tree = of_tree(json.loads(content), random)
    if random.random() < 0.02:
        return b'{"a":' * 100_000 + b"1"
    return json.dumps(tree).encode()


def of_toml(content: bytes, random: Random) -> bytes:
    try:
        return tomli_w.dumps(of_tree(tomllib.loads(content.decode()), random)).encode()
    except (TypeError, ValueError, AttributeError):  # what TOML has no word for
        return of_numbers(content, random)


def of_json_lines(content: bytes, random: Random) -> bytes:
    lines = content.splitlines()
    at = int(random.integers(len(lines)))
    lines[at] = of_json(lines[at], random)
    return b"\n".join(lines) + b"\n"


def of_safetensors(content: bytes, random: Random) -> bytes:
    """The header changed, and its length with it, so that what lies behind it is reached."""
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    match int(random.integers(6)):
        case 0:
            return int(random.integers(2**63)).to_bytes(8, "little") + content[8:]
        case 1:
            rest = of_bytes(rest, random)
        case 2:
            header = of_numbers(header, random)
        case 3:
            header = of_safe_shapes(json.loads(header), random)
        case _:
            header = of_json(header, random)
    return len(header).to_bytes(8, "little") + header + rest


def of_safe_shapes(header: dict[str, Any], random: Random) -> bytes:
    """A header that is true, of other tensors: shapes, types and names that do not fit."""
    names = [name for name in header if name != "__metadata__"]
    one, other = chosen(names, random), chosen(names, random)
    match int(random.integers(4)):
        case 0:
            header[one], header[other] = header[other], header[one]
        case 1:
            header[one]["shape"] = [*header[one]["shape"], 1]
        case 2:
            header[one]["shape"] = [int(np.prod(header[one]["shape"], dtype=int))]
        case 3 if header[one]["dtype"] == "F32":
            header[one]["dtype"] = chosen(["I32", "U32"], random)
    return json.dumps(header).encode()


KINDS: dict[str, list[Mutation]] = {
    ".json": [of_bytes, of_numbers, of_lines, of_json, of_json, of_json],
    ".toml": [of_bytes, of_numbers, of_lines, of_toml, of_toml],
    ".jsonl": [of_bytes, of_numbers, of_lines, of_json_lines],
    ".safetensors": [of_bytes, of_safetensors, of_safetensors, of_safetensors],
    ".bin": [of_bytes],
}


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
