"""The conventions of the whole project, stated once.

=====================  ==========================================================
video inside a model   float32 ``(B, T, C, H, W)``, pixels in [-1, 1], C = 3 (RGB)
video at rest          uint8 ``(T, H, W, 3)``, RGB
image axes             x grows rightward, y grows **downward**: "up" is -y
lengths, speeds        pixels, pixels per frame
angles                 degrees, clockwise as seen on the screen
positions              of a centre; the top-left corner of the picture is (0, 0),
                       the centre of its first pixel (0.5, 0.5)
flow time              t = 0 is noise, t = 1 is data
``guidance_scale``     1.0 is plain conditional
randomness             item i of seed s is the same whatever the batch size,
                       worker count or world size (``core.seeds``)
=====================  ==========================================================

In the code B, T, C, H, W, L, D always mean batch, frames, channels, height, width,
tokens and features.
"""

from __future__ import annotations

DEFAULT_HEIGHT = 64
DEFAULT_WIDTH = 64
DEFAULT_NUM_FRAMES = 10
DEFAULT_FPS = 10.0

MAX_PROMPT_CHARACTERS = 1000
"""A longer prompt is refused: nothing here learns from one, and it may be an accident."""

RGB = tuple[int, int, int]

WHITE: RGB = (255, 255, 255)
BLACK: RGB = (0, 0, 0)
