"""The house stays in shape: who imports whom, what loads torch, how long files are, what is public.

Data flows one way: each layer imports only from layers to its left.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kineograph
from kineograph.apps.commands import settings
from kineograph.core import registry

DRAWN = (
    "core < data < text < models < training < sampling < evaluation < recipes"
    " < lessons < dry_run < api < apps"
)
ORDER = DRAWN.split(" < ")

SOURCE = Path(kineograph.__file__).parent
PLUGIN_PACKAGES = ("kineograph.data.sources", "kineograph.models")
DOTTED = r"kineograph(\.\w+)+"  # a string that importlib or the registry is given
LONGEST_FILE = 450  # lines; about 400 is what reads well


def module_name(file: Path) -> str:
    parts = ["kineograph", *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for file in sorted(SOURCE.rglob("*.py"))}


def layer(module: str) -> str:
    """``kineograph.data.clip`` => "data"; the package itself and its public names are "api"."""
    parts = module.split(".")
    if parts[-1] == "__main__":
        return "apps"
    return parts[1] if len(parts) > 1 and parts[1] in ORDER else "api"


def imported(code: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Every module of ours that ``code`` imports, wherever it does, or spells in a string."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - is_package
                home = module.split(".")[: -up or None]
                base = ".".join([*home, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(DOTTED, str(node.value)):
            yield str(node.value)


def wrong_arrows(code: str, module: str, is_package: bool = False) -> list[str]:
    allowed = ORDER[: ORDER.index(layer(module)) + 1]
    return [
        f"{module} imports {target}"
        for target in imported(code, module, is_package)
        if target.split(".")[0] == "kineograph"
        and not target.startswith("kineograph.__")  # __version__ belongs to nobody
        and layer(target) not in allowed
    ]


def modules_in(*layers: str) -> list[str]:
    return [name for name in FILES if name != "kineograph" and layer(name) in layers]


def loaded_by(*modules: str) -> set[str]:
    """What else is loaded once ``modules`` are, in a process of their own."""
    code = "import json, sys\n" + "".join(f"import {name}\n" for name in modules)
    done = subprocess.run(
        [sys.executable, "-c", code + "print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


# ---- who imports whom --------------------------------------------------------------------------


@pytest.mark.parametrize("module", [name for name in FILES if name != "kineograph"])
def test_a_layer_imports_only_from_layers_to_its_left(module: str) -> None:
    file = FILES[module]
    assert not wrong_arrows(file.read_text(), module, file.name == "__init__.py")


def test_every_file_belongs_to_a_layer() -> None:
    tops = {file.relative_to(SOURCE).parts[0].removesuffix(".py") for file in FILES.values()}
    assert tops <= {*ORDER, "__init__", "__main__"}


@pytest.mark.parametrize(
    "code",
    [
        "import kineograph.models.gan",
        "from kineograph.models import gan",
        "from kineograph import models",
        "from kineograph import train",
        "import kineograph",
        "from ..models.gan import Model",
        "from .. import models",
        "def late():\n    from kineograph.models import gan",
        "if TYPE_CHECKING:\n    from kineograph.models import gan",
        "import_module('kineograph.models')",
    ],
)
def test_an_arrow_to_the_right_is_seen_wherever_it_is(code: str) -> None:
    assert wrong_arrows(code, "kineograph.data.clip")
    assert not wrong_arrows(code, "kineograph.apps.cli")


@pytest.mark.parametrize(
    "code",
    ["from . import grammar", "from .grammar import parse", "from ..core import errors"],
)
def test_an_arrow_to_the_left_is_allowed(code: str) -> None:
    assert not wrong_arrows(code, "kineograph.data.clip")
    assert wrong_arrows("from .. import models", "kineograph.data", is_package=False) == []
    assert wrong_arrows("from .. import models", "kineograph.data", is_package=True)


# ---- what loads torch --------------------------------------------------------------------------


def test_importing_kineograph_does_not_load_torch() -> None:
    assert "torch" not in loaded_by("kineograph")


def test_transformers_waits_until_a_language_model_is_named() -> None:
    assert "transformers" not in loaded_by("kineograph.api", "kineograph.text.pretrained")


def test_trackers_wait_until_they_are_named() -> None:
    assert not {"tensorboard", "trackio", "wandb"} & loaded_by("kineograph.api")


def test_weights_in_parts_are_loaded_only_where_there_are_any() -> None:
    """It takes half a second, which every `kineograph generate` would wait for."""
    assert "torch.distributed.fsdp" not in loaded_by("kineograph.api")


def test_judging_needs_no_torch() -> None:
    assert "torch" not in loaded_by(*modules_in("core", "data", "evaluation"))


@pytest.mark.skipif("kineograph.apps.cli" not in FILES, reason="there is no command line yet")
def test_the_command_line_answers_without_torch() -> None:
    assert "torch" not in loaded_by("kineograph.apps.cli")


@pytest.mark.parametrize("module", modules_in("core"))
def test_core_never_imports_torch(module: str) -> None:
    names = imported(FILES[module].read_text(), module)
    assert not [name for name in names if name.split(".")[0] == "torch"]


# ---- what a file holds -------------------------------------------------------------------------


@pytest.mark.parametrize("module", FILES)
def test_a_file_is_short_enough_to_read(module: str) -> None:
    assert len(FILES[module].read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize(
    ("package", "name"),
    [(package, name) for package in PLUGIN_PACKAGES for name in registry.names(package)],
)
def test_every_setting_of_a_plugin_is_explained(package: str, name: str) -> None:
    plugin = registry.load(package, name)
    assert plugin.__doc__, "a plugin says in its docstring what it is"
    assert plugin.Config.__dataclass_params__.frozen
    told = settings.of_class(Path(plugin.__file__), "Config", {})
    assert set(told) == set(plugin.Config.__dataclass_fields__)
    assert not [name for name, text in told.items() if not text or text.startswith(" (")]


def undocumented_fields(code: str) -> list[str]:
    """Fields of classes named ...Config that have no string below them."""
    found = []
    for cls in ast.walk(ast.parse(code)):
        if not (isinstance(cls, ast.ClassDef) and cls.name.endswith("Config")):
            continue
        for field, below in zip(cls.body, [*cls.body[1:], None], strict=True):
            documented = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and not documented:
                found.append(f"{cls.name}.{ast.unparse(field.target)}")
    return found


@pytest.mark.parametrize("module", FILES)
def test_every_setting_is_explained(module: str) -> None:
    assert not undocumented_fields(FILES[module].read_text())


def test_a_setting_without_explanation_is_seen() -> None:
    code = 'class AConfig:\n    a: int = 1\n    "Help."\n    b: int = 2\n    c: int\n    "Help."\n'
    assert undocumented_fields(code) == ["AConfig.b"]


# ---- what is public ----------------------------------------------------------------------------


def test_every_public_name_resolves() -> None:
    assert kineograph.__all__
    for name in kineograph.__all__:
        assert getattr(kineograph, name) is not None
        assert name in dir(kineograph)
    assert len(set(kineograph.__all__)) == len(kineograph.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        kineograph.no_such_name  # noqa: B018
