"""Looking at what there is: recipes, sources, models."""

from __future__ import annotations

import ast

from kineograph.apps import terminal
from kineograph.apps.commands.settings import plugin_file
from kineograph.apps.terminal import Answer
from kineograph.core.errors import RequestError


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
        except (TypeError, RequestError):  # it needs a folder, or a package, to know any
            captions = []
        found.append({"name": name, "about": _first_line(module.__doc__), "captions": captions})

    def show() -> None:
        for each in found:
            print(f"{each['name']}: {each['about']}")
            print(*(f"  {caption}" for caption in each["captions"]), sep="\n")

    return Answer({"sources": found}, show)


def models() -> Answer:
    """List the model families, and the models that come with Kineograph."""
    from kineograph.core import registry
    from kineograph.models import bundled
    from kineograph.recipes import FAMILIES

    rows = []
    for name in registry.names(FAMILIES):
        tree = ast.parse(plugin_file("family", name).read_bytes())
        rows.append((name, _first_line(ast.get_docstring(tree))))
    found = [{"name": name, "about": text} for name, text in rows]

    def show() -> None:
        terminal.print_columns(rows, indent=0)
        print("\nTrained, to generate with at once:")
        for name in bundled.NAMES:
            print(f"  --model {name}")

    return Answer({"models": found, "bundled": list(bundled.NAMES)}, show)


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
