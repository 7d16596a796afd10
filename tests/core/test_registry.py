"""One file is one plugin; a broken one is never merely missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kineograph.apps.commands import settings
from kineograph.core import config, registry
from kineograph.core.errors import RequestError

PLUGIN = '''
from dataclasses import dataclass
@dataclass(frozen=True)
class Config:
    size: "int" = 1
    """How large."""
class Source:
    pass
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package ``zoo.sources`` with two plugins and helpers."""
    folder = tmp_path / "zoo" / "sources"
    folder.mkdir(parents=True)
    (tmp_path / "zoo" / "__init__.py").touch()
    (folder / "__init__.py").write_text("Config = Source = None\n")
    (folder / "round.py").write_text(PLUGIN)
    (folder / "square_wave.py").write_text(
        "from zoo.sources.round import Config\nclass Source: pass\n"
    )
    (folder / "base.py").write_text("class Source: pass\n")
    (folder / "layers.py").write_text("def Config(): pass\ndef helper():\n    class Source: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [n for n in sys.modules if n == "zoo" or n.startswith("zoo.")]:
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_a_plugin_is_a_file_with_a_config_and_the_class_its_folder_is_named_for() -> None:
    assert registry.names("zoo.sources") == ["round", "square_wave"]


@pytest.mark.usefixtures("package")
def test_listing_runs_no_plugin() -> None:
    registry.names("zoo.sources")
    assert not [name for name in sys.modules if name.startswith("zoo.sources")]


def test_a_new_file_is_found_without_another_edit(package: Path) -> None:
    (package / "mine.py").write_text(PLUGIN)
    assert "mine" in registry.names("zoo.sources")
    assert registry.load("zoo.sources", "mine").Config().size == 1


@pytest.mark.usefixtures("package")
def test_a_name_loads_its_module_with_hyphens_too() -> None:
    assert registry.load("zoo.sources", "square-wave").__name__ == "zoo.sources.square_wave"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["ruond", "base", "__init__", "../round", "zoo.round", "", "r/x"])
def test_an_unknown_name_is_answered_with_those_known(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        registry.load("zoo.sources", name)
    assert caught.value.cause == f'There is no source "{name}".'
    assert "round, square_wave" in caught.value.remedy
    if name == "ruond":
        assert 'Did you mean "round"?' in caught.value.remedy


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import no_such_package\n", ModuleNotFoundError),
        ("from zoo.sources.round import Nothing\n", ImportError),
        ("1 / 0\n", ZeroDivisionError),
        ("def broken(:\n", SyntaxError),
    ],
)
def test_a_broken_plugin_is_listed_and_raises_its_own_error(
    package: Path, code: str, error: type[Exception]
) -> None:
    (package / "broken.py").write_text(code + PLUGIN)
    assert "broken" in registry.names("zoo.sources")
    with pytest.raises(error):
        registry.load("zoo.sources", "broken")


def test_a_file_of_ones_own_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    loaded = registry.load("kineograph.data.sources", str(file))
    assert loaded.Config().size == 1
    monkeypatch.chdir(tmp_path)
    assert registry.load("kineograph.data.sources", "mine.py") is loaded


def test_the_settings_of_ones_own_file_are_read_and_explained(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from __future__ import annotations\n" + PLUGIN)
    loaded = registry.load("kineograph.data.sources", str(file))
    assert config.build(loaded.Config, {"size": "3"}).size == 3
    assert settings.of_class(file, "Config", {}) == {"size": "How large. (1)"}


def test_two_files_of_one_name_are_two_plugins(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.py").write_text(PLUGIN + f"WHERE = {place!r}\n")
    modules = [
        registry.load("kineograph.data.sources", str(tmp_path / p / "mine.py")) for p in "ab"
    ]
    assert [m.WHERE for m in modules] == ["a", "b"]


def test_a_missing_file_of_ones_own_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.py", tmp_path):
        with pytest.raises(RequestError, match="There is no source"):
            registry.load("kineograph.data.sources", str(path))


def test_a_file_without_the_classes_is_told_what_to_define(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Config: pass\n")
    with pytest.raises(RequestError) as caught:
        registry.load("kineograph.models", str(file))
    assert caught.value.cause == f"{file} defines no Model."
    assert "must define a class Model and a frozen dataclass Config" in caught.value.remedy


def test_a_broken_file_of_ones_own_raises_its_own_error_every_time(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import no_such_package\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_package"):
            registry.load("kineograph.data.sources", str(file))


def test_the_sources_that_come_with_the_project_are_found() -> None:
    assert "tutorial" in registry.names("kineograph.data.sources")


def test_a_package_that_is_none_is_a_bug_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError):
        registry.names("kineograph.core.errors")


def test_code_that_a_folder_names_runs_only_where_somebody_trusts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.check_trusted("flow", "a model")
    with pytest.raises(RequestError, match=r"a model asks .* mine\.py"):
        registry.check_trusted("mine.py", "a model")
    monkeypatch.setenv("KINEOGRAPH_TRUST", "1")
    registry.check_trusted("mine.py", "a model")
