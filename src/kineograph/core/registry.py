"""Plugins: one file is one plugin, and the file's name is the plugin's name.

The folder says what its files hold: a file in ``sources`` is a plugin if it defines a ``Source``,
one in ``models`` if it defines a ``Model``, and a ``Config`` beside it; files without both are
helpers. To list them their text is read, not run, so that a list never waits for torch. Wherever
a name is asked for, ``path/to/mine.py`` is understood as well.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from kineograph.core.errors import RequestError, unknown

_CONFIG = "Config"
_TRUST = "KINEOGRAPH_TRUST"


def wanted(package: str) -> str:
    """The class that a plugin of ``package`` defines: ``kineograph.data.sources`` => "Source"."""
    return package.rpartition(".")[2].removesuffix("s").capitalize()


def names(package: str) -> list[str]:
    """The names of the plugins in ``package`` (such as ``kineograph.models``), in order.

    A file that Python cannot parse is listed as well: it is a broken plugin, not a missing one,
    and :func:`load` says what is wrong with it.
    """
    needed = {_CONFIG, wanted(package)}
    files = sorted(_folder(package).glob("*.py"))
    return [f.stem for f in files if not f.stem.startswith("_") and needed <= _defined(f, needed)]


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # imports what is above the package, not itself
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not a package", name=package)
    return Path(next(iter(spec.submodule_search_locations)))


def _defined(file: Path, if_broken: set[str]) -> set[str]:
    """The names that a file defines at its top, or ``if_broken`` where it cannot be parsed."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return if_broken
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            found.update(t.id for t in node.targets if isinstance(t, ast.Name))
    return found


def load(package: str, name: str, kind: str | None = None) -> ModuleType:
    """Import the plugin ``name`` of ``package``, or the file ``name`` if it ends in ".py".

    ``kind`` is what messages call it ("source" for ``kineograph.data.sources`` by itself).
    Raises RequestError for an unknown name, a missing file and a file without the classes that
    make it a plugin. Whatever a plugin itself raises when imported, an ImportError too, is passed
    on as it is.
    """
    kind = (kind or wanted(package)).lower()
    if name.endswith(".py"):
        return _load_file(package, Path(name).expanduser(), kind)
    known = names(package)
    module = name.replace("-", "_")
    if module not in known:
        raise unknown(kind, name, known)
    return importlib.import_module(f"{package}.{module}")


def check_trusted(name: str, place: Path | str) -> None:
    """Refuse a plugin that is a file, where not a person but what ``place`` holds names it.

    Models are passed on, and to open one must not run what came with it. Raises RequestError.
    """
    if name.endswith(".py") and not os.environ.get(_TRUST):
        raise RequestError(
            f"{place} asks to run the code in {name}.",
            f"If you trust it, set {_TRUST}=1 and try again.",
        )


def _load_file(package: str, path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise RequestError(f"There is no {kind} file {path}.", "Check the spelling of the path.")
    module = _import_file(path.resolve())
    missing = [n for n in (wanted(package), _CONFIG) if not hasattr(module, n)]
    if missing:
        raise RequestError(
            f"{path} defines no {' and no '.join(missing)}.",
            f"A {kind} file must define a class {wanted(package)} and a frozen dataclass "
            f"{_CONFIG} with its settings.",
        )
    return module


def _import_file(path: Path) -> ModuleType:
    """Import a file once, under a name of its own, whatever else is called the same."""
    digest = hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"kineograph_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # true of every name that ends in ".py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
