"""What a training would take, as `train --dry-run` says it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kineograph.apps import terminal
from kineograph.apps.terminal import Answer

if TYPE_CHECKING:
    from kineograph.dry_run import DryRun
    from kineograph.recipes import Recipe


def tried(recipe: Recipe, folder: Path) -> Answer:
    """Try a few steps of a recipe that would be trained into ``folder``, and tell."""
    from kineograph.dry_run import dry_run

    terminal.say(f"Trying a few steps of {recipe.name} (family {recipe.family}) ...")
    found = dry_run(recipe)
    existing = next(place for place in folder.absolute().parents if place.is_dir())
    free = shutil.disk_usage(existing).free
    data = {"folder": folder, **asdict(found), "free_disk_bytes": free}
    return Answer(data, lambda: _show(found, folder, free))


def _show(found: DryRun, folder: Path, free: int) -> None:
    from kineograph.core import config

    networks = ", ".join(f"{name} {count:,}" for name, count in found.networks.items())
    training = found.recipe["training"]
    minutes = training.get("minutes")
    limit = f"of {training['steps']:,}, in the time limit" if minutes else ""
    rows = [
        ("parameters", f"{found.parameters:,}: {networks}"),
        ("steps", f"{found.steps:,} {limit}".strip()),
        ("time", _time(found)),
        ("memory", size(found.memory_bytes)),
        ("disk", f"{size(found.disk_bytes)} in {folder}; {size(free)} are free"),
        ("precision", training["precision"]),
    ]
    if found.gpu_bytes is not None:
        rows.insert(4, ("on the GPU", size(found.gpu_bytes)))
    terminal.print_columns(rows)
    notes = list(found.notes)
    if found.disk_bytes > free:
        notes.append("The disk has not enough room for it.")
    for note in notes:
        print(f"note: {note}")
    print(f"\nNothing was written. The settings:\n\n{config.to_toml(found.recipe)}", end="")


def _time(found: DryRun) -> str:
    """How long it takes, and of what that is made."""
    parts = [
        f"{each['seconds']:.2g} s a step of {' and '.join(each['phases'])} "
        f"({each['stop'] - each['start']:.0%})"
        for each in found.stretches
    ]
    if found.check_seconds:
        parts.append(f"{found.check_seconds:.2g} s a live verification")
    return f"{terminal.duration(found.seconds)}: " + ", ".join(parts)


def size(count: int | None) -> str:
    """Bytes as people read them: 1536 * 2**20 => "1.5 GiB"."""
    if count is None:
        return "unknown on this system"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
