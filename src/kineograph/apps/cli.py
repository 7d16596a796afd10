"""The command line: words => one function of `commands` => its answer, as text or as JSON.

Nothing here imports torch, and help imports next to nothing, so that it is there at once. Exit
codes: 0 done, 1 the answer is no, 2 the request was wrong, 3 the machine failed; 130 for Ctrl-C
and 141 for a reader that went away are those of the shell. KINEOGRAPH_DEBUG=1 shows tracebacks.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from kineograph.apps import commands, terminal
from kineograph.apps.commands import COMMANDS, Answer
from kineograph.core.errors import KineographError, MachineError, RequestError, unknown
from kineograph.core.files import translate_os_errors

_HELP = ("-h", "--help")
_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words of a command line say, and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    literal = words.index("--") if "--" in words else len(words)
    as_json = "--json" in words[:literal]
    words = [w for i, w in enumerate(words) if w != "--json" or i > literal]
    _never_fail_to_print()
    try:
        with translate_os_errors(Path.cwd()):
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
    first = words[0] if words else "--help"
    if first in ("--version", "-V"):
        return _give(commands.version(), as_json)
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    length = 2 if first in groups else 1
    name = " ".join(words[:length])
    if first in (*_HELP, "help") or (first in groups and (words[1:2] or ["-h"])[0] in _HELP):
        return _give(commands.contents(first if first in groups else ""), as_json)
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    function, rest = COMMANDS[name], words[length:]
    if any(word in _HELP for word in rest[: rest.index("--") if "--" in rest else None]):
        return _help(name, rest)
    answer = _parse(function, name, rest)()
    return answer if isinstance(answer, int) else _give(answer, as_json)


def _give(answer: Answer, as_json: bool) -> int:
    if as_json:
        print(_as_json(answer.data))
    else:
        answer.show()
    return answer.code


def _as_json(data: Any) -> str:
    return json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity; they become null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _never_fail_to_print() -> None:
    """A terminal that cannot show "×" shows "?"; arguments may hold what no encoding can."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


# ---- words => arguments ------------------------------------------------------------------------


def _parse(function: Callable[..., Any], name: str, words: list[str]) -> Callable[[], Any]:
    """A function and the words for it => the call; raises RequestError for words that do not fit."""
    words, settings = _split(function, words)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            call: Callable[..., Any] = _tyro(function, name, words, colors=False)
    except SystemExit:
        raise RequestError(*_unboxed(said.getvalue(), name)) from None
    return functools.partial(call, settings=settings) if _takes_settings(function) else call


def _help(name: str, words: list[str]) -> int:
    """Print the help of a command, and the settings that it takes, if any."""
    function = COMMANDS[name]
    named = [word for word in _split(function, words)[0] if not word.startswith("-")]
    with contextlib.suppress(SystemExit):
        _tyro(function, name, ["--help"], colors=terminal.has_colors(sys.stdout))
    if _takes_settings(function):
        commands.show_settings(name, named[0] if named else None)
    print("\nAdd --json for an answer that programs can read.")
    return 0


def _tyro(function: Callable[..., Any], name: str, words: list[str], colors: bool) -> Any:
    """Let tyro read the words by the function's signature; => the call, not yet made.

    Only what stands in the signature and the docstring is told to tyro; the names of values are
    shortened, and defaults that say nothing are not shown.
    """
    import tyro

    signature = inspect.signature(function)
    hints = get_type_hints(function)
    kept = [p for p in signature.parameters.values() if p.name != "settings"]

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Callable[[], Any]:
        return functools.partial(function, *values, **named)

    for parameter in kept:
        hint, hidden = hints[parameter.name], parameter.default in (None, False, (), "")
        plain = next((m for m in _METAVARS if m in (hint, *getattr(hint, "__args__", ()))), None)
        positional = parameter.kind is parameter.POSITIONAL_ONLY
        shown = tyro.conf.arg(
            metavar=parameter.name.upper() if positional else _METAVARS.get(plain or bool),
            help_behavior_hint="" if hidden else None,
        )
        hints[parameter.name] = Annotated[hint, shown]
    call.__annotations__ = {p.name: hints[p.name] for p in kept}
    call.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    tyro._experimental_options["ansi_codes"] = colors
    flags = (tyro.conf.FlagCreatePairsOff,)
    return tyro.cli(call, args=words, prog=f"kineograph {name}", config=flags)


def _takes_settings(function: Callable[..., Any]) -> bool:
    return "settings" in inspect.signature(function).parameters


def _split(function: Callable[..., Any], words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Words => those for the function's own arguments, and the ``--dotted.settings`` as a mapping.

    Whatever the function does not know is a setting; ``recipes`` says if there is none such.
    """
    if not _takes_settings(function):
        return words, {}
    from kineograph.core.config import parse_overrides

    own = {"help", *inspect.signature(function).parameters}
    rest, settings, waiting = [], [], list(words)
    while waiting:
        word = waiting.pop(0)
        key = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if not word.startswith("--") or key in own:
            rest.append(word)
            continue
        commands.check_option(key, sorted(own - {"settings"}))
        settings.append(word)
        number = waiting and re.match(r"-(\d|\.\d|inf|nan)", waiting[0])
        if "=" not in word and waiting and (number or not waiting[0].startswith("-")):
            settings.append(waiting.pop(0))
    return rest, parse_overrides(settings)


def _unboxed(said: str, name: str) -> tuple[str, str]:
    """What tyro says in a box => cause and remedy in a line each."""
    parts = [[]]  # type: list[list[str]]
    for line in said.splitlines():
        text = line.strip("│ ")
        if text.startswith(("╭", "╰")):
            continue
        if text.startswith("──"):
            parts.append([])
        else:
            parts[-1].append(" ".join(text.split()))
    cause = " ".join(parts[0]) or "These words do not fit together."
    hint = " ".join(f"{' '.join(part)}." for part in parts[1:-1])
    return f"{cause.rstrip('.')}.", f"{hint} See `kineograph {name} --help`.".strip()


# ---- what went wrong ---------------------------------------------------------------------------


def _explain(error: Exception, as_json: bool) -> int:
    """Say what went wrong and what to do, and return the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    if os.environ.get("KINEOGRAPH_DEBUG"):
        traceback.print_exception(error)
    known = error if isinstance(error, KineographError) else _unexpected(error)
    if as_json:
        print(_as_json({"error": {"message": known.cause, "remedy": known.remedy}}))
    else:
        terminal.show_error(known.cause, known.remedy)
    return known.exit_code


def _unexpected(error: Exception) -> KineographError:
    if isinstance(error, MemoryError):
        return MachineError("There is not enough memory.", "Ask for less, or close other programs.")
    return MachineError(
        f"Something unexpected: {type(error).__name__}: {error}",
        "This is a bug. Run it again with KINEOGRAPH_DEBUG=1 and report what it prints.",
    )
