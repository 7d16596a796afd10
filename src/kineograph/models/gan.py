"""The GAN that works: a duel over the codes of frames.

Three networks, on three objectives:

- *autoencoder*: a frame becomes a short code and a frame again (`autoencoder.py`). It comes first
  and then stays as it is.
- *discriminator*: reads the codes of a whole clip, in order, with their change from frame to
  frame, and its caption. Real clips with their caption must score higher than generated ones,
  and than the same real clips with another's caption.
- *generator*: noise and caption => the codes of all frames in one pass, to score as high as real
  ones. It is the network that the flow asks many times (`denoiser.py`), asked once.

To duel over codes instead of pixels keeps what a GAN is good at, movement and variety, and leaves
what it is bad at, clean pixels, to a plain regression. It also makes a turn of the duel cheap, and
small models of motion need many of them.

Sources: relativistic pairing and zero-centred penalties on real and generated samples from R3GAN
(Huang et al. 2024), matching-aware negatives from Reed et al. 2016, projection conditioning from
Miyato and Koyama 2018, a generator in an autoencoder's space from Rombach et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models import draws
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
from kineograph.models.denoiser import Denoiser, DenoiserConfig
from kineograph.models.layers import ResidualMLP
from kineograph.models.objects import Codes
from kineograph.text.encoders import BagOfWords
from kineograph.text.pretrained import LanguageModel, word_vectors

_CLIPS_A_TURN = 128  # of a step's, others in each turn
_SLOWER = 0.4  # learning rate of the generator: at the discriminator's own, sizes swing
_PROBE = 0.1  # σ of the finite-difference penalty
_MISMATCH = 0.2  # μ, weight of real clips under another's caption
_FIRST = 0.01  # deviation of the weights that the generator's first clips come from
_WAVES = 3  # of the cosine transform over time that noise has: none that could shake a clip


@dataclass(frozen=True)
class Config(DenoiserConfig):
    """The GAN over frame codes."""

    depth: int = 3
    """Blocks of the generator, and of the discriminator."""
    penalty: float = 0.1
    """Weight of the gradient penalty at the start; it falls to a third."""


class Generator(nn.Module):
    """Noise (B, 3, D) and tokens (B, L) => codes of all frames (B, T, D), in one pass.

    The flow's denoiser, asked once, of nothing but noise. Each course hears a word in the same way
    in any company, and so goes as it is told in words that it never heard together.

    The noise changes slowly over a clip. It has to tell where a thing starts and how fast it goes;
    what is quick in it the generator would have to learn to overlook, in each number of a code.
    """

    def __init__(self, denoiser: Denoiser, layout: Codes) -> None:
        super().__init__()
        self.denoiser, self.layout = denoiser, layout
        for parameter in denoiser.out.parameters():  # of zeros, all first clips would be alike
            nn.init.normal_(parameter, std=_FIRST)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        start = noise.new_zeros(noise.shape[0])
        prompted = torch.ones_like(start, dtype=torch.bool)
        slow = self.denoiser.waves[:_WAVES].T @ noise
        return self.layout.settle(self.denoiser(slow, start, tokens, prompted))


class Discriminator(nn.Module):
    """Codes (B, T, D) and tokens (B, L) => scores (B,): is it real, does it fit its caption?"""

    def __init__(self, config: Config, codes: tuple[int, int], words: nn.Module) -> None:
        super().__init__()
        self.text = BagOfWords(words)
        frames, numbers = codes
        self.inp = nn.Linear((3 * frames - 3) * numbers, config.width)
        self.body = nn.Sequential(*(ResidualMLP(config.width) for _ in range(config.depth)))
        self.realness = nn.Linear(config.width, 1)
        self.projection = nn.Linear(config.text_features, config.width)

    def forward(self, codes: Tensor, tokens: Tensor) -> Tensor:
        change = codes.diff(dim=1)
        # Changes are small beside the codes and matter more: a wobble is seen in them alone.
        seen = torch.cat([codes, 8 * change, 16 * change.diff(dim=1)], dim=1).flatten(1)
        x = F.silu(self.body(self.inp(seen)))
        fits = (x * self.projection(self.text(tokens))).mean(1)
        scores: Tensor = (self.realness(x)[:, 0] + fits).float()
        return scores


class Model(VideoModel):
    """Autoencoder, generator and discriminator, with their objectives."""

    training_only = ("autoencoder.encoder", "discriminator")

    def __init__(self, config: Config, shape: VideoShape, vocabulary_size: int) -> None:
        super().__init__()
        check(config, {"objects": 1, "penalty": 0, "word_price": 0}, shares=())
        self.config, self.shape = config, shape
        self.autoencoder = FrameAutoencoder("gan", shape, config)
        layout, frames = self.autoencoder.layout, shape.num_frames
        self.noise_shape, codes = (_WAVES, layout.features), (frames, layout.features)
        reader = config.language_model
        self.language_model = LanguageModel(reader) if reader else None  # one for both
        denoiser = Denoiser(config, layout, frames, vocabulary_size, self.language_model)
        self.generator = Generator(denoiser, layout)
        words = word_vectors(vocabulary_size, config.text_features, self.language_model)
        self.discriminator = Discriminator(config, codes, words)
        self.phases = [*self.autoencoder.phases(), *config.turns_a_step * self._duel()]

    def _duel(self) -> list[Phase]:
        """β₁ = 0, as the other side has moved since the last step (R3GAN)."""
        sides = {
            "discriminator": (self.discriminator, self.discriminator_losses, 1.0),
            "generator": (self.generator, self.generator_losses, _SLOWER),
        }
        return [
            Phase(
                name,
                list(network.parameters()),
                losses,
                learning_rate=rate,
                betas=(0.0, 0.99),
                start=self.config.autoencoder_share,
            )
            for name, (network, losses, rate) in sides.items()
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
        """One forward pass; ``steps`` and ``guidance_scale`` mean nothing to a GAN."""
        return self.drawn(noise, tokens)

    def drawn(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """Noise (B, 3, D) and tokens (B, L) => clips (B, T, 3, H, W) in [-1, 1]."""
        return self.autoencoder.clips(self.generator(noise, tokens))

    def graphs(self, tokens: Tensor) -> dict[str, Graph]:
        if self.language_model:
            raise without_graphs("model.language_model")
        given = {"noise": torch.randn(len(tokens), *self.noise_shape), "tokens": tokens}
        return {"model": Graph("drawn", given, "video")}

    def discriminator_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """E softplus(D(G(z), c) − D(x, c)) + μ E softplus(D(x, c*) − D(x, c)) + λ (R₁ + R₂).

        c* is another clip's caption (Reed et al. 2016, §4.1); a pair that happens to have the same
        one teaches nothing and is left out. R₁ and R₂ are the squared gradient norms on real and
        generated clips (R3GAN, eq. 4), here by finite difference: E (D(x) − D(x + σε))² / σ².
        """
        real, own = self._some(batch)
        self.generator.denoiser.measure(real)
        with torch.no_grad():
            fake = self._fake(own)
        other = draws.shuffled(own)
        differs = (other != own).any(1).float()
        near = [x + _PROBE * draws.randn(*x.shape, device=x.device) for x in (real, fake)]
        scores = self.discriminator(
            torch.cat([real, fake, real, *near]), torch.cat([own, own, other, own, own])
        )
        on_real, on_fake, on_other, near_real, near_fake = scores.chunk(5)
        duel = F.softplus(on_fake - on_real).mean()
        match = (F.softplus(on_other - on_real) * differs).mean()
        slope = (on_real - near_real).square().mean() + (on_fake - near_fake).square().mean()
        weight = self.config.penalty * (1 - 0.65 * batch.progress)
        return {
            "total": duel + _MISMATCH * match + weight / _PROBE**2 * slope,
            "duel": duel,
            "match": match,
            "gap": (on_real - on_fake).mean(),
        }

    def generator_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """E softplus(D(x, c) − D(G(z), c)): a generated clip should beat a real one."""
        real, own = self._some(batch)
        fake = self._fake(own)
        scores = self.discriminator(torch.cat([real, fake]), torch.cat([own, own]))
        on_real, on_fake = scores.chunk(2)
        duel = F.softplus(on_real - on_fake).mean()
        return {"total": duel + self.generator.denoiser.text.cost(), "duel": duel}

    @torch.no_grad()
    def duel(self, batch: TensorBatch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Scores (B,) by the discriminator, and the generator's clips (B, T, 3, H, W) of the same
        captions: of "real" clips, of "generated" ones, and of real ones beside an "other" caption.
        """
        real, own = self.autoencoder.codes(batch), batch.tokens
        fake = self.generator(noise, own)
        pairs = {"real": (real, own), "generated": (fake, own), "other": (real, own.roll(1, 0))}
        scores = {name: self.discriminator(*pair) for name, pair in pairs.items()}
        return scores, self.autoencoder.clips(fake)

    def _some(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Codes and tokens of some clips of the batch."""
        real = self.autoencoder.codes(batch)
        some = draws.some(len(real), _CLIPS_A_TURN, real.device)
        return real[some], batch.tokens[some]

    def _fake(self, tokens: Tensor) -> Tensor:
        noise = draws.randn(len(tokens), *self.noise_shape, device=tokens.device)
        codes: Tensor = self.generator(noise, tokens)
        return codes
