"""Blocks that families share."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.core.errors import RequestError
from kineograph.models.base import Phase, TensorBatch, VideoShape

PATCH = 8  # the picture is read and drawn in cells of so many pixels
_OCTAVES = 2
_CODE_NOISE = 0.05  # what the decoder learns to overlook


class ResidualMLP(nn.Module):
    """x + W₂ silu(W₁ silu(x)), which begins as the identity: (..., D) => (..., D)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, features)
        self.second = nn.Linear(features, features)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.silu(self.first(F.silu(x))))
        return out


def coordinate_features(rows: int, columns: int, octaves: int) -> Tensor:
    """Where each cell of a grid lies: x, y in [-1, 1] and their sines and cosines => (N, D).

    The CoordConv observation (Liu et al. 2018): to put something at a place, a network has to be
    told where it is. Sines from half a period per picture up, ``octaves`` of them.
    """
    y = (torch.arange(rows) + 0.5) / rows * 2 - 1
    x = (torch.arange(columns) + 0.5) / columns * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    waves = [math.pi / 2 * 2**k * grid for k in range(octaves)]
    return torch.cat([grid, *(f(w) for w in waves for f in (torch.sin, torch.cos))], dim=-1)


def pyramid_loss(difference: Tensor) -> Tensor:
    """Mean square of a difference (B, C, H, W), at full size and at every halving of it.

    A small object in the wrong place is wrong by the same amount wherever it is, as far as the
    pixels are concerned; only the coarse levels say which way to go. Level s is weighted by
    s²/2, which keeps a point-like error equally loud on all of them.
    """
    loss = difference.square().mean()
    scale = 1
    while min(difference.shape[-2:]) >= 4:
        difference = F.avg_pool2d(difference, 2)
        scale *= 2
        loss = loss + 0.5 * scale**2 * difference.square().mean()
    return loss


# ---- frames and their codes ------------------------------------------------------------------


class FrameEncoder(nn.Module):
    """Frames (N, 3, H, W) => codes (N, D) of mean 0 and variance 1."""

    def __init__(self, shape: VideoShape, width: int, code_features: int) -> None:
        super().__init__()
        cells = (shape.height // PATCH) * (shape.width // PATCH)
        self.patches = nn.Linear(3 * PATCH * PATCH, width)
        self.within = nn.Linear(width, width // 2)
        self.hidden = nn.Linear(cells * (width // 2), 2 * width)
        self.out = nn.Linear(2 * width, code_features)

    def forward(self, frames: Tensor) -> Tensor:
        cells = F.pixel_unshuffle(frames, PATCH).flatten(2).transpose(1, 2)  # pixels => cells
        x = F.silu(self.within(F.silu(self.patches(cells)))).flatten(1)
        return normalised(self.out(F.silu(self.hidden(x))))


class FrameDecoder(nn.Module):
    """Codes (N, D) => frames (N, 3, H, W): every cell knows where it is, the code what is there."""

    def __init__(self, shape: VideoShape, width: int, code_features: int) -> None:
        super().__init__()
        self.rows, self.columns = shape.height // PATCH, shape.width // PATCH
        where = coordinate_features(self.rows, self.columns, _OCTAVES)
        self.register_buffer("where", where, persistent=False)
        self.modulation = nn.Sequential(
            nn.Linear(code_features, 2 * width), nn.SiLU(), nn.Linear(2 * width, 4 * width)
        )
        self.place = nn.Linear(where.shape[1], width)
        self.mix = nn.Linear(width, width)
        self.refine = nn.Linear(width, width)
        self.pixels = nn.Linear(width, 3 * PATCH * PATCH)

    def forward(self, codes: Tensor) -> Tensor:
        scale1, shift1, scale2, shift2 = self.modulation(codes)[:, None].chunk(4, dim=-1)
        x = F.silu(self.place(self.where) * (1 + scale1) + shift1)  # (N, cells, width)
        x = F.silu(self.mix(x) * (1 + scale2) + shift2)
        x = x + F.silu(self.refine(x))
        cells = self.pixels(x).view(-1, self.rows, self.columns, 3 * PATCH * PATCH)
        return torch.tanh(F.pixel_shuffle(cells.permute(0, 3, 1, 2), PATCH).float())


class FrameAutoencoder(nn.Module):
    """Frames <=> codes, for families that work on codes. ``family`` is for messages."""

    def __init__(self, family: str, shape: VideoShape, width: int, code_features: int) -> None:
        super().__init__()
        if shape.height % PATCH or shape.width % PATCH or shape.num_frames < 3:
            raise RequestError(
                f"The {family} family cannot make clips of {shape}.",
                f"Height and width must be multiples of {PATCH}, with at least 3 frames.",
            )
        self.encoder = FrameEncoder(shape, width, code_features)
        self.decoder = FrameDecoder(shape, width, code_features)

    @torch.no_grad()
    def prepare(self, batch: TensorBatch) -> None:
        """Start from the data's mean colour, which for most clips is nearly their ground.

        Where tanh is flat a faint, blurred object everywhere is no easy answer; started from grey,
        the decoder falls for it and stays there for hundreds of steps.
        """
        mean = batch.frames.mean((0, 1, 3, 4)).clamp(-0.96, 0.96)
        self.decoder.pixels.bias.copy_(mean.atanh().repeat_interleave(PATCH * PATCH))

    def phase(self, frames_a_step: int, stop: float) -> Phase:
        """The step that learns from so many frames of a batch, until ``stop`` of the progress."""

        def losses(batch: TensorBatch) -> dict[str, Tensor]:
            return self.losses(batch, frames_a_step)

        return Phase("autoencoder", list(self.parameters()), losses, learning_rate=3.0, stop=stop)

    def losses(self, batch: TensorBatch, frames_a_step: int) -> dict[str, Tensor]:
        """min ‖decode(encode(x) + noise) − x‖² over a pyramid of sizes."""
        x = batch.frames.flatten(0, 1)
        x = x[torch.randperm(len(x), device=x.device)[:frames_a_step]]
        codes = self.encoder(x)
        drawn = self.decoder(codes + _CODE_NOISE * torch.randn_like(codes))
        return {"total": pyramid_loss(drawn - x)}

    @torch.no_grad()
    def codes(self, batch: TensorBatch) -> Tensor:
        """The codes (B, T, D) of the batch's clips, read once a step."""
        if "codes" not in batch.shared:
            codes = self.encoder(batch.frames.flatten(0, 1))
            batch.shared["codes"] = codes.unflatten(0, batch.frames.shape[:2])
        return batch.shared["codes"]

    def clips(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) => clips (B, T, 3, H, W) in [-1, 1]."""
        clips: Tensor = self.decoder(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
        return clips


def normalised(codes: Tensor) -> Tensor:
    """Codes (..., D) => mean 0 and variance 1 over D, so that all codes live on one sphere."""
    spread: Tensor = F.layer_norm(codes.float(), codes.shape[-1:])
    return spread
