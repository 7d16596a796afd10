"""The conventions that people type, quote and rely on."""

from __future__ import annotations

from kineograph.core import conventions


def test_defaults_are_those_of_the_tutorial() -> None:
    assert (conventions.DEFAULT_HEIGHT, conventions.DEFAULT_WIDTH) == (64, 64)
    assert conventions.DEFAULT_NUM_FRAMES == 10
    assert conventions.DEFAULT_FPS == 10.0
    assert conventions.MAX_PROMPT_CHARACTERS == 1000


def test_every_convention_is_stated() -> None:
    said = conventions.__doc__ or ""
    for what in ("B, T, C, H, W", "downward", "clockwise", "t = 0 is noise", "guidance_scale"):
        assert what in said
