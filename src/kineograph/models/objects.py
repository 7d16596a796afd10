"""Frames <=> codes, object by object, for clips in which a few things move.

The code of a frame says of each object where it is, how large, how it is turned, and then what it
looks like. The first three are measured, not learned: the centre and the spread of what differs
from the frame's mean colour, and how that lies about the centre. The encoder looks at an object
through a window laid over it, and the decoder draws a picture of it into the same window. So a
thing that moves changes two numbers of its code, in a straight line if it moves straight, and what
it looks like is the same wherever it is. Neither network has to learn that, nor the model of motion
that comes after them.

Sources: points that a network finds and draws from, Finn et al. 2016 (deep spatial autoencoders)
and Jakab et al. 2018; windows laid by an affine map, Jaderberg et al. 2015 (spatial transformers);
looking and drawing object by object, Eslami et al. 2016 (attend, infer, repeat).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kineograph.models.base import VideoShape

REACH = 2.5
"""Half a window's side, in sizes of the object."""
_SIZES = (0.06, 0.4)  # smallest and largest, in half sides of the picture; the window is all then
_PLACES = 4.0  # standard deviation of places in a code
_SCALE = _PLACES / 0.58  # of a place anywhere in the picture the deviation is 0.58
_TURNS = (2, 3, 4, 5)  # a square looks alike after a quarter of a turn and shows in the 4, ...
_TURN_SCALE = 3.0  # in a code; what is measured is 0.4 to 0.8 long for shapes with corners
_ANGLES = 2.0  # standard deviation of angles in a code, where a few things spin
_ANGLE_SCALE = 6.0  # in a code, of an angle in radians
_TURNED = 45  # degrees at most from a frame to the next; half a square's symmetry
_STILL = 0.1  # what a radian more, squared, has to be worth in likeness
_NEAR = 2.2  # sizes from its centre: no corner is further
_CLUSTERING = 5  # rounds of k-means
_COLOR = 0.25  # of a difference in colour against one in place, in half sides
_MASKS = 3  # layers of a drawing, each in a colour of its own


@dataclass(frozen=True)
class Course:
    """What some numbers of a code do over a clip, for a network that sees clips as courses."""

    listener: int
    """Which words of a caption matter to it: the same as to all courses of this number."""
    object: int = 0
    """The one that it belongs to."""
    way: bool = False
    """Whether it says where that goes. What it looks like is no matter to that."""


class Codes:
    """How the numbers of a code (..., D) are laid out: of K objects, one after the other in each,
    places (x, y), sizes, angles, turns (8 numbers) and looks (A numbers).

    Places are in half sides of the picture from its centre, sizes too (the root of the mean squared
    distance from the centre, weighted by how much a pixel differs). Turns are the means of
    (x + iy)ᵐ about the centre, over those of |x + iy|ᵐ, for m = 2 to 5: what is turned by φ has its
    own turned by mφ. Angles say by how much an object has turned since the clip began, and turns
    are then as they were at angle 0: who learned what "clockwise" does to a square can do it to a
    star. In the code of a single frame the angle is 0.

    In a code sizes, as logarithms, and looks vary by about 1, turns and angles a little more.
    Places vary by 4, since half a pixel is a hundredth of how far they vary and has to be seen
    beside what is no matter in the others.
    """

    def __init__(self, objects: int, appearance: int) -> None:
        self.objects, self.appearance = objects, appearance
        self.turn = 2 * len(_TURNS)
        deviations = [(2, _PLACES), (1, 1.0), (1, _ANGLES)]  # of places, sizes, angles
        self.spread = torch.cat([torch.full((n * objects,), each) for n, each in deviations])
        """The standard deviations of the numbers at the front, which change as an object moves."""
        self.measured = (4 + self.turn) * objects
        """Numbers at the front that are measured; looks follow."""
        self.features = self.measured + appearance * objects

    @property
    def kinds(self) -> list[tuple[int, int]]:
        """How many there are of each kind, in the order of a code, and of how many numbers each is:
        coordinates, sizes, angles, turns, looks."""
        k = self.objects
        return [(2 * k, 1), (k, 1), (k, 1), (k, self.turn), (k, self.appearance)]

    @property
    def courses(self) -> list[Course]:
        """The x and y of each object, then all sizes, angles, turns and looks."""
        each = range(self.objects)
        places = [Course(axis, k, way=True) for k in each for axis in (0, 1)]
        return places + [Course(2 + n, k, way=n == 1) for n in range(4) for k in each]

    def join(
        self, place: Tensor, size: Tensor, angle: Tensor, turn: Tensor, looks: Tensor
    ) -> Tensor:
        """Place (..., K, 2), size (..., K), angle (..., K), turn (..., K, 8) at angle 0, looks
        (..., K, A), not yet normalised => codes."""
        places, turns = _SCALE * place.flatten(-2), _TURN_SCALE * turn.flatten(-2)
        looks = _normalised(looks).flatten(-2)
        return torch.cat([places, 2 * (size / 0.2).log(), _ANGLE_SCALE * angle, turns, looks], -1)

    def split(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The inverse: => place (..., K, 2), size and angle (..., K), turn (..., K, 8) at angle 0,
        looks (..., K, A)."""
        place, size, angle, turn, looks = self._by_object(codes)
        size, angle = (size[..., 0] / 2).exp() * 0.2, angle[..., 0] / _ANGLE_SCALE
        return place / _SCALE, size, angle, turn / _TURN_SCALE, looks

    def settle(self, codes: Tensor) -> Tensor:
        """The nearest that could be a code: looks normalised."""
        looks = codes[..., self.measured :].reshape(*codes.shape[:-1], self.objects, -1)
        return torch.cat([codes[..., : self.measured], _normalised(looks).flatten(-2)], -1)

    def told(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) of clips => what they tell, each once (B, N): what moves, frame by frame,
        with a deviation of 1, and then turns and looks, which stay, as means over the frames."""
        moves = len(self.spread)
        moving = codes[..., :moves] / self.spread.to(codes.device)
        return torch.cat([moving.flatten(1), codes[..., moves:].mean(1)], 1)

    def retold(self, told: Tensor, frames: int) -> Tensor:
        """The inverse, for clips of so many frames: the nearest codes (B, T, D)."""
        moves = len(self.spread)
        moving = told[:, : frames * moves].reshape(-1, frames, moves)
        stays = told[:, frames * moves :, None].expand(-1, -1, frames).transpose(1, 2)
        return self.settle(torch.cat([moving * self.spread.to(told.device), stays], 2))

    def followed(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) of single frames => those of clips, in which each object keeps its number
        and its angle goes on from 0."""
        place, size, _, turn, looks = self._in_order(self.split(codes))
        angle, turn = _unturned(turn)
        return self.join(place, size, angle, turn, looks)

    def summary(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) of clips => what a caption could tell each object by (B, K, S): its size
        and looks, how place, size and angle change from first to last, and their mean steps.
        Where it is and how it is turned are left out, since captions tell neither. Who sorts by
        what is not told has the smaller error, and the wrong order."""
        place, size, angle, _, looks = self._by_object(codes)
        moves = torch.cat([place, size, angle], -1)
        changes, ways = moves[:, -1] - moves[:, 0], moves.diff(dim=1).abs().mean(1)
        return torch.cat([size.mean(1), looks.mean(1), changes, ways], -1)

    def apart(self, codes: Tensor) -> Tensor:
        """Codes (B, T, D) of clips => how far apart two objects are where they come closest (B,),
        from centre to centre in sums of their sizes: circles that touch are 1.4 apart."""
        place, size, *_ = self.split(codes)
        first, second = torch.triu_indices(self.objects, self.objects, 1)
        far = (place[:, :, first] - place[:, :, second]).norm(dim=-1)
        closest: Tensor = (far / (size[:, :, first] + size[:, :, second])).flatten(1).amin(1)
        return closest

    def reordered(self, codes: Tensor, order: Tensor) -> Tensor:
        """Codes (B, T, D) with the objects of each clip in another order (B, K)."""
        order = order[:, None, :, None]
        parts = self._by_object(codes)
        return torch.cat([part.take_along_dim(order, 2).flatten(2) for part in parts], -1)

    def _by_object(self, codes: Tensor) -> list[Tensor]:
        """Codes (..., D) => places, sizes, angles, turns and looks, each (..., K, numbers)."""
        parts = torch.split(codes, [count * numbers for count, numbers in self.kinds], -1)
        return [part.reshape(*part.shape[:-1], self.objects, -1) for part in parts]

    def _in_order(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The parts of clips' codes, each frame's objects in any order => those of a clip in one.

        An object is in the next frame what is nearest to it in place and looks. First comes the one
        that has least of the first number of looks.
        """
        if self.objects == 1:
            return parts
        whole = torch.cat([_SCALE * parts[0], parts[-1]], -1)  # (B, T, K, 2 + A)
        orders = torch.tensor([*permutations(range(self.objects))], device=whole.device)
        chosen = [whole[:, 0, :, 2].argsort(-1)]
        for t in range(1, whole.shape[1]):
            before = whole[:, t - 1].gather(1, chosen[-1][..., None].expand_as(whole[:, 0]))
            apart = (before[:, None] - whole[:, t, orders]).square().sum((-1, -2))
            chosen.append(orders[apart.argmin(1)])
        order = torch.stack(chosen, 1)  # (B, T, K)
        return tuple(
            part.take_along_dim(order.view(*order.shape, *(1,) * (part.ndim - 3)), 2)
            for part in parts
        )


class Matching(nn.Module):
    """Which object of a clip is the one that its caption names first.

    From what is said first, and what is said next, a linear map guesses how each object does in the
    clip, and they come in the order in which all are guessed best. Only that order teaches the map,
    as in Yu et al. 2017 (permutation invariant training, there of voices).

    What is said first is a matter of places in a caption and not of who reads it: a reader who may
    choose comes to an order of its own for some captions, and then gives most words to both.
    """

    orders: Tensor

    def __init__(self, features: int, layout: Codes) -> None:
        super().__init__()
        self.layout = layout
        numbers = layout.summary(torch.zeros(1, 2, layout.features)).shape[-1]
        self.guess = nn.Linear(features, numbers)
        orders = torch.tensor([*permutations(range(layout.objects))])
        self.register_buffer("orders", orders, persistent=False)

    def forward(self, said: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B, K, F) and codes (B, T, D) => codes in the caption's order, and the error."""
        guess, done = self.guess(said.detach()), self.layout.summary(codes)
        pairs = (guess[:, :, None] - done[:, None]).square().mean(3)  # (B, K said, K seen)
        each = torch.arange(len(pairs[0]), device=pairs.device)
        error, best = pairs[:, each, self.orders].mean(2).min(1)
        return self.layout.reordered(codes, self.orders[best]), error.mean()


def turned(turn: Tensor, angle: Tensor) -> Tensor:
    """Turns (..., 8) at angle 0 => at ``angle`` (...), in radians."""
    across, down = turn.chunk(2, -1)
    powers = torch.tensor(_TURNS, device=turn.device)
    cos, sin = torch.cos(angle[..., None] * powers), torch.sin(angle[..., None] * powers)
    return torch.cat([across * cos - down * sin, across * sin + down * cos], -1)


def _unturned(turn: Tensor) -> tuple[Tensor, Tensor]:
    """Turns (B, T, K, 8) => how far each object has turned since the first frame, in radians
    (B, T, K), and its turns at angle 0.

    From a frame to the next it turns by what makes it most like all before: of what looks alike
    after a part of a turn, by the least. What looks alike however it is turned (a circle) does not.
    """
    steps = torch.arange(-_TURNED, _TURNED + 1, device=turn.device).deg2rad()
    dear = _STILL * steps.square()
    angle, before = torch.zeros_like(turn[:, 0, :, 0]), turn[:, 0]
    angles, backs = [angle], [before]
    for now in turn[:, 1:].unbind(1):
        backwards = turned(now[..., None, :], -angle[..., None] - steps)  # (B, K, steps, 8)
        like = (backwards * before[..., None, :]).sum(-1) / len(backs) - dear
        best = like.argmax(-1)
        angle = angle + steps[best]
        back = backwards.take_along_dim(best[..., None, None], -2).squeeze(-2)
        before = before + back
        angles.append(angle)
        backs.append(back)
    return torch.stack(angles, 1), torch.stack(backs, 1)


def _normalised(looks: Tensor) -> Tensor:
    spread: Tensor = F.layer_norm(looks.float(), looks.shape[-1:])
    return spread


class FrameEncoder(nn.Module):
    """Frames (N, 3, H, W) => codes (N, D)."""

    moments: Tensor
    window: Tensor
    harmonics: Tensor

    def __init__(self, shape: VideoShape, codes: Codes, width: int, detail: int) -> None:
        super().__init__()
        self.codes, self.detail = codes, detail
        self.extent = _extent(shape.height, shape.width)
        pixels = _grid(shape.height, shape.width).flatten(0, 1)
        moments = torch.cat([pixels, pixels.square().sum(-1, keepdim=True)], -1)
        self.register_buffer("moments", moments, persistent=False)
        window = _grid(detail, detail)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer(
            "harmonics", _harmonics(REACH * window.flatten(0, 1)), persistent=False
        )
        seen = 4 * detail * detail
        self.look = nn.Sequential(
            nn.Linear(seen, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, width),
        )
        self.glance = nn.Linear(seen, width)
        self.hidden = nn.Linear(width + 8, 2 * width)
        self.out = nn.Linear(2 * width, codes.appearance)

    def forward(self, frames: Tensor) -> Tensor:
        with torch.autocast(frames.device.type, enabled=False):  # in bf16 a pixel would be lost
            ground = frames.mean((2, 3))
            differs = frames - ground[:, :, None, None]
            strength = differs.square().sum(1).flatten(1)
            contrast = strength.mean(1, keepdim=True).div(3).add(1e-5).sqrt()
            owners = self._owners(differs, strength)
            counts = (strength.square() + 1e-8)[:, None] * owners
            counts = counts / counts.sum(2, keepdim=True)  # (N, K, pixels)
            place, size = self._measure(counts)
            seen = self._look_at(differs, owners, place, size)
            color = counts @ differs.flatten(2).transpose(1, 2)
            turn = self._turn(seen).view(len(frames), self.codes.objects, -1)
            seen = seen.flatten(1)
        # The glance goes past the deeper look, and both are scaled: else how objects differ in
        # shape is drowned by how they differ in colour, for thousands of steps.
        looks = self.look(seen) + self.glance(seen)
        looks = F.rms_norm(looks.float(), looks.shape[-1:]).view(*color.shape[:2], -1)
        around = torch.cat([ground, contrast.log() + 2], 1)[:, None].expand(-1, color.shape[1], -1)
        hidden = self.hidden(torch.cat([looks, around, size.log()[..., None] + 1.5, color], 2))
        angle = torch.zeros_like(size)
        return self.codes.join(place, size, angle, turn, self.out(F.silu(hidden)))

    def _owners(self, differs: Tensor, strength: Tensor) -> Tensor:
        """How much each pixel belongs to each object (N, K, pixels): all to one (k-means).

        What is near in place and in colour belongs together. Found at half the resolution. Of a
        single object all pixels are, and a single 1 (1,) says so.
        """
        k, frames = self.codes.objects, len(differs)
        if k == 1:
            return differs.new_ones(1)
        pixels = self.moments[:, :2].T.view(1, 2, *differs.shape[2:])
        points = torch.cat([pixels.expand(frames, -1, -1, -1), _COLOR * differs], 1)
        some = F.avg_pool2d(points, 2).flatten(2)
        weight = F.avg_pool2d(strength.view(frames, 1, *differs.shape[2:]), 2).flatten(1)
        strongest = weight.amax(1, keepdim=True).clamp(min=1e-8)
        weight = (20 * weight / strongest - 0.1).clamp(0, 1) + 1e-8  # faint things count as well
        centres = (some * weight[:, None]).sum(2, keepdim=True) / weight.sum(1)[:, None, None]
        for seed in range(k):  # each the strongest of those that are far from the seeds so far
            far = torch.cdist(some.transpose(1, 2), centres.transpose(1, 2)).amin(2).square()
            pick = (weight * far).argmax(1)[:, None, None].expand(-1, len(points[0]), 1)
            centres = torch.cat([centres if seed else centres[..., :0], some.gather(2, pick)], 2)
        for _ in range(_CLUSTERING):
            mine = _nearest(some, centres) * weight[:, None]
            mine = mine / mine.sum(2, keepdim=True).clamp(min=1e-8)
            centres = some @ mine.transpose(1, 2)
        return _nearest(points.flatten(2), centres)

    def _measure(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (N, K, 2) and spread (N, K) of what counts."""
        found = counts @ self.moments
        place = found[..., :2]
        spread = (found[..., 2] - place.square().sum(-1)).clamp(min=0)
        return place, (spread + 1e-8).sqrt().clamp(*_SIZES)

    def _look_at(self, differs: Tensor, owners: Tensor, place: Tensor, size: Tensor) -> Tensor:
        """What the window over each object shows (N·K, 4, detail × detail), of mean square 1.

        Besides red, green and blue, how strong they are together: the shape in any colour.
        """
        reach = REACH * size.detach()[..., None, None, None]
        points = place.detach()[..., None, None, :] + reach * self.window
        points = points.flatten(0, 1) / points.new_tensor(self.extent)
        if self.codes.objects > 1:
            owned = owners.view(*owners.shape[:2], 1, *differs.shape[2:])
            differs = (differs[:, None] * owned).flatten(0, 1)
        seen = _sampled(differs, points)
        strength = seen.square().sum(1, keepdim=True).add(1e-8).sqrt()
        seen = torch.cat([seen, strength], 1).flatten(2)
        return F.rms_norm(seen, seen.shape[-2:])

    def _turn(self, seen: Tensor) -> Tensor:
        """How what the windows show (N·K, 4, pixels) is turned: (N·K, 8), see ``Codes``."""
        counts = seen[:, 3].square().square() + 1e-8
        across, down, around = (counts @ self.harmonics).chunk(3, 1)
        return torch.cat([across / around, down / around], 1)


class FrameDecoder(nn.Module):
    """Codes (N, D) => frames (N, 3, H, W): a ground, and a drawing in the window of each object."""

    pixels: Tensor

    def __init__(self, shape: VideoShape, codes: Codes, width: int, detail: int) -> None:
        super().__init__()
        self.codes, self.detail = codes, detail
        pixels = _grid(shape.height, shape.width)
        self.register_buffer("pixels", pixels, persistent=False)
        self.body = nn.Sequential(
            nn.Linear(codes.turn + codes.appearance, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
        )
        self.ground = nn.Linear(2 * width, 3)
        self.colors = nn.Linear(2 * width, 3 * _MASKS)
        self.drawings = nn.Linear(2 * width, _MASKS * detail * detail)

    def forward(self, codes: Tensor) -> Tensor:
        place, size, angle, turn, looks = self.codes.split(codes)
        x = self.body(torch.cat([turned(turn, angle), looks], -1))
        ground, colors, drawings = self.ground(x).mean(1), self.colors(x), self.drawings(x)
        k, detail = self.codes.objects, self.detail
        with torch.autocast(codes.device.type, enabled=False):
            drawings = drawings.float().view(-1, _MASKS, detail, detail)
            points = self.pixels - place[..., None, None, :]
            points = points / (REACH * size[..., None, None, None])
            layers = _sampled(drawings, points.flatten(0, 1)).flatten(2)
            drawn = colors.float().view(-1, 3, _MASKS) @ layers
            drawn = drawn.view(codes.shape[0], k, 3, *self.pixels.shape[:2]).sum(1)
            frames: Tensor = drawn + ground.float()[:, :, None, None]
            return frames


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


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Points (N, D, P), centres (N, D, K) => 1 where a centre is the nearest, else 0 (N, K, P)."""
    squares = centres.square().sum(1)[..., None] - 2 * centres.transpose(1, 2) @ points
    return (squares <= squares.amin(1, keepdim=True)).to(points.dtype)


def _harmonics(points: Tensor) -> Tensor:
    """Points (P, 2) => the real and imaginary parts and the sizes of their powers (P, 12)."""
    powers = torch.stack([torch.complex(*points.unbind(1)) ** m for m in _TURNS], 1)
    powers = powers * (powers.abs() < torch.tensor([_NEAR**m for m in _TURNS]))
    return torch.cat([powers.real, powers.imag, powers.abs()], 1)
