"""A signature and its docstring are all it takes; words that do not fit are refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kineograph.apps import arguments, cli
from kineograph.core.errors import RequestError


def paint(
    what: str,
    where: Path | None = None,
    /,
    *,
    count: int = 3,
    scale: float | None = None,
    names: tuple[str, ...] = (),
    with_frame: bool = False,
) -> dict[str, Any]:
    """Paint a picture.

    Any picture.

    Args:
        what: What to
            paint.
        where: Where to.
        count: How many.
        scale: How large.
        names: Whose.
        with_frame: Framed.
    """
    return locals()


def build(what: str, /, *, out: Path | None = None, settings: dict[str, Any]) -> dict[str, Any]:
    """Build it.

    Args:
        what: What to build.
        out: Where to.
    """
    return locals()


def parsed(command: Any, *words: str) -> dict[str, Any]:
    return arguments.parse(command, "paint", words)()


def refusal(command: Any, *words: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parsed(command, *words)
    assert caught.value.remedy
    return caught.value


def test_words_become_typed_arguments() -> None:
    told = parsed(paint, "a cat", "x/y", "--count", "-2", "--scale=1e-3", "--with-frame")
    assert told == {
        "what": "a cat",
        "where": Path("x/y"),
        "count": -2,
        "scale": 0.001,
        "names": (),
        "with_frame": True,
    }


def test_defaults_stand_and_underscores_are_hyphens() -> None:
    told = parsed(paint, "a cat", "--with_frame", "--names", "a", "b")
    assert told["where"] is None
    assert told["count"] == 3
    assert told["names"] == ("a", "b")
    assert told["with_frame"] is True


def test_what_follows_two_dashes_is_taken_as_it_is() -> None:
    assert parsed(paint, "--", "--count")["what"] == "--count"
    assert parsed(build, "--out", "x", "--", "--count")["what"] == "--count"


@pytest.mark.parametrize(
    "words",
    [
        ("a cat", "--names", "a", "b", "--count", "2"),
        ("a cat", "--names", "a", "--count", "2", "--names", "b"),
        ("--names=a", "a cat", "--names", "b", "--count=2"),
        ("--names", "a", "--names=b", "--count", "2", "--", "a cat"),
    ],
)
def test_several_values_come_together_or_one_by_one(words: tuple[str, ...]) -> None:
    told = parsed(paint, *words)
    assert (told["what"], told["names"], told["count"]) == ("a cat", ("a", "b"), 2)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((), "WHAT is missing."),
        (("a", "--count"), "--count needs a value."),
        (("a", "--count", "many"), '--count cannot be "many".'),
        (("a", "b", "c"), 'Nothing more was expected: "c".'),
        (("a", "--cuont", "3"), "There is no option --cuont."),
        (("a", "--steps", "3"), "There is no option --steps."),
    ],
)
def test_words_that_do_not_fit_are_refused(words: tuple[str, ...], cause: str) -> None:
    assert refusal(paint, *words).cause == cause


def test_a_misspelt_option_is_known_by_its_likeness() -> None:
    assert 'Did you mean "--count"?' in refusal(paint, "a", "--cuont", "3").remedy
    assert 'Did you mean "--with-frame"?' in refusal(paint, "a", "--with_fram").remedy
    assert 'Did you mean "--out"?' in refusal(build, "a", "--outt", "3").remedy


def test_a_prompt_without_quotation_marks_is_understood_as_such() -> None:
    assert "quotation marks" in refusal(paint, "circle", "moving", "left").remedy


def test_settings_are_gathered_wherever_they_stand() -> None:
    words = ["--model.width", "5", "a", "--out", "x", "--training.learning-rate=1e-4"]
    told = parsed(build, *words, "--data.shift", "-3", "--fast")
    assert told["what"] == "a"
    assert told["out"] == Path("x")
    assert told["settings"] == {
        "model": {"width": "5"},
        "training": {"learning_rate": "1e-4"},
        "data": {"shift": "-3"},
        "fast": "true",
    }


def test_a_raising_command_raises_its_own_error() -> None:
    def fail(*, count: int = 1) -> None:
        """Fail."""
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        arguments.parse(fail, "fail", [])()


# ---- help --------------------------------------------------------------------------------------


def test_help_says_what_the_signature_and_the_docstring_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments.show_help(paint, "paint", [])
    assert capsys.readouterr().out == (
        "usage: kineograph paint WHAT [WHERE] [options]\n\n"
        "Paint a picture.\n\nAny picture.\n\n"
        "  WHAT              What to paint.\n"
        "  WHERE             Where to.\n"
        "  --count N         How many. (3)\n"
        "  --scale X         How large.\n"
        "  --names TEXT ...  Whose.\n"
        "  --with-frame      Framed.\n"
        "  --json            Answer in JSON, for programs.\n"
        "  --help            Show this.\n"
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
@pytest.mark.parametrize("columns", [60, 100])
def test_the_help_of_every_command_fits_and_explains_all(
    name: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: kineograph {name}")
    assert max(map(len, lines)) <= columns


def test_help_is_given_whatever_else_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "a", "--out", "b", "-h"]) == 0
    assert "usage: kineograph generate PROMPT" in capsys.readouterr().out
