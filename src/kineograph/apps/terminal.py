"""What people see. Colours only on a terminal without NO_COLOR; words wrap to its width."""

from __future__ import annotations

import math
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from kineograph.evaluation.verifier import Verdict
    from kineograph.training.loop import Status


@dataclass(frozen=True)
class Answer:
    """What a command found: ``data`` for programs, ``show`` prints it for people; None where
    another process tells."""

    data: Any
    show: Callable[[], None]
    code: int = 0


_WIDEST = 100  # columns of running text; longer lines are hard to read
_COLORS = {"yes": "1;32", "no": "1;31", "cannot judge": "1;33", "error:": "1;31"}


def has_colors(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that shows colours and nobody objects to them."""
    able = "WT_SESSION" in os.environ or os.environ.get("TERM") not in (None, "dumb")
    return able and stream.isatty() and not os.environ.get("NO_COLOR")


def _painted(word: str, stream: TextIO) -> str:
    """One of the words of _COLORS, coloured where that can be."""
    return f"\033[{_COLORS[word]}m{word}\033[0m" if has_colors(stream) else word


def width() -> int:
    """Columns for running text."""
    return min(_WIDEST, max(30, shutil.get_terminal_size().columns))


def say(text: str = "") -> None:
    """Something beside the answer itself; it goes to stderr."""
    print(text, file=sys.stderr)


def show_error(cause: str, remedy: str) -> None:
    """What happened, and below it what to do."""
    word = _painted("error:", sys.stderr)
    lines = [line for text in (cause, remedy) if text for line in _wrapped(text, width() - 7)]
    say(f"{word} " + "\n       ".join(lines))


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]


def wrapped(text: str) -> str:
    """Paragraphs, wrapped to the terminal's width."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join("\n".join(_wrapped(part, width())) for part in paragraphs)


def print_columns(rows: Sequence[tuple[str, str]], indent: int = 2) -> None:
    """Names, and beside them what is said of each; a long name stands above it."""
    left = min(max((len(name) for name, _ in rows), default=0), max(12, width() // 3))
    for name, text in rows:
        lines = _wrapped(text, width() - indent - left - 2)
        if len(name) > left:
            print(" " * indent + name)
            name = ""
        for line in lines:
            print(f"{' ' * indent}{name:<{left}}  {line}".rstrip())
            name = ""


# ---- verdicts ----------------------------------------------------------------------------------


def show_verdict(video: str, prompt: str, verdict: Verdict) -> None:
    """One verdict in full: what, why, and the measures that fit in a line each."""
    said = prompt.strip() or "(an empty prompt)"
    print(f"{_painted(verdict.verdict, sys.stdout)}  {said}\n{video}")
    for reason in verdict.reasons:
        print("- " + "\n  ".join(_wrapped(reason, width() - 2)))
    if verdict.measured:
        print()
        print_columns(measures(verdict.measured))


def measures(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as people read them, of those that fit in a few characters."""
    rows = [(name.replace("_", " "), _measure(value)) for name, value in values.items()]
    return [(name, text) for name, text in rows if text]


def _measure(value: Any) -> str:
    """A measured value in a few characters; "" for what has one per frame."""
    if isinstance(value, list):
        return ", ".join(map(_measure, value)) if len(value) <= 3 else ""
    if isinstance(value, dict):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_verdicts(names: Sequence[str], verdicts: Sequence[Verdict]) -> None:
    """Many verdicts, each with its first reason; one that all share is said once, at the end."""
    first = {reason for verdict in verdicts for reason in verdict.reasons[:1]}
    shared = len(first) == 1 and all(v.verdict == "cannot judge" for v in verdicts)
    for name, verdict in zip(names, verdicts, strict=True):
        print(f"{name}  {_painted(verdict.verdict, sys.stdout)}")
        for reason in [] if shared else verdict.reasons[:1]:
            print("  " + "\n  ".join(_wrapped(reason, width() - 2)))
    if shared:
        print(wrapped(first.pop()))


# ---- a training as it goes ---------------------------------------------------------------------


class TrainingProgress:
    """Shows each `Status` on stderr: alive on a terminal, else in a line every few seconds."""

    EVERY = 5.0  # seconds between plain lines

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
        self.afterwards = ""
        self.status: Status | None = None
        self.rate = 0.0
        self._live: Live | None = None
        self._said = time.monotonic()
        self._accuracy: float | None = None

    def __enter__(self) -> TrainingProgress:
        # A notebook shows commands as a terminal does, but keeps each picture that it was shown.
        if self.console.is_terminal and "JPY_PARENT_PID" not in os.environ:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._picture, console=self.console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        elif self.status and self.status.progress < 1:
            self._say_line()

    def __call__(self, status: Status) -> None:
        """Take what the loop reports after a step."""
        first = self.status is None
        self.status = status
        self.rate = status.clips_per_second if first else self._smooth(status.clips_per_second)
        due = first or status.accuracy != self._accuracy or status.progress >= 1
        if not self._live and (due or time.monotonic() - self._said >= self.EVERY):
            self._say_line()
        self._accuracy = status.accuracy

    def say(self, afterwards: str) -> None:
        """Tell what is done now that the training is over."""
        self.afterwards = afterwards
        if not self._live:
            say(afterwards)

    def note(self, text: str) -> None:
        """Tell what a person should know of, above what changes."""
        if self._live:
            self.console.print(f"note: {text}")
        else:
            say(f"note: {text}")

    def _smooth(self, rate: float) -> float:
        return 0.95 * self.rate + 0.05 * rate  # a step varies too much to be read

    def _say_line(self) -> None:
        self._said = time.monotonic()
        if self.status:
            lines = (self._pace(self.status), self._accuracy_line(self.status, weakest=False))
            parts = [*lines, self._losses(self.status)]
            say(f"{self.status.progress:4.0%}  " + "  ".join(part for part in parts if part))

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        status = self.status
        if status is None:
            return Text("starting ...", style="dim")
        columns = min(60, self.console.width - 5)
        done = round(columns * status.progress)
        bar = Text("━" * done, style="green").append("─" * (columns - done), style="dim")
        bar.append(f" {status.progress:.0%}", style="none")
        lines = [self._pace(status), self._accuracy_line(status, weakest=True)]
        texts = [Text(line) for line in lines if line]
        return Group(bar, *texts, Text(self.afterwards or self._losses(status), style="dim"))

    def _pace(self, status: Status) -> str:
        return (
            f"step {status.step:,}/{status.steps:,}  {self.rate:,.0f} clips/s  "
            f"{duration(status.elapsed)} gone, {duration(status.eta_seconds)} to go"
        )

    def _accuracy_line(self, status: Status, weakest: bool) -> str:
        if status.accuracy is None:
            return ""
        line = f"verified {status.accuracy:.0%}"
        weak = sorted((status.accuracy_per_prompt or {}).items(), key=lambda item: item[1])
        weak = [(prompt, share) for prompt, share in weak[:3] if share < 1]
        if weakest and weak:
            line += "  weakest: " + ", ".join(f"{prompt} {share:.0%}" for prompt, share in weak)
        return line

    def _losses(self, status: Status) -> str:
        totals = {k.removesuffix(".total"): v for k, v in status.losses.items() if "total" in k}
        return "  ".join(f"{name} {value:.3g}" for name, value in (totals or status.losses).items())


def duration(seconds: float) -> str:
    """75.3 => "1:15"; hours are written where there are any."""
    whole = int(min(max(seconds, 0), 359_999))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity; they become null."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
