"""Words reach the right command, and what goes wrong is said in words and in the exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kineograph
from kineograph.apps import cli
from kineograph.apps.terminal import Answer
from kineograph.core.errors import MachineError, RequestError

PYTHON = [sys.executable, "-m", "kineograph"]


def instead(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    """Let `recipes` raise ``what``, or answer with it."""

    def recipes() -> Answer:
        if isinstance(what, BaseException):
            raise what
        return Answer(what, lambda: print("for people"))

    monkeypatch.setattr("kineograph.apps.commands.looking.recipes", recipes)


# ---- finding the command -----------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command(words: tuple[str, ...], call: Any) -> None:
    done = call(*words)
    assert done.code == 0
    assert not done.err
    for name in cli.COMMANDS:
        assert f"\n  {name} " in done.out


def test_every_command_that_is_listed_is_there() -> None:
    for name in cli.COMMANDS:
        assert cli.function(name).__doc__


@pytest.mark.parametrize("words", [("data",), ("data", "--help"), ("help", "data")])
def test_a_group_lists_its_commands(words: tuple[str, ...], call: Any) -> None:
    done = call(*words)
    assert done.code == 0
    assert "data preview" in done.out
    assert "train" not in done.out


def test_an_unknown_command_is_refused_with_the_nearest(call: Any) -> None:
    assert call("trian").code == 2
    assert 'Did you mean "train"?' in call("trian").err
    assert 'Did you mean "data preview"?' in call("data", "prevew").err
    assert call("--nonsense").code == 2


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version(word: str, call: Any) -> None:
    assert call(word).out.startswith("kineograph 0.")
    assert call(word, "--json").json["version"].startswith("0.")


# ---- answers -----------------------------------------------------------------------------------


def test_json_is_one_document_wherever_the_option_stands(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, {"nan": float("nan"), "path": Path("a"), "more": [float("inf"), (1, 2)]})
    assert call("recipes").out == "for people\n"
    for words in (("recipes", "--json"), ("--json", "recipes")):
        assert call(*words).json == {"nan": None, "path": "a", "more": [None, [1, 2]]}


def test_what_follows_two_dashes_is_no_option(call: Any) -> None:
    done = call("generate", "--model", "nowhere", "--", "--json")
    assert done.code == 2
    assert "There is no folder nowhere" in done.err


@pytest.mark.parametrize("command", ["recipes", "sources", "models", "runs"])
def test_every_list_has_both_forms(command: str, call: Any) -> None:
    assert call(command).out
    assert isinstance(call(command, "--json").json[command], list)


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("Too loud.", "Be quiet."), 2),
        (MachineError("Too hot.", "Cool it."), 3),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2),
        (MemoryError(), 3),
        (ValueError("a bug of ours"), 3),
    ],
)
def test_an_error_is_cause_and_remedy_and_a_code(
    error: Exception, code: int, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, error)
    done = call("recipes")
    assert done.code == code
    assert not done.out
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) >= 2
    told = call("recipes", "--json")
    assert told.code == code
    assert not told.err
    assert told.json["error"]["message"]
    assert told.json["error"]["remedy"]


def test_tracebacks_are_shown_to_those_who_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(monkeypatch, ValueError("a bug of ours"))
    monkeypatch.setenv("KINEOGRAPH_DEBUG", "1")
    assert cli.main(["recipes"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_is_one_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, KeyboardInterrupt())
    done = call("recipes")
    assert (done.code, done.out, done.err) == (130, "", "Interrupted.\n")


# ---- as processes ------------------------------------------------------------------------------


def test_help_and_lists_and_verifying_never_load_torch(left: Path) -> None:
    words = [[*name.split(), "--help"] for name in cli.COMMANDS]
    words += [[], ["--version"], ["trian"], ["recipes"], ["sources"], ["models"], ["runs"]]
    words += [["train", "tutorial", "--help"], ["train", "tutoral"], ["generate", ""]]
    words += [["verify", str(left), "circle moving left"], ["generate", "a", "--out", "a.mpg"]]
    code = (
        "import sys\nfrom kineograph.apps.cli import main\n"
        f"for words in {words!r}:\n    main(words)\n    assert 'torch' not in sys.modules, words\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help_loads_neither_numpy_nor_rich() -> None:
    code = (
        "import sys\nfrom kineograph.apps.cli import main\n"
        "main([])\nmain(['train', 'tutorial', '--help'])\n"
        "assert not {'numpy', 'rich', 'av', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("prompt", "code"), [("circle moving left", 0), ("circle moving right", 1), ("a dog", 2)]
)
def test_the_exit_code_is_that_of_the_process(prompt: str, code: int, left: Path) -> None:
    done = subprocess.run([*PYTHON, "verify", str(left), prompt], capture_output=True)
    assert done.returncode == code


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [*PYTHON, "sources"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("word", ["--help", "runs"])
def test_an_output_that_is_full_is_said_so(word: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PYTHON, word], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: The disk is full")
    assert "Exception" not in done.stderr


def test_ctrl_c_ends_a_batch_quietly(left: Path, tmp_path: Path) -> None:
    pair = json.dumps({"video": str(left), "prompt": "circle moving left"})
    (tmp_path / "pairs.jsonl").write_text(f"{pair}\n" * 5000)
    command = [*PYTHON, "verify", "--batch", str(tmp_path / "pairs.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == b"Interrupted.\n"
    assert process.returncode == 130


def test_a_terminal_of_another_encoding_gets_something() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = [*PYTHON, "verify", "nothing\udcff.mp4", "circle ×"]
    done = subprocess.run(words, env=env, capture_output=True)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_there_is_a_module_to_run() -> None:
    assert (Path(kineograph.__file__).parent / "__main__.py").is_file()
