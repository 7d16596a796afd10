"""Rectified flow over the codes of frames: noise becomes a clip in a few steps.

Two networks, on two objectives:

- *autoencoder*: a frame becomes a short code and a frame again (`autoencoder.py`, the GAN's as
  well). It comes first and then stays as it is. Where nothing moves on its own, a whole clip
  becomes one code (`meanings.py`).
- *denoiser*: sees the codes of a whole clip through noise, the caption, and how much noise there
  is, and predicts the clean codes. To generate, it is followed from nothing but noise to a clip.

To flow over codes instead of pixels is what makes this fit a laptop: a clip is a few hundred
numbers, so the denoiser is small, and the clip is drawn once, at the end. It also settles how
strong the noise has to be. In pixels that depends on how large and how bright an object is against
its ground; codes vary by 1, as the noise does, and places, which have to be exact, by 4.

Sources: rectified flow from Liu et al. 2022; prediction of the clean clip, and the weights that
make that a prediction of the velocity, from JiT (Li and He 2025); the scaled input and the skip
from EDM (Karras et al. 2022); blocks from DiT (Peebles and Xie 2023); guidance without a classifier
from Ho and Salimans 2022; few steps by reflow, Liu et al. 2022.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kineograph.models import draws, objects
from kineograph.models.autoencoder import FrameAutoencoder, check
from kineograph.models.base import (
    Graph,
    Phase,
    TensorBatch,
    VideoModel,
    VideoShape,
    Watch,
    without_graphs,
)
from kineograph.models.denoiser import Denoiser, DenoiserConfig, words_of
from kineograph.models.meanings import MeaningAutoencoder
from kineograph.text.pretrained import LanguageModel

_MIN_LEFT = 0.05  # of 1 − t: nearer to the data a velocity is mostly rounding (the same in JiT)
_MATCHING = 0.1  # of its loss beside the flow's, so that gradients are not clipped for it
_TRIES = 4  # other noises at most, for a clip whose objects come too close
_WAYS = ("noise", "ends", "captions", "prompted")  # what a step of distilling shares


@dataclass(frozen=True)
class Config(DenoiserConfig):
    """The flow over frame codes."""

    unprompted: float = 0.1
    """Share of the clips that it learns without their caption, for guidance."""
    guidance: float = 1.0
    """Guidance scale of a generation unless another is asked for; 1 is plain."""
    logit_mean: float = -0.9
    """Mean of log t / (1 − t) over the times t of the training, 0 all noise and 1 none. At −1.4 the
    noise is as strong as the places; at 1.4 speeds of one prompt differ."""
    logit_std: float = 1.2
    """Its deviation."""
    clips_a_turn: int = 256
    """Of the step's clips, drawn anew for each turn, since turns that share theirs teach far less.
    A distillation draws them once a step, as what its teacher makes of them costs most."""


class Model(VideoModel):
    """Autoencoder and denoiser, with their objectives."""

    default_steps = 8
    training_only: tuple[str, ...] = ("autoencoder.encoder", "matching")

    def __init__(self, config: Config, shape: VideoShape, vocabulary_size: int) -> None:
        super().__init__()
        smallest = {"word_price": 0.0, "logit_mean": -10.0, "logit_std": 0.0, "guidance": 0.0}
        check(config, smallest, shares=("unprompted",))
        self.config, self.shape = config, shape
        self.default_guidance = config.guidance
        reader = config.language_model
        self.language_model = LanguageModel(reader) if reader else None
        self.autoencoder: FrameAutoencoder | MeaningAutoencoder
        if config.objects:
            self.autoencoder = FrameAutoencoder("flow", shape, config)
        else:
            words = words_of(config, vocabulary_size, self.language_model)
            self.autoencoder = MeaningAutoencoder(
                "flow", shape, config, words, config.text_features
            )
            self.training_only = ("autoencoder.reader",)
        layout, frames = self.autoencoder.layout, self.autoencoder.frames
        self.noise_shape = (frames, layout.features)
        self.denoiser = Denoiser(config, layout, frames, vocabulary_size, self.language_model)
        learning = [*self.denoiser.parameters()]
        self.matching = None
        if self.denoiser.many:
            self.matching = objects.Matching(config.text_features, self.denoiser.many)
            learning += self.matching.parameters()
        denoising = Phase(
            "denoiser",
            learning,
            self.denoiser_losses,
            start=config.autoencoder_share,
            # Of a single course a turn has fewer products than it takes to make a step orthogonal.
            matrices=self.denoiser.matrices() if config.objects else [],
        )
        self.phases = [
            *self.autoencoder.phases(),
            *config.turns_a_step * [denoising],
        ]

    def denoiser_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """E ‖x̂(x_t, t, c) − x₁‖² / (1 − t)², which is the error of the velocity.

        x_t = t·x₁ + (1 − t)·ε,  v = (x₁ − x_t) / (1 − t)   (Liu et al. 2022, eq. 1; JiT, §3)
        Times are logit-normal (Esser et al. 2024, §3.1).
        """
        codes = self.autoencoder.codes(batch)
        some = draws.some(len(codes), self.config.clips_a_turn, codes.device)
        x1, tokens = codes[some], batch.tokens[some]
        heard, beside = self.denoiser.text(tokens), self.denoiser.text.cost()
        if self.matching:
            x1, unlike = self.matching(self.denoiser.text.in_order(tokens), x1)
            beside = beside + _MATCHING * unlike
        self.denoiser.measure(x1)
        drawn = draws.randn(len(x1), device=x1.device)
        t = torch.sigmoid(self.config.logit_mean + self.config.logit_std * drawn)
        noise = draws.randn(*x1.shape, device=x1.device)
        prompted = draws.rand(len(x1), device=x1.device) >= self.config.unprompted
        found = self._way_losses(noise, x1, t, heard, prompted)
        return found | {"total": found["total"] + beside}

    def _way_losses(
        self, noise: Tensor, x1: Tensor, t: Tensor, heard: Tensor, prompted: Tensor
    ) -> dict[str, Tensor]:
        """What it says of x₁ on the straight way from noise, weighted by 1 / (1 − t)² and as is."""
        left = (1 - t)[:, None, None]
        noisy = t[:, None, None] * x1 + left * noise
        error = (self.denoiser.hearing(noisy, t, heard, prompted) - x1).square()
        weighted = error / left.clamp(min=_MIN_LEFT).square()
        return {"total": weighted.mean(), "error": error.mean()}

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
        """Clean codes that it follows are told the caption, or ``guidance_scale`` as far from
        those told without it, or told what is not wanted.

        A clip whose objects come closer than in all but a few clips of the training is made again,
        of another noise: the same in another order, so that it still says all.
        """

        def follow(
            rows: Tensor, noise: Tensor, seen: Callable[[float, Tensor], None] = _unseen
        ) -> Tensor:
            said, with_text = tokens[rows], torch.ones_like(rows, dtype=torch.bool)
            unwanted = said if negative is None else negative[rows]
            without = with_text if negative is not None else ~with_text

            def clean(x: Tensor, times: Tensor) -> Tensor:
                told: Tensor = self.denoiser(x, times, said, with_text)
                if guidance_scale == 1:
                    return told
                plain: Tensor = self.denoiser(x, times, unwanted, without)
                return plain + guidance_scale * (told - plain)

            return followed(clean, noise, steps or self.default_steps, seen)

        def seen(done: float, guess: Tensor) -> None:
            if watch:
                watch(done, lambda: self.autoencoder.clips(guess))

        codes = follow(torch.arange(len(noise), device=noise.device), noise, seen)
        for tried in range(_TRIES):
            again = self.denoiser.too_close(codes).nonzero()[:, 0]
            if not len(again):
                break
            codes[again] = follow(again, noise[again].roll(1 + tried, -1))
        return self.autoencoder.clips(codes)

    def graphs(self, tokens: Tensor) -> dict[str, Graph]:
        if self.language_model:
            raise without_graphs("model.language_model")
        if not self.config.objects:
            raise without_graphs("model.objects 0")
        codes = torch.randn(len(tokens), *self.noise_shape)
        asked = {"noisy": codes, "time": torch.rand(len(tokens)), "tokens": tokens}
        told = asked | {"prompted": torch.arange(len(tokens)) % 2 == 0}
        return {
            "denoiser": Graph("denoiser.forward", told, "clean"),
            "decoder": Graph("autoencoder.clips", {"codes": codes}, "video"),
        }

    def distilled(self, steps: int, start_share: float) -> list[Phase]:
        """Reflow (Liu et al. 2022, §2.2): learn the straight ways from noise to what the model, as
        it is now, makes of it in ``steps``; then few steps follow them.

        The ways cross no more, so that from the noise alone, t = 0, the end is known;
        ``start_share`` of the times are there, for a single step, the others uniform.
        """
        teacher = copy.deepcopy(self.denoiser).eval().requires_grad_(False)

        def losses(batch: TensorBatch) -> dict[str, Tensor]:
            if "ends" not in batch.shared:
                some = draws.some(len(batch.tokens), self.config.clips_a_turn, batch.tokens.device)
                batch.shared.update(self._ways(teacher, batch.tokens[some], steps))
            noise, x1, tokens, prompted = (batch.shared[name] for name in _WAYS)
            t, at_start = draws.rand(len(x1), 2, device=x1.device).unbind(1)
            t = t.masked_fill(at_start < start_share, 0.0)
            return self._way_losses(noise, x1, t, self.denoiser.text(tokens), prompted)

        student = Phase("student", list(self.denoiser.parameters()), losses, learning_rate=2.0)
        return self.config.turns_a_step * [student]

    @torch.no_grad()
    def _ways(self, teacher: Denoiser, tokens: Tensor, steps: int) -> dict[str, Tensor]:
        """Noise, where the teacher leads it, the captions, and which of them counted."""
        noise = draws.randn(len(tokens), *self.noise_shape, device=tokens.device)
        prompted = draws.rand(len(noise), device=noise.device) >= self.config.unprompted

        def clean(x: Tensor, times: Tensor) -> Tensor:
            told: Tensor = teacher(x, times, tokens, prompted)
            return told

        ends = self.autoencoder.layout.settle(followed(clean, noise, steps))
        return dict(zip(_WAYS, (noise, ends, tokens, prompted), strict=True))


def _unseen(done: float, guess: Tensor) -> None:
    """Of nobody who watches."""


def followed(
    clean: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    steps: int,
    seen: Callable[[float, Tensor], None] = _unseen,
) -> Tensor:
    """Heun's method from t = 0 to 1 in equal steps of two evaluations, the last of one.

    ``clean`` of x_t (B, T, D) and t (B,) is x̂₁, and the velocity (x̂₁ − x_t) / (1 − t). ``seen`` is
    told the noise, t being 0, and after each step t and where the last velocity leads, which is x̂₁
    in the end.
    """

    def velocity(x: Tensor, t: float) -> Tensor:
        return (clean(x, torch.full((len(x),), t, device=x.device)) - x) / (1 - t)

    x = noise
    seen(0.0, noise)
    for k in range(steps):
        t, following = k / steps, (k + 1) / steps
        slope = velocity(x, t)
        if following < 1:
            slope = (slope + velocity(x + slope / steps, following)) / 2
        x = x + slope / steps
        seen(following, x + (1 - following) * slope)
    return x
