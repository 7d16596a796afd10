"""Game characters put together from layered sheets, such as those of the Liberated Pixel Cup.

``data.path`` is a folder as ``data/sprite_sheets.py`` describes it. A clip shows one character
(an item of each layer) doing one action in one direction; all of them are equally likely. Its
caption names the action, the direction and some of what the character has on, in any order::

    a character with messy green hair, pale skin and brown shoes walks left

What cannot be seen is not named: eyes from behind, or a shirt whose sheet has no frames for the
action. An action that the sheets show from one direction only ("is hurt") is named without it.

Split: every value of every layer, and every action, belongs to a first group, to a second group,
or to neither. A clip of training never shows values of both groups; a held-out clip always does,
and its caption names one of each. So every pair of a first and a second value (about a fifth of
all pairs of attributes, and of all pairs of an attribute and an action) is new to a model that
knows both. A hash of the names decides who belongs where, so there is no list to keep. A fifth of
the pairs taken at random, without groups, would leave 1 % of the characters to learn from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from PIL import ImageColor

from kineograph.core import seeds
from kineograph.core.conventions import DEFAULT_NUM_FRAMES, RGB
from kineograph.core.errors import RequestError, unknown
from kineograph.data.clip import Batch, Clip, Facts
from kineograph.data.sprite_sheets import ACTION, DIRECTION, LAYERS_FILE, Sheets, read_layout
from kineograph.data.sprite_words import Words

_FIRST, _SECOND, _BOTH = 1, 2, 3  # 0 is neither, and "|" says what two values are together
_ENDS = {  # whether a clip may have [neither group, the first, the second, both]
    "train": (1, 1, 1, 0),
    "held-out": (0, 0, 0, 1),
    "all": (1, 1, 1, 1),
}
_GROUP_SHARE = math.sqrt(0.1)  # of the values in each group: 2·share² of the pairs are held out
_SAMPLE = 5000  # clips looked at for captions that spell every word


@dataclass(frozen=True)
class Config:
    """Characters from a folder of layered sprite sheets."""

    path: str
    """Folder with layers.json and the sheets."""
    num_clips: int = 100_000
    """Number of clips."""
    num_frames: int = DEFAULT_NUM_FRAMES
    """Frames a clip: shorter actions go round or hold their last frame, longer ones are thinned."""
    split: Literal["train", "held-out", "all"] = "train"
    """Whether the pairs of values kept for testing never occur, always occur, or may occur."""
    backgrounds: tuple[str, ...] = ("white",)
    """Colours behind the character, by name or as #rrggbb: one a clip, not in its caption."""
    mention: float = 0.75
    """Probability that a caption names an attribute that can be seen."""


class Source:
    """Every clip is one character, one action and one direction, drawn at random."""

    def __init__(self, config: Config) -> None:
        _check(config)
        self.config = config
        self.layout = read_layout(config.path)
        self.sheets = Sheets(self.layout)
        self.words = Words(self.layout)
        self._groups = _groups({**self.layout.layers, ACTION: tuple(self.layout.actions)})
        self._backgrounds = np.array([_color(name) for name in config.backgrounds], np.uint8)

    def __len__(self) -> int:
        return self.config.num_clips

    @property
    def notes(self) -> dict[str, str]:
        """How the frames of each action fill a clip: {"walk": "9 frames, looped", ...}."""
        wanted = self.config.num_frames
        ways = {
            action: dict.fromkeys(self.layout.retiming(row, wanted) for row in rows)
            for action, rows in self.layout.actions.items()
        }
        return {action: " or ".join(texts) for action, texts in ways.items()}

    @cached_property
    def captions(self) -> Sequence[str]:
        """Captions of this split that together spell every word of its first 5,000 clips."""
        known: set[tuple[str, str]] = set()
        found = []
        for said in self._draw(np.arange(_SAMPLE), 0).said:
            if not known.issuperset(said.items()):
                known.update(said.items())
                found.append(self.describe(said))
        return found

    def describe(self, attributes: Mapping[str, str]) -> str:
        """Attributes, in the order in which the caption names them => caption."""
        return self.words.describe(attributes)

    def parse(self, caption: str) -> dict[str, str]:
        """Caption => attributes, such as {"hair": "messy green hair", "action": "walk"}.

        Articles, case and order do not matter. Raises CannotParse, naming the words, for what
        these sheets do not have, and for a caption that contradicts itself.
        """
        return self.words.parse(caption)

    def clip(self, index: int, seed: int) -> Clip:
        """Clip ``index`` of ``seed``."""
        batch = self.batch(np.array([index]), seed)
        return Clip(batch.frames[0], batch.captions[0], batch.facts[0])

    def batch(self, indices: np.ndarray, seed: int) -> Batch:
        """Clips ``indices`` (B,) of ``seed``; those of one row of the sheets are made together."""
        drawn = self._draw(np.asarray(indices, np.int64), seed)
        size, num_frames = self.layout.frame_size, self.config.num_frames
        frames = np.empty((len(indices), num_frames, size, size, 3), np.uint8)
        for row in np.unique(drawn.row):
            chosen = drawn.row == row
            shown = self.sheets.compose(row, drawn.items[chosen], drawn.background[chosen])
            frames[chosen] = shown[:, self.layout.columns(self.layout.rows[row], num_frames)]
        facts: list[Facts | None] = [
            Facts((), (int(color[0]), int(color[1]), int(color[2])), said)
            for color, said in zip(drawn.background, drawn.said, strict=True)
        ]
        return Batch(frames, [self.describe(said) for said in drawn.said], facts)

    # ---- the split ------------------------------------------------------------------------------

    @property
    def num_combinations(self) -> int:
        """How many different clips (character, action, direction) this split can draw."""
        return self._chances.total

    def held_out_pairs(self, attributes: Mapping[str, str]) -> list[tuple[str, str]]:
        """The pairs of facts in ``attributes`` whose values no clip of training has together."""
        group = {f: self._groups[f][v] for f, v in attributes.items() if f in self._groups}
        return [(f, g) for f, g in combinations(group, 2) if group[f] | group[g] == _BOTH]

    @cached_property
    def _visible(self) -> list[np.ndarray]:
        """For each layer, which items can be seen in which row, (rows, items) bool."""
        layers = zip(*self.sheets.patches, strict=True)
        return [np.stack([patch.visible for patch in layer]) for layer in layers]

    @cached_property
    def _chances(self) -> _Chances:
        """Counts what the split allows. To be tested, a pair that is held out must be seen."""
        rows = self.layout.rows
        one_row = [list(self._groups[layer].values()) for layer in self.layout.layers]
        layers = [np.tile(groups, (len(rows), 1)) for groups in one_row]
        if self.config.split == "held-out":
            layers = [groups * seen for groups, seen in zip(layers, self._visible, strict=True)]
        actions = np.array([self._groups[ACTION][row.action] for row in rows])
        chances = _Chances(actions, layers, _ENDS[self.config.split])
        if not chances.total:
            raise RequestError(
                f"The sheets in {self.layout.folder} have too few items to keep pairs for testing.",
                "Add some, or set data.split to train or all.",
            )
        return chances

    # ---- what is in a clip, and what its caption says -------------------------------------------

    def _draw(self, indices: np.ndarray, seed: int) -> _Drawn:
        count = len(self.layout.layers)
        u = seeds.uniform(seed, indices, 2 + 3 * count)
        row, items, groups = self._chances.draw(u[:, : 1 + count])
        whether, order = u[:, 1 + count : 1 + 2 * count], u[:, 1 + 2 * count : -1]
        seen = np.stack([v[row, items[:, k]] for k, v in enumerate(self._visible)], axis=1)
        named = seen & (whether < self.config.mention)
        if self.config.split == "held-out":
            named |= _one_of_each(groups, named, order)
        background = self._backgrounds[(u[:, -1] * len(self._backgrounds)).astype(int)]
        ranked = np.argsort(np.where(named, order, 2.0), axis=1)  # those that are named first
        said = [
            self._said(row[b], items[b], ranked[b, : named[b].sum()]) for b in range(len(indices))
        ]
        return _Drawn(row, items, background, said)

    def _said(self, row: int, items: np.ndarray, named: np.ndarray) -> dict[str, str]:
        layers = list(self.layout.layers.items())
        said = {layers[k][0]: layers[k][1][items[k]] for k in named.tolist()}
        said[ACTION] = action = self.layout.rows[row].action
        if len(self.layout.actions[action]) > 1:
            said[DIRECTION] = self.layout.rows[row].direction
        return said


@dataclass(frozen=True)
class _Drawn:
    """What B clips are: row (B,), items (B, layers), background (B, 3), what their captions say."""

    row: np.ndarray
    items: np.ndarray
    background: np.ndarray
    said: list[dict[str, str]]


class _Chances:
    """Draws a row and an item of each layer, all that the split allows with the same chance.

    ``actions`` (rows,) and ``layers`` [(rows, items)] are groups; ``ends`` says which groups a
    clip may have met in the end. Layers are chosen one by one: ``ways`` (rows, 4) is in how many
    ways the rest can be chosen where the groups so far are 0 to 3.
    """

    def __init__(self, actions: np.ndarray, layers: list[np.ndarray], ends: Sequence[int]) -> None:
        rows = np.arange(len(actions))
        ways = np.tile(np.array(ends, float), (len(actions), 1))
        self._actions, self._layers, self._tables = actions, layers, list[np.ndarray]()
        for groups in reversed(layers):
            met = np.arange(4)[None, :, None] | groups[:, None, :]
            choices = ways[rows[:, None, None], met]
            self._tables.insert(0, choices.cumsum(-1))
            ways = choices.sum(-1)
        self._rows = ways[rows, actions].cumsum()
        self.total = int(self._rows[-1])

    def draw(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """u (B, 1 + layers) => rows (B,), items (B, layers), and the groups of row and items."""
        row = _choose(np.tile(self._rows, (len(u), 1)), u[:, 0])
        items = np.empty((len(u), len(self._layers)), np.int64)
        groups = np.empty((len(u), 1 + len(self._layers)), np.int64)
        groups[:, 0] = met = self._actions[row]
        for k, table in enumerate(self._tables):
            items[:, k] = _choose(table[row, met], u[:, 1 + k])
            groups[:, 1 + k] = self._layers[k][row, items[:, k]]
            met = met | groups[:, 1 + k]
        return row, items, groups


def _choose(counted_up: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Counts (B, n), each added to those before it, and u (B,) in [0, 1) => choices (B,)."""
    total = counted_up[:, -1]
    below = np.minimum(u * total, np.nextafter(total, 0))  # rounding must not reach the total
    return np.asarray((counted_up <= below[:, None]).sum(1))


def _one_of_each(groups: np.ndarray, named: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which attributes to name as well, (B, layers), so that a caption has both groups.

    ``groups`` (B, 1 + layers) begins with the action's, which is always named.
    """
    more = np.zeros_like(named)
    for group in (_FIRST, _SECOND):
        those = groups[:, 1:] == group
        missing = (groups[:, 0] != group) & ~(those & named).any(1)
        which = np.where(those, order, 2.0).argmin(1)
        more[missing, which[missing]] = True
    return more


# ---- groups of values -----------------------------------------------------------------------


def _groups(values: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, int]]:
    """For each fact, the group of each value: 1, 2, or 0 for neither."""
    sizes = [len(names) for names in values.values()]
    first, second = list(_shares(sizes)), list(_shares(sizes[::-1]))[::-1]
    found = {}
    for (fact, names), a, b in zip(values.items(), first, second, strict=True):
        ranked = sorted(names, key=lambda name: int(seeds.fold(*f"{fact} {name}".encode())))
        rank = {name: place for place, name in enumerate(ranked)}
        found[fact] = {
            n: _FIRST if rank[n] < a else _SECOND if rank[n] < a + b else 0 for n in names
        }
    return found


def _shares(sizes: Sequence[int]) -> Iterator[int]:
    """How many of each number of values are in a group: a share, with what rounding left over."""
    left = 0.0
    for size in sizes:
        wanted = size * _GROUP_SHARE + left
        count = min(max(round(wanted), 0), size // 2)
        left = wanted - count
        yield count


# ---- settings -----------------------------------------------------------------------------------


def _check(config: Config) -> None:
    if not config.path:
        raise RequestError(
            "The sprites source needs a folder of layered sheets.",
            f"Give it as data.path: a folder with {LAYERS_FILE}.",
        )
    if min(config.num_clips, config.num_frames) < 1:
        raise RequestError("The sprites source needs at least 1 clip and 1 frame.")
    if not 0 <= config.mention <= 1:
        raise RequestError(f"data.mention is {config.mention}.", "Choose 0 to 1.")
    if config.split not in _ENDS:
        raise unknown("split", config.split, _ENDS)
    if not config.backgrounds:
        raise RequestError("data.backgrounds is empty.", 'Name a colour, such as "white".')


def _color(name: str) -> RGB:
    try:
        red, green, blue, *rest = ImageColor.getrgb(name)
    except ValueError:
        rest = [0]
    if rest:  # no colour, or one with an opacity
        raise RequestError(
            f'"{name}" is no colour.', "Write data.backgrounds like white or #8899aa."
        )
    return red, green, blue
