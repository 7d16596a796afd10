"""Errors that a person reads: what happened, and what to do about it.

Whatever a person can cause is raised as a :class:`KineographError`; the command line prints it
without a traceback and exits with its code. Anything else that is raised is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters of what is told of a text that is not ours


class KineographError(Exception):
    """Something a person can mend. ``cause`` says what happened, ``remedy`` what to do."""

    exit_code = 3

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause, self.remedy = _printable(cause), _printable(remedy)
        super().__init__(f"{self.cause} {self.remedy}".strip())


class RequestError(KineographError):
    """The request was wrong: an unknown name, a bad value, a file that is not what it should be."""

    exit_code = 2


class MachineError(KineographError):
    """The machine failed: missing memory, a broken disk."""

    exit_code = 3


class DiskFullError(MachineError):
    """No room for what was asked. Whoever asked can mend that, so it counts as a bad request."""

    exit_code = 2


def in_short(said: object) -> str:
    """What a file holds or a library says, in a line that a terminal shows, and people read."""
    line = " ".join(_printable(str(said)).split())
    if isinstance(said, BaseException) and not line:
        line = type(said).__name__
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " ..."


def _printable(text: str) -> str:
    """Without what no terminal can show, such as a file's name that is not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or None if none is like it."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """The error for a name that is not known, with the nearest one that is."""
    names = sorted(known)
    guess = nearest(name, names)
    hint = f'Did you mean "{guess}"? ' if guess else ""
    return RequestError(
        f'There is no {kind} "{in_short(name)}".', f"{hint}Known: {', '.join(names)}."
    )
