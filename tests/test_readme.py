"""What README and the pages tell one to type is there and runs; README's numbers are recorded."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kineograph import recipes
from kineograph.apps import arguments, cli
from kineograph.core import config, registry

ROOT = Path(__file__).resolve().parents[1]
KINEOGRAPH = str(Path(sys.executable).parent / "kineograph")
PAGES = {str(p.relative_to(ROOT)): p.read_text("utf-8") for p in (ROOT / "docs").rglob("*.md")}
PAGES["README.md"] = README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """What stands in frames on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.S | re.M)


def commands(page: str) -> list[str]:
    """Lines for a shell, each whole."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


OF = {
    page: commands(text)
    for page, text in PAGES.items()
    if page in ("README.md", "docs/index.md", "docs/quickstart.md", "docs/models.md", "docs/faq.md")
    or "how-to/" in page
}
"""Commands of the pages that are for whoever uses Kineograph."""
GROUPS = {name.split()[0] for name in cli.COMMANDS if " " in name}
OURS = [
    (page, line.partition("-m kineograph ")[2] or line.removeprefix("kineograph "))
    for page, lines in OF.items()
    for line in lines
    if line.startswith("kineograph ") or "-m kineograph " in line
]


def test_pages_have_commands_to_check() -> None:
    assert len(OURS) >= 40
    assert {page for page, _ in OURS} == {*OF}


@pytest.mark.parametrize(("page", "line"), OURS)
def test_every_command_of_a_page_has_the_options_that_it_is_given(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    name = " ".join(words[: 2 if words[0] in GROUPS else 1])
    assert name in cli.COMMANDS, page
    call = arguments.parse(cli.function(name), name, words[len(name.split()) :])
    settings = call.keywords.get("settings", {})
    first = call.args[0] if call.args else ""
    if name == "train" and first in recipes.RECIPES:
        recipes.resolve(first, settings)
    elif name in ("data preview", "data export"):
        build_data(first, settings)
    elif name.startswith("data "):
        build_data("folder", {"data": {"path": str(first)} | settings.get("data", {})})
    else:
        assert not settings or name == "train"


def build_data(source: str, settings: dict[str, Any]) -> None:
    assert not {*settings} - {"data"}
    config.build(registry.load(recipes.SOURCES, source).Config, settings.get("data", {}))


def test_every_option_in_the_text_of_a_page_is_one_of_some_command() -> None:
    functions = [cli.function(name) for name in cli.COMMANDS]
    known = {name.replace("_", "-") for f in functions for name in inspect.signature(f).parameters}
    for page in OF:
        for option in re.findall(r"`--([a-z0-9-]+)(?![a-z0-9.-])", PAGES[page]):
            assert option in {*known, "json", "help"}, f"{page}: --{option}"


@pytest.mark.parametrize("page", PAGES)
def test_every_piece_of_python_can_be_read_by_python(page: str) -> None:
    for block in blocks(PAGES[page], "python"):
        compile(block, page, "exec")


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [c.split()[1] for c in OF["README.md"] if c.startswith("make ")]
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_every_link_leads_somewhere() -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in place:
            assert (ROOT / place).exists(), place


def test_the_results_are_those_of_the_recorded_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- they run ------------------------------------------------------------------------------------

WAITS = r"kineograph (serve|studio|push|doctor)|somebody/|--frechet|refine|distill|-fast|--resume"
"""Commands that wait for a person, ask for what is not here (the Hub, weights, 2,048 clips, a model
some of whose clips pass, a training that is not over), or take minutes (and are tested apart)."""
RUNS = {
    page: [c for c in lines if c.startswith("kineograph ") and not re.search(WAITS, c)]
    for page, lines in OF.items()
}


def test_readme_has_commands_to_run() -> None:
    assert len(RUNS["README.md"]) >= 8


def run(line: str, there: Path) -> None:
    """A command of a page, cut to a few steps and clips: is it still what it was?"""
    line = re.sub(r"--count \d+", "--count 4", line).removeprefix("kineograph ")
    words = [KINEOGRAPH, *shlex.split(line, comments=True)]
    if words[1] == "train":
        words += ["--training.steps", "4", "--training.batch-size", "8"]
        words += ["--training.evaluate-every", "0"]
    done = subprocess.run(words, cwd=there, capture_output=True, text=True)
    # A model of four steps does not follow its prompts: "no" is an answer, an error is none.
    allowed = (0, 1) if words[1] == "verify" else (0,)
    assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages say is there: two runs and a clip."""
    there = tmp_path_factory.mktemp("place")
    for recipe, name in (("tutorial", "demo"), ("shapes", "shapes")):
        run(f"kineograph train {recipe} --out runs/{name}", there)
    for out in ("clip.mp4", "first/"):
        run(f'kineograph generate "circle moving up-right" --model tutorial-gan --out {out}', there)
    return there


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, lines in RUNS.items() if lines])
def test_every_command_of_a_page_that_makes_something_runs(
    page: str, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    for made in re.findall(r"--out (\S+)", "\n".join(RUNS[page])):  # not there before, then
        shutil.rmtree(tmp_path / made, ignore_errors=True)
    for line in RUNS[page]:
        run(line, tmp_path)


@pytest.mark.slow
def test_the_python_of_readme_asks_a_server(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "runs", tmp_path / "runs")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    server = subprocess.Popen([KINEOGRAPH, "serve", "--port", port], cwd=tmp_path)
    try:
        await_ready(f"http://127.0.0.1:{port}/readyz")
        python = "\n".join(blocks(README, "python")).replace("8000", port)
        subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True)
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert (tmp_path / "clip.mp4").stat().st_size > 500


@pytest.mark.slow
def test_the_python_about_models_runs(tmp_path: Path) -> None:
    python = "\n".join(blocks(PAGES["docs/models.md"], "python"))
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True)


def await_ready(url: str, within: float = 60.0) -> None:
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nothing answers at {url}")
