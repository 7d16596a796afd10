"""A person's own clips: a folder of videos with captions, laid out in any of the usual ways.

Recognised are, in this order: Hugging Face VideoFolder (``metadata.csv``, ``.jsonl`` or
``.parquet`` with ``file_name`` and a caption column), ``prompts.txt`` + ``videos.txt``, the
tutorial's folders of frames, WebDataset ``.tar`` files, sprite sheets (PNG) with a JSON, a table of
paths and captions, a ``.txt`` beside each clip, and class folders, whose names are the captions.

A clip is whatever PyAV decodes, or an animated GIF, WebP or PNG. What cannot be used is left out;
``kineograph data check FOLDER`` says of every clip what becomes of it and why. The clips are
decoded into memory when the first is asked for, or read from disk where ``kineograph data pack``
has decoded them before.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ImageColor

from kineograph.core import seeds
from kineograph.core.conventions import (
    DEFAULT_FPS,
    DEFAULT_HEIGHT,
    DEFAULT_NUM_FRAMES,
    DEFAULT_WIDTH,
)
from kineograph.core.errors import RequestError, nearest
from kineograph.data.clip import Batch, Clip
from kineograph.data.folder import cache, layouts
from kineograph.data.folder.conform import Form
from kineograph.data.folder.entry import Entry, printable
from kineograph.data.folder.extraction import Extraction
from kineograph.data.folder.layouts import Layout

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Config:
    """A person's own captioned clips."""

    path: Path
    """The folder with the clips; or a .tar or a table in it, or a pack."""
    num_frames: int = DEFAULT_NUM_FRAMES
    """Frames a clip."""
    height: int = DEFAULT_HEIGHT
    """Height of the picture in pixels."""
    width: int = DEFAULT_WIDTH
    """Width of the picture in pixels."""
    fps: float | None = DEFAULT_FPS
    """Frames a second that every clip is brought to, by the clock; "none" keeps each its own."""
    stride: int = 1
    """Take every so many-th frame, after that."""
    frame_extraction: Literal["head", "uniform", "random", "chunks"] = "head"
    """Which frames: the first; evenly spread over the whole; a random stretch, another one for
    each of the repeats; or one stretch after the other, each a clip of its own."""
    resize: Literal["crop", "letterbox"] = "crop"
    """Another shape is brought to this one by cutting off what is over, or by adding bars."""
    background: str = "white"
    """Colour of the bars and behind what is transparent: a name, or like #00ff00."""
    repeats: int = 1
    """How often each clip comes in an epoch."""
    caption_column: str | None = None
    """The column of a table that holds the captions, where its name does not say so."""
    follow_links: bool = False
    """Read links in the folder that lead out of it, too."""
    split: Literal["train", "held-out", "all"] = "train"
    """Clips to learn from, or those that are kept for testing; a clip's name decides which."""
    held_out: float = 0.1
    """The share of the clips that is kept for testing."""
    pack: Path | None = None
    """Where `kineograph data pack` has put the decoded clips, if not into the folder itself."""


def check_config(config: Config) -> None:
    """Raise RequestError for a setting that cannot be."""
    for name, least in {
        "num_frames": 1,
        "height": 16,
        "width": 16,
        "stride": 1,
        "repeats": 1,
    }.items():
        if getattr(config, name) < least:
            raise RequestError(
                f"data.{name} is {getattr(config, name)}.", f"Choose {least} or more."
            )
    for name in ("height", "width"):
        if getattr(config, name) > 1024:
            raise RequestError(f"data.{name} is {getattr(config, name)}.", "Choose 1024 or less.")
    if config.fps is not None and not 0.1 <= config.fps <= 240:
        raise RequestError(f"data.fps is {config.fps:g}.", "Choose 0.1 to 240.")
    if not 0 <= config.held_out < 1:
        raise RequestError(f"data.held_out is {config.held_out}.", "Choose 0 to less than 1.")


def form_of(config: Config) -> Form:
    """What every clip is brought to, by the settings. Raises RequestError for wrong ones."""
    check_config(config)
    try:
        background = ImageColor.getrgb(config.background)[:3]
    except ValueError:
        guess = nearest(config.background, ImageColor.colormap)
        hint = f'Did you mean "{guess}"? ' if guess else ""
        raise RequestError(
            f'There is no colour "{config.background}".', f"{hint}Write it like #00ff00."
        ) from None
    return Form(config.height, config.width, config.fps, config.resize, background)


def layout_of(config: Config) -> Layout:
    """The clips that the settings speak of, of both splits. Raises RequestError for none."""
    if cache.is_pack(config.path):
        return cache.packed_layout(config.path)
    return layouts.recognise(config.path, config.caption_column, config.follow_links)


def is_held_out(video: str, share: float) -> bool:
    """Whether a video is kept for testing: its name alone decides, so adding others moves none."""
    digest = hashlib.sha256(video.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True)
class _Item:
    """A clip as it comes: a stretch of a decoded one."""

    stored: cache.Stored
    caption: str
    piece: int


class Source:
    """The clips of a folder, as they come: clip after clip, and piece after piece of each."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.form = form_of(config)
        self.extraction = Extraction(config.num_frames, config.stride, config.frame_extraction)
        self.layout = layout_of(config)
        usable = [entry for entry in self.layout.entries if entry.status == "used"]
        if not usable:
            first = self.layout.entries[0]
            raise self._nothing(f"{printable(first.name)}: {first.reason}")
        self.entries = [entry for entry in usable if self._is_chosen(entry)]
        if not self.entries:
            raise RequestError(
                f"None of the {len(usable)} clips in {config.path} is in the split {config.split}.",
                "Choose another share with --data.held-out, or --data.split all.",
            )

    def _is_chosen(self, entry: Entry) -> bool:
        if self.config.split == "all":
            return True
        held_out = is_held_out(entry.video, self.config.held_out)
        return held_out == (self.config.split == "held-out")

    def _nothing(self, why: str) -> RequestError:
        return RequestError(
            f"No clip in {self.config.path} can be used. {why}.",
            f"See what is wrong: kineograph data check {self.config.path}",
        )

    @property
    def notes(self) -> dict[str, str]:
        """What the folder was recognised as."""
        return {"recognised as": self.layout.name}

    def __len__(self) -> int:
        return len(self._items) * self.config.repeats

    @property
    def captions(self) -> Sequence[str]:
        """Every caption once, in the order of the clips."""
        return list(dict.fromkeys(entry.caption for entry in self.entries))

    @functools.cached_property
    def _items(self) -> list[_Item]:
        """What there is to show: opens what is packed, or decodes."""
        store = self._store()
        items: list[_Item] = []
        short: list[str] = []
        for entry in self.entries:
            video = store.clips.get(entry.video)
            if video is None:
                continue
            pieces = self.extraction.pieces(len(video.frames))
            items += [_Item(video, entry.caption, piece) for piece in range(pieces)]
            short += [] if pieces else [entry.video]
        why = {e.video: store.failed[e.video] for e in self.entries if e.video in store.failed}
        why |= dict.fromkeys(short, "it is too short")
        reasons = [f"{printable(video)} ({reason})" for video, reason in why.items()]
        if not items:
            raise self._nothing(reasons[0])
        if reasons:
            _LOG.warning(
                "%d of %d clips are left out, such as %s. See: kineograph data check %s",
                len(reasons),
                len(self.entries),
                reasons[0],
                self.config.path,
            )
        return items

    def _store(self) -> cache.Store:
        path = self.config.path
        if cache.is_pack(path):
            return cache.open_pack(path, self.form, None)
        pack = cache.place(path, self.config.pack)
        if self.config.pack or pack.exists():
            return cache.open_pack(pack, self.form, self.layout)
        return cache.decode_all(self.entries, self.form, path)

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        stored = self._items[index % len(self._items)].stored
        fps = self.extraction.fps(len(stored.frames), stored.fps)
        return Clip(batch.frames[0], batch.captions[0], None, fps)

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``, the same as one by one."""
        c, extraction = self.config, self.extraction
        frames = np.empty((len(indices), c.num_frames, c.height, c.width, 3), np.uint8)
        items = [self._items[int(index) % len(self._items)] for index in indices]
        u = seeds.uniform(seed, indices, 1)[:, 0]
        for out, item, number in zip(frames, items, u.tolist(), strict=True):
            every = item.stored.frames
            out[:] = every[extraction.frames(len(every), item.piece, number)]
        return Batch(frames, [item.caption for item in items], [None] * len(items))
