"""Write the tables of results from the benchmarks' files, or check that they are theirs.

python benchmarks/tables.py            # write
python benchmarks/tables.py --check    # exit 1 if a page says anything else
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from itertools import groupby
from typing import Any

import figures
from figures import NAMES, ROOT, percent, results, share, table, where

from kineograph.data.sources.tutorial import UNSEEN_PROMPTS
from kineograph.evaluation.own_error import RIGHT

SPLITS = {
    "train": "training captions",
    "held-out": "held-out combinations",
    "rephrased": "unseen phrasings",
}
MEASURES = ("velocity error, px/frame", "PSNR to the true rendering, dB")
VARIETY = {
    "start": "spread of the start",
    "speed": "spread of the speed",
    "phase": "spread of the phase",
    "distance": "distance to the nearest",
}
"""The head of a column => how the name of what it tells begins."""
BEGIN, END = "<!-- {}:begin -->\n", "<!-- {}:end -->"


def page(*lines: str) -> str:
    """What stands between two marks."""
    return "\n".join([*lines, ""])


def readme() -> str:
    """What stands between the README's two marks."""
    return page(*race(), *own_error(), figures.cost(), "", *recipes_table())


def race() -> list[str]:
    """What each family reaches in the same time."""
    race = results("time_to_accuracy")
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
    return [
        *table(["verified accuracy (95 % interval)", *names], rows),
        "",
        f"Each trained for {race['seconds'] / 60:g} minutes in one run of "
        "`benchmarks/time_to_accuracy.py`, seed "
        f"{race['seed']}, {race['clips_per_prompt']} clips a prompt, on "
        f"{race['machine']}, {race.get('gpu') or 'without a GPU'} "
        f"({race['date']}, commit {race['commit'][:7]}).",
        *([of_ddpm(race["models"]["ddpm"])] if "ddpm" in race["models"] else []),
        *few_evaluations(race["models"]["flow"]),
    ]


def own_error() -> list[str]:
    """How often the judge is wrong, as a sentence."""
    judge = results("judge")
    accepted = {k: v["accepted"] / v["of"] for k, v in judge["accepted"]["all"].items()}
    wrong = max(share for version, share in accepted.items() if version not in RIGHT)
    return [
        f"The judge accepts {percent(accepted['true'], 2)} of true clips and at most "
        f"{percent(wrong, 2)} of any kind of broken ones (`benchmarks/judge.py`, commit "
        f"{judge['environment']['commit'][:7]})."
    ]


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


# ---- what else pages tell of accuracy ------------------------------------------------------------


def live() -> list[str]:
    """How far each family was when, in the race."""
    models = results("time_to_accuracy")["models"]
    told = []
    for name in NAMES:
        if checks := models.get(name, {}).get("accuracy_over_time"):
            spans = []
            for level, alike in groupby(checks, lambda check: percent(check[1])):
                first, *rest = (f"{at:.0f} s" for at, _ in alike)
                spans.append(
                    f"{level} " + (f"from {first} to {rest[-1]}" if rest else f"after {first}")
                )
            told.append(f"- {NAMES[name]}: {', '.join(spans)}.")
    return told


def variety() -> list[str]:
    """How much clips of one prompt differ, and how near they are to those of the training."""
    rows = []
    for recipe, runs in results("recipes").items():
        for seed, run in runs.items():
            for split, found in run["splits"].items():
                cells = (
                    next(
                        (f"{v:.2f}" for k, v in found["measures"].items() if k.startswith(kind)), ""
                    )
                    for kind in VARIETY.values()
                )
                rows.append([f"`{recipe}`", seed, SPLITS.get(split, "all captions"), *cells])
    return table(["recipe", "seed", "clips of", *VARIETY], rows)


def judged() -> list[str]:
    """The judge on true and on broken clips, by source."""
    found = results("judge")
    about = {"true": "As it is.", "wrong caption": "Under a caption that is not true of it."}
    about |= found["corruptions"]
    every = found["accepted"]["all"].items()
    columns = {"`tutorial`": [{k: (v["accepted"], v["of"]) for k, v in every}]}
    for split, told in found["shapes"].items():  # "shapes, one object, train"
        counts = {k: (v["yes"], v["trials"]) for k, v in told.items()}
        columns.setdefault(f"`shapes`, {split.split(', ')[1]}", []).append(counts)
    rows = []
    for version in sorted(about, key=lambda version: version not in RIGHT):
        cells = []
        for parts in columns.values():
            pairs = [part[version] for part in parts if version in part]
            yes, of = (sum(pair[k] for pair in pairs) for k in (0, 1))
            cells.append(f"{yes:,} of {of:,}" if of else "")
        rows.append([version, about[version], *cells])
    lines = table(["a clip", "what was done to it", *columns], rows)
    speed = f"It judges {found['verify_clips_per_second_and_core']:.0f} clips a second on a core."
    return [*lines, "", *conditions(found), "", speed, where(found)]


def conditions(found: dict[str, Any]) -> list[str]:
    """The judge on clips of `tutorial` that look or last otherwise."""
    rows = []
    for name, told in found["conditions"].items():
        error = told["error"]
        broken = [v for version, v in error.items() if version not in RIGHT]
        wrong, of = (sum(each[key] for each in broken) for key in ("accepted", "of"))
        right = f"{error['true']['accepted']:,} of {error['true']['of']:,}"
        rows.append([name, right, f"{wrong:,} of {of:,}"])
    return table(["clips of `tutorial`", "true ones accepted", "broken ones accepted"], rows)


def right() -> list[str]:
    """Does training work, in a sentence."""
    race = results("time_to_accuracy")
    told = ", ".join(
        f"{NAMES[name]} {percent(race['models'][name]['training_prompts'])}"
        for name in NAMES
        if name in race["models"]
    )
    return [
        f"After {race['seconds'] / 60:g} minutes each on {race['machine']}, "
        f"{race['gpu'] or 'without a GPU'}, so many of the clips of the 18 training prompts are "
        f"right: {told}."
    ]


def beside_ddpm() -> list[str]:
    """How a plain diffusion model fared in the race, where it was in it, in a sentence or two."""
    race = results("time_to_accuracy")
    if "ddpm" not in race["models"]:
        return ["No such race has been recorded yet."]
    ddpm, flow = (race["models"][name]["training_prompts"] for name in ("ddpm", "flow"))
    return [
        of_ddpm(race["models"]["ddpm"]),
        f"Of its clips of the training prompts {percent(ddpm)} are right, of the flow's "
        f"{percent(flow)}.",
    ]


def still() -> list[str]:
    """How clips fare that do not move, in a sentence."""
    frozen = results("judge")["accepted"]["all"]["frozen"]
    return [
        f"Of {frozen['of']:,} clips that were frozen on purpose the judge accepts "
        f"{frozen['accepted']:,}."
    ]


def measured_scale() -> list[str]:
    """What docs/scale.md tells of the processes that were measured."""
    rows, told, *_ = scale().split("\n\n")
    return [rows, "", told]


Part = Callable[[], str | list[str]]
PAGES: dict[str, dict[str, Part]] = {
    "README.md": {"results": readme},
    "docs/scale.md": {"scale": scale},
    "docs/index.md": {"race": race},
    "docs/faq.md": {
        "right": right,
        "live": live,
        "still": still,
        "ddpm": beside_ddpm,
        "cost": lambda: [figures.cost()],
        "rates": figures.rates,
    },
    "docs/benchmarks.md": {
        "race": race,
        "live": live,
        "recipes": recipes_table,
        "variety": variety,
        "judge": judged,
        "generate": figures.generate,
        "memory": figures.memory,
        "roofline": figures.roofline,
        "loop": figures.loop,
        "times": figures.tutorial_times,
        "compile": figures.compiled,
        "data": figures.data,
        "serve": figures.serve,
        "soak": figures.soak,
        "playground": figures.playground,
        "scale": measured_scale,
    },
}
"""Page => mark => what stands there."""


def filled(text: str, mark: str, part: str) -> str:
    """A page with a part between its marks. Raises ValueError where it has no such marks."""
    begin, end = BEGIN.format(mark), END.format(mark)
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    new, found = re.subn(pattern, lambda _: begin + part + end, text, flags=re.S)
    if found != 1:
        raise ValueError(f"the marks of {mark!r} are there {found} times")
    return new


def main() -> int:
    """Write, or check."""
    code = 0
    for name, parts in PAGES.items():
        path = ROOT / name
        text = new = path.read_text(encoding="utf-8")
        for mark, part in parts.items():
            told = part()
            new = filled(new, mark, told if isinstance(told, str) else page(*told))
        if "--check" not in sys.argv:
            path.write_text(new, encoding="utf-8")
        elif new != text:
            print(f"{name} does not show the recorded results: run benchmarks/tables.py")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
