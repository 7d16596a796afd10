"""Noise and a caption => the codes of a clip: the network of the flow, which asks it again and
again, with less and less noise.

Sources: the scaled input and the skip from EDM (Karras et al. 2022); blocks from DiT (Peebles and
Xie 2023).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models import draws, meanings, objects
from kineograph.models.autoencoder import AutoencoderConfig
from kineograph.models.layers import LinearEach, attention
from kineograph.text.encoders import HeardWords, Phrases, Signs
from kineograph.text.pretrained import LanguageModel, ReaderConfig, WordsInContext

_TIME_FEATURES = 64
_CONDITION = 256  # numbers at most that time and caption become for every block
_HEAD = 64  # features of a head of attention
_MEASURED_TURNS = 100  # in which the deviations of codes are found; then they stay
_CLOSE = 0.05  # share of the training's clips in which objects come closer than they should
_KEPT = 3.0  # of the best linear guess at first, as log odds
_LEAST_SPREAD = 0.02  # of a number in a frequency; below, there is nothing to tell


@dataclass(frozen=True)
class DenoiserConfig(ReaderConfig, AutoencoderConfig):
    """What the flow lets one set about its denoiser."""

    width: int = 256
    """Features of a course inside the denoiser."""
    depth: int = 4
    """Blocks of the denoiser."""
    word_price: float = 0.0
    """Price of each word that a course hears, for sources in which words tell each other; 0 where
    all can be heard."""


def words_of(
    config: DenoiserConfig, vocabulary_size: int, language_model: LanguageModel | None
) -> nn.Module:
    """Token ids (B, L), 0 for padding => words (B, L, ``text_features``), as the model hears them.

    Of things that move, words are told apart from their neighbours, for those that are said alone
    for the first time. Where many things are named, as garments are, each says its own with them.
    """
    if language_model:
        return WordsInContext(language_model, config.text_features)
    words = Signs(vocabulary_size, config.text_features)
    return words if config.objects else Phrases(words)


class Block(nn.Module):
    """Courses (B, N, D) look at each other, save what they are ``blind`` to (N, N), then each goes
    on by itself; conditions (B, N, C)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.heads = math.gcd(features, max(features // _HEAD, 1))
        self.norm = nn.LayerNorm(features, elementwise_affine=False)
        self.modulation = nn.Linear(min(features, _CONDITION), 4 * features)
        self.look = nn.Linear(features, 3 * features)
        self.seen = nn.Linear(features, features)
        self.first = nn.Linear(features, 2 * features)
        self.second = nn.Linear(2 * features, features)
        for layer in (self.modulation, self.seen, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, condition: Tensor, blind: Tensor) -> Tensor:
        shift, scale, then_shift, then_scale = self.modulation(condition).chunk(4, -1)
        looking = self.look(torch.addcmul(shift, self.norm(x), 1 + scale))
        x = x + self.seen(attention(looking, self.heads, blind))
        hidden = self.first(torch.addcmul(then_shift, self.norm(x), 1 + then_scale))
        out: Tensor = x + self.second(F.relu(hidden))
        return out


class Denoiser(nn.Module):
    """Noisy codes (B, T, D), times (B,), tokens (B, L) => clean codes (B, T, D).

    It takes a clip as the courses of its numbers over all frames: of each object's x, y, size,
    angle, turn and looks. All go through the same weights, and x comes and leaves by the same ones
    as y: who has learned to go quickly across can go quickly down.

    Inside, time is told in frequencies (a cosine transform). White noise is as white there, while
    what stays as it is through a clip is all in the first, and what moves evenly in a few: so the
    noise in the others is known for what it is before anything is learned.
    """

    waves: Tensor
    spread: Tensor
    turns: Tensor
    close: Tensor
    blind: Tensor
    heard: Tensor

    def __init__(
        self,
        config: DenoiserConfig,
        layout: objects.Codes | meanings.Codes,
        frames: int,
        vocabulary_size: int,
        language_model: LanguageModel | None,
    ) -> None:
        super().__init__()
        self.kinds, width = layout.kinds, config.width
        condition = min(width, _CONDITION)
        self.register_buffer("waves", cosines(frames), persistent=False)
        self.moving = len(layout.spread)
        rest = torch.ones(layout.features - self.moving)
        self.register_buffer("spread", torch.cat([layout.spread, rest]).repeat(frames, 1))
        self.register_buffer("turns", torch.zeros(()))
        self.many = layout if isinstance(layout, objects.Codes) and layout.objects > 1 else None
        if self.many:
            self.register_buffer("close", torch.zeros(()))
        # Which words a course hears, and of what it does not look at: where a thing goes should not
        # be told from what it looks like, or it goes as things that look so went in training.
        which = layout.courses
        self.courses, listeners = len(which), 1 + max(course.listener for course in which)
        speakers = 1 + max(course.object for course in which)
        heard = torch.tensor([course.object * listeners + course.listener for course in which])
        self.register_buffer("heard", heard, persistent=False)
        way = torch.tensor([course.way for course in which])
        self.register_buffer("blind", way[:, None] & ~way, persistent=False)
        words = words_of(config, vocabulary_size, language_model)
        self.text = HeardWords(
            words,
            vocabulary_size,
            config.text_features,
            listeners,
            speakers,
            config.word_price,
            draws.rand,
        )
        self.no_text = nn.Parameter(torch.zeros(config.text_features))
        self.when = nn.Sequential(
            nn.Linear(_TIME_FEATURES, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.what = nn.Linear(config.text_features, condition)
        self.told = LinearEach(listeners, config.text_features, width)
        # Which course it is, in the condition and at the entrance.
        self.whose = nn.Parameter(0.5 * torch.randn(self.courses, condition))
        self.which = nn.Parameter(0.5 * torch.randn(self.courses, width))
        lengths = [frames * numbers for _, numbers in self.kinds]
        self.inp = nn.ModuleList(nn.Linear(length, width) for length in lengths)
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.depth))
        self.out = nn.ModuleList(nn.Linear(width, 2 * length) for length in lengths)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        self.compiled = False

    def forward(self, noisy: Tensor, t: Tensor, tokens: Tensor, prompted: Tensor) -> Tensor:
        """``prompted`` (B,) says whose caption counts.

        With x_t = t·x₁ + (1 − t)·ε, of which x₁ has the variance σ² and ε has 1, the best linear
        guess at x₁ is x_t·tσ² / (t²σ² + (1 − t)²); the network adds what is not linear (EDM, §5),
        and says how much of the guess is to be kept: what goes along one axis has nothing across
        it, exactly. σ is that of each number in each frequency.
        """
        return self.hearing(noisy, t, self.text(tokens), prompted)

    def hearing(self, noisy: Tensor, t: Tensor, heard: Tensor, prompted: Tensor) -> Tensor:
        """The same, of captions whose words are heard already (B, objects, listeners, F)."""
        heard = torch.where(prompted[:, None, None, None], heard, self.no_text)
        # The sampler has other sizes than the training, and more of them.
        compiled = self.compiled and torch.is_grad_enabled()
        clean = _compiled() if compiled else Denoiser._clean
        return clean(self, noisy, t, heard)

    def _clean(self, noisy: Tensor, t: Tensor, heard: Tensor) -> Tensor:
        """With the words heard (B, objects, listeners, F): all that costs time, and of sizes that
        are the same in every step."""
        told = self.told(heard.permute(2, 0, 1, 3).flatten(1, 2))  # (listeners, B · objects, width)
        # The caption acts by linear maps: deeper ones would fit the captions of the training, and a
        # word that stands alone for the first time would mean whatever they happen to give.
        condition = self.when(time_features(t))[:, None] + self._of_courses(self.what(heard))
        condition = F.silu(condition + self.whose)
        told = self._of_courses(told.unflatten(1, heard.shape[:2]).permute(1, 2, 0, 3))
        t = t[:, None, None]
        variance = (t * self.spread).square() + (1 - t).square()
        waves = self._over_time(self.waves, noisy)
        x = self._read(waves * variance.rsqrt()) + told + self.which
        for block in self.blocks:
            x = block(x, condition, self.blind)
        guess = waves * t * self.spread.square() / variance
        written, kept = self._written(x, noisy.shape[1]).float().chunk(2, 1)
        guess = torch.sigmoid(_KEPT + kept) * guess
        return self._over_time(self.waves.T, guess + self.spread * written)

    def _of_courses(self, heard: Tensor) -> Tensor:
        """What is said to listeners (B, objects, listeners, D) => to courses (B, N, D)."""
        return heard.flatten(1, 2)[:, self.heard]

    def matrices(self) -> list[nn.Parameter]:
        """The weights inside its blocks, which take features to features."""
        return [each for each in self.blocks.parameters() if each.ndim == 2]

    @torch.no_grad()
    def measure(self, codes: Tensor) -> None:
        """Find ``spread`` and ``close`` from codes (B, T, D), over the first turns.

        The spread of what moves stays as it is. A bounce has frequencies that a straight way has
        not, and so their deviations say little of either: with those, orbits and bounces took three
        times as long to learn.
        """
        found = self._over_time(self.waves, codes[..., self.moving :]).square().mean(0)
        found = draws.mean_of_all(found)
        share = (self.turns < _MEASURED_TURNS) / (self.turns + 1)
        spread = self.spread[:, self.moving :]
        spread.copy_(spread.square().lerp(found, share).sqrt().clamp(min=_LEAST_SPREAD))
        if self.many:
            near = self.many.apart(codes).quantile(_CLOSE)
            self.close.lerp_(draws.mean_of_all(near), share)
        self.turns += 1

    def too_close(self, codes: Tensor) -> Tensor:
        """In which clips, of codes (B, T, D), objects come closer than they should (B,)."""
        if not self.many:
            return torch.zeros(len(codes), dtype=torch.bool, device=codes.device)
        return self.many.apart(codes) < self.close

    @staticmethod
    def _over_time(matrix: Tensor, codes: Tensor) -> Tensor:
        with torch.autocast(codes.device.type, enabled=False):  # in bf16 a pixel would be lost
            return matrix @ codes.float()

    def _read(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) => courses (B, N, width)."""
        parts = torch.split(codes, [count * numbers for count, numbers in self.kinds], 2)
        courses = [
            inp(part.reshape(*part.shape[:2], *kind).transpose(1, 2).flatten(2))
            for inp, part, kind in zip(self.inp, parts, self.kinds, strict=True)
        ]
        return torch.cat(courses, 1)

    def _written(self, x: Tensor, frames: int) -> Tensor:
        """The inverse: courses (B, N, width) => codes (B, 2T, D), two for each moment."""
        parts = torch.split(x, [count for count, _ in self.kinds], 1)
        codes = [
            out(part).unflatten(2, (2 * frames, -1)).transpose(1, 2).flatten(2)
            for out, part in zip(self.out, parts, strict=True)
        ]
        return torch.cat(codes, 2)


@functools.cache
def _compiled() -> Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor]:
    """Never for changing sizes: which code runs would depend on what has run before."""
    return torch.compile(Denoiser._clean, dynamic=False)


def time_features(t: Tensor) -> Tensor:
    """Times (B,) => waves (B, 64) in the logarithm of signal over noise, log t / (1 − t)."""
    near = t.clamp(1e-4, 1 - 1e-4)
    ratio = torch.log(near / (1 - near))[:, None]
    waves = torch.linspace(math.log(0.05), math.log(5), _TIME_FEATURES // 2, device=t.device).exp()
    return torch.cat([torch.sin(ratio * waves), torch.cos(ratio * waves)], dim=1)


def cosines(frames: int) -> Tensor:
    """The orthogonal cosine transform over time (T, T), slowest first (DCT-II)."""
    when = (torch.arange(frames) + 0.5) * math.pi / frames
    waves = torch.cos(torch.arange(frames)[:, None] * when) * math.sqrt(2 / frames)
    waves[0] /= math.sqrt(2)
    return waves
