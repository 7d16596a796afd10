"""Words of a command line <=> the signature of a command, with tyro; and the help that fits both.

What stands in a function's signature and docstring is all there is to know of a command's options.
A parameter ``settings`` takes whatever else begins with "--": see `core.config.parse_overrides`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import re
import types
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from kineograph.apps import terminal
from kineograph.core.errors import RequestError, nearest

Command = Callable[..., Any]

_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_REWORDED = {  # what tyro says => what a newcomer understands
    r"Missing from .*?: (\S+) .*": r"\1 is missing.",
    r"Error parsing (\S+): .*'(.*)'": r'\1 cannot be "\2".',
    r"Unrecognized options: (.*)": r'Nothing more was expected: "\1".',
    r"Missing value for argument '(\S+)'.*": r"\1 needs a value.",
}


def parse(command: Command, name: str, words: Sequence[str]) -> Callable[[], Any]:
    """A command and its words => the call. Raises RequestError where they do not fit."""
    own, settings = _split(command, words)
    own = _gathered(command, own)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            call: Command = _read(command, name, own)
    except SystemExit:
        cause, hint = _reworded(said.getvalue())
        raise RequestError(cause, f"{hint}See `kineograph {name} --help`.") from None
    return functools.partial(call, settings=settings) if takes_settings(command) else call


def _read(command: Command, name: str, words: Sequence[str]) -> Any:
    """Let tyro read the words by the signature; => the call, not yet made."""
    import tyro

    hints = get_type_hints(command)
    parameters = _parameters(command)

    def call(*values: Any, **named: Any) -> Callable[[], Any]:
        return functools.partial(command, *values, **named)

    for parameter in parameters:
        hint = hints[parameter.name]
        if isinstance(hint, types.UnionType):  # tyro takes 25 ms to import a checker for these
            hint = Union[get_args(hint)]  # noqa: UP007 - made at run time
        shown = tyro.conf.arg(metavar=_metavar(parameter, hint))
        hints[parameter.name] = Annotated[hint, shown]
    call.__annotations__ = {p.name: hints[p.name] for p in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # for tyro
    options = tyro._experimental_options
    options["ansi_codes"] = options["utf8_boxes"] = False  # what it says is reworded
    config = (tyro.conf.FlagCreatePairsOff,)
    return tyro.cli(call, args=words, prog=f"kineograph {name}", config=config)


def _parameters(command: Command) -> list[inspect.Parameter]:
    parameters = inspect.signature(command).parameters.values()
    return [parameter for parameter in parameters if parameter.name != "settings"]


def takes_settings(command: Command) -> bool:
    """Whether a command takes ``--dotted.settings``."""
    return "settings" in inspect.signature(command).parameters


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.POSITIONAL_ONLY


def _metavar(parameter: inspect.Parameter, hint: Any) -> str | None:
    """How help calls a value: ``int | None`` => "N"; None for a flag, which has none."""
    if _is_positional(parameter):
        return parameter.name.upper()
    kinds = [_METAVARS[kind] for kind in (hint, *get_args(hint)) if kind in _METAVARS]
    return kinds[0] + " ..." * (get_origin(hint) is tuple) if kinds else None


def _split(command: Command, words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Words => those for the command's own arguments, and the settings as a nested mapping.

    Raises RequestError for an option that is neither.
    """
    own = {"help", *(p.name for p in _parameters(command) if not _is_positional(p))}
    rest: list[str] = []
    found: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        key = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word == "--":
            rest += [word, *waiting]
            break
        if not word.startswith("--") or key in own:
            rest.append(word)
            continue
        _check_option(key, own, takes_settings(command))
        found.append(word)
        from kineograph.core.config import is_value

        if "=" not in word and waiting and is_value(waiting[0]):
            found.append(waiting.pop(0))
    if not found:
        return rest, {}
    from kineograph.core.config import parse_overrides

    return rest, parse_overrides(found)


def _gathered(command: Command, words: Sequence[str]) -> list[str]:
    """``--name A --name B`` => ``--name A B``, where an option takes several values."""
    hints = get_type_hints(command)
    several = {p.name for p in _parameters(command) if get_origin(hints[p.name]) is tuple}
    found: dict[str, list[str]] = {}
    end = words.index("--") if "--" in words else len(words)
    rest: list[str] = []
    to = rest
    for word in words[:end]:
        name, given, value = word.partition("=")
        if not word.startswith("--"):
            to.append(word)
        elif name.removeprefix("--").replace("-", "_") in several:
            to = found.setdefault(name, [])
            if given:
                to.append(value)
                to = rest
        else:
            rest.append(word)
            to = rest
    options = [each for name, values in found.items() for each in (name, *values)]
    return [*rest, *options, *words[end:]]


def _check_option(key: str, options: set[str], settings: bool) -> None:
    """Raise where ``key`` is no option and, where there are ``settings``, most likely none."""
    if settings and ("." in key or not get_close_matches(key, options, cutoff=0.75)):
        return
    close = nearest(key, options)
    known = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(options))
    hint = f'Did you mean "--{close.replace("_", "-")}"? ' if close else ""
    raise RequestError(f"There is no option --{key.replace('_', '-')}.", f"{hint}Known: {known}.")


def _reworded(said: str) -> tuple[str, str]:
    """What tyro says (a title, a rule, what is wrong, a rule, ...) => a sentence, and a hint."""
    parts = [" ".join(part.split()) for part in re.split(r"^ *-{5,} *$", said, flags=re.MULTILINE)]
    sentence = parts[1] if len(parts) > 1 else " ".join(parts)
    for pattern, better in _REWORDED.items():
        sentence = re.sub(f"^{pattern}$", better, sentence)
    loose = sentence.startswith("Nothing more")
    return sentence, "Put words that belong together in quotation marks. " if loose else ""


# ---- help --------------------------------------------------------------------------------------


def show_help(command: Command, name: str, words: Sequence[str]) -> None:
    """Print what a command does, its arguments, and the settings that it takes, if any."""
    hints, about = get_type_hints(command), _documented(command)
    parameters = _parameters(command)
    positional = [p for p in parameters if _is_positional(p)]
    options = [p for p in parameters if not _is_positional(p)]
    usage = [p.name.upper() if p.default is p.empty else f"[{p.name.upper()}]" for p in positional]
    print(" ".join(["usage: kineograph", name, *usage, "[options]"]) + "\n")
    print(terminal.wrapped(about[""]) + "\n")
    rows = [(p.name.upper(), about[p.name] + _default(p)) for p in positional]
    for option in options:
        metavar = _metavar(option, hints[option.name]) or ""
        flag = f"--{option.name.replace('_', '-')} {metavar}".strip()
        rows.append((flag, about[option.name] + _default(option)))
    rows += [("--json", "Answer in JSON, for programs."), ("--help", "Show this.")]
    terminal.print_columns(rows)
    if takes_settings(command):
        from kineograph.apps.commands import settings

        own, _ = _split(command, words)
        named = [word for word in own if not word.startswith("-")]
        settings.show(name, named[0] if named else None)


def _default(parameter: inspect.Parameter) -> str:
    """A default in words, where it says anything."""
    value = parameter.default
    if value is parameter.empty or value is None or value is False or value == ():
        return ""
    return f" ({value})"


def _documented(command: Command) -> dict[str, str]:
    """A docstring => what the command does under "", and the text of each argument."""
    about, _, arguments = (inspect.getdoc(command) or "").partition("\nArgs:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {"": about} | {name: " ".join(text.split()) for name, text in found}
