"""Rectified flow over the codes of frames: noise becomes a clip in a few steps.

Two networks, on two objectives:

- *autoencoder*: a frame becomes a short code and a frame again (`autoencoder.py`, the GAN's as
  well). It comes first and then stays as it is.
- *denoiser*: sees the codes of a whole clip through noise, the caption, and how much noise there
  is, and predicts the clean codes. To generate, it is followed from nothing but noise to a clip.

To flow over codes instead of pixels is what makes this fit a laptop: a clip is a few hundred
numbers, so the denoiser is small, and the clip is drawn once, at the end. It also settles how
strong the noise has to be. In pixels that depends on how large and how bright an object is against
its ground; codes vary by 1, as the noise does, and places, which have to be exact, by 4.

Sources: rectified flow from Liu et al. 2022; prediction of the clean clip, and the weights that
make that a prediction of the velocity, from JiT (Li and He 2025); the scaled input and the skip
from EDM (Karras et al. 2022); blocks from DiT (Peebles and Xie 2023); guidance without a classifier
from Ho and Salimans 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kineograph.models.autoencoder import FrameAutoencoder, check
from kineograph.models.base import Phase, TensorBatch, VideoModel, VideoShape
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.text.pretrained import LanguageModel

DEFAULT_STEPS = 8
_TIMES = (-0.9, 1.2)  # mean and deviation of log t / (1 − t) in training
_MIN_LEFT = 0.05  # of 1 − t: nearer to the data a velocity is mostly rounding (the same in JiT)


@dataclass(frozen=True)
class Config(DenoiserConfig):
    """The flow over frame codes."""

    unprompted: float = 0.1
    """Share of the clips that it learns without their caption, for guidance."""


class Model(VideoModel):
    """Autoencoder and denoiser, with their objectives."""

    def __init__(self, config: Config, shape: VideoShape, vocabulary_size: int) -> None:
        super().__init__()
        check(config, {"word_price": 0}, shares=("unprompted",))
        self.config, self.shape = config, shape
        self.autoencoder = FrameAutoencoder("flow", shape, config)
        layout = self.autoencoder.layout
        self.noise_shape = (shape.num_frames, layout.features)
        reader = config.language_model
        self.language_model = LanguageModel(reader) if reader else None
        self.denoiser = Denoiser(
            config, layout, shape.num_frames, vocabulary_size, self.language_model
        )
        denoising = Phase(
            "denoiser",
            list(self.denoiser.parameters()),
            self.denoiser_losses,
            learning_rate=2.0,
            start=config.autoencoder_share,
        )
        self.phases = [
            *self.autoencoder.phases(),
            *config.turns_a_step * [denoising],
        ]

    def denoiser_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """E ‖x̂(x_t, t, c) − x₁‖² / (1 − t)², which is the error of the velocity.

        x_t = t·x₁ + (1 − t)·ε,  v = (x₁ − x_t) / (1 − t)   (Liu et al. 2022, eq. 1; JiT, §3)
        Times are logit-normal, about a middle beside t / (1 − t) = 1/4, where the noise is as
        strong as the places, and wide enough to reach 4, where speeds of one prompt differ.
        """
        x1 = self.autoencoder.codes(batch)
        self.denoiser.measure(x1)
        mean, deviation = _TIMES
        t = torch.sigmoid(mean + deviation * torch.randn(len(x1), device=x1.device))
        left = (1 - t)[:, None, None]
        noisy = t[:, None, None] * x1 + left * torch.randn_like(x1)
        prompted = torch.rand(len(x1), device=x1.device) >= self.config.unprompted
        predicted = self.denoiser(noisy, t, batch.tokens, prompted)
        error = (predicted - x1).square()
        weighted = error / left.clamp(min=_MIN_LEFT).square()
        total = weighted.mean() + self.denoiser.text.cost()
        return {"total": total, "error": error.mean()}

    def generate(
        self, tokens: Tensor, noise: Tensor, *, steps: int | None = None, guidance_scale: float = 1
    ) -> Tensor:
        """Heun's method from t = 0 to 1 in equal steps of two evaluations, the last of one."""
        steps = steps or DEFAULT_STEPS
        x = noise
        for k in range(steps):
            t, following = k / steps, (k + 1) / steps
            velocity = self._velocity(x, t, tokens, guidance_scale)
            if following < 1:
                ahead = x + velocity / steps
                then = self._velocity(ahead, following, tokens, guidance_scale)
                velocity = (velocity + then) / 2
            x = x + velocity / steps
        return self.autoencoder.clips(x)

    def _velocity(self, x: Tensor, t: float, tokens: Tensor, guidance_scale: float) -> Tensor:
        """(x̂₁ − x) / (1 − t); x̂₁ with the caption, or from without it ``guidance_scale`` as far."""
        times = torch.full((len(x),), t, device=x.device)
        with_text = torch.ones(len(x), dtype=torch.bool, device=x.device)
        clean = self.denoiser(x, times, tokens, with_text)
        if guidance_scale != 1:
            plain = self.denoiser(x, times, tokens, ~with_text)
            clean = plain + guidance_scale * (clean - plain)
        velocity: Tensor = (clean - x) / (1 - t)
        return velocity
