"""What people see fits their terminal, and has colours only where they are wanted."""

from __future__ import annotations

import io
import sys

import pytest

from kineograph.apps import terminal
from kineograph.apps.terminal import TrainingProgress, duration, has_colors
from kineograph.training.loop import Status


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STATUS = Status(
    step=120,
    steps=4000,
    progress=0.25,
    elapsed=75.0,
    clips_per_second=286.4,
    eta_seconds=3725.0,
    losses={"generator.total": 0.7123, "generator.gap": 2.0, "discriminator.total": 0.33},
    accuracy=0.5,
    accuracy_per_prompt={"circle shrinking": 1.0, "circle moving left": 0.0},
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (75.9, "1:15"), (3725, "1:02:05"), (float("inf"), "99:59:59")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_colours_need_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert has_colors(Terminal())
    assert not has_colors(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colors(Terminal())


def test_an_error_is_coloured_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show_error("Cause.", "Remedy.")
    assert capsys.readouterr().err == "error: Cause.\n       Remedy.\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal.show_error("Cause.", "")
    assert sys.stderr.getvalue() == "\033[1;31merror:\033[0m Cause.\n"  # type: ignore[attr-defined]  # a StringIO


@pytest.mark.parametrize("columns", [40, 60, 100, 300])
def test_columns_fit(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [("short", "word " * 40), ("a-name-that-is-rather-long", "text"), ("bare", "")]
    terminal.print_columns(rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert lines[0].startswith("  short")
    assert lines[-1] == "  bare"


def test_a_training_is_told_in_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingProgress() as progress:
        for _ in range(100):
            progress(STATUS)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3, "not a line a step"
    assert lines[0] == (
        " 25%  step 120/4,000  286 clips/s  1:15 gone, 1:02:05 to go  "
        "verified 50%  generator 0.712  discriminator 0.33"
    )


@pytest.mark.parametrize("columns", ["60", "100"])
def test_a_training_is_alive_on_a_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with TrainingProgress() as progress:
        progress(STATUS)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "━" in said
    assert "step 120/4,000  286 clips/s" in said
    assert "circle moving left 0%" in said
    assert "circle shrinking" not in said, "what is solved needs no mention"


def test_a_notebook_which_keeps_all_that_it_shows_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with TrainingProgress() as progress:
        progress(STATUS)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "step 120/4,000" in said
    assert "━" not in said


def test_what_comes_after_the_training_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        progress(Status(1, 1, 1.0, 1.0, 1.0, 0.0, {}))
        progress.say("Judging ...")
    assert capsys.readouterr().err.splitlines()[1:] == ["Judging ..."]


def test_a_training_that_fails_at_once_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), TrainingProgress():
        raise KeyError
    assert not capsys.readouterr().err
