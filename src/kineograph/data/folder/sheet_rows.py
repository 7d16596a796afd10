"""Sprite sheets: a PNG whose rows are clips, and a JSON beside it that says how it is cut.

``hero.json`` beside ``hero.png``::

    {"frame_width": 64, "frame_height": 64, "fps": 10,
     "rows": ["a hero walks up", "", {"row": 3, "frames": 9, "caption": "a hero walks down"}]}

A plain string is the caption of the next row, "" passes a row over. Without ``frames`` a row ends
before its first empty picture, or at the sheet's edge; ``first`` is the column it starts at. A row
may be named more than once: with other columns that is another clip, else another caption.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kineograph.core.conventions import DEFAULT_FPS
from kineograph.core.errors import RequestError
from kineograph.data.folder.entry import Entry, Row, captioned, numbered, read_text

_FORMAT = "it needs whole numbers frame_width and frame_height, and a list of rows"


def is_sheet(root: Path, name: str) -> bool:
    """Whether a JSON file cuts a PNG of its name."""
    path = root / name
    if not path.with_suffix(".png").is_file() or path.stat().st_size > 1_000_000:
        return False
    fields = _fields(path)
    return "rows" in fields or "frame_width" in fields


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def read_sheet(root: Path, name: str) -> list[Entry]:
    """The entries of the sheet that the JSON file ``name`` cuts; what is wrong is one of them."""
    fields, image = _fields(root / name), Path(name).with_suffix(".png").as_posix()
    try:
        return numbered(_rows(root, name, image, fields))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        why = _FORMAT if isinstance(error, KeyError | TypeError) else str(error)
        reason = f"{name} does not say how to cut it: {why}"
        return [Entry(image, root / image, status="broken", reason=reason)]


def _rows(root: Path, name: str, image: str, fields: dict[str, Any]) -> Iterator[Entry]:
    width, height = _whole(fields["frame_width"], 1), _whole(fields["frame_height"], 1)
    fps = float(fields.get("fps", DEFAULT_FPS))
    if not 0.1 <= fps <= 1000:
        raise ValueError(f"fps is {fps:g}, 0.1 to 1000 are possible")
    row, cuts = -1, dict[int, list[Row]]()
    for each in fields["rows"]:
        each = {"caption": each} if isinstance(each, str) else dict(each)
        row = _whole(each.get("row", row + 1), 0)
        caption = each.get("caption")
        if caption == "":
            continue
        count = _whole(each["frames"], 1) if "frames" in each else 0
        left = _whole(each.get("first", 0), 0) * width
        part = Row(left, row * height, width, height, count, float(each.get("fps", fps)))
        known = cuts.setdefault(row, [])
        known += [part] if part not in known else []
        which = f".{known.index(part) + 1}" * (known[0] != part)
        entry = Entry(f"{image}:{row}{which}", root / image, part=part)
        yield captioned(entry, None if caption is None else str(caption), f"{name}, row {row}")


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 100_000:
        raise ValueError(f"{value!r} is no whole number from {least}")
    return value


def cut(image: Image.Image, row: Row, name: str) -> Iterator[Image.Image]:
    """The pictures of a row, RGBA. Raises RequestError where it leaves the sheet."""
    across = (image.width - row.left) // row.width
    if row.top + row.height > image.height or max(row.count, 1) > across:
        raise RequestError(
            f"{name} leaves its sheet, which is {image.width}×{image.height} pixels.",
            "Mend the numbers in the JSON beside it.",
        )
    for index in range(row.count or across):
        left = row.left + index * row.width
        box = (left, row.top, left + row.width, row.top + row.height)
        picture = image.crop(box).convert("RGBA")
        if not row.count and not np.asarray(picture)[..., 3].any():
            return
        yield picture
