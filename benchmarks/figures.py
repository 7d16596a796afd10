"""What the benchmarks have recorded, and tables of what things cost.

`tables.py` puts them into pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kineograph.evaluation.accuracy import duration

ROOT = Path(__file__).resolve().parent.parent
NAMES = {
    "flow": "Kineograph's flow",
    "gan": "Kineograph's GAN",
    "tutorial_gan": "the tutorial's model",
    "ddpm": "a 3D U-Net DDPM (lucidrains)",
}


def results(name: str) -> dict[str, Any]:
    """The figures of one benchmark."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def share(value: float, interval: list[float]) -> str:
    """0.951, [0.93, 0.97] => "95.1 % (93.0–97.0)"."""
    return f"{value:.1%} ({interval[0] * 100:.1f}–{interval[1] * 100:.1f})".replace("%", " %")


def percent(value: float, digits: int = 1) -> str:
    """0.951 => "95.1 %"."""
    return f"{value:.{digits}%}".replace("%", " %")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table."""
    head = list(head)
    return [
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def where(found: dict[str, Any], threads: int | None = None) -> str:
    """On which machine, when and at which commit a benchmark was run, as a sentence.

    ``threads`` are those that it used, where it did not use all that it had.
    """
    machine = found["environment"]
    count = threads or machine["threads"]
    return (
        f"{count} thread{'s' * (count > 1)} on {machine['processor']}, "
        f"{machine['gpu'] or 'without a GPU'}, PyTorch {machine['torch']} "
        f"({machine['started'][:10]}, commit {machine['commit'][:7]})."
    )


# ---- what a clip costs, a training, the service --------------------------------------------------


def cost() -> str:
    """How long a clip takes and how much memory a training, as a sentence each."""
    speed, memory = results("generate"), results("memory")
    gan, flow = (speed["families"][name] for name in ("gan", "flow"))
    clips, peaks = flow["milliseconds_a_clip"], memory["peak_mib"]
    return (
        f"On {speed['environment']['threads']} cores a clip takes the GAN "
        f"{gan['milliseconds_a_clip']['1']:.1f} ms and the flow {clips['8']:.0f} ms "
        f"in 8 steps, {clips['4']:.0f} ms in 4; from a cold shell to an MP4, "
        f"{flow['seconds_from_a_cold_shell']:.1f} s (`benchmarks/generate.py`). Training the flow "
        f"at batch {memory['batch']} peaks at {peaks['flow']} MiB, the tutorial's model at "
        f"{peaks['tutorial_gan']} MiB (`benchmarks/memory.py`)."
    )


def generate() -> list[str]:
    """How long a clip takes."""
    found = results("generate")
    rows = []
    for family, told in found["families"].items():
        for steps, milliseconds in told["milliseconds_a_clip"].items():
            rate, cold = told["clips_a_second"][steps], told["seconds_from_a_cold_shell"]
            rows.append([family, steps, f"{milliseconds:.1f}", f"{rate:.0f}", f"{cold:.1f}"])
    head = ["family", "steps", "ms for one clip", f"clips a second, {found['batch']} at once"]
    return [*table([*head, "s from a cold shell to an MP4"], rows), "", where(found)]


def memory() -> list[str]:
    """The peak of a process that trains."""
    found = results("memory")
    names = {"nothing": "no model: imports, and draws clips"} | NAMES
    rows = [[names[name], f"{peak:,}"] for name, peak in found["peak_mib"].items()]
    head = ["training", f"peak at batch {found['batch']}, MiB"]
    return [*table(head, rows), "", where(found)]


def roofline() -> list[str]:
    """What share of the matrix rate is used."""
    found = results("roofline")
    rows = [
        [family, part, f"{each['gflop']:.2f}", f"{each['ms']:.1f}", percent(each["share"], 0)]
        for family, told in found["families"].items()
        for part, each in told["work"].items()
    ]
    rates = {each["precision"]: each["matrix_rate"] / 1e12 for each in found["families"].values()}
    rate = ", ".join(f"{rate:.2f} TFLOP/s in {precision}" for precision, rate in rates.items())
    told = f"Batches of {found['batch']}. The machine's own rate in that run: {rate}."
    head = ["family", "what", "GFLOP", "ms", "of the machine's rate"]
    return [*table(head, rows), "", told, where(found)]


def loop() -> list[str]:
    """What a step of the training costs beside a bare one."""
    found = results("loop_overhead")
    rows, told = [], []
    for recipe, each in found["recipes"].items():
        for part in each["stretches"]:
            name = f"`{recipe}`, {' and '.join(part['phases'])}"
            took = (f"{part['ms']:,.0f}", f"{part['bare_ms']:,.0f}", f"{part['ratio']:.3f}")
            rows.append([name, *took])
        rows.append([f"`{recipe}`, all, with its checkpoints", "", "", f"{each['ratio']:.3f}"])
        told.append(
            f"A step of `{recipe}` waits {each['feed_ms']:.0f} ms for its clips; a checkpoint, one "
            f"in {each['checkpoint_every']} steps, takes {each['checkpoint_ms']:.0f} ms."
        )
    head = ["recipe, turns of", "ms a step", "ms of a bare one", "ratio"]
    return [*table(head, rows), "", f"Batches of {found['batch']}.", *told, where(found)]


def tutorial_times() -> list[str]:
    """How long the tutorial's trainings take here, as its own table told."""
    found = results("tutorial_times")
    rows = []
    for family, each in found["models"].items():
        times = (duration(videos["seconds"]) for videos in each["videos"].values())
        of = "frames" if family == "tutorial_gan" else "clips"
        name = f"{NAMES[family]}, {each['milliseconds_a_step']:,.0f} ms for {each['batch']} {of}"
        rows.append([name, *times])
    head = [f"{int(n):,} videos" for n in found["models"]["gan"]["videos"]]
    return [
        *table([f"{found['epochs']} epochs, extrapolated from measured steps", *head], rows),
        "",
        where(found),
    ]


def compiled() -> list[str]:
    """What `training.compile` gains."""
    found = results("compile")
    rows = []
    for recipe, each in found["recipes"].items():
        step, first = each["seconds_of_a_step"], each["seconds_of_the_first_step"]
        pays = each["steps_until_it_pays"]
        cells = [f"{step['line_by_line']:.2f}", f"{step['compiled']:.2f}", f"{each['ratio']:.2f}"]
        for key in ("nothing_kept", "kept"):
            cells.append(f"{first[key]:.0f} s, {f'{pays[key]:,} steps' if pays[key] else 'never'}")
        rows.append([f"`{recipe}`", *cells])
    head = ["recipe", "s a step", "compiled", "ratio", "first step, and when it has paid"]
    return [*table([*head, "the same with code that is kept"], rows), "", where(found)]


def data() -> list[str]:
    """Clips a second of each source."""
    found = results("data")
    rows = [
        [name, f"{rate:,.0f}", f"{found['ratio'][name]:.1f}"]
        for name, rate in found["clips_per_second"].items()
    ]
    way = f"The tutorial's way: {found['tutorials_way_clips_per_second']:.0f} clips a second."
    head = ["clips of", "a second", "times the tutorial's way"]
    return [*table(head, rows), "", way, where(found, threads=1)]


def serve() -> list[str]:
    """What the service costs."""
    found = results("serve")
    rows = []
    for family, each in found["families"].items():
        rates, status = each["clips_a_second"], each["status_milliseconds"]
        spread = f"{each['ratio']:.2f} ({min(each['ratios']):.2f}–{max(each['ratios']):.2f})"
        speeds = (f"{rates['bare']:.1f}", f"{rates['served']:.1f}")
        asked = (f"{each['requests_a_second']:.0f}", f"{status['median']:.1f}, {status['p99']:.1f}")
        rows.append([family, spread, *speeds, *asked])
    head = ["family", "times as long (all rounds)", "clips a second, bare", "served"]
    told = f"{found['clips']} clips a round, {found['at_once']} at once."
    head += ["requests a second", "ms for a status, median and p99"]
    return [*table(head, rows), "", told, where(found)]


def soak() -> list[str]:
    """Many clients that never rest."""
    found = results("soak")
    status, mib = found["status_milliseconds"], found["server_mib_by_fifths"]
    return [
        f"{found['clients']} clients for {found['minutes']:g} minutes: {found['accepted']:,} jobs "
        f"accepted, {found['completed']:,} made, {found['failed']:,} failed, "
        f"{len(found['wrong']):,} lost or made twice; {found['told_to_come_again']:,} requests "
        f"told to come again. A status took {status['median']:.1f} ms at the median and "
        f"{status['p99']:.1f} at p99, of {status['questions']:,}. The server's memory in the five "
        f"fifths of that time: {', '.join(f'{each:.1f}' for each in mib)} MiB.",
        where(found),
    ]


def playground() -> list[str]:
    """What a visitor loads, and how long clips take in a browser."""
    found = results("playground")
    sizes, first = found["compressed_bytes"], found["first_clip_seconds"]
    rows = [
        [name, f"{each['browser']:.0f}", f"{each['pytorch']:.0f}", f"{each['ratio']:.1f}"]
        for name, each in found["milliseconds_a_clip"].items()
    ]
    parts = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sorted(sizes.items()))
    return [
        *table(["model", "ms a clip in Chromium", "in PyTorch", "ratio"], rows),
        "",
        f"Compressed: {parts}. The first clip is there {first['navigation']:.1f} s after the page "
        f"was asked for, {first['load']:.1f} s after it was loaded.",
        where(found, threads=1),
    ]


def rates() -> list[str]:
    """How fast clips are drawn and read, in a sentence."""
    found = results("data")["clips_per_second"]
    decoded, packed = found["folder of MP4, decoded"], found["pack, read"]
    return [
        f"On one thread {decoded:,.0f} small MP4 clips a second are decoded, and {packed:,.0f} are "
        f"read from a pack; `shapes` draws {found['shapes, one object']:,.0f}."
    ]
