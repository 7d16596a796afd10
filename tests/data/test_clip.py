"""A clip holds RGB frames and shows itself in a notebook."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import Config, Source
from kineograph.data.video_io import read_video

CLIP = Source(Config()).clip(0, 0)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(html: str, folder: Path) -> np.ndarray:
    """The frames of the video inside a page."""
    kind, data = re.findall(r'src="data:\w+/(\w+);base64,([^"]+)"', html)[0]
    path = folder / f"shown.{kind}"
    path.write_bytes(base64.b64decode(data))
    return read_video(path).frames


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((10, 64, 64, 1), np.uint8),
        np.zeros((10, 3, 64, 64), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((10, 64, 64, 3), np.float32),
    ],
)
def test_frames_of_another_layout_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Clip(frames, "x")


def test_what_a_clip_says_of_itself_is_one_line() -> None:
    assert repr(CLIP) == "Clip('circle moving down', 10 frames of 64×64 at 10/s)"


def test_a_clip_plays_in_a_notebook_by_itself(tmp_path: Path) -> None:
    html = CLIP._repr_html_()
    page = Tags(html)
    assert page.found["img"]["alt"] == "Video: circle moving down (10 frames, 10 frames/s)"
    assert page.found["img"]["width"] == "256"
    assert "pixelated" in str(page.found["img"]["style"])
    assert "circle moving down" in page.text
    assert "http" not in html, "nothing is loaded from elsewhere"
    assert np.array_equal(shown(html, tmp_path)[:, ::4, ::4], CLIP.frames)


def test_a_caption_cannot_become_part_of_the_page() -> None:
    caption = "\"><script>alert(1)</script>' & 圆"
    page = Tags(Clip(CLIP.frames, caption)._repr_html_())
    assert "script" not in page.found
    assert caption in str(page.found["img"]["alt"])
    assert caption in page.text


def test_a_large_clip_plays_as_a_small_file(tmp_path: Path) -> None:
    frames = np.zeros((60, 360, 640, 3), np.uint8)
    frames[:, :, ::5] = np.arange(60, dtype=np.uint8)[:, None, None, None]
    html = Clip(frames, "large")._repr_html_()
    video = Tags(html).found["video"]
    assert {"autoplay", "loop", "muted", "controls"} <= set(video)
    assert "large" in str(video["aria-label"])
    assert video["width"] == "640"
    assert "pixelated" not in str(video["style"])
    assert shown(html, tmp_path).shape == frames.shape


def test_a_clip_without_frames_shows_its_caption() -> None:
    assert "nothing yet" in Clip(np.zeros((0, 64, 64, 3), np.uint8), "nothing yet")._repr_html_()
