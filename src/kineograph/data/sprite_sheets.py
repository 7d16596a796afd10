"""Layered sprite sheets: what a folder of them holds, and characters put together from them.

A folder has ``layers.json`` and, for each layer, a folder of sheets ``0.png``, ``1.png``, ...::

    {"frame_size": 64,
     "order": ["body", "hair"],                          the lowest layer first
     "body": ["pale skin", "dark skin"],                 what 0.png and 1.png of body/ show
     "hair": ["messy green hair", "a blue topknot"],
     "actions": {"walk": {"left": [9, 9]}},              direction: [row, number of frames]
     "words": {"walk": "walks {direction}"},             optional: how captions say it
     "loop": {"walk": 1}}                                optional: cycles, and where they begin

Every sheet is a PNG with transparency whose sides are multiples of ``frame_size``; a frame is the
square at (row, column), and an action is the first frames of a row. ``loop`` may be a plain list
of actions whose whole row is a cycle; a number skips what comes before the cycle, such as the
standing figure at the beginning of a Liberated Pixel Cup walk.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

from kineograph.core.errors import RequestError, unknown
from kineograph.core.files import read_json, translate_os_errors
from kineograph.data.media import MAX_SIDE

LAYERS_FILE = "layers.json"

ACTION, DIRECTION = "action", "direction"
"""The names of two facts that are true of every clip, so no layer can be called that."""

_KEYS = ("frame_size", "order", "actions", "words", "loop")
_MAX_FRAME_SIZE = 1024
_DAMAGE = (  # what Pillow raises for broken files
    *(OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


@dataclass(frozen=True)
class Row:
    """One row of every sheet: ``frames`` frames of an action in a direction."""

    action: str
    direction: str
    line: int
    frames: int


@dataclass(frozen=True)
class Layout:
    """What ``layers.json`` says.

    ``layers`` goes from the lowest to the highest and holds the words for each sheet. ``loop``
    names the actions that are cycles and the frame at which each cycle begins.
    """

    folder: Path
    frame_size: int
    layers: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    words: Mapping[str, str]
    loop: Mapping[str, int]

    @cached_property
    def actions(self) -> dict[str, list[Row]]:
        """The rows of each action."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.action, []).append(row)
        return found

    def sheet(self, layer: str, item: int) -> Path:
        """Where the sheet of an item of a layer lies."""
        return self.folder / layer / f"{item}.png"

    def columns(self, row: Row, num_frames: int) -> np.ndarray:
        """Which frame of ``row`` is shown at each of ``num_frames`` moments, (T,).

        A cycle goes round. Anything else is shown once: what is too short holds its last frame,
        what is too long is thinned evenly and keeps its first and last frame.
        """
        t = np.arange(num_frames)
        if row.action in self.loop:
            first = self.loop[row.action]
            return np.where(t < row.frames, t, first + (t - first) % (row.frames - first))
        if num_frames < row.frames:
            return np.rint(np.linspace(0, row.frames - 1, num_frames)).astype(int)
        return np.minimum(t, row.frames - 1)

    def retiming(self, row: Row, num_frames: int) -> str:
        """What :meth:`columns` does, in words: "9 frames, looped"."""
        if row.frames == num_frames:
            return f"{row.frames} frames, as they are"
        if row.action in self.loop and row.frames < num_frames:
            return f"{row.frames} frames, looped"
        if row.action in self.loop:
            return f"{row.frames} frames, the first {num_frames} of them"
        if row.frames > num_frames:
            return f"{row.frames} frames, {num_frames} of them at even distances"
        return f"{row.frames} frames, the last one held"


# ---- reading layers.json ------------------------------------------------------------------------


def read_layout(folder: str | Path) -> Layout:
    """Read ``folder``/layers.json and check it against the sheets, whose pixels are left alone.

    Raises RequestError, naming the file, where something is missing, damaged or contradictory.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}.", "Check the spelling of data.path.")
    path = folder / LAYERS_FILE
    if not path.is_file():
        raise RequestError(
            f"{folder} has no {LAYERS_FILE}.", "It must name the layers, their words and actions."
        )
    said = read_json(path)
    actions = _actions(path, said)
    rows = tuple(row for directions in actions.values() for row in directions)
    layout = Layout(
        folder,
        _whole(path, said.get("frame_size"), "frame_size", 1, _MAX_FRAME_SIZE),
        _layers(path, said),
        rows,
        _words(path, said, actions),
        _loop(path, said, actions),
    )
    for layer, words in layout.layers.items():
        _check_folder(layout, layer, len(words))
        for item in range(len(words)):
            _check_sheet(layout, layout.sheet(layer, item))
    return layout


def _wrong(path: Path, cause: str, remedy: str = "Correct that file.") -> NoReturn:
    raise RequestError(f"{path}: {cause}.", remedy)


def _whole(path: Path, value: object, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        _wrong(path, f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return value


def _texts(path: Path, value: object, name: str) -> tuple[str, ...]:
    """A list of different texts, none empty."""
    if not isinstance(value, list) or not value:
        _wrong(path, f'"{name}" must be a list of texts')
    for text in value:
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            _wrong(path, f'"{name}" holds {text!r}, which is no line of text')
        if value.count(text) > 1:
            _wrong(path, f'"{name}" says "{text}" twice')
    return tuple(value)


def _layers(path: Path, said: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    order = _texts(path, said.get("order"), "order")
    known = [key for key, value in said.items() if key not in _KEYS and isinstance(value, list)]
    for layer in order:
        if layer in (*_KEYS, ACTION, DIRECTION):
            _wrong(path, f'a layer cannot be called "{layer}"', "Choose another name for it.")
        if Path(layer).name != layer or layer == ".." or "\\" in layer or "\0" in layer:
            _wrong(path, f'the layer "{layer}" is not the name of a folder beside that file')
        if layer not in known:
            hint = f"Layers with words: {', '.join(known) or 'none'}."
            _wrong(path, f'"order" names "{layer}", but the words for its sheets are missing', hint)
    for layer in known:
        if layer not in order:
            _wrong(path, f'"order" leaves out "{layer}"', "Add it there, or remove its words.")
    return {layer: _texts(path, said[layer], layer) for layer in order}


def _actions(path: Path, said: Mapping[str, object]) -> dict[str, list[Row]]:
    actions = said.get("actions")
    if not isinstance(actions, dict) or not actions:
        _wrong(path, '"actions" must say, for each action, {direction: [row, number of frames]}')
    found: dict[str, list[Row]] = {}
    for action, directions in actions.items():
        if not isinstance(directions, dict) or not directions:
            _wrong(path, f'the action "{action}" must be {{direction: [row, number of frames]}}')
        _texts(path, [action, *directions], "actions")
        for direction, place in directions.items():
            name = f'the action "{action}" "{direction}"'
            if not isinstance(place, list) or len(place) != 2:
                _wrong(path, f"{name} must be [row, number of frames], not {place!r}")
            line = _whole(path, place[0], f"the row of {name}", 0, MAX_SIDE)
            frames = _whole(path, place[1], f"the number of frames of {name}", 1, MAX_SIDE)
            found.setdefault(action, []).append(Row(action, direction, line, frames))
    return found


def _words(path: Path, said: Mapping[str, object], actions: Mapping[str, object]) -> dict[str, str]:
    words = said.get("words", {})
    if not isinstance(words, dict):
        _wrong(path, '"words" must say, for each action, how captions name it')
    for action, text in words.items():
        if action not in actions:
            raise unknown(f'action for the "words" of {path}', action, actions)
        _texts(path, [text], f"words.{action}")
    return words


def _loop(
    path: Path, said: Mapping[str, object], actions: Mapping[str, list[Row]]
) -> dict[str, int]:
    """The cycles; where the file does not say, walking and running are such."""
    loop = said.get("loop", [action for action in ("walk", "run") if action in actions])
    if isinstance(loop, list):
        loop = {str(action): 0 for action in loop}
    if not isinstance(loop, dict):
        _wrong(path, '"loop" must be a list of actions, or {action: first frame of the cycle}')
    for action, first in loop.items():
        if action not in actions:
            raise unknown(f'action for the "loop" of {path}', action, actions)
        last = min(row.frames for row in actions[action]) - 1
        _whole(path, first, f'the first frame of the cycle "{action}"', 0, last)
    return loop


# ---- checking and reading sheets ----------------------------------------------------------------


def _check_folder(layout: Layout, layer: str, count: int) -> None:
    folder = layout.folder / layer
    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder} for the layer {layer!r}.", "Add it.")
    with translate_os_errors(folder):
        there = {file.name for file in folder.glob("*.png")}
    wanted = {f"{item}.png" for item in range(count)}
    if there != wanted:
        odd = sorted(there ^ wanted)[0]
        what = "is missing" if odd in wanted else "has no words"
        raise RequestError(
            f'{layout.folder / LAYERS_FILE} has {count} words for the layer "{layer}" and {folder} '
            f"has {len(there)} sheets: {odd} {what}.",
            f"Name the sheets 0.png to {count - 1}.png, one for each entry of the list.",
        )


def _check_sheet(layout: Layout, path: Path) -> None:
    """Look at what a sheet says of itself; its checksums show whether a part is missing."""
    with _reading(path), Image.open(path, formats=["PNG"]) as image:
        width, height = image.size
        transparent = image.has_transparency_data
        if max(width, height) <= MAX_SIDE:
            image.verify()
    size = layout.frame_size
    if max(width, height) > MAX_SIDE:
        raise RequestError(f"{path} is {width}×{height} pixels.", f"The limit is {MAX_SIDE}.")
    if width % size or height % size:
        raise RequestError(
            f"{path} is {width}×{height} pixels, no multiple of the frame size {size}.",
            f"Correct the sheet, or frame_size in {LAYERS_FILE}.",
        )
    if not transparent:
        raise RequestError(
            f"{path} has no transparency, so it would hide everything below it.",
            "Save it as a PNG with an alpha channel (RGBA).",
        )
    for row in layout.rows:
        if row.line >= height // size or row.frames > width // size:
            raise RequestError(
                f"{path} has {height // size} rows of {width // size} frames, too few for the "
                f'action "{row.action}" "{row.direction}": row {row.line}, {row.frames} frames.',
                f"Rows count from 0. Correct the sheet, or {LAYERS_FILE}.",
            )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a broken file makes Pillow raise => RequestError."""
    try:
        with translate_os_errors(path):
            yield
    except _DAMAGE as error:
        raise RequestError(
            f"{path} is damaged, or no PNG ({error}).", "Restore it from its origin."
        ) from error


def _read_sheet(path: Path) -> np.ndarray:
    """A sheet => (height, width, 4) uint8: red, green, blue and opacity."""
    with _reading(path), Image.open(path, formats=["PNG"]) as image:
        return np.asarray(image.convert("RGBA"))


def _over_255(product: np.ndarray) -> np.ndarray:
    """uint16 products of two bytes => uint8: divided by 255 and rounded, exactly."""
    product = product + np.uint16(128)
    quotient: np.ndarray = ((product + (product >> 8)) >> 8).astype(np.uint8)
    return quotient


@dataclass(frozen=True)
class Patch:
    """All items of one layer in one row, cut to the box that any of them touches.

    ``colors`` and ``through`` are (items, frames, height, width, 3) uint8: the colours multiplied
    by their opacity, and how much of what is below comes through, the same for each channel.
    ``box`` says where in the picture they lie.
    """

    colors: np.ndarray
    through: np.ndarray
    box: tuple[slice, slice]

    @cached_property
    def visible(self) -> np.ndarray:
        """Which items show anything at all in this row, (items,) bool."""
        return np.asarray((self.through != 255).any(axis=(1, 2, 3, 4)))

    @cached_property
    def sharp(self) -> np.ndarray:
        """Which items have no pixel that is half transparent, (items,) bool."""
        return np.asarray(np.isin(self.through, (0, 255)).all(axis=(1, 2, 3, 4)))

    def lay(self, items: np.ndarray, picture: np.ndarray) -> None:
        """Lay ``items`` (B,) over ``picture`` (B, frames, size, size, 3), in place."""
        below, through = picture[:, :, *self.box], self.through[items]
        if self.sharp[items].all():  # three times as fast, and the same
            below &= through
        else:
            below[:] = _over_255(np.multiply(below, through, dtype=np.uint16))
        below += self.colors[items]


class Sheets:
    """The pixels of a layout; each sheet is read once, when the first picture is wanted."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @cached_property
    def patches(self) -> list[list[Patch]]:
        """For each row, one patch for each layer, the lowest first."""
        by_layer = [list(self._layer_patches(layer)) for layer in self.layout.layers]
        return [list(patches) for patches in zip(*by_layer, strict=True)]

    def _layer_patches(self, layer: str) -> Iterator[Patch]:
        items = range(len(self.layout.layers[layer]))
        sheets = [_read_sheet(self.layout.sheet(layer, item)) for item in items]
        size = self.layout.frame_size
        for row in self.layout.rows:
            strips = np.stack(
                [s[row.line * size : (row.line + 1) * size, : row.frames * size] for s in sheets]
            )
            frames = strips.reshape(len(items), size, row.frames, size, 4).transpose(0, 2, 1, 3, 4)
            box = _box(np.asarray(frames[..., 3].any(axis=(0, 1))))
            rgb, opacity = np.split(frames[:, :, *box], [3], axis=-1)
            colors = _over_255(np.multiply(rgb, opacity, dtype=np.uint16))
            yield Patch(colors, np.repeat(255 - opacity, 3, axis=-1), box)

    def compose(self, row: int, items: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Characters ``items`` (B, layers) in row ``row`` => (B, frames, size, size, 3) uint8.

        ``background`` is (B, 3) uint8. The frames are those of the sheet, in its order.
        """
        size, frames = self.layout.frame_size, self.layout.rows[row].frames
        lines = np.tile(background, size)[:, None, None, :]  # whole lines are filled fastest
        picture = np.empty((len(items), frames, size, size * 3), np.uint8)
        picture[:] = lines
        picture = picture.reshape(len(items), frames, size, size, 3)
        for layer, patch in enumerate(self.patches[row]):
            patch.lay(items[:, layer], picture)
        return picture


def _box(touched: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around what is true in (height, width)."""
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
