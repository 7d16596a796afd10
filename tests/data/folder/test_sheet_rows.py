"""Rows of a sprite sheet are clips, cut as the JSON beside it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data.folder.check import check
from kineograph.data.folder.conform import Form, conform
from kineograph.data.folder.entry import Entry
from kineograph.data.folder.layouts import recognise
from kineograph.data.sources.folder import Config, Source

SIZE = {"frame_width": 16, "frame_height": 16}
FORM = Form(16, 16, 10.0, "crop", (0, 0, 255))


def sheet(folder: Path, cut: Any) -> None:
    """Three rows of 4, 12 and 2 frames; frame i of each is grey 12·i and its rest transparent."""
    pixels = np.zeros((48, 192, 4), np.uint8)
    for row, count in enumerate((4, 12, 2)):
        for index in range(count):
            pixels[16 * row : 16 * row + 16, 16 * index : 16 * index + 16] = (
                *[12 * index] * 3,
                255,
            )
    pixels[:16, :8] = 0
    Image.fromarray(pixels).save(folder / "hero.png")
    (folder / "hero.json").write_text(cut if isinstance(cut, str) else json.dumps(cut))


def shown(entry: Entry, make: Any) -> list[int]:
    found: list[int] = make.numbers(conform(entry, FORM).frames[:, :, 8:])
    return found


def test_rows_become_clips(make: Any, tmp_path: Path) -> None:
    sheet(tmp_path, SIZE | {"rows": ["walks up", "", {"caption": "waves"}]})
    layout = recognise(tmp_path)
    assert layout.name == "sprite sheets: hero.json"
    assert [(e.video, e.caption, e.status) for e in layout.entries] == [
        ("hero.png:0", "walks up", "used"),
        ("hero.png:2", "waves", "used"),
    ]
    assert [shown(entry, make) for entry in layout.entries] == [[0, 1, 2, 3], [0, 1]]
    assert conform(layout.entries[0], FORM).frames[0, 0, 0].tolist() == [0, 0, 255]


def test_a_row_may_say_where_it_begins_how_long_it_is_and_how_fast(
    make: Any, tmp_path: Path
) -> None:
    rows = [{"row": 1, "first": 2, "frames": 5, "caption": "one"}, {"row": 1, "caption": "two"}]
    rows += [{"row": 1, "frames": 6, "fps": 5, "caption": "three"}]
    sheet(tmp_path, SIZE | {"fps": 20, "rows": rows})
    entries = recognise(tmp_path).entries
    assert [shown(entry, make) for entry in entries] == [
        [2, 4],
        [0, 2, 4, 6, 8, 10],
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
    ]


def test_one_row_may_be_several_clips_and_have_several_captions(make: Any, tmp_path: Path) -> None:
    rows = [
        {"row": 1, "frames": 1, "caption": "stands"},
        {"row": 1, "first": 1, "caption": "walks"},
    ]
    rows += [{"row": 1, "frames": 1, "caption": "waits"}, {"row": 1, "frames": 99, "caption": "no"}]
    sheet(tmp_path, SIZE | {"rows": rows})
    config = Config(tmp_path, 1, 16, 16, held_out=0)
    assert [(finding.name, finding.status) for finding in check(config, workers=1).findings] == [
        ("hero.png:1", "used"),
        ("hero.png:1.2", "used"),
        ("hero.png:1 (caption 2)", "used"),
        ("hero.png:1.3", "broken"),
    ]
    batch = Source(config).batch(np.arange(3), 0)
    assert batch.captions == ["stands", "walks", "waits"]
    assert make.numbers(batch.frames[:, 0]) == [0, 1, 0]


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        ({"rows": ["a"]}, "frame_width"),
        (SIZE, "a list of rows"),
        (SIZE | {"rows": [5]}, "a list of rows"),
        (SIZE | {"frame_width": 0, "rows": ["a"]}, "0 is no whole number from 1"),
        (SIZE | {"frame_width": "16", "rows": ["a"]}, "'16' is no whole number"),
        (SIZE | {"fps": 0, "rows": ["a"]}, "fps is 0"),
        (SIZE | {"rows": [{"row": -1, "caption": "a"}]}, "-1 is no whole number"),
    ],
)
def test_a_json_that_cuts_nothing_says_why(cut: Any, says: str, tmp_path: Path) -> None:
    sheet(tmp_path, cut)
    (entry,) = recognise(tmp_path).entries
    assert entry.status == "broken"
    assert says in entry.reason


@pytest.mark.parametrize(
    "row", [{"row": 3}, {"frames": 13}, {"first": 12}, {"first": 10, "frames": 3}]
)
def test_a_row_that_leaves_the_sheet_is_refused(row: dict[str, int], tmp_path: Path) -> None:
    sheet(tmp_path, SIZE | {"rows": [row | {"caption": "a"}]})
    (entry,) = recognise(tmp_path).entries
    with pytest.raises(RequestError, match="leaves its sheet"):
        conform(entry, FORM)


def test_a_row_without_pictures_has_no_frames(tmp_path: Path) -> None:
    sheet(tmp_path, SIZE | {"rows": [{"row": 2, "first": 2, "caption": "a"}]})
    (entry,) = recognise(tmp_path).entries
    with pytest.raises(RequestError, match="no frames"):
        conform(entry, FORM)


def test_captions_of_rows_are_checked_too(tmp_path: Path) -> None:
    sheet(tmp_path, SIZE | {"rows": [" ", {"row": 1}]})
    assert [e.status for e in recognise(tmp_path).entries] == ["caption empty", "caption missing"]


def test_any_other_json_beside_a_picture_is_no_sheet(tmp_path: Path) -> None:
    sheet(tmp_path, '{"title": "a photograph"}')
    with pytest.raises(RequestError):
        recognise(tmp_path)
