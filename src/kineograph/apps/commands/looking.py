"""Looking at what there is: clips of a source, recipes, sources, models."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.apps import terminal
from kineograph.apps.commands.settings import plugin_file
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError

if TYPE_CHECKING:
    from kineograph.data.clip import Clip


def data_preview(
    source: str,
    /,
    *,
    out: str | None = None,
    count: int = 18,
    seed: int = 0,
    force: bool = False,
    settings: dict[str, Any],
) -> Answer:
    """Draw the first clips of a source on a sheet.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: Where to; by default SOURCE.png.
        count: How many clips.
        seed: Which clips.
        force: Overwrite a file that is there.
    """
    from kineograph.sampling.export import export, plan

    out = out or f"{Path(source).stem}.png"
    plan(out, count, force)
    clips = list(_clips(source, count, seed, settings))
    files = export(clips, out, force=force)
    data = {"files": files, "captions": [clip.caption for clip in clips]}
    return Answer(data, lambda: print(*(f"wrote {file}" for file in files), sep="\n"))


def data_export(
    source: str,
    out: Path,
    /,
    *,
    count: int = 100,
    seed: int = 0,
    settings: dict[str, Any],
) -> Answer:
    """Write clips of a source as folders of pictures, as the tutorial has them.

    Args:
        source: The name of a source (see `kineograph sources`) or a Python file.
        out: The folder that gets video_0/frame_0.png ... and video_0/prompt.txt.
        count: How many clips.
        seed: Which clips.
    """
    from kineograph.data.video_io import write_frame_folders

    if count < 1:
        raise RequestError(f"--count is {count}.", "Ask for at least one clip.")
    write_frame_folders(_clips(source, count, seed, settings), out)
    data = {"folder": out, "clips": count, "seed": seed}
    return Answer(data, lambda: print(f"wrote {count} clips into {out}"))


def _clips(source: str, count: int, seed: int, settings: dict[str, Any]) -> Iterator[Clip]:
    """The first clips of a source with the ``data`` settings; names are checked at once."""
    from kineograph.core import config, registry
    from kineograph.recipes import SOURCES

    for key in settings:
        if key != "data":
            raise RequestError(
                f'There is no setting "{key}" here.', f"Settings of a source: --data.{key}."
            )
    module = registry.load(SOURCES, source)
    chosen = module.Source(config.build(module.Config, settings.get("data", {}), path="data"))
    if count > len(chosen):
        raise RequestError(
            f"This source has {len(chosen):,} clips, not {count:,}.", "Ask for less."
        )
    return (chosen.clip(index, seed) for index in range(count))


def recipes() -> Answer:
    """List the recipes that `train` knows."""
    from kineograph.recipes import RECIPES

    found = []
    for name, recipe in RECIPES.items():
        values = recipe()
        source, family = values["data"]["source"], values["model"]["family"]
        about = _first_line(recipe.__doc__)
        found.append({"name": name, "about": about, "source": source, "family": family})
    rows = [(r["name"], f"{r['about']} Source {r['source']}, family {r['family']}.") for r in found]
    return Answer({"recipes": found}, lambda: terminal.print_columns(rows, indent=0))


def sources() -> Answer:
    """List the sources of clips, with examples of their captions."""
    from kineograph.core import registry
    from kineograph.recipes import SOURCES

    found = []
    for name in registry.names(SOURCES):
        module = registry.load(SOURCES, name)
        try:
            captions = list(module.Source(module.Config()).captions[:24])
        except TypeError:  # it needs a setting, such as a folder, to know any
            captions = []
        found.append({"name": name, "about": _first_line(module.__doc__), "captions": captions})

    def show() -> None:
        for each in found:
            print(f"{each['name']}: {each['about']}")
            print(*(f"  {caption}" for caption in each["captions"]), sep="\n")

    return Answer({"sources": found}, show)


def models() -> Answer:
    """List the model families."""
    from kineograph.core import registry
    from kineograph.recipes import FAMILIES

    rows = []
    for name in registry.names(FAMILIES):
        tree = ast.parse(plugin_file("family", name).read_bytes())
        rows.append((name, _first_line(ast.get_docstring(tree))))
    found = [{"name": name, "about": text} for name, text in rows]
    return Answer({"models": found}, lambda: terminal.print_columns(rows, indent=0))


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
