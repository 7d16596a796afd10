"""Draw the pictures of how-it-works.md from the project's own code and two trained models.

    kineograph train shapes --out runs/shapes --minutes 18
    kineograph train tutorial-gan --out runs/tutorial-gan --minutes 8 --model.drawing-width 32
    python docs/pictures.py --flow runs/shapes --gan runs/tutorial-gan

What they show was computed by the models. Prompts and clips were chosen for what a still can tell,
not by what became of them. Writes ``docs/media/``. The script stands beside the page, since nobody
else needs it: it is no part of the package, and compares no speeds, as the benchmarks do.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from kineograph.api import EVALUATION_SEED, load
from kineograph.core import registry
from kineograph.data.clip import Batch, Clip
from kineograph.evaluation.page import exposure
from kineograph.evaluation.tracker import track
from kineograph.evaluation.verifier import verify_clip
from kineograph.lessons import recipe_of
from kineograph.models.base import TensorBatch, noise_for, to_frames, to_model
from kineograph.models.objects import REACH
from kineograph.recipes import SOURCES
from kineograph.sampling.pipeline import Pipeline
from kineograph.text.encoders import BagOfWords, Signs
from kineograph.text.pretrained import ReaderConfig

MEDIA = Path(__file__).resolve().parent / "media"
# The colours of a report by day. Paper is drawn as well, since pages may be light or dark.
PAPER, INK, MUTED, RULE = "#f3f0e9", "#1e2126", "#5a6069", "#c9c3b5"
ACCENT, GOOD, BAD = "#1f5f8b", "#1c7148", "#b0402c"
WIDTH, MARGIN = 880, 24  # as wide as GitHub shows a page's text


class Sheet:
    """A picture. Lengths are pixels of a page, from its top left; it has twice as many."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=200, facecolor=PAPER)
        self.axes: Any = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")

    def text(self, x: float, y: float, words: str, size: float = 13, **style: Any) -> None:
        """Words that begin at x and stand on y, unless ``ha`` and ``va`` say otherwise."""
        style = {"color": INK, "linespacing": 1.45} | style
        self.axes.text(x, y, words, fontsize=0.72 * size, **style)  # pixels => points

    def box(self, x: float, y: float, width: float, height: float, **style: Any) -> None:
        """A rectangle."""
        self.axes.add_patch(Rectangle((x, y), width, height, **style))

    def frame(self, pixels: np.ndarray, x: float, y: float, side: float) -> None:
        """A frame (H, W, 3) uint8, enlarged."""
        place = (x, x + side, y + side, y)
        self.axes.imshow(pixels, extent=place, interpolation="nearest", aspect="auto")
        self.box(x, y, side, side, fill=False, edgecolor=RULE)

    def path(self, points: np.ndarray, **style: Any) -> None:
        """Points (N, 2), joined."""
        self.axes.plot(*points.T, solid_capstyle="round", solid_joinstyle="round", **style)

    def arrow(self, x: float, y: float) -> None:
        """From x to the right."""
        style = {"arrowstyle": "->", "color": MUTED, "linewidth": 1.2}
        self.axes.annotate("", (x + 26, y), (x, y), arrowprops=style)

    def save(self, file: Path) -> None:
        """Write it as a WebP without loss."""
        self.figure.savefig(file, pil_kwargs={"lossless": True, "method": 6})


def real(pipeline: Pipeline, indices: Sequence[int]) -> Batch:
    """Clips of the model's source that no training has seen."""
    recipe = recipe_of(pipeline)
    source = registry.load(SOURCES, recipe.source).Source(recipe.data)
    batch: Batch = source.batch(np.array(indices), EVALUATION_SEED)
    return batch


def tokens_of(pipeline: Pipeline, captions: Sequence[str]) -> Tensor:
    """Captions => ids (B, L)."""
    return torch.from_numpy(pipeline.tokenizer.encode(captions))


def at_a_glance(frames: np.ndarray) -> np.ndarray:
    """A clip (T, H, W, 3) => one frame, in which earlier moments are fainter."""
    return exposure(Clip(frames, "")).frames[0]


def number(value: float, form: str) -> str:
    """As it is set, with a minus instead of a hyphen."""
    return format(value, form).replace("-", "−")


def lines(words: str, width: int) -> str:
    """Words, broken into lines of so many letters."""
    return "\n".join(textwrap.wrap(words, width, break_on_hyphens=False))


# ---- frames as short codes -----------------------------------------------------------------------

EXAMPLES = (3, 8, 14)  # clips of the source
KINDS = {"x, y": 28, "size": 24, "angle": 32, "turn": 48, "looks (learned)": 140}  # and how wide


def codes(pipeline: Pipeline) -> Sheet:
    """A frame, the window laid over its object, its code, and the frame drawn from that."""
    autoencoder = pipeline.model.autoencoder
    encoder, layout = autoencoder.encoder, autoencoder.layout
    batch = real(pipeline, EXAMPLES)
    middle = batch.frames.shape[1] // 2
    frames = to_model(batch.frames[:, [middle]])  # (B, 1, 3, H, W)
    found = encoder(frames[:, 0])
    drawn = to_frames(autoencoder.clips(found[:, None]))[:, 0]
    place, size = (part[:, 0] for part in layout.split(found)[:2])  # of the first object
    points = place[:, None, None] + REACH * size[:, None, None, None] * encoder.window
    points = points / points.new_tensor(encoder.extent)
    ground = frames.mean((3, 4), keepdim=True)
    shown = F.grid_sample((frames - ground)[:, 0], points, align_corners=False)
    windows = to_frames(shown[:, None] + ground)[:, 0]

    side, row, top = 136, 160, 44
    left = [MARGIN, 200, 376, WIDTH - MARGIN - side]  # frame, window, code, drawing
    sheet = Sheet(top + len(EXAMPLES) * row)
    heads = ("a frame", "its window", f"its code, {layout.features} numbers", "drawn from it")
    for x, head in zip(left, heads, strict=True):
        sheet.text(x, 30, head, weight="bold")
    half = frames.shape[-1] / 2
    for i, facts in enumerate(batch.facts):
        y = top + i * row
        centre, reach = (place[i].numpy() + 1) * half, float(REACH * size[i]) * half
        sheet.frame(batch.frames[i, middle], left[0], y, side)
        corners = centre + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
        corners = corners.clip(0, 2 * half) * side / (2 * half) + (left[0], y)
        sheet.path(corners, color="white", linewidth=3.4)
        sheet.path(corners, color=ACCENT, linewidth=1.6)
        sheet.frame(windows[i], left[1], y, side)
        _bars(sheet, found[i].numpy(), layout, left[2], y)
        true = facts.objects[0].position[middle]
        told = "centre ({:.1f}, {:.1f}) found, ({:.1f}, {:.1f}) true".format(*centre, *true)
        sheet.text(left[2], y + side - 6, told, 12)
        sheet.frame(drawn[i], left[3], y, side)
        for x in (left[0] + side + 7, left[1] + side + 7, left[3] - 34):
            sheet.arrow(x, y + side / 2)
    return sheet


def _bars(sheet: Sheet, code: np.ndarray, layout: Any, x: float, y: float) -> None:
    """A code (D,) as bars up and down, with what they stand for."""
    middle, unit, last = y + 44, 7, 0
    lengths = (count * numbers for count, numbers in layout.kinds)
    for (name, width), length in zip(KINDS.items(), lengths, strict=True):
        first, last = last, last + length
        color = ACCENT if last <= layout.measured else MUTED
        step = min(width / length, 9)
        at = x + width / 2 + step * (np.arange(length) - (length - 1) / 2)
        heights = -unit * code[first:last].clip(-6, 6)
        sheet.axes.bar(at, heights, 0.72 * step, bottom=middle, color=color)
        sheet.path(np.array([[x, middle], [x + width, middle]]), color=color, linewidth=0.7)
        sheet.text(x + width / 2, y + 102, name, 11, color=color, ha="center")
        x += width + 9


# ---- the flow ------------------------------------------------------------------------------------

FLOW_PROMPT = "a small blue star orbiting clockwise on a white background"
STEPS, SHOWN = 8, (0, 2, 4, 6)  # of the sampler; after the last it has come to t = 1


def flow(pipeline: Pipeline) -> Sheet:
    """A clip on its way from noise: x_t and the prediction, drawn, and where the object goes."""
    model = pipeline.model
    seen: list[tuple[Tensor, Tensor]] = []
    hook = model.denoiser.register_forward_hook(lambda _, given, x: seen.append((given[0], x)))
    noise = noise_for(0, [0], model.noise_shape)
    model.generate(tokens_of(pipeline, [FLOW_PROMPT]), noise, steps=STEPS, guidance_scale=1)
    hook.remove()
    # Heun's method asks twice a step, first where it stands. It ends in the last prediction.
    stages = [(k / STEPS, *seen[2 * k]) for k in SHOWN] + [(1.0, seen[-1][1], seen[-1][1])]

    side, apart, top = 136, 14, 84
    left = WIDTH - MARGIN - 5 * side - 4 * apart
    rows = [top + row * (side + apart) for row in range(3)]
    sheet = Sheet(rows[-1] + side + MARGIN)
    sheet.text(MARGIN, 36, f"“{FLOW_PROMPT}”", 14, style="italic")
    names = (("$x_t$, drawn", MUTED), ("$\\hat{x}$, drawn", ACCENT), ("where the\nobject is", INK))
    for y, (name, color) in zip(rows, names, strict=True):
        sheet.text(MARGIN, y + side / 2, name, color=color, va="center")
    for column, (t, *both) in enumerate(stages):
        x = left + column * (side + apart)
        end = {0: ", noise", len(SHOWN): ", a clip"}.get(column, "")
        sheet.text(x, top - 12, f"t = {t:g}{end}", weight="bold")
        sheet.box(x, rows[2], side, side, facecolor="white", edgecolor=RULE)
        for y, codes_then, color in zip(rows, both, (MUTED, ACCENT), strict=False):
            frames = to_frames(model.autoencoder.clips(codes_then))[0]
            sheet.frame(at_a_glance(frames), x, y, side)
            places = model.autoencoder.layout.split(codes_then[0])[0][:, 0].numpy()
            at = (places + 1) / 2 * side + (x, rows[2])
            sheet.path(at, color=color, linewidth=1.4, marker="o", markersize=2.4)
    return sheet


# ---- the GAN -------------------------------------------------------------------------------------

COMPARED = (7, 14, 4)  # clips of the source whose ways a still can tell
MANY = 1800


def gan(pipeline: Pipeline) -> Sheet:
    """What the discriminator compares, with its scores: of three clips, and of very many."""
    model = pipeline.model
    batch = real(pipeline, range(MANY))
    own = tokens_of(pipeline, batch.captions)
    whose = torch.randperm(MANY, generator=torch.Generator().manual_seed(0))
    other = own[whose]
    codes = model.autoencoder.codes(TensorBatch(to_model(batch.frames), own, 1.0))
    true = model.layout.told(codes)
    made = model.generator(noise_for(0, range(MANY), model.noise_shape), own)
    pairs = ((made, own), (true, own), (true, other))
    on_made, on_true, on_other = scores = [model.discriminator(*pair) for pair in pairs]

    side, row, top = 128, 144, 78
    left = [150, 384, 618]
    sheet = Sheet(top + len(COMPARED) * row + 160)
    sheet.text(MARGIN, 58, "$D$ learns")
    heads = ("generated", "real", "real, another's caption")
    terms = ("$D(G(z, c), c)$", "$D(x, c)$", "$D(x, c^*)$")
    for x, head, term in zip(left, heads, terms, strict=True):
        sheet.text(x, 30, head, weight="bold")
        sheet.text(x, 58, term, 14)
    for x, sign in zip(left, "<>", strict=False):
        sheet.text(x + side + 48, 58, f"${sign}$", 18, ha="center")
    for i, index in enumerate(COMPARED):
        y = top + i * row
        caption, another = batch.captions[index], batch.captions[int(whose[index])]
        sheet.text(MARGIN, y + side / 2, lines(caption, 14), 12.5, style="italic", va="center")
        drawn = to_frames(model.clips(made[[index]]))[0]
        shown = (drawn, batch.frames[index], batch.frames[index])
        for x, frames, score in zip(left, shown, scores, strict=True):
            sheet.frame(at_a_glance(frames), x, y, side)
            sheet.text(x + side + 12, y + 24, number(float(score[index]), "+.1f"), 18)
        words = f"“{lines(another, 13)}”"
        style = {"style": "italic", "color": BAD, "va": "top"}
        sheet.text(left[2] + side + 12, y + 40, words, 11, **style)
    y = top + len(COMPARED) * row + 26
    _gaps(sheet, left[0], y, on_true - on_made, "real above generated")
    differs = (other != own).any(1)
    _gaps(sheet, 532, y, (on_true - on_other)[differs], "own caption above another's")
    return sheet


def _gaps(sheet: Sheet, x: float, y: float, gaps: Tensor, name: str) -> None:
    """How differences (N,) of scores are spread, and how often they are above 0."""
    share = float((gaps > 0).float().mean())
    told = f"{name} in {share:.0%} of {len(gaps):,}".replace("%", " %")
    sheet.text(x, y, told, 12.5)
    width, height, base = 300, 60, y + 76
    low, high = (float(gaps.quantile(q)) for q in (0.005, 0.995))
    low, high = min(low, -0.5), max(high, 0.5)
    counts, edges = np.histogram(gaps.numpy(), bins=48, range=(low, high))

    def across(gap: Any) -> Any:
        return x + width * (gap - low) / (high - low)

    middles = (edges[:-1] + edges[1:]) / 2
    colors = np.where(middles > 0, ACCENT, BAD)
    heights = -height * counts / counts.max()
    sheet.axes.bar(across(middles), heights, 0.92 * width / 48, bottom=base, color=colors)
    sheet.path(np.array([[x, base], [x + width, base]]), color=RULE, linewidth=1)
    for gap in MaxNLocator(6, integer=True).tick_values(low, high):
        if low <= gap <= high:
            sheet.text(
                across(gap),
                base + 17,
                number(gap, "+g" if gap else "g"),
                11,
                color=MUTED,
                ha="center",
            )
    sheet.text(x + width / 2, base + 36, "difference of the scores", 11, color=MUTED, ha="center")


# ---- what a caption is ---------------------------------------------------------------------------

WORDS = ("circle", "moving", "up", "down", "left", "right", "diagonally")
KNOWN = (
    "circle moving left",
    "circle moving down",
    "circle moving up-left",
    "circle moving down-right",
    "circle moving diagonally up-left",
    "circle moving diagonally up-right",
    "circle shrinking",
)
NEW = ("circle moving up-right", "circle moving up")


def text(pipeline: Pipeline) -> Sheet:
    """As a flow hears them: cosines of captions with words, and with the two new prompts."""
    torch.manual_seed(0)
    encoder = BagOfWords(Signs(pipeline.tokenizer.vocabulary_size, ReaderConfig.text_features))
    rows, columns = (*KNOWN, *NEW), (*WORDS, *NEW)
    of_rows, of_columns = (
        F.normalize(encoder(tokens_of(pipeline, names)), dim=1) for names in (rows, columns)
    )
    cosines = (of_rows @ of_columns.T).numpy()
    cell, height, left, top, apart = 63, 32, 270, 70, 16
    sheet = Sheet(top + len(rows) * height + apart + MARGIN)
    xs = [left + cell * k + apart * (name in NEW) for k, name in enumerate(columns)]
    sheet.text(left, 30, "cosine with a word", weight="bold")
    sheet.text(xs[len(WORDS)], 30, "a new prompt", weight="bold")
    for x, name in zip(xs, columns, strict=True):
        style = {"ha": "center", "color": MUTED}
        sheet.text(x + cell / 2, 58, name.replace("circle moving", "…"), 11.5, **style)
    for row, name in enumerate(rows):
        y = top + row * height + apart * (name in NEW)
        told = f"{name}  (new)" if name in NEW else name
        sheet.text(MARGIN, y + height / 2, told, va="center")
        for x, cosine in zip(xs, cosines[row], strict=True):
            alpha = 0.7 * min(abs(float(cosine)), 1.0)  # rounding may lead beyond 1
            sheet.box(x, y, cell - 2, height - 2, facecolor="white")
            sheet.box(x, y, cell - 2, height - 2, facecolor=ACCENT, alpha=alpha)
            middle = (x + cell / 2 - 1, y + height / 2 - 1)
            sheet.text(*middle, number(cosine, ".2f"), 12, ha="center", va="center")
    return sheet


# ---- the proof -----------------------------------------------------------------------------------

MADE = "a small red star moving up-right quickly on a grey background"
ASKED = (
    MADE,
    "a small red star moving up quickly on a grey background",
    "a small orange circle moving up-right quickly on a grey background",
)


def proof(pipeline: Pipeline) -> Sheet:
    """A generated clip, what the judge found in it, and its verdicts on three prompts."""
    clip = pipeline(MADE)[0]
    seen = track(clip.frames)
    large, apart, below = 232, 8, MARGIN + 232 + 24
    small = (WIDTH - 2 * MARGIN + apart) / len(clip.frames) - apart
    sheet = Sheet(below + small + MARGIN)
    sheet.frame(at_a_glance(clip.frames), MARGIN, MARGIN, large)
    centres = seen.centre / seen.extent  # 0 to 1
    for width, color in ((3.4, "white"), (1.4, ACCENT)):
        style = {"color": color, "linewidth": width, "marker": "o", "markersize": 1.6 + width}
        sheet.path(centres * large + MARGIN, **style)
    for k, prompt in enumerate(ASKED):
        _verdict(sheet, MARGIN + large + 28, MARGIN + 14 + 82 * k, clip, prompt)
    for t, frame in enumerate(clip.frames):
        x = MARGIN + t * (small + apart)
        sheet.frame(frame, x, below, small)
        if seen.visible[t]:
            centre, radius = centres[t] * small + (x, below), seen.size[t] / 128 * small
            for width, color in ((2.2, "white"), (1, ACCENT)):
                style = {"fill": False, "edgecolor": color, "linewidth": width}
                sheet.axes.add_patch(Circle(centre, radius + 4, **style))
    return sheet


def _verdict(sheet: Sheet, x: float, y: float, clip: Clip, prompt: str) -> None:
    """What the judge says of a clip and a prompt, and why."""
    verdict = verify_clip(clip, prompt)
    sheet.text(x, y, f"“{prompt}”", 13.5, style="italic")
    color = GOOD if verdict else BAD
    sheet.text(x, y + 24, verdict.verdict, 15, color=color, weight="bold")
    right = x + 40
    for fact, held in verdict.facts.items():
        mark, color = ("✓", MUTED) if held else ("✗", BAD)
        sheet.text(right, y + 24, f"{mark} {fact}", 12, color=color)
        right += 30 + 6.6 * len(fact)
    sheet.text(x, y + 44, " ".join(verdict.reasons), 12)


def main(words: Sequence[str] | None = None) -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flow", type=Path, required=True, help="a run of shapes")
    parser.add_argument("--gan", type=Path, required=True, help="a run of tutorial-gan")
    parser.add_argument("--out", type=Path, default=MEDIA, help="the folder for the pictures")
    given = parser.parse_args(words)
    of = {given.flow: (codes, flow, proof), given.gan: (gan, text)}
    with torch.inference_mode():
        for run, pictures in of.items():
            pipeline = load(run)
            for draw in pictures:
                draw(pipeline).save(given.out / f"{draw.__name__}.webp")


if __name__ == "__main__":
    main()
