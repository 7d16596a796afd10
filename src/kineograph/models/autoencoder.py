"""Frames <=> short codes, for families that work on codes instead of pixels.

The code of a frame says of each of a few objects where it is and how large, and then what all of
them look like. Place and size are measured, not learned: the centre and the spread of what differs
from the frame's mean colour. The encoder looks at an object through a window laid over it, and the
decoder draws a picture of it into the same window. So a thing that moves changes two numbers of
its code, in a straight line if it moves straight, and what it looks like is the same wherever it
is. Neither network has to learn that, nor the model of motion that comes after them.

Sources: points that a network finds and draws from, Finn et al. 2016 (deep spatial autoencoders)
and Jakab et al. 2018; windows laid by an affine map, Jaderberg et al. 2015 (spatial transformers);
looking and drawing object by object, Eslami et al. 2016 (attend, infer, repeat).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.core.errors import RequestError
from kineograph.models.base import Phase, TensorBatch, VideoShape
from kineograph.models.layers import coordinate_features, pyramid_loss

_PATCH = 8  # a cell of so many pixels belongs to one object or another as a whole
_OCTAVES = 2
_REACH = 2.5  # half a window's side, in sizes of the object
_SIZES = (0.06, 0.4)  # smallest and largest, in half sides of the picture; the window is all then
_PLACES = 4.0  # standard deviation of places in a code
_SCALE = _PLACES / 0.58  # of a place anywhere in the picture the deviation is 0.58
_MASKS = 3  # layers of a drawing, each in a colour of its own
_APPEARANCE_NOISE = 0.05  # what the decoder learns to overlook
_FRAMES_A_TURN = 64
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class AutoencoderConfig:
    """What a family over codes lets one set about its autoencoder."""

    objects: int = 1
    """Things in a clip that move on their own."""
    appearance: int = 13
    """Numbers that say what a frame looks like, besides 3 for each object's place and size."""
    detail: int = 32
    """Rows and columns of the drawing of an object."""
    drawing_width: int = 64
    """Features inside the autoencoder; in its deeper layers twice as many."""
    autoencoder_share: float = 0.1
    """Share of the training in which the autoencoder learns; then it stays as it is."""
    turns_a_step: int = 16
    """Turns in a step, with frames of their own for the autoencoder, after it with noise of their
    own."""


_SMALLEST = {
    "autoencoder_share": 0.01,
    "width": 4,
    "drawing_width": 4,
    "appearance": 2,
    "detail": 4,
}


def check(config: AutoencoderConfig, smallest: dict[str, float], shares: tuple[str, ...]) -> None:
    """Settings of a family over codes: counts are 1 or more (or ``smallest``), shares below 1.

    Raises RequestError, which names the setting, for one that is out of range.
    """
    shares = ("autoencoder_share", *shares)
    smallest = _SMALLEST | smallest
    for name, value in vars(config).items():
        least = smallest.get(name, 0 if name in shares else 1)
        if value < least or (name in shares and value >= 1):
            below = " and below 1" if name in shares else ""
            raise RequestError(f"model.{name} is {value}.", f"It must be {least} or more{below}.")


class Codes:
    """How the numbers of a code (..., D) are laid out: K places (x, y), K sizes, A of appearance.

    Places are in half sides of the picture from its centre, sizes too (the root of the mean squared
    distance from the centre, weighted by how much a pixel differs). In a code sizes, as logarithms,
    and appearance vary by about 1. Places vary by 4, since half a pixel is a hundredth of how far
    they vary and has to be seen beside what is no matter in the others.
    """

    def __init__(self, objects: int, appearance: int) -> None:
        self.objects, self.appearance = objects, appearance
        self.features = 3 * objects + appearance

    @property
    def spread(self) -> Tensor:
        """The standard deviation of each number of a code (D,), about."""
        places = 2 * self.objects
        return torch.cat([torch.full((places,), _PLACES), torch.ones(self.features - places)])

    def join(self, place: Tensor, size: Tensor, appearance: Tensor) -> Tensor:
        """Place (..., K, 2), size (..., K), appearance (..., A), not yet normalised => codes."""
        measured = [_SCALE * place.flatten(-2), 2 * (size / 0.2).log()]
        return torch.cat([*measured, _normalised(appearance)], -1)

    def split(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inverse: => place (..., K, 2), size (..., K), appearance (..., A)."""
        k = self.objects
        place, size, appearance = torch.split(codes, [2 * k, k, self.appearance], -1)
        return (place / _SCALE).reshape(*place.shape[:-1], k, 2), (size / 2).exp() * 0.2, appearance

    def settle(self, codes: Tensor) -> Tensor:
        """The nearest that could be a code: appearance normalised."""
        measured = 3 * self.objects
        return torch.cat([codes[..., :measured], _normalised(codes[..., measured:])], -1)


def _normalised(appearance: Tensor) -> Tensor:
    spread: Tensor = F.layer_norm(appearance.float(), appearance.shape[-1:])
    return spread


class FrameEncoder(nn.Module):
    """Frames (N, 3, H, W) => codes (N, D)."""

    moments: Tensor
    window: Tensor
    where: Tensor

    def __init__(self, shape: VideoShape, codes: Codes, width: int, detail: int) -> None:
        super().__init__()
        self.codes, self.detail = codes, detail
        self.extent = _extent(shape.height, shape.width)
        pixels = _grid(shape.height, shape.width).flatten(0, 1)
        moments = torch.cat([pixels, pixels.square().sum(-1, keepdim=True)], -1)
        self.register_buffer("moments", moments, persistent=False)
        self.register_buffer("window", _grid(detail, detail), persistent=False)
        if codes.objects > 1:
            self.cells = (shape.height // _PATCH, shape.width // _PATCH)
            where = coordinate_features(*self.cells, _OCTAVES)
            self.register_buffer("where", where, persistent=False)
            self.patches = nn.Linear(3 * _PATCH * _PATCH, width // 2)
            self.place = nn.Linear(where.shape[1], width // 2)
            self.owner = nn.Linear(width // 2, codes.objects)
        seen = 4 * detail * detail
        self.look = nn.Sequential(
            nn.Linear(seen, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, width),
        )
        self.glance = nn.Linear(seen, width)
        self.hidden = nn.Linear(4 + codes.objects * (width + 4), 2 * width)
        self.out = nn.Linear(2 * width, codes.appearance)

    def forward(self, frames: Tensor) -> Tensor:
        with torch.autocast(frames.device.type, enabled=False):  # in bf16 a pixel would be lost
            ground = frames.mean((2, 3))
            differs = frames - ground[:, :, None, None]
            strength = differs.square().sum(1).flatten(1)
            contrast = strength.mean(1, keepdim=True).div(3).add(1e-5).sqrt()
            counts = (strength.square() + 1e-8)[:, None] * self._owners(differs, contrast)
            counts = counts / counts.sum(2, keepdim=True)  # (N, K, pixels)
            place, size = self._measure(counts)
            seen = self._look_at(differs, place, size)
            color = counts @ differs.flatten(2).transpose(1, 2)
        # The glance goes past the deeper look, and both are scaled: else how objects differ in
        # shape is drowned by how they differ in colour, for thousands of steps.
        looks = self.look(seen) + self.glance(seen)
        looks = F.rms_norm(looks.float(), looks.shape[-1:]).view(len(frames), -1)
        measured = [ground, contrast.log() + 2, size.log() + 1.5, color.flatten(1)]
        hidden = self.hidden(torch.cat([looks, *measured], 1))
        return self.codes.join(place, size, self.out(F.silu(hidden)))

    def _owners(self, differs: Tensor, contrast: Tensor) -> Tensor | float:
        """How much each pixel belongs to each object (N, K, pixels); sums to 1 over the objects."""
        if self.codes.objects == 1:
            return 1.0
        content = F.pixel_unshuffle(differs, _PATCH).flatten(2).transpose(1, 2)
        x = F.silu(self.patches(content / (4 * contrast[..., None])) + self.place(self.where))
        owners = F.softmax(self.owner(x), -1).transpose(1, 2)
        owners = owners.view(len(owners), -1, *self.cells)
        return F.interpolate(owners, scale_factor=_PATCH).flatten(2)

    def _measure(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (N, K, 2) and spread (N, K) of what counts."""
        found = counts @ self.moments
        place = found[..., :2]
        spread = (found[..., 2] - place.square().sum(-1)).clamp(min=0)
        return place, (spread + 1e-8).sqrt().clamp(*_SIZES)

    def _look_at(self, differs: Tensor, place: Tensor, size: Tensor) -> Tensor:
        """What the window over each object shows (N·K, 4 × detail × detail), of mean square 1.

        Besides red, green and blue, how strong they are together: the shape in any colour.
        """
        reach = _REACH * size.detach()[..., None, None, None]
        points = place.detach()[..., None, None, :] + reach * self.window
        points = points.flatten(0, 1) / points.new_tensor(self.extent)
        seen = _sampled(differs.repeat_interleave(self.codes.objects, 0), points)
        strength = seen.square().sum(1, keepdim=True).add(1e-8).sqrt()
        seen = torch.cat([seen, strength], 1).flatten(1)
        return F.rms_norm(seen, seen.shape[-1:])


class FrameDecoder(nn.Module):
    """Codes (N, D) => frames (N, 3, H, W): a ground, and a drawing in the window of each object."""

    pixels: Tensor

    def __init__(self, shape: VideoShape, codes: Codes, width: int, detail: int) -> None:
        super().__init__()
        self.codes, self.detail = codes, detail
        pixels = _grid(shape.height, shape.width)
        self.register_buffer("pixels", pixels, persistent=False)
        self.body = nn.Sequential(
            nn.Linear(codes.appearance, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
        )
        self.ground = nn.Linear(2 * width, 3)
        self.colors = nn.Linear(2 * width, codes.objects * 3 * _MASKS)
        self.drawings = nn.Linear(2 * width, codes.objects * _MASKS * detail * detail)

    def forward(self, codes: Tensor) -> Tensor:
        place, size, appearance = self.codes.split(codes)
        x = self.body(appearance)
        ground, colors, drawings = self.ground(x), self.colors(x), self.drawings(x)
        k, detail = self.codes.objects, self.detail
        with torch.autocast(codes.device.type, enabled=False):
            drawings = drawings.float().view(-1, _MASKS, detail, detail)
            points = self.pixels - place[..., None, None, :]
            points = points / (_REACH * size[..., None, None, None])
            layers = _sampled(drawings, points.flatten(0, 1)).flatten(2)
            drawn = colors.float().view(-1, 3, _MASKS) @ layers
            drawn = drawn.view(len(codes), k, 3, *self.pixels.shape[:2]).sum(1)
            frames: Tensor = drawn + ground.float()[:, :, None, None]
            return frames


class FrameAutoencoder(nn.Module):
    """Frames <=> codes, and how they are learned. ``family`` is for messages."""

    def __init__(self, family: str, shape: VideoShape, config: AutoencoderConfig) -> None:
        super().__init__()
        if shape.height % _PATCH or shape.width % _PATCH or shape.num_frames < 3:
            raise RequestError(
                f"The {family} family cannot make clips of {shape}.",
                f"Height and width must be multiples of {_PATCH}, with at least 3 frames.",
            )
        self.layout = Codes(config.objects, config.appearance)
        self.encoder = FrameEncoder(shape, self.layout, config.drawing_width, config.detail)
        self.decoder = FrameDecoder(shape, self.layout, config.drawing_width, config.detail)
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
        """min ‖decode(encode(x) + noise) − x‖² over a pyramid of sizes; no noise on the places."""
        x = batch.frames.flatten(0, 1)
        x = x[torch.randperm(len(x), device=x.device)[:_FRAMES_A_TURN]]
        codes = self.encoder(x)
        measured = torch.arange(self.layout.features, device=x.device) < 3 * self.layout.objects
        noise = _APPEARANCE_NOISE * torch.randn_like(codes)
        drawn = self.decoder(codes + noise.masked_fill(measured, 0.0))
        return {"total": pyramid_loss(drawn - x)}

    @torch.no_grad()
    def codes(self, batch: TensorBatch) -> Tensor:
        """The codes (B, T, D) of the batch's clips, read once a step."""
        if "codes" not in batch.shared:
            codes = _in_parts(self.encoder, batch.frames.flatten(0, 1))
            batch.shared["codes"] = codes.view(*batch.frames.shape[:2], -1)
        return batch.shared["codes"]

    def clips(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) => clips (B, T, 3, H, W) in [-1, 1]."""
        drawn = _in_parts(self.decoder, self.layout.settle(codes).flatten(0, 1))
        return drawn.clamp(-1, 1).view(*codes.shape[:2], *drawn.shape[1:])


def _in_parts(network: nn.Module, x: Tensor) -> Tensor:
    """The same as ``network(x)``; on a processor as many at once as its cache holds."""
    if x.is_cuda:
        whole: Tensor = network(x)
        return whole
    return torch.cat([network(part) for part in torch.split(x, _FRAMES_AT_ONCE)])


def _extent(height: int, width: int) -> tuple[float, float]:
    """Half the width and height of a picture whose shorter side is 2."""
    shorter = min(height, width)
    return width / shorter, height / shorter


def _grid(height: int, width: int) -> Tensor:
    """The (x, y) of every pixel's middle (H, W, 2), from the centre, the shorter side being 2."""
    across, down = _extent(height, width)
    y = ((torch.arange(height) + 0.5) / height * 2 - 1) * down
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * across
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1)


def _sampled(images: Tensor, points: Tensor) -> Tensor:
    """Images (N, C, H, W) read at points (N, h, w, 2), whose corners are ±1; 0 outside."""
    return F.grid_sample(images, points, padding_mode="zeros", align_corners=False)
