"""Does a video of a sprite do what its prompt says? It is compared with what the sheets can draw.

``see`` finds the character, the action and the direction whose rendering is nearest to the video,
whatever was asked for; ``judge`` holds that against the prompt. A value is shown where it explains
the video better than every other value of its fact, all else being as it was seen.

A rendering is blurred as the video is before the two are compared, brightness and colour apart:
a model may be a little soft, and video codecs keep less detail in colour than in brightness. What
a video is too noisy to tell (eyes are three pixels), or another layer hides, is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from kineograph.data.clip import Clip
from kineograph.data.sources.sprites import Source
from kineograph.data.sprite_sheets import ACTION, DIRECTION
from kineograph.evaluation.findings import Findings
from kineograph.evaluation.sprite_view import MIN_DIFFERENCE, View, planes, smoothed
from kineograph.evaluation.verifier import Verdict, cannot_judge

MAX_UNEXPLAINED = 0.12  # of the squared contrast of the character, in any frame
MAX_STRAY = 12  # pixels in a picture of 64×64 that show something beside the character
MAX_BLUR = 1.25  # pixels, the standard deviation of a Gaussian
MAX_TINT = 32.0  # levels of 255 by which the mean colour of a layer may be off
MIN_TINTED = 20.0  # pixels a frame; the colour of less is not measured
MIN_LEAD = 9.0  # standard deviations of the noise by which one value must be nearer than another
MIN_MOTION = 0.005  # of the squared contrast; moments that differ by less look the same

_MASK_CONTRAST = 40  # levels
_COLORFUL = 48  # levels between the channels of a pixel: others, exchanged, are within MAX_TINT
_TOUCHED = 50.0  # squared levels with which a pixel belongs to the character, blur and all
_NEAR = 9  # pixels: the side of the square around a touched pixel that counts as near
_LEAST_ERROR = 0.01  # squared levels: 68 dB, as good as alike
_STRAY = 12.0, 1.6  # levels, after a blur of that many pixels, which noise does not reach


@dataclass(frozen=True)
class Seen:
    """What a video shows, in terms of the sheets.

    ``row`` is a row of the layout, ``items`` an item of each layer, and ``row_errors`` (rows,)
    what that character leaves unexplained in each row, in squared levels. ``moments`` (T,) is the
    frame of the row that each frame of the video shows, ``expected`` (T,) the one that it should
    show. ``unexplained`` (T,) is the share of the character's squared contrast that is left where
    it is, and ``stray`` (T,) how many pixels show something elsewhere.
    """

    source: Source
    view: View
    row: int
    items: list[int]
    row_errors: np.ndarray
    moments: np.ndarray
    expected: np.ndarray
    unexplained: np.ndarray
    stray: np.ndarray
    frames: np.ndarray
    """(T, size, size, 3) of 0 to 255, as small as the sprites."""

    @property
    def facts(self) -> dict[str, str]:
        """Each fact => the value seen."""
        layout = self.source.layout
        layers = zip(layout.layers.items(), self.items, strict=True)
        worn = {layer: words[item] for (layer, words), item in layers}
        return worn | {
            ACTION: layout.rows[self.row].action,
            DIRECTION: layout.rows[self.row].direction,
        }


def verify(frames: np.ndarray, prompt: str, source: Source) -> Verdict:
    """Does ``frames``, (T, H, W, 3) uint8 RGB, do what ``prompt`` says, drawn from ``source``?

    The video may be a whole number of times as large as the sprites. "cannot judge" where it is
    of another size or has fewer than four frames, where the prompt says something that the sheets
    do not have, and where nothing that it says can be told from the video. Raises ValueError
    where ``frames`` is not such an array.
    """
    return verify_each(frames, [prompt], source)[0]


def verify_each(frames: np.ndarray, prompts: Sequence[str], source: Source) -> list[Verdict]:
    """The same by each of several prompts, from one look at the video."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"verify wants uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    whys = [_cannot_judge(frames, prompt, source) for prompt in prompts]
    if all(whys):
        return [Verdict("cannot judge", [why]) for why in whys]
    seen = see(frames, source)
    return [
        Verdict("cannot judge", [why]) if why else judge(seen, source.parse(prompt))
        for prompt, why in zip(prompts, whys, strict=True)
    ]


def _cannot_judge(frames: np.ndarray, prompt: str, source: Source) -> str:
    if why := cannot_judge(frames, prompt, source.parse, side=0):
        return why
    size, (height, width) = source.layout.frame_size, frames.shape[1:3]
    if height != width or height % size or not height:
        return (
            f"The video is {width}×{height} pixels; these sprites are {size}×{size}, and a video "
            "of them must be a whole number of times as large."
        )
    return ""


# ---- the verdict --------------------------------------------------------------------------------


def judge(seen: Seen, asked: Mapping[str, str]) -> Verdict:
    """Judge what was seen by the attributes that were asked for, as ``Source.parse`` gives them.

    ``measured`` has "facts" (fact => whether it is shown; what cannot be told is left out and
    stands in "not_judged" with the reason), "seen" (fact => value), and "psnr", dB, to the
    rendering of what was asked, all else as it was seen.
    """
    findings, facts, unknown = Findings({}), dict[str, bool](), dict[str, str]()
    _check_whole(findings, seen)
    in_order = _check_order(findings, seen)
    for fact, value in asked.items():
        if fact in (ACTION, DIRECTION):
            facts[fact] = _check_row(findings, seen, fact, value) and (in_order or fact != ACTION)
            continue
        shown = _check_layer(findings, seen, fact, value)
        if isinstance(shown, str):
            unknown[fact] = shown
        else:
            facts[fact] = shown
    for layer, item in zip(seen.source.layout.layers, seen.items, strict=True):
        if layer not in asked:  # it may be any, but one of those that there are
            _check_tint(findings, seen, layer, item)
    findings.note("seen", seen.facts)
    findings.note("facts", facts)
    findings.note("not_judged", unknown)
    findings.note("psnr", _psnr(seen, asked))
    if findings.reasons:
        return Verdict("no", findings.reasons, findings.measured)
    if not facts:
        why = [f'"{asked[fact]}" cannot be judged: {why}.' for fact, why in unknown.items()]
        return Verdict("cannot judge", why, findings.measured)
    return Verdict("yes", [], findings.measured)


def _check_whole(findings: Findings, seen: Seen) -> None:
    """The video is a rendering of the sheets, whatever it shows."""
    worst = int(seen.unexplained.argmax())
    most, count = float(seen.unexplained[worst]), int((seen.unexplained > MAX_UNEXPLAINED).sum())
    findings.note("unexplained", most)
    findings.note("blur", list(seen.view.blur))
    if count:
        findings.reasons.append(
            f"{count} frames are far from everything that the sheets can draw: frame {worst} "
            f"differs by {most:.0%} of its contrast; the limit is {MAX_UNEXPLAINED:.0%}."
        )
    _check_alone(findings, seen)
    if seen.view.blur[0] > MAX_BLUR:
        findings.reasons.append(
            f"It is blurred by {seen.view.blur[0]} pixels; the limit is {MAX_BLUR}."
        )


def _check_alone(findings: Findings, seen: Seen) -> None:
    scale = seen.source.layout.frame_size / 64
    worst, limit = int(seen.stray.argmax()), max(MAX_STRAY * scale**2, 2)
    findings.note("stray_pixels", int(seen.stray[worst]))
    if seen.stray[worst] > limit:
        findings.reasons.append(
            f"Something else is in the picture: {seen.stray[worst]} pixels beside the character "
            f"(frame {worst}); the limit is {limit:.0f}."
        )


def _check_order(findings: Findings, seen: Seen) -> bool:
    """The moments of the action come one after the other; one in ten may be a neighbour's."""
    wrong = np.flatnonzero(seen.moments != seen.expected)
    beside = [seen.moments[t] in seen.expected[max(t - 1, 0) : t + 2] for t in wrong]
    findings.note("frames_out_of_order", len(wrong))
    if all(beside) and len(wrong) <= len(seen.moments) // 10:
        return True
    if len(set(seen.moments.tolist())) == 1:
        findings.reasons.append("It stands still: all frames show the same moment of the action.")
    else:
        t = int(wrong[0])
        findings.reasons.append(
            f"{len(wrong)} frames are out of order: frame {t} shows moment {seen.moments[t]} of "
            f"the action, not {seen.expected[t]}."
        )
    return False


def _check_row(findings: Findings, seen: Seen, fact: str, value: str) -> bool:
    """Whether a row with that action, or direction, explains the video as well as any."""
    values = np.array([getattr(row, fact) for row in seen.source.layout.rows])
    if seen.row_errors[values == value].min() <= seen.row_errors.min() + MIN_DIFFERENCE:
        return True
    nearest = values[seen.row_errors.argmin()]
    findings.reasons.append(f'It shows "{nearest}" ({fact}), not "{value}".')
    return False


def _check_layer(findings: Findings, seen: Seen, layer: str, value: str) -> bool | str:
    """Whether a layer shows a value, or why that cannot be told."""
    words = seen.source.layout.layers[layer]
    place, asked = list(seen.source.layout.layers).index(layer), words.index(value)
    rivals = seen.view.rivals(seen.items, place, asked)
    closest = min(rivals, key=lambda rival: rival.lead, default=None)
    if closest is None:
        return "nothing of it can be seen"
    if closest.lead <= -MIN_LEAD:
        findings.reasons.append(f'It shows "{words[closest.item]}" ({layer}), not "{value}".')
        return False
    if not _check_tint(findings, seen, layer, asked):
        return False
    if closest.lead < MIN_LEAD:
        return f'the video is too noisy to tell "{value}" from "{words[closest.item]}"'
    return True


def _check_tint(findings: Findings, seen: Seen, layer: str, item: int) -> bool:
    """Whether a layer has the colour that it should have, and not just the nearest to it."""
    words = seen.source.layout.layers[layer]
    place = list(seen.source.layout.layers).index(layer)
    items = [*seen.items[:place], item, *seen.items[place + 1 :]]
    tint, pixels = seen.view.tint(items, place)
    if tint <= MAX_TINT or pixels < MIN_TINTED:
        return True
    findings.reasons.append(
        f'It shows no {layer} that the sheets have: nearest is "{words[item]}", but the colour is '
        f"off by {tint:.0f} levels of 255; the limit is {MAX_TINT:.0f}."
    )
    return False


def _psnr(seen: Seen, asked: Mapping[str, str]) -> float:
    layout = seen.source.layout
    facts = {fact: asked[fact] for fact in (ACTION, DIRECTION) if fact in asked}
    fits = [all(getattr(row, f) == value for f, value in facts.items()) for row in layout.rows]
    row = int(np.where(fits, seen.row_errors, np.inf).argmin())
    items = [
        words.index(asked[layer]) if layer in asked else item
        for (layer, words), item in zip(layout.layers.items(), seen.items, strict=True)
    ]
    true = _rendered(seen.source, row, items, _background(seen.frames))
    shown = true[layout.columns(layout.rows[row], len(seen.frames))]
    error = float(np.square(shown - seen.frames).mean())
    return 10 * math.log10(255**2 / max(error, _LEAST_ERROR))


# ---- the judge's own error ----------------------------------------------------------------------


def breaks(corruption: str, clip: Clip) -> bool:
    """Whether a corruption of ``evaluation.corruptions`` makes the caption of a real clip false.

    All do, but other colours leave the caption true that names nothing but an action, and a
    character in grey is as grey with them.
    """
    if corruption != "recolored":
        return True
    named = clip.facts.attributes.keys() if clip.facts else set()
    frames = clip.frames.astype(np.int16)
    character = (np.abs(frames - _background(clip.frames)) > _MASK_CONTRAST).any(-1)
    colorful = np.ptp(frames, axis=-1) > _COLORFUL
    return not named <= {ACTION, DIRECTION} and bool(colorful[character].mean() > 0.01)


def wrong_captions(attributes: Mapping[str, str], source: Source) -> dict[str, list[str]]:
    """For each fact of a caption, the captions that differ from it in that fact alone."""
    directions = {a: [r.direction for r in rows] for a, rows in source.layout.actions.items()}
    known = {**source.layout.layers, ACTION: list(directions)}
    if ACTION in attributes:
        known[DIRECTION] = directions[attributes[ACTION]]
    found: dict[str, list[str]] = {}
    for fact, value in attributes.items():
        changed = [{**attributes, fact: other} for other in known.get(fact, ()) if other != value]
        for asked in changed:
            if asked.get(DIRECTION) not in directions.get(asked.get(ACTION, ""), ()):
                asked.pop(DIRECTION, None)  # no row shows the other action from there
        found[fact] = [source.describe(asked) for asked in changed]
    return found


# ---- seeing -------------------------------------------------------------------------------------


def see(frames: np.ndarray, source: Source) -> Seen:
    """Find the character, action and direction that explain ``frames`` (T, H, W, 3) best."""
    frames = _shrunk(frames, source.layout.frame_size)
    background = _background(frames)
    video, plain = planes(frames), planes(background[None, None])[:, 0, 0]
    row = _row_by_outline(frames, background, source)
    items = [0] * len(source.layout.layers)
    tried: list[int] = []
    while row not in tried:  # the character says which row it is, and the row who
        tried.append(row)
        view = View(source.sheets, row, video, plain)
        items = view.fit(items)
        errors = _row_errors(frames, background, source, items)
        row = int(errors.argmin())
    row = tried[-1]
    rendered = view.look(_rendered(source, row, items, background))
    contrast = np.square(rendered - plain[:, None, None]).sum(-3)
    expected = source.layout.columns(source.layout.rows[row], len(frames))
    left = _squares(video[:, None] - rendered)
    moments = _moments(left, rendered, contrast.sum((1, 2)), expected)
    unexplained, stray = _left_over(video, rendered, contrast, left.argmin(1))
    return Seen(source, view, row, items, errors, moments, expected, unexplained, stray, frames)


def _left_over(
    video: np.ndarray, rendered: np.ndarray, contrast: np.ndarray, nearest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the ``nearest`` (T,) renderings leave: the share at the character, and pixels elsewhere.

    ``contrast`` (frames, h, w) is that of the renderings, in squared levels.
    """
    square = np.ones((1, _NEAR, _NEAR), bool)
    near = ndimage.binary_dilation(contrast > _TOUCHED, square)[nearest]
    left = video - rendered[nearest]
    share = (np.square(left).sum(1) * near).sum((1, 2)) / contrast[nearest].sum((1, 2)).clip(1)
    levels, blur = _STRAY
    smooth = np.square(smoothed(left, blur)).sum(1) > levels**2
    return share, (smooth & ~near).sum((1, 2))


def _moments(
    left: np.ndarray, rendered: np.ndarray, contrast: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """Which frame of the row each frame of the video shows; the expected one where it may be that.

    ``left`` (T, frames) and ``contrast`` (frames,) in squared levels.
    """
    apart = _squares(rendered[:, None] - rendered)[expected]
    better = left < np.take_along_axis(left, expected[:, None], 1)
    better &= apart > MIN_MOTION * contrast[expected, None]
    return np.where(better.any(1), np.where(better, left, np.inf).argmin(1), expected)


def _row_by_outline(frames: np.ndarray, background: np.ndarray, source: Source) -> int:
    """The row whose outline is most like the video's, whoever is in it."""
    seen = np.abs(frames - background).max(-1) > _MASK_CONTRAST
    differ = []
    for row, patches in zip(source.layout.rows, source.sheets.patches, strict=True):
        outline = np.zeros((row.frames, *seen.shape[1:]), bool)
        for patch in patches:
            outline[:, *patch.box] |= patch.through[0, ..., 0] < 128
        differ.append((outline[source.layout.columns(row, len(frames))] != seen).sum())
    return int(np.argmin(differ))


def _row_errors(
    frames: np.ndarray, background: np.ndarray, source: Source, items: list[int]
) -> np.ndarray:
    """What a character leaves of the video in each row, (rows,) squared levels."""
    errors = []
    for index, row in enumerate(source.layout.rows):
        rendered = _rendered(source, index, items, background)
        shown = rendered[source.layout.columns(row, len(frames))]
        errors.append(np.square(shown - frames, dtype=np.float32).sum())
    return np.array(errors)


def _rendered(source: Source, row: int, items: list[int], background: np.ndarray) -> np.ndarray:
    """The frames of a row, (frames, size, size, 3) uint8."""
    color = np.rint(background).astype(np.uint8)
    return np.asarray(source.sheets.compose(row, np.array([items]), color[None])[0])


def _background(frames: np.ndarray) -> np.ndarray:
    """The commonest colour of the picture's edge, (3,): its median, since little else is there."""
    edges = [frames[:, :2], frames[:, -2:], frames[:, :, :2], frames[:, :, -2:]]
    colors = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    return np.asarray(np.median(colors, axis=0))


def _shrunk(frames: np.ndarray, size: int) -> np.ndarray:
    """Each pixel the mean of the square that it was enlarged to, (T, size, size, 3) float32."""
    scale = frames.shape[1] // size
    parts = frames.reshape(len(frames), size, scale, size, scale, 3)
    return np.asarray(parts.mean((2, 4), dtype=np.float32))


def _squares(pictures: np.ndarray) -> np.ndarray:
    """(..., 3, h, w) => (...)."""
    return np.asarray(np.square(pictures).sum((-1, -2, -3)))
