"""The README tells the truth: its commands run, its numbers come from the benchmarks' files."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """What stands in frames on a page: its language, and what it says."""
    return re.findall(r"```(bash|python)\n(.*?)```", page, flags=re.S)


def commands(page: str) -> list[str]:
    return [
        line.partition("#")[0].strip()
        for language, block in blocks(page)
        if language == "bash"
        for line in block.splitlines()
        if line.strip()
    ]


COMMANDS = commands(README)
TOY = "--training.steps 4 --training.batch-size 8 --training.evaluate-every 0"


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [c.split()[1] for c in COMMANDS if c.startswith("make ")]
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


@pytest.mark.slow
def test_every_command_runs_in_the_order_of_the_page(tmp_path: Path) -> None:
    """Trainings are cut to a few steps: what is tested is that the commands are what they were."""
    kineograph = [c for c in COMMANDS if c.startswith("kineograph ")]
    assert len(kineograph) >= 8
    run = Path(sys.executable).parent / "kineograph"
    demo = f"{run} train tutorial --out runs/demo {TOY}"
    for command in [demo, *kineograph]:
        if command == "kineograph serve":
            continue
        words = shlex.split(command.replace("kineograph", str(run), 1) if command != demo else demo)
        if words[1] == "train" and command != demo:
            words += shlex.split(TOY)
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        # A model of four steps does not follow its prompts: "no" is an answer, an error is none.
        allowed = (0, 1) if words[1] == "verify" else (0,)
        assert done.returncode in allowed, f"{command}\n{done.stdout}\n{done.stderr}"
    python = "\n".join(block for language, block in blocks(README) if language == "python")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    server = subprocess.Popen([run, "serve", "--port", port], cwd=tmp_path)
    try:
        await_ready(f"http://127.0.0.1:{port}/readyz")
        words = [sys.executable, "-c", python.replace("8000", port)]
        subprocess.run(words, cwd=tmp_path, check=True, env=dict(os.environ))
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert (tmp_path / "clip.mp4").stat().st_size > 500


@pytest.mark.slow
def test_every_command_about_models_runs(tmp_path: Path) -> None:
    run = Path(sys.executable).parent / "kineograph"
    for command in commands(MODELS):
        words = shlex.split(command.replace("kineograph", str(run), 1))
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    python = "\n".join(block for language, block in blocks(MODELS) if language == "python")
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
