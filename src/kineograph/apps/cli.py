"""The command line: words => one function of `commands` => its answer, as text or as JSON.

Nothing here imports torch, and help imports next to nothing, so it is there at once. Exit
codes: 0 done, 1 the answer is no, 2 the request was wrong, 3 the machine failed; 130 for Ctrl-C
and 141 for a reader that went away are those of the shell. KINEOGRAPH_DEBUG=1 shows tracebacks.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from kineograph.apps import arguments, terminal
from kineograph.apps.terminal import Answer
from kineograph.core.errors import KineographError, MachineError, unknown

COMMANDS = {
    "demo": "making",
    "train": "making",
    "refine": "making",
    "distill": "making",
    "generate": "making",
    "verify": "judging",
    "evaluate": "judging",
    "data preview": "data",
    "data export": "data",
    "data check": "data",
    "data pack": "data",
    "studio": "serving",
    "serve": "serving",
    "recipes": "looking",
    "sources": "looking",
    "models": "looking",
    "runs": "runs",
    "push": "runs",
    "export onnx": "exporting",
    "doctor": "doctor",
}
"""Every command, as help lists them, and which file of ``commands`` holds its function."""

_ABOUT = "Trains text-to-video models from scratch, and proves that each video does what it should."
_MORE = "`kineograph COMMAND --help` says more. Every command takes --json, for programs."
_HELP = ("-h", "--help")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words of a command line say, and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    literal = words.index("--") if "--" in words else len(words)
    as_json = "--json" in words[:literal]
    words = [w for i, w in enumerate(words) if w != "--json" or i > literal]
    _never_fail_to_print()
    try:
        code = _run(words, as_json)
        sys.stdout.flush()
        return code
    except Exception as error:
        return _explain(error, as_json)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(words: list[str], as_json: bool) -> int:
    """Find the command that the first words name, and run it with the rest."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    first = words[0] if words else "--help"
    if first in ("--version", "-V"):
        return _give(function("version", "doctor")(), as_json)
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    length = 2 if first in groups else 1
    name = " ".join(words[:length])
    if first in _HELP or (first in groups and (words[1:2] or ["-h"])[0] in _HELP):
        return _give(_contents(first if first in groups else ""), as_json)
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    rest = words[length:]
    if any(word in _HELP for word in rest[: rest.index("--") if "--" in rest else None]):
        arguments.show_help(function(name), name, rest)
        return 0
    answer = arguments.parse(function(name), name, rest)()
    return answer if isinstance(answer, int) else _give(answer, as_json)


def function(name: str, file: str = "") -> Callable[..., Any]:
    """The function of a command: "data preview" => ``data.data_preview``."""
    module = importlib.import_module(f"kineograph.apps.commands.{file or COMMANDS[name]}")
    found: Callable[..., Any] = getattr(module, name.replace(" ", "_"))
    return found


def _contents(group: str) -> Answer:
    """All commands, or those of a group such as "data", with what each does."""
    about = {
        name: (inspect.getdoc(function(name)) or "").partition("\n")[0]
        for name in COMMANDS
        if name.startswith(group)
    }

    def show() -> None:
        print(f"usage: kineograph {group or 'COMMAND'} ...\n")
        if not group:
            print(terminal.wrapped(_ABOUT) + "\n")
        terminal.print_columns(list(about.items()))
        print("\n" + terminal.wrapped(_MORE))

    return Answer({"commands": about}, show)


def _give(answer: Answer, as_json: bool) -> int:
    if as_json and answer.data is not None:
        print(_as_json(answer.data))
    elif not as_json:
        answer.show()
    return answer.code


def _as_json(data: Any) -> str:
    return json.dumps(terminal.finite(data), allow_nan=False, default=str)


def _never_fail_to_print() -> None:
    """A terminal that cannot show "×" shows "?"; arguments may hold what no encoding can."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


# ---- what went wrong ---------------------------------------------------------------------------


def _explain(error: Exception, as_json: bool) -> int:
    """Say what went wrong and what to do, and return the exit code."""
    _forget_unwritable_output()
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
        return 141
    if os.environ.get("KINEOGRAPH_DEBUG"):
        traceback.print_exception(error)
    known = error if isinstance(error, KineographError) else _unexpected(error)
    if as_json:
        print(_as_json({"error": {"message": known.cause, "remedy": known.remedy}}))
    else:
        terminal.show_error(known.cause, known.remedy)
    return known.exit_code


def _forget_unwritable_output() -> None:
    """What cannot be written now cannot be at exit either, where Python would complain of it."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception) -> KineographError:
    """What nobody has translated nearer to its cause."""
    from kineograph.core.files import translate_os_errors

    if isinstance(error, MemoryError):
        return MachineError("There is not enough memory.", "Ask for less, or close other programs.")
    try:
        with translate_os_errors("the output"):
            raise error
    except KineographError as known:
        return known
    except Exception:
        return MachineError(
            f"Something unexpected: {type(error).__name__}: {error}",
            "This is a bug. Run it again with KINEOGRAPH_DEBUG=1 and report what it prints.",
        )
