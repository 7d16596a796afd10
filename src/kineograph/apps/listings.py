"""The commands that only look: what there is, what can be set, and what this machine can do."""

from __future__ import annotations

# ---- what is there -----------------------------------------------------------------------------


def recipes() -> Answer:
    """List the recipes that `train` knows."""
    from kineograph.recipes import RECIPES

    found = []
    for name, recipe in RECIPES.items():
        values = recipe()
        source, family = values["data"]["source"], values["model"]["family"]
        found.append({"name": name, "about": _first_line(recipe.__doc__), "source": source,
                      "family": family})  # fmt: skip
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

    about = {
        name: _first_line(ast.get_docstring(ast.parse(_file_of(FAMILIES, name).read_bytes())))
        for name in registry.names(FAMILIES)
    }
    found = [{"name": name, "about": text} for name, text in about.items()]
    rows = list(about.items())
    return Answer({"models": found}, lambda: terminal.print_columns(rows, indent=0))


def _file_of(package: str, name: str) -> Path:
    """The file of a plugin, which is not imported."""
    if name.endswith(".py"):
        return Path(name)
    spec = importlib.util.find_spec(f"{package}.{name.replace('-', '_')}")
    return Path(spec.origin if spec and spec.origin else "")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
