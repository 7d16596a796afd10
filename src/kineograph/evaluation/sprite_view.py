"""A video beside one row of the sheets: how well each item of each layer explains it.

Pictures are (..., 3, height, width) float32: brightness and two differences of colour, in levels
of 255 (BT.601). Layering and blurring are linear and treat these alike, so nothing is lost. Each
frame of the row that the video should show is rendered once; frames of the video that should be
the same are averaged, and weigh as much as they are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kineograph.data.sprite_sheets import Sheets

MIN_DIFFERENCE = 2000.0  # squared levels in the whole video; what differs by less looks the same

_BLURS = (0.0, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0)  # pixels, standard deviations of a Gaussian
_REACH = 4  # pixels: how far a blur spreads
_NOISE_FLOOR = 4.0  # squared levels
_MIN_CONTRAST = 300.0  # squared levels with which a pixel counts as part of the character
_PASSES = 4
_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32
)
_TO_RGB = np.linalg.inv(_FROM_RGB)

Box = tuple[slice, slice]


def planes(rgb: np.ndarray) -> np.ndarray:
    """(..., height, width, 3) of 0 to 255 => (..., 3, height, width)."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(rgb, np.float32) @ _FROM_RGB.T, -1, -3))


def smoothed(pictures: np.ndarray, blur: float) -> np.ndarray:
    """Pictures (..., size, size) after a Gaussian of ``blur`` pixels."""
    kernel = _kernel(pictures.shape[-1], blur)
    return np.asarray(kernel @ pictures @ kernel.T)


@dataclass(frozen=True)
class Rival:
    """Another item of a layer against the one that was asked for.

    ``lead`` is by how many standard deviations of the video's noise the asked one explains it
    better; below 0 the other does.
    """

    item: int
    lead: float


class View:
    """One row against a video (T, 3, size, size) on a plain ``background`` (3,).

    ``blur`` is that of brightness and that of colour, pixels. ``noise`` is what the rendering
    that fits best leaves, in squared levels for each number of each pixel of the character.
    """

    def __init__(self, sheets: Sheets, row: int, video: np.ndarray, background: np.ndarray) -> None:
        columns = sheets.layout.columns(sheets.layout.rows[row], len(video))
        frames, moment = np.unique(columns, return_inverse=True)
        self.weight = np.bincount(moment).astype(np.float32)
        self.video = np.stack([video[moment == k].mean(0) for k in range(len(frames))])
        self.background = background
        self.blur = (0.0, 0.0)
        self.noise = 0.0
        patches = sheets.patches[row]
        self._boxes = [patch.box for patch in patches]
        self._colors = [planes(patch.colors[:, frames]) for patch in patches]
        self._through = [
            p.through[:, frames][:, :, None, ..., 0] / np.float32(255) for p in patches
        ]

    def fit(self, items: Sequence[int]) -> list[int]:
        """The items that explain the video best, and ``blur`` and ``noise`` with them."""
        self.blur = (0.0, 0.0)
        best = self._fit_items(items)
        self.blur = self._fit_blur(best)
        if any(self.blur):  # blurred items are more alike, so that one start may lead astray
            last = [len(colors) - 1 for colors in self._colors]
            best = min(self._fit_items(best), self._fit_items(last), key=self._error)
        contrast = ((self._render(best) - self.background[:, None, None]) ** 2).sum(1)
        pixels = float(self.weight @ (contrast > _MIN_CONTRAST).sum((1, 2)))
        self.noise = self._error(best) / max(3 * pixels, 1.0)
        return best

    def rivals(self, items: Sequence[int], layer: int, asked: int) -> list[Rival]:
        """The items of ``layer`` that look unlike ``asked``, the other layers as in ``items``."""
        left, changes = self._alternatives(items, layer)
        apart = changes - changes[asked]
        distance = self._sum(apart**2)
        nearer = distance - 2 * self._sum(apart * (left - changes[asked]))
        deviation = 2 * np.sqrt(distance * (self.noise + _NOISE_FLOOR))
        different = np.flatnonzero(distance >= MIN_DIFFERENCE)
        return [Rival(int(k), float(nearer[k] / deviation[k])) for k in different]

    def tint(self, items: Sequence[int], layer: int) -> tuple[float, float]:
        """By how many levels the mean colour of a layer is off, and of how many pixels a frame."""
        box = self._boxes[layer]
        shown = 1 - self._through[layer][items[layer]]
        shown = (
            shown * self._through_above(items, layer)[..., *box] * self.weight[:, None, None, None]
        )
        left = (self.video - self._blurred(self._render(items)))[..., *box]
        pixels = float(shown.sum())
        mean = (left * shown).sum((0, 2, 3)) / max(pixels, 1e-6)
        return float(np.abs(_TO_RGB @ mean).max()), pixels / float(self.weight.sum())

    def look(self, pictures: np.ndarray) -> np.ndarray:
        """Renderings (..., size, size, 3) of 0 to 255 => as blurred as the video is."""
        return self._blurred(planes(pictures))

    # ---- fitting --------------------------------------------------------------------------------

    def _fit_items(self, items: Sequence[int]) -> list[int]:
        """Layer by layer from the top, until none can be bettered."""
        best = list(items)
        for _ in range(_PASSES):
            before = list(best)
            for layer in reversed(range(len(best))):
                left, changes = self._alternatives(best, layer)
                errors = self._sum((left - changes) ** 2)
                if errors.min() < errors[best[layer]]:
                    best[layer] = int(errors.argmin())
            if best == before:
                break
        return best

    def _fit_blur(self, items: Sequence[int]) -> tuple[float, float]:
        rendered = self._render(items)
        errors = np.array(
            [self._by_plane(self.video - smoothed(rendered, blur)) for blur in _BLURS]
        )
        brightness, color = errors[:, 0].argmin(), errors[:, 1:].sum(1).argmin()
        return _BLURS[brightness], _BLURS[color]

    def _error(self, items: Sequence[int]) -> float:
        return float(self._sum((self.video - self._blurred(self._render(items))) ** 2))

    def _alternatives(self, items: Sequence[int], layer: int) -> tuple[np.ndarray, np.ndarray]:
        """What ``items`` leave of the video, and how each item of ``layer`` changes the picture.

        (frames, 3, h, w) and (items, frames, 3, h, w), around the box of the layer.
        """
        box = self._boxes[layer]
        left = (self.video - self._blurred(self._render(items)))[..., *self._widened(box)]
        laid = self._render(items, layer)[..., *box] * self._through[layer] + self._colors[layer]
        changes = (laid - laid[items[layer]]) * self._through_above(items, layer)[..., *box]
        return left, self._blurred(changes, box)

    # ---- rendering ------------------------------------------------------------------------------

    def _render(self, items: Sequence[int], layers: int | None = None) -> np.ndarray:
        """The character in each of the row's frames, or its lowest ``layers``."""
        pictures = np.empty_like(self.video)
        pictures[:] = self.background[:, None, None]
        for layer, box in enumerate(self._boxes[:layers]):
            part = pictures[..., *box]
            part *= self._through[layer][items[layer]]
            part += self._colors[layer][items[layer]]
        return pictures

    def _through_above(self, items: Sequence[int], layer: int) -> np.ndarray:
        """How much of ``layer`` the layers above let through, (frames, 1, size, size)."""
        through = np.ones_like(self.video[:, :1])
        for above in range(layer + 1, len(self._boxes)):
            through[..., *self._boxes[above]] *= self._through[above][items[above]]
        return through

    def _widened(self, box: Box) -> Box:
        reach, size = _REACH if any(self.blur) else 0, self.video.shape[-1]
        first, second = (slice(max(s.start - reach, 0), min(s.stop + reach, size)) for s in box)
        return first, second

    def _blurred(self, pictures: np.ndarray, box: Box | None = None) -> np.ndarray:
        """Pictures, or what is in ``box`` of them (else zero) => the same around the box."""
        if not any(self.blur):
            return pictures
        size = self.video.shape[-1]
        inside = box or (slice(0, size), slice(0, size))
        around = self._widened(inside)
        blurs = (self.blur[0], self.blur[1], self.blur[1])
        kernels = [_kernel(size, blur) for blur in blurs]
        return np.stack(
            [
                k[around[0], inside[0]] @ pictures[..., plane, :, :] @ k[around[1], inside[1]].T
                for plane, k in enumerate(kernels)
            ],
            axis=-3,
        )

    def _sum(self, squares: np.ndarray) -> np.ndarray:
        """(..., frames, 3, h, w) => (...), frames by their weight."""
        return np.asarray(squares.sum((-1, -2, -3)) @ self.weight)

    def _by_plane(self, left: np.ndarray) -> np.ndarray:
        """What is left (frames, 3, h, w) => its squares added up, (3,)."""
        return np.asarray(self.weight @ (left**2).sum((-1, -2)))


@lru_cache(maxsize=64)
def _kernel(size: int, blur: float) -> np.ndarray:
    """A Gaussian that keeps constants, as a matrix (size, size)."""
    if not blur:
        return np.eye(size, dtype=np.float32)
    apart = np.arange(size)[:, None] - np.arange(size)
    weight = np.where(abs(apart) <= _REACH, np.exp(-0.5 * (apart / blur) ** 2), 0)
    return np.asarray(weight / weight.sum(1, keepdims=True), np.float32)
