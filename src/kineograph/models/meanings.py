"""Clips <=> what they mean, for pictures in which everything stands in its place.

What captions say of clips like this one, on average, is what it means: so a *reader* learns it by
guessing the caption of a clip. A caption leaves out this and that, and the reader says it all, as
far as captions ever do. It is a few dozen numbers, and what words name apart is apart in them: who
knows the hair of one character and the shoes of another knows both together. From them a *drawer*
learns to draw the clip.

The model that comes after them then has nothing to do with pixels. From a caption it tells the
meaning of a clip, which is to choose what the caption leaves open.

Source: text to what a picture means, and from there to the picture, as in Ramesh et al. 2022
(unCLIP); there CLIP gives the meaning, here a regression on captions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models import draws
from kineograph.models.autoencoder import AutoencoderConfig, check_shape
from kineograph.models.base import Phase, TensorBatch, VideoShape
from kineograph.models.objects import Course
from kineograph.models.regions import Regions
from kineograph.text.encoders import BagOfWords

_CLIPS_A_TURN = 256
_MOST_TURNS = 8  # of a step: with more, the reader learns captions of few clips by heart
_READING = 0.4  # share of the time of both in which the reader learns
_LEAST = 1e-3  # of the variance of all that is said: less of a number is chance


class Codes:
    """How the numbers of a meaning (B, 1, D) are laid out: one course of one moment."""

    def __init__(self, features: int) -> None:
        self.features = features
        self.spread = torch.ones(0)
        """The standard deviations of numbers that change as an object moves: there are none."""
        self.kinds = [(1, features)]
        """How many there are of each kind, and of how many numbers."""
        self.courses = [Course(0)]

    def settle(self, codes: Tensor) -> Tensor:
        """The nearest that could be a code: any could."""
        return codes


class MeaningAutoencoder(nn.Module):
    """Clips <=> meanings, and how they are learned from captions. ``family`` is for messages, and
    ``words`` are token ids (B, L) => vectors (B, L, ``text_features``)."""

    frames = 1
    """Moments in a code."""
    basis: Tensor
    middle: Tensor
    settled: Tensor

    def __init__(
        self,
        family: str,
        shape: VideoShape,
        config: AutoencoderConfig,
        words: nn.Module,
        text_features: int,
    ) -> None:
        super().__init__()
        check_shape(family, shape)
        width = config.drawing_width
        self.layout = Codes(config.appearance)
        self.turns, self.stop = min(config.turns_a_step, _MOST_TURNS), config.autoencoder_share
        self.said = BagOfWords(words)
        self.regions = Regions(shape)
        self.reader = nn.Sequential(
            nn.Linear(self.regions.numbers, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, text_features),
        )
        self.drawer = Drawer(config.appearance, width, self.regions.numbers)
        self.register_buffer("basis", torch.zeros(text_features, config.appearance))
        self.register_buffer("middle", torch.zeros(text_features))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))

    def phases(self) -> list[Phase]:
        """First the turns of the reader, then those of the drawer."""
        read = _READING * self.stop
        reader = Phase("reader", list(self.reader.parameters()), self.reader_losses, stop=read)
        drawer = Phase(
            "drawer", list(self.drawer.parameters()), self.drawer_losses, start=read, stop=self.stop
        )
        return [*self.turns * [reader], *self.turns * [drawer]]

    def reader_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """min ‖read(x) − said(c)‖², which is least where it says E[said(c) | x]."""
        numbers = self._numbers(batch)
        some = draws.some(len(numbers), _CLIPS_A_TURN, numbers.device)
        return {"total": F.mse_loss(self._read(numbers[some]), self.said(batch.tokens[some]))}

    def drawer_losses(self, batch: TensorBatch) -> dict[str, Tensor]:
        """min ‖draw(meaning(x)) − x‖², in the numbers of the regions."""
        numbers, codes = self._numbers(batch), self.codes(batch)[:, 0]
        some = draws.some(len(numbers), _CLIPS_A_TURN, numbers.device)
        return {"total": F.mse_loss(self.drawer(codes[some]), numbers[some])}

    @torch.no_grad()
    def codes(self, batch: TensorBatch) -> Tensor:
        """The meanings (B, 1, D) of the batch's clips, read once a step."""
        if "codes" not in batch.shared:
            read = self._read(self._numbers(batch)).float()
            if not self.settled:
                self._settle(draws.all_rows(read))
            with torch.autocast(read.device.type, enabled=False):
                batch.shared["codes"] = ((read - self.middle) @ self.basis)[:, None]
        return batch.shared["codes"]

    def clips(self, codes: Tensor) -> Tensor:
        """Meanings (B, 1, D) => clips (B, T, 3, H, W) in [-1, 1]."""
        return self.regions.draw(self.drawer(codes[:, 0]).float()).clamp(-1, 1)

    def _numbers(self, batch: TensorBatch) -> Tensor:
        if "numbers" not in batch.shared:
            if not self.regions.known:
                self.regions.find(draws.all_rows(batch.frames))
            batch.shared["numbers"] = self.regions.read(batch.frames)
        return batch.shared["numbers"]

    def _read(self, numbers: Tensor) -> Tensor:
        read: Tensor = self.reader(self.regions.alike(numbers))
        return read

    @torch.no_grad()
    def _settle(self, read: Tensor) -> None:
        """Find the numbers that tell all that is ``read`` (B, F), each of variance 1.

        Some dozens do. What is left is chance, and stays small beside them.
        """
        self.middle.copy_(read.mean(0))
        apart = (read - self.middle).double()
        variance, along = torch.linalg.eigh(apart.T @ apart / len(apart))
        kept = min(self.layout.features, len(variance))
        unit = (variance + _LEAST * variance.sum()).clamp(min=1e-12).sqrt()
        self.basis[:, :kept] = (along / unit).flip(1)[:, :kept].float()
        self.settled.fill_(True)


class Drawer(nn.Module):
    """Meanings (B, D) => numbers of regions (B, N).

    Meanings are multiplied before they are drawn: a garment is another picture in each action.
    """

    def __init__(self, features: int, width: int, numbers: int) -> None:
        super().__init__()
        self.who = nn.Linear(features, width)
        self.how = nn.Linear(features, width)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, numbers)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, meanings: Tensor) -> Tensor:
        x = F.layer_norm(self.who(meanings) * (1 + self.how(meanings)), (self.who.out_features,))
        drawn: Tensor = self.out(x + self.mix(F.relu(x)))
        return drawn
