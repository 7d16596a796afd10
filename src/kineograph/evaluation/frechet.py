"""The Fréchet distance between two sets of clips, under a name that says how it was taken.

‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of features of clips (Heusel et al. 2017, eq. 6; Unterthiner
et al. 2018 for video). Distances of other features, numbers of clips, sizes or lengths do not
compare, so all of these stand in the name; "FVD" is only what the I3D weights give that it was
defined by, in the form of a TorchScript file that the user supplies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import linalg

from kineograph.core.errors import RequestError

MIN_CLIPS = 2048
"""With fewer the distance says more about their number than about the clips."""

Features = Callable[[np.ndarray], np.ndarray]
"""Clips (N, T, H, W, 3) uint8 => features (N, D)."""

_CELLS = 8
_I3D_SIDE = 224


@dataclass(frozen=True)
class Frechet:
    """A distance (0 is best) and the protocol it was taken by."""

    distance: float
    name: str


@dataclass(frozen=True)
class FrechetOptions:
    """How to take a distance."""

    weights: Path | None = None
    """TorchScript file of the I3D that "FVD" stands for; else cells of luma are the features."""
    anyway: bool = False
    """Take it of fewer than 2,048 clips, too."""

    def check(self, clips: int) -> None:
        """Raises RequestError where there are too few clips, or no such file."""
        if clips < MIN_CLIPS and not self.anyway:
            raise RequestError(
                f"A Fréchet distance of {clips} clips says little; {MIN_CLIPS:,} are the least.",
                "Ask for more clips, or add --anyway.",
            )
        if self.weights is not None and not self.weights.is_file():
            raise RequestError(
                f"There is no file {self.weights}.", "Name the TorchScript file of I3D."
            )


def frechet(real: np.ndarray, made: np.ndarray, options: FrechetOptions) -> Frechet:
    """Distance of two sets of clips, (N, T, H, W, 3) uint8 each.

    Raises RequestError for fewer than 2,048 clips of either, unless that is wanted anyway.
    """
    options.check(min(len(real), len(made)))
    weights = options.weights
    features = _i3d(weights) if weights is not None else cells
    _, num_frames, height, width, _ = made.shape
    kind = "FVD" if weights is not None else "Fréchet video distance"
    how = "I3D, bilinear to 224×224" if weights is not None else "luma of 8×8 cells and its change"
    name = f"{kind} ({how}; {len(real)} and {len(made)} clips of {num_frames}×{height}×{width})"
    return Frechet(distance(features(real), features(made)), name)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The Fréchet distance of the Gaussians through features (N, D) and (M, D)."""
    apart = a.mean(axis=0) - b.mean(axis=0)
    first, second = (np.cov(x, rowvar=False) for x in (a, b))
    # tr (Σ₁Σ₂)^½ is the sum of the roots of the eigenvalues of the symmetric √Σ₁ Σ₂ √Σ₁.
    values, vectors = linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(max(apart @ apart + np.trace(first) + np.trace(second) - 2 * shared, 0.0))


def cells(clips: np.ndarray) -> np.ndarray:
    """Luma (0 to 1) of 8×8 cells of ten moments and its change between them: (N, 1216)."""
    moments = np.linspace(0, clips.shape[1] - 1, min(10, clips.shape[1])).round().astype(int)
    luma = clips[:, moments] @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    rows, columns = (np.arange(_CELLS) * n // _CELLS for n in luma.shape[2:])
    sums = np.add.reduceat(np.add.reduceat(luma, rows, axis=2), columns, axis=3)
    area = np.diff([*rows, luma.shape[2]])[:, None] * np.diff([*columns, luma.shape[3]])
    mean = sums / area
    seen = np.concatenate([mean, np.diff(mean, axis=1)], axis=1)
    return np.asarray(seen.reshape(len(clips), -1), float)


def _i3d(weights: Path) -> Features:
    """The network in a TorchScript file, as StyleGAN-V and others pass it around."""
    import torch

    try:
        network = torch.jit.load(str(weights)).eval()  # type: ignore[no-untyped-call]  # torch leaves it so
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise RequestError(
            f"{weights} is no TorchScript file ({first}).", "Choose another."
        ) from None

    @torch.no_grad()
    def features(clips: np.ndarray) -> np.ndarray:
        found = []
        for part in np.array_split(clips, max(1, len(clips) // 16)):
            frames = torch.from_numpy(part).permute(0, 1, 4, 2, 3).flatten(0, 1).float()
            frames = torch.nn.functional.interpolate(
                frames, (_I3D_SIDE, _I3D_SIDE), mode="bilinear", align_corners=False
            )
            video = frames.view(*part.shape[:2], *frames.shape[1:]).transpose(1, 2) / 127.5 - 1
            told = network(video, rescale=False, resize=False, return_features=True)
            found.append(told.float().cpu().numpy())
        return np.concatenate(found).astype(float)

    return features
