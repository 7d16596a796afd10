"""Frames <=> short codes, for families that work on codes instead of pixels.

What a code says is up to `objects.py`. Here is how codes are learned, and how clips are read and
drawn. Where nothing moves on its own, `meanings.py` takes its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kineograph.core.errors import RequestError
from kineograph.models import draws, objects
from kineograph.models.base import Phase, TensorBatch, VideoShape
from kineograph.models.layers import pyramid_loss

_MULTIPLE = 8  # of it are height and width
_APPEARANCE_NOISE = 0.05  # what the decoder learns to overlook
_FRAMES_A_TURN = 64
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class AutoencoderConfig:
    """What a family over codes lets one set about its autoencoder."""

    objects: int = 1
    """Things in a clip that move on their own; 0 where everything stands in its place, as sprites
    do, and a code says what the whole clip means."""
    appearance: int = 13
    """Numbers that say what an object looks like, besides 12 for its place, size and turn; without
    objects, what a clip means."""
    detail: int = 32
    """Rows and columns of the drawing of an object."""
    drawing_width: int = 64
    """Features inside the autoencoder; in its deeper layers twice as many."""
    autoencoder_share: float = 0.1
    """Share of the training in which the autoencoder learns; then it stays as it is."""
    turns_a_step: int = 16
    """Turns in a step, first the autoencoder's, each with frames or clips of its own."""


_SMALLEST = {
    "objects": 0,
    "autoencoder_share": 0.01,
    "width": 4,
    "drawing_width": 4,
    "appearance": 2,
    "detail": 4,
}


_LARGEST = {"objects": 8, "depth": 256, "turns_a_step": 1024}
_LARGEST_OF_ALL = 2**16  # beyond it nobody has the memory


def check(config: AutoencoderConfig, smallest: dict[str, float], shares: tuple[str, ...]) -> None:
    """Settings of a family over codes: counts are 1 or more (or ``smallest``), shares below 1.

    Raises RequestError, which names the setting, for one that is out of range.
    """
    shares = ("autoencoder_share", *shares)
    smallest = _SMALLEST | smallest
    for name, value in vars(config).items():
        if isinstance(value, str):
            continue
        least = smallest.get(name, 0 if name in shares else 1)
        if value < least or (name in shares and value >= 1):
            below = " and below 1" if name in shares else ""
            raise RequestError(f"model.{name} is {value}.", f"It must be {least} or more{below}.")
        if value > (most := _LARGEST.get(name, _LARGEST_OF_ALL)):
            raise RequestError(f"model.{name} is {value}.", f"It must be {most} or less.")


def check_shape(family: str, shape: VideoShape) -> None:
    """Raise RequestError, which names the family, for clips that cannot be read so."""
    if shape.height % _MULTIPLE or shape.width % _MULTIPLE or shape.num_frames < 3:
        raise RequestError(
            f"The {family} family cannot make clips of {shape}.",
            f"Height and width must be multiples of {_MULTIPLE}, with at least 3 frames.",
        )


class FrameAutoencoder(nn.Module):
    """Frames <=> codes, and how they are learned. ``family`` is for messages."""

    def __init__(self, family: str, shape: VideoShape, config: AutoencoderConfig) -> None:
        super().__init__()
        check_shape(family, shape)
        width, detail = config.drawing_width, config.detail
        self.frames = shape.num_frames
        self.layout = objects.Codes(config.objects, config.appearance)
        self.encoder = objects.FrameEncoder(shape, self.layout, width, detail)
        self.decoder = objects.FrameDecoder(shape, self.layout, width, detail)
        self.turns, self.stop = config.turns_a_step, config.autoencoder_share
        for module in self.modules():
            if isinstance(module, nn.Linear):  # PyTorch's own start shrinks what passes 3 times
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
                nn.init.zeros_(module.bias)

    def phases(self) -> list[Phase]:
        """The turns of a step, each with some frames of the batch."""
        parameters = list(self.parameters())
        return self.turns * [Phase("autoencoder", parameters, self.losses, stop=self.stop)]

    def losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """min ‖decode(encode(x) + noise) − x‖² over a pyramid; what is measured has no noise."""
        x = batch.frames.flatten(0, 1)
        x = x[draws.some(len(x), _FRAMES_A_TURN, x.device)]
        codes = self.encoder(x)
        measured = torch.arange(self.layout.features, device=x.device) < self.layout.measured
        noise = _APPEARANCE_NOISE * draws.randn(*codes.shape, device=x.device)
        drawn = self.decoder(codes + noise.masked_fill(measured, 0.0))
        return {"total": pyramid_loss(drawn - x)}

    @torch.no_grad()
    def codes(self, batch: TensorBatch) -> Tensor:
        """The codes (B, T, D) of the batch's clips, read once a step."""
        if "codes" not in batch.shared:
            codes = _in_parts(self.encoder, batch.frames.flatten(0, 1))
            codes = codes.view(*batch.frames.shape[:2], -1)
            batch.shared["codes"] = self.layout.followed(codes)
        return batch.shared["codes"]

    def clips(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) => clips (B, T, 3, H, W) in [-1, 1]."""
        drawn = _in_parts(self.decoder, self.layout.settle(codes).flatten(0, 1))
        return drawn.clamp(-1, 1).view(*codes.shape[:2], *drawn.shape[1:])


def _in_parts(network: nn.Module, x: Tensor) -> Tensor:
    """The same as ``network(x)``; on a processor as many at once as its cache holds."""
    if x.is_cuda or torch.compiler.is_exporting():
        whole: Tensor = network(x)
        return whole
    return torch.cat([network(part) for part in torch.split(x, _FRAMES_AT_ONCE)])
