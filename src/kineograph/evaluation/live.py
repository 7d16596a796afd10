"""The live verification of a training: a few clips a caption, judged, and a sheet that plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kineograph.data.clip import Clip
from kineograph.data.video_io import animation_bytes
from kineograph.evaluation.accuracy import judged
from kineograph.evaluation.novelty import collapsed
from kineograph.evaluation.verifier import Judge
from kineograph.sampling.export import wall

MOST_CAPTIONS = 64
"""Training captions that are tried, of a source that has very many; a split has others."""
CHECK_CLIPS = 108
"""Clips in a live verification: a trend, not a result."""


class LiveCheck:
    """Judges what a model makes of ``prompts`` at a step of its training. ``write`` is given a name
    for the sheet, and its bytes; ``say`` is told where all clips are one and the same."""

    def __init__(
        self,
        captions: Sequence[str],
        judge: Judge,
        write: Callable[[str, bytes], None],
        say: Callable[[str], None],
    ) -> None:
        self.judge, self.write, self.say = judge, write, say
        captions = captions[:MOST_CAPTIONS]
        self.each = max(1, CHECK_CLIPS // len(captions))
        self.prompts = [caption for caption in captions for _ in range(self.each)]

    def __call__(self, clips: Sequence[Clip], step: int) -> dict[str, float]:
        """A clip for each of ``prompts`` => the share that is right by caption."""
        if collapsed([clip.frames for clip in clips]):
            self.say(f"Step {step}: all clips are the same, whatever the caption and the noise.")
        sheet = animation_bytes(wall(clips[:: self.each]), "webp")
        self.write(f"step-{step:06d}.webp", sheet)
        firsts = range(0, len(clips), self.each)
        scores = [
            judged(clips[i].caption, clips[i : i + self.each], True, self.judge) for i in firsts
        ]
        return {score.prompt: score.share for score in scores if score.trials}
