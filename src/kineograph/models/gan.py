"""The GAN that works: a duel over the codes of frames.

Three networks, on three objectives:

- *autoencoder*: a frame becomes a short code and a frame again (`autoencoder.py`). It comes first
  and then stays as it is.
- *discriminator*: reads what the codes of a whole clip tell, in order, with their change from frame
  to frame, and its caption. Real clips with their caption must score higher than generated ones,
  and than the same real clips with another's caption.
- *generator*: noise and caption => the codes of all frames in one pass, to score as high as real
  ones.

To duel over codes instead of pixels keeps what a GAN is good at, movement and variety, and leaves
what it is bad at, clean pixels, to a plain regression. It also makes a turn of the duel cheap, and
small models of motion need many of them.

Sources: relativistic pairing and zero-centred penalties on real and generated samples, strong at
first, from R3GAN (Huang et al. 2024), matching-aware negatives from Reed et al. 2016, a generator
in an autoencoder's space from Rombach et al. 2022.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models import draws
from kineograph.models.autoencoder import AutoencoderConfig, FrameAutoencoder, check
from kineograph.models.base import (
    Graph,
    Phase,
    TensorBatch,
    VideoModel,
    VideoShape,
    Watch,
    without_graphs,
)
from kineograph.text.encoders import MeanOfWords
from kineograph.text.pretrained import LanguageModel, ReaderConfig, WordsInContext

_CLIPS_A_TURN = 128  # of a step's, others in each turn
_NOISE = 16  # numbers that a clip is made from, besides its caption
_COINS = 4  # of these that are heard as signs, too: what goes to and fro begins on either side, and
# between both there is nothing that a network could pass through from one number to the next
_CHANGE, _BEND = 8.0, 16.0  # changes are small beside what changes, and matter more: a wobble is
# seen in them alone
_MISMATCH = 0.2  # μ, weight of real clips under another's caption
_STRICT, _EASED = 300.0, 0.4  # the penalty at first, in those at the end, and the share of the duel
# until then: a gentle slope leads from one side to the other, a steep one keeps all on one
_DECAY = 0.2  # of the generator's weights: what is small carries over to captions that are new


@dataclass(frozen=True)
class Config(ReaderConfig, AutoencoderConfig):
    """The GAN over frame codes."""

    width: int = 256
    """Features inside the generator, and inside the discriminator."""
    depth: int = 3
    """Hidden layers of the discriminator; the generator has one less, at least one. Deeper, it does
    what it knows as well, but not what words say together for the first time."""
    penalty: float = 0.01
    """Weight of the gradient penalties R₁ and R₂, from 40 % of the duel on; at its start 300 times
    as much."""
    text_features: int = 64
    """Numbers that describe a caption."""


class Generator(nn.Module):
    """Noise (B, 16) and tokens (B, L) => what a clip tells (B, N), in one pass."""

    def __init__(self, config: Config, told: int, words: nn.Module) -> None:
        super().__init__()
        self.text = MeanOfWords(words)
        depth = max(config.depth - 1, 1)
        self.body = _network(_NOISE + _COINS + config.text_features, config.width, depth, told)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        with torch.autocast(noise.device.type, enabled=False):  # in bf16 a pixel would be lost
            chance = [noise, noise[:, :_COINS].sign()]
            told: Tensor = self.body(torch.cat([*chance, self.text(tokens)], 1))
            return told


class Discriminator(nn.Module):
    """What clips tell (B, N) and tokens (B, L) => scores (B,): is it real, does it fit its caption?

    ``moving`` is the shape (T, M) of the numbers at the front, which change from frame to frame.
    """

    held_whole = True  # its slope is in its loss

    def __init__(
        self, config: Config, moving: tuple[int, int], told: int, words: nn.Module
    ) -> None:
        super().__init__()
        self.text, self.moving = MeanOfWords(words), moving
        changes = (2 * moving[0] - 3) * moving[1]
        inputs = told + changes + config.text_features
        self.body = _network(inputs, config.width, config.depth, 1)

    def forward(self, told: Tensor, tokens: Tensor) -> Tensor:
        with torch.autocast(told.device.type, enabled=False):
            frames, numbers = self.moving
            moving = told[:, : frames * numbers].reshape(-1, frames, numbers)
            change = moving.diff(dim=1)
            seen = [told, _CHANGE * change.flatten(1), _BEND * change.diff(dim=1).flatten(1)]
            scores: Tensor = self.body(torch.cat([*seen, self.text(tokens)], 1))[:, 0]
            return scores


def _network(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """A plain one of ``depth`` hidden layers: (B, inputs) => (B, outputs)."""
    widths = [inputs, *depth * [width]]
    hidden = [nn.Sequential(nn.Linear(a, b), nn.SiLU()) for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Model(VideoModel):
    """Autoencoder, generator and discriminator, with their objectives."""

    training_only = ("autoencoder.encoder", "discriminator")

    def __init__(self, config: Config, shape: VideoShape, vocabulary_size: int) -> None:
        super().__init__()
        check(config, {"objects": 1, "penalty": 0}, shares=())
        self.config, self.shape = config, shape
        self.autoencoder = FrameAutoencoder("gan", shape, config)
        self.layout, self.noise_shape = self.autoencoder.layout, (_NOISE,)
        reader = config.language_model
        self.language_model = LanguageModel(reader) if reader else None  # one for both
        words = [self._words(vocabulary_size) for _ in range(2)]
        moving = (shape.num_frames, len(self.layout.spread))
        told = self.layout.features + (shape.num_frames - 1) * moving[1]
        self.generator = Generator(config, told, words[0])
        self.discriminator = Discriminator(config, moving, told, words[1])
        self.phases = [*self.autoencoder.phases(), *config.turns_a_step * self._duel()]

    def _words(self, vocabulary_size: int) -> nn.Module:
        """Token ids (B, L) => words (B, L, ``text_features``), 0 for padding."""
        features = self.config.text_features
        if self.language_model:
            return WordsInContext(self.language_model, features)
        return nn.Embedding(vocabulary_size, features, padding_idx=0)

    def _duel(self) -> list[Phase]:
        """β₁ = 0, as the other side has moved since the last step (R3GAN)."""
        sides = {
            "discriminator": (self.discriminator, self.discriminator_losses, 0.0),
            "generator": (self.generator, self.generator_losses, _DECAY),
        }
        return [
            Phase(
                name,
                list(network.parameters()),
                losses,
                betas=(0.0, 0.99),
                weight_decay=decay,
                start=self.config.autoencoder_share,
            )
            for name, (network, losses, decay) in sides.items()
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
        """Noise (B, 16) and tokens (B, L) => clips (B, T, 3, H, W) in [-1, 1]."""
        return self.clips(self.generator(noise, tokens))

    def clips(self, told: Tensor) -> Tensor:
        """What clips tell (B, N) => clips (B, T, 3, H, W) in [-1, 1]."""
        return self.autoencoder.clips(self.layout.retold(told, self.shape.num_frames))

    def graphs(self, tokens: Tensor) -> dict[str, Graph]:
        if self.language_model:
            raise without_graphs("model.language_model")
        given = {"noise": torch.randn(len(tokens), *self.noise_shape), "tokens": tokens}
        return {"model": Graph("drawn", given, "video")}

    def discriminator_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """E softplus(D(G(z), c) − D(x, c)) + μ E softplus(D(x, c*) − D(x, c)) + λ (R₁ + R₂).

        c* is another clip's caption (Reed et al. 2016, §4.1); a pair that happens to have the same
        one teaches nothing and is left out. R₁ and R₂ are the means of ‖∇D‖² on real and generated
        clips (R3GAN, eq. 4). λ falls from 300 times ``penalty`` to it.
        """
        real, own = self._some(batch)
        with torch.no_grad():
            fake = self._fake(own)
        other = draws.shuffled(own)
        differs = (other != own).any(1).float()
        both = torch.cat([real, fake]).requires_grad_()
        scores = self.discriminator(torch.cat([both, real]), torch.cat([own, own, other]))
        on_real, on_fake, on_other = scores.chunk(3)
        duel = F.softplus(on_fake - on_real).mean()
        match = (F.softplus(on_other - on_real) * differs).mean()
        (slopes,) = torch.autograd.grad(scores.sum(), both, create_graph=True)
        steepness = 2 * slopes.square().sum(1).mean()
        return {
            "total": duel + _MISMATCH * match + self._penalty(batch.progress) * steepness,
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
        return {"total": F.softplus(on_real - on_fake).mean()}

    @torch.no_grad()
    def duel(self, batch: TensorBatch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Scores (B,) by the discriminator, and the generator's clips (B, T, 3, H, W) of the same
        captions: of "real" clips, of "generated" ones, and of real ones beside an "other" caption.
        """
        real, own = self.layout.told(self.autoencoder.codes(batch)), batch.tokens
        fake = self.generator(noise, own)
        pairs = {"real": (real, own), "generated": (fake, own), "other": (real, own.roll(1, 0))}
        scores = {name: self.discriminator(*pair) for name, pair in pairs.items()}
        return scores, self.clips(fake)

    def _penalty(self, progress: float) -> float:
        """λ when so much of the whole training is over."""
        begun = self.config.autoencoder_share
        strict = 1 - (progress - begun) / (1 - begun) / _EASED
        factor: float = _STRICT ** min(max(strict, 0.0), 1.0)
        return self.config.penalty * factor

    def _some(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """What some clips of the batch tell, and their tokens."""
        real = self.autoencoder.codes(batch)
        some = draws.some(len(real), _CLIPS_A_TURN, real.device)
        return self.layout.told(real[some]), batch.tokens[some]

    def _fake(self, tokens: Tensor) -> Tensor:
        noise = draws.randn(len(tokens), *self.noise_shape, device=tokens.device)
        told: Tensor = self.generator(noise, tokens)
        return told
