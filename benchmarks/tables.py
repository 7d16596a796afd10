"""Write the tables of results from the benchmarks' files, or check that they are theirs.

python benchmarks/tables.py            # write
python benchmarks/tables.py --check    # exit 1 if a page says anything else
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from kineograph.data.sources.tutorial import UNSEEN_PROMPTS
from kineograph.evaluation.own_error import RIGHT

ROOT = Path(__file__).resolve().parent.parent
NAMES = {
    "flow": "Kineograph's flow",
    "gan": "Kineograph's GAN",
    "tutorial_gan": "the tutorial's model",
    "ddpm": "a 3D U-Net DDPM (lucidrains)",
}
SPLITS = {
    "train": "training captions",
    "held-out": "held-out combinations",
    "rephrased": "unseen phrasings",
}
MEASURES = ("velocity error, px/frame", "PSNR to the true rendering, dB")
BEGIN, END = "<!-- {}:begin -->\n", "<!-- {}:end -->"


def results(name: str) -> dict[str, Any]:
    """The figures of one benchmark."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def share(value: float, interval: list[float]) -> str:
    """0.951, [0.93, 0.97] => "95.1 % (93.0–97.0)"."""
    return f"{value:.1%} ({interval[0] * 100:.1f}–{interval[1] * 100:.1f})".replace("%", " %")


def readme() -> str:
    """What stands between the README's two marks."""
    race, judge = results("time_to_accuracy"), results("judge")
    models = [race["models"][name] for name in NAMES if name in race["models"]]
    names = [told for name, told in NAMES.items() if name in race["models"]]
    rows = [
        [
            "the 18 training prompts",
            *(share(m["training_prompts"], m["training_prompts_interval"]) for m in models),
        ]
    ]
    for prompt in race["unseen_prompts"]:
        shares = (share(m["prompts"][prompt], m["intervals"][prompt]) for m in models)
        rows.append([f'"{prompt}", never seen', *shares])
    accepted = {k: v["accepted"] / v["of"] for k, v in judge["accepted"]["all"].items()}
    wrong = max(share for version, share in accepted.items() if version not in RIGHT)
    lines = [
        f"| verified accuracy (95 % interval) | {' | '.join(names)} |",
        "|---" * (1 + len(names)) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Each trained for {race['seconds'] / 60:g} minutes in one run of "
            "`benchmarks/time_to_accuracy.py`, seed "
            f"{race['seed']}, {race['clips_per_prompt']} clips a prompt, on "
            f"{race['machine']}, {race.get('gpu') or 'without a GPU'} "
            f"({race['date']}, commit {race['commit'][:7]}).",
            *([of_ddpm(race["models"]["ddpm"])] if "ddpm" in race["models"] else []),
            *few_evaluations(race["models"]["flow"]),
            f"The judge accepts {accepted['true']:.2%} of true clips and at most "
            f"{wrong:.2%} of any kind of broken ones (`benchmarks/judge.py`, commit "
            f"{judge['environment']['commit'][:7]}).".replace("%", " %"),
            cost(),
            "",
            *recipes_table(),
            "",
        ]
    )


def recipes_table() -> list[str]:
    """What each recipe reaches by each seed."""
    found = results("recipes")
    seeds = sorted({seed for runs in found.values() for seed in runs}, key=int)
    lines = [
        f"| recipe | tried on | {' | '.join(f'seed {seed}' for seed in seeds)} |",
        "|---" * (2 + len(seeds)) + "|",
    ]
    for recipe, runs in found.items():
        told = {seed: reached(run) for seed, run in runs.items()}
        name = f"`{recipe}`, {next(iter(runs.values()))['minutes']:g} min"
        for what in next(iter(told.values())):
            cells = (told[seed][what] if seed in told else "" for seed in seeds)
            lines.append(f"| {name} | {what} | {' | '.join(cells)} |")
            name = ""
    places: dict[str, dict[str, None]] = {}  # where, and the recipes in their order
    for recipe, runs in found.items():
        for run in runs.values():
            gpu = f", {run['gpu']}" if run.get("gpu") else ""
            place = f"{run['machine']}{gpu}, at {run['commit'][:7]}"
            places.setdefault(place, {})[f"`{recipe}`"] = None
    where = "; ".join(f"{', '.join(names)} on {place}" for place, names in places.items())
    lines += ["", f"Trained from nothing (`benchmarks/recipes.py`): {where}."]
    return lines


def reached(run: dict[str, Any]) -> dict[str, str]:
    """What a trained recipe was tried on => how much of it was right, and how far off it was."""
    told = {}
    if "prompts" in run:
        prompts = {"training prompts": run["training prompts"]}
        prompts |= {f'"{prompt}", never seen': run["prompts"][prompt] for prompt in UNSEEN_PROMPTS}
        told = {what: share(found["share"], found["interval"]) for what, found in prompts.items()}
    for split, found in run["splits"].items():
        if split != "all":
            told[SPLITS[split]] = share(found["all"]["share"], found["all"]["interval"])
        for measure in MEASURES:
            if split in ("all", "held-out") and measure in found["measures"]:
                told[measure] = f"{found['measures'][measure]:.3g}"
    return told


def few_evaluations(flow: dict[str, Any]) -> list[str]:
    """How often the flow is right when its network is asked less often, where that is known."""

    def told(found: dict[str, float]) -> str:
        shares = (f"{share:.1%} in {count}".replace("%", " %") for count, share in found.items())
        return ", ".join(shares)

    lines, distilled = [], flow.get("distilled")
    if "accuracy_by_evaluations" in flow:
        asked = told(flow["accuracy_by_evaluations"])
        lines = [f"Of the training prompts the flow gets {asked} evaluations of its network."]
    if distilled:
        lines.append(
            f"After {distilled['seconds'] / 60:.1f} minutes of `kineograph distill` it gets "
            f"{told(distilled['accuracy_by_evaluations'])}."
        )
    return lines


def of_ddpm(found: dict[str, Any]) -> str:
    """What the plain recipe is, and how little of it was judged, as a sentence."""
    return (
        f"The DDPM has {found['parameters'] / 1e6:.0f} M parameters, took {found['steps']:,} steps "
        f"of {found['batch']} at {found['clips_per_second']:.3g} clips a second, and is judged by "
        f"{found['clips_judged']:,} clips, {found['clips']} a prompt, each sampled in "
        f"{found['timesteps']:,} steps (`benchmarks/ddpm.py`)."
    )


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


def scale() -> str:
    """What stands between the marks of docs/scale.md."""
    found = results("scale")
    lines = [
        "| recipe, turns of | processes | s a step | foreseen | MB a step | foreseen | MiB each "
        "| foreseen |",
        "|---" * 8 + "|",
    ]
    for recipe, told in found["recipes"].items():
        for count, run in told["processes"].items():
            for each in run["stretches"]:
                memory = (run["memory"] / 2**20, run["foreseen_memory"] / 2**20)
                sent = (each["traffic"] / 1e6, each["foreseen_traffic"] / 1e6)
                lines.append(
                    f"| `{recipe}`, {' and '.join(each['phases'])} | {count} "
                    f"| {each['seconds']:.2f} | {each['foreseen_seconds']:.2f} "
                    f"| {sent[0]:.1f} | {sent[1]:.1f} | {memory[0]:.0f} | {memory[1]:.0f} |"
                )
    machine = found["environment"]
    lines += [
        "",
        f"Batches of {found['batch']} on {found['cores']} cores of {machine['processor']}, one "
        "thread a process: what 4 processes have there is 2 cores. What goes over the wire beside "
        f"gradients is small (commit {machine['commit'][:7]}).",
        "",
        "What the model says of many: the share of the time that each computes, where each "
        "learns from as many clips as one alone would. The networks are what such ones usually "
        "give; neither they nor the faster device have been measured.",
        "",
    ]
    for recipe, told in found["recipes"].items():
        counts = list(told["many"][0]["efficiency"])
        lines += [
            f"| `{recipe}` on | network | {' | '.join(f'{count} of them' for count in counts)} |",
            "|---" * (2 + len(counts)) + "|",
        ]
        for row in told["many"]:
            shares = " | ".join(f"{share:.0%}" for share in row["efficiency"].values())
            lines.append(f"| {row['device']} | {row['network']} | {shares} |".replace("%", " %"))
        lines.append("")
    return "\n".join(lines)


PAGES = {"README.md": ("results", readme), "docs/scale.md": ("scale", scale)}


def filled(text: str, mark: str, table: str) -> str:
    """A page with a table between its marks."""
    begin, end = BEGIN.format(mark), END.format(mark)
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: begin + table + end, text, flags=re.S)


def main() -> int:
    """Write, or check."""
    code = 0
    for page, (mark, table) in PAGES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        new = filled(text, mark, table())
        if "--check" not in sys.argv:
            path.write_text(new, encoding="utf-8")
        elif new != text:
            print(f"{page} does not show the recorded results: run benchmarks/tables.py")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
