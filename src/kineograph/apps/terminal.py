"""What people see. Colours only on a terminal without NO_COLOR; words wrap to its width."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from kineograph.evaluation.verifier import Verdict
    from kineograph.training.loop import Status

@dataclass(frozen=True)
class Answer:
    """What a command found: ``data`` for programs, ``show`` prints it for people."""

    data: Any
    show: Callable[[], None]
    code: int = 0


_WIDEST = 100  # columns of running text; longer lines are hard to read
_COLORS = {"yes": "bold green", "no": "bold red", "cannot judge": "bold yellow"}


def has_colors(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that shows colours and nobody objects to them."""
    dumb = os.environ.get("TERM") in (None, "dumb") and os.name != "nt"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb


def width() -> int:
    """Columns for running text."""
    return min(_WIDEST, max(30, shutil.get_terminal_size().columns))


def say(text: str = "") -> None:
    """Something beside the answer itself; it goes to stderr."""
    print(text, file=sys.stderr)


def show_error(cause: str, remedy: str) -> None:
    """What happened, and below it what to do."""
    word = "\033[1;31merror:\033[0m" if has_colors(sys.stderr) else "error:"
    lines = [line for text in (cause, remedy) if text for line in _wrapped(text, width() - 7)]
    say(f"{word} " + "\n       ".join(lines))


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]


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


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


# ---- verdicts ----------------------------------------------------------------------------------


def show_verdict(video: str, prompt: str, verdict: Verdict) -> None:
    """One verdict in full: what, why, and the measures that fit in a line each."""
    from rich.text import Text

    console = _console(sys.stdout)
    console.print(Text.assemble((verdict.verdict, _COLORS[verdict.verdict]), f"  {prompt}"))
    console.print(Text(video, style="dim"), soft_wrap=True)
    for reason in verdict.reasons:
        console.print(Text(f"- {reason}"))
    rows = [(key, _measure(value)) for key, value in verdict.measured.items()]
    shown = [(key.replace("_", " "), text) for key, text in rows if text]
    if shown:
        print()
        print_columns(shown)


def _measure(value: Any) -> str:
    """A measured value in a few characters; "" for what has one per frame."""
    if isinstance(value, list):
        return ", ".join(map(_measure, value)) if len(value) <= 3 else ""
    if isinstance(value, dict):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_verdicts(names: Sequence[str], verdicts: Sequence[Verdict]) -> None:
    """Many verdicts, a line each, with the first reason."""
    from rich.table import Table
    from rich.text import Text

    reasons = {reason for v in verdicts for reason in v.reasons[:1]}
    same = len(reasons) == 1 and all(v.verdict == "cannot judge" for v in verdicts)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for name, verdict in zip(names, verdicts, strict=True):
        word = Text(verdict.verdict, style=_COLORS[verdict.verdict])
        why = "" if same or not verdict.reasons else verdict.reasons[0]
        table.add_row(Text(name), word, Text(why))
    console = _console(sys.stdout)
    console.print(table)
    if same:
        console.print(Text(reasons.pop()))


# ---- a training as it goes ---------------------------------------------------------------------


class TrainingProgress:
    """Shows each `Status` on stderr: alive on a terminal, else in a line every few seconds."""

    EVERY = 5.0  # seconds between plain lines

    def __init__(self) -> None:
        self.console = _console(sys.stderr)
        self.status: Status | None = None
        self.rate = 0.0
        self._live: Live | None = None
        self._said = time.monotonic()
        self._accuracy: float | None = None

    def __enter__(self) -> TrainingProgress:
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._picture, console=self.console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        elif self.status:
            self._say_line()

    def __call__(self, status: Status) -> None:
        """Take what the loop reports after a step."""
        first = self.status is None
        self.status = status
        self.rate = status.clips_per_second if first else self._smooth(status.clips_per_second)
        fresh = status.accuracy != self._accuracy
        if not self._live and (first or fresh or time.monotonic() - self._said >= self.EVERY):
            self._say_line()
        self._accuracy = status.accuracy

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
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        status = self.status
        if status is None:
            return Text("starting ...", style="dim")
        bar = ProgressBar(total=1, completed=status.progress, width=min(60, self.console.width))
        lines = [self._pace(status), self._accuracy_line(status, weakest=True)]
        texts = [Text(line) for line in lines if line]
        return Group(bar, *texts, Text(self._losses(status), style="dim"))

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
