"""What can be set, read from the text of the files: help must not wait for torch."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from kineograph.apps import terminal
from kineograph.core import conventions
from kineograph.core.errors import RequestError, unknown


def show(command: str, named: str | None) -> None:
    """Print the settings of a command; ``named`` is the recipe or source on its command line."""
    if command == "train":
        values = _recipe(named) if named else {}
        own = values.get("training", {})
        _print("Settings of the training", "training", _training("TrainingConfig", own))
        for section, name in (("refine", "RefineConfig"), ("distill", "DistillConfig")):
            if section in values:
                rows = _training(name, values[section])
                _print(f"Settings of {section}", section, rows)
        for section, kind in (("data", "source"), ("model", "family")):
            chosen = values.get(section, {}).get(kind)
            if chosen:
                rows = of_class(plugin_file(kind, chosen), "Config", values[section])
                _print(f"Settings of the {kind} {chosen}", section, rows)
        if not named:
            _advise("For the settings of its data and model: kineograph train RECIPE --help")
    elif named:
        if command in ("data check", "data pack"):
            named = "folder"  # what is named is one
        rows = of_class(plugin_file("source", named), "Config", {})
        _print(f"Settings of the source {named}", "data", rows)
    else:
        _advise(f"For the settings of a source, --data.NAME: kineograph {command} SOURCE --help")


def _advise(text: str) -> None:
    print(f"\n{terminal.wrapped(text)}")


def plugin_file(kind: str, name: str) -> Path:
    """The file of a "source" or "family", which is not imported."""
    from kineograph.core import registry
    from kineograph.recipes import FAMILIES, SOURCES

    package = {"source": SOURCES, "family": FAMILIES}[kind]
    if name.endswith(".py"):
        return Path(name)
    known = registry.names(package)
    if name.replace("-", "_") not in known:
        raise unknown(kind, name, known)
    spec = importlib.util.find_spec(f"{package}.{name.replace('-', '_')}")
    return Path(spec.origin if spec and spec.origin else "")


def _recipe(name_or_file: str) -> dict[str, Any]:
    """What a recipe says, unchecked."""
    from kineograph.core.config import read_toml
    from kineograph.recipes import RECIPES

    if name_or_file.endswith(".toml"):
        return read_toml(name_or_file)
    if name_or_file.replace("_", "-") not in RECIPES:
        raise unknown("recipe", name_or_file, RECIPES)
    return RECIPES[name_or_file.replace("_", "-")]()


def _training(cls: str, values: Mapping[str, Any]) -> dict[str, str]:
    spec = importlib.util.find_spec("kineograph.training.settings")
    return of_class(Path(spec.origin if spec and spec.origin else ""), cls, values)


def _print(title: str, section: str, rows: Mapping[str, str]) -> None:
    print(f"\n{title}:")
    options = [f"--{section}.{name.replace('_', '-')}" for name in rows]
    terminal.print_columns([*zip(options, rows.values(), strict=True)])


def of_class(file: Path, cls: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Fields of the class ``cls`` in ``file``: name => what stands below it, with its value.

    Those of the classes that it extends, imported from elsewhere, come first.
    """
    if not file.is_file():
        raise RequestError(f"There is no file {file}.", "Check the spelling of the path.")
    top = ast.parse(file.read_bytes()).body
    found = next((n for n in top if isinstance(n, ast.ClassDef) and n.name == cls), None)
    rows: dict[str, str] = {}
    for base in found.bases if found else ():
        origin = _origin(top, ast.unparse(base))
        rows |= of_class(origin, ast.unparse(base), values) if origin else {}
    for field, below in pairwise(found.body if found else ()):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        about = below.value.value if _is_text(below) else ""  # type: ignore[attr-defined]  # _is_text
        value = values.get(field.target.id, _default(field.value))
        shown = "" if value is ... or value == "" else f" ({_words(value)})"
        rows[field.target.id] = f"{' '.join(str(about).replace('``', '').split())}{shown}"
    return rows


def _origin(top: Sequence[ast.stmt], name: str) -> Path | None:
    """The file from which a module imports ``name``."""
    for node in top:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            spec = importlib.util.find_spec(node.module or "")
            return Path(spec.origin) if spec and spec.origin else None
    return None


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _default(node: ast.expr | None) -> Any:
    """A default as it is written: a literal, or the name of a convention; ``...`` for all else."""
    if isinstance(node, ast.Name):
        return getattr(conventions, node.id, ...)
    try:
        return ... if node is None else ast.literal_eval(node)
    except ValueError:
        return ...


def _words(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
