"""The tutorial's model to the letter: a baseline, kept with its faults.

Its loss curves look like a GAN's, and it cannot learn what it is asked for:

- the discriminator never sees the text, so nothing rewards a clip for following its prompt;
- the text embedding is in no optimiser: it stays as random as it began, and is a mean over the
  words, deaf to their order;
- each frame is drawn from noise of its own, and judged alone, so nothing ties one frame to the
  next: there is no motion to get right.

Nothing here is repaired. Layers, sizes, initialisation (PyTorch's), loss (binary cross-entropy),
optimiser (Adam, 2e-4, β = 0.5 and 0.999) and batch (16 single frames) are as printed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kineograph.core.errors import RequestError
from kineograph.models import draws
from kineograph.models.base import Graph, Phase, TensorBatch, VideoModel, VideoShape, Watch
from kineograph.text.encoders import MeanOfWords

NOISE = 100
EMBEDDING = 10
SIDE = 64
_BETAS = (0.5, 0.999)


@dataclass(frozen=True)
class Config:
    """The tutorial's frame GAN, to the letter: there is nothing to set."""


class Generator(nn.Module):
    """Noise (N, 100) and text (N, 10) => frames (N, 3, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(NOISE + EMBEDDING, 256 * 8 * 8)
        self.deconv1 = nn.ConvTranspose2d(256, 128, 4, 2, 1)
        self.deconv2 = nn.ConvTranspose2d(128, 64, 4, 2, 1)
        self.deconv3 = nn.ConvTranspose2d(64, 3, 4, 2, 1)

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        x = torch.relu(self.fc1(torch.cat([noise, text], dim=1))).view(-1, 256, 8, 8)
        x = torch.relu(self.deconv1(x))
        x = torch.relu(self.deconv2(x))
        frames: Tensor = torch.tanh(self.deconv3(x))
        return frames


class Discriminator(nn.Module):
    """Frames (N, 3, 64, 64) => logits (N,) of being real."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 4, 2, 1)
        self.conv2 = nn.Conv2d(64, 128, 4, 2, 1)
        self.conv3 = nn.Conv2d(128, 256, 4, 2, 1)
        self.fc1 = nn.Linear(256 * 8 * 8, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.conv1(frames), 0.2)
        x = nn.functional.leaky_relu(self.conv2(x), 0.2)
        x = nn.functional.leaky_relu(self.conv3(x), 0.2)
        logits: Tensor = self.fc1(x.flatten(1))[:, 0]
        return logits


class Model(VideoModel):
    """Frames that know nothing of one another."""

    training_only = ("discriminator",)

    def __init__(self, config: Config, shape: VideoShape, vocabulary_size: int) -> None:
        super().__init__()
        if (shape.height, shape.width) != (SIDE, SIDE):
            raise RequestError(
                f"The tutorial's model draws {SIDE}×{SIDE} pixels only, not {shape}.",
                "Choose that size, or another family.",
            )
        self.config, self.shape = config, shape
        self.noise_shape = (shape.num_frames, NOISE)
        words = nn.Embedding(vocabulary_size, EMBEDDING, padding_idx=0)
        self.embedding = MeanOfWords(words)  # in no phase: see above
        self.generator = Generator()
        self.discriminator = Discriminator()
        self.phases = [
            Phase(
                "discriminator",
                list(self.discriminator.parameters()),
                self.discriminator_losses,
                betas=_BETAS,
            ),
            Phase(
                "generator", list(self.generator.parameters()), self.generator_losses, betas=_BETAS
            ),
        ]

    def generate(
        self,
        tokens: Tensor,
        noise: Tensor,
        *,
        steps: int | None = None,
        guidance_scale: float = 1,
        negative: Tensor | None = None,
        watch: Watch | None = None,
    ) -> Tensor:
        """Every frame by itself; ``steps`` and ``guidance_scale`` mean nothing to a GAN."""
        return self.drawn(noise, tokens)

    def drawn(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """Noise (B, T, 100) and tokens (B, L) => clips (B, T, 3, 64, 64) in [-1, 1]."""
        text = self.embedding(tokens).repeat_interleave(self.shape.num_frames, dim=0)
        frames: Tensor = self.generator(noise.flatten(0, 1), text)
        return frames.view(*noise.shape[:2], *frames.shape[1:])

    def graphs(self, tokens: Tensor) -> dict[str, Graph]:
        given = {"noise": torch.randn(len(tokens), *self.noise_shape), "tokens": tokens}
        return {"model": Graph("drawn", given, "video")}

    def discriminator_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """−E log D(x) − E log(1 − D(G(z, c)))   (Goodfellow et al. 2014, eq. 1)"""
        with torch.no_grad():
            fake = self._draw(batch.tokens)
        on_real, on_fake = (
            self.discriminator(_one_frame_each(batch.frames)),
            self.discriminator(fake),
        )
        return {"total": _cross_entropy(on_real, 1.0) + _cross_entropy(on_fake, 0.0)}

    def generator_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """−E log D(G(z, c)), the non-saturating form."""
        return {"total": _cross_entropy(self.discriminator(self._draw(batch.tokens)), 1.0)}

    def _draw(self, tokens: Tensor) -> Tensor:
        noise = draws.randn(len(tokens), NOISE, device=tokens.device)
        frames: Tensor = self.generator(noise, self.embedding(tokens))
        return frames


def _one_frame_each(clips: Tensor) -> Tensor:
    """Clips (B, T, C, H, W) => one random frame of each (B, C, H, W)."""
    which = (draws.rand(len(clips), device=clips.device) * clips.shape[1]).long()
    return clips[torch.arange(len(clips), device=clips.device), which]


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Sigmoid and binary cross-entropy in one, which is the same and does not overflow."""
    target = torch.full_like(logits, label)
    return nn.functional.binary_cross_entropy_with_logits(logits, target)
