"""What a finished job has to show: files, parts of files, and the events of its making."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageSequence
from starlette.responses import Response

from kineograph.apps.service.asking import Wrong, video
from kineograph.apps.service.jobs import Job
from kineograph.apps.service.queue import Jobs
from kineograph.data.animation import animation_bytes
from kineograph.data.clip import Clip
from kineograph.data.video_io import video_bytes

ORIGINAL, VIDEO = "clip.webp", "video.mp4"
"""The files of a job: every pixel as it was made, and what players play."""

Variant = Literal["video", "thumbnail", "spritesheet"]
Form = Literal["mp4", "webm", "gif", "webp"]

_PING = 10.0  # seconds after which a silent stream says that it lives


def step_file(step: int) -> str:
    """The file that shows a clip after a step, 0 and on."""
    return f"step-{step:03d}.webp"


@dataclass(frozen=True)
class Made:
    """A file."""

    data: bytes
    kind: str
    name: str


def made(jobs: Jobs, job: Job, variant: Variant, form: Form) -> Made | None:
    """A file of a job that is completed; all but the MP4 are made when they are asked for."""
    if variant == "video" and form == "mp4":
        kept = jobs.file(job.id, VIDEO)
        return None if kept is None else Made(kept, "video/mp4", f"{job.id}.mp4")
    original = jobs.file(job.id, ORIGINAL)
    if original is None:
        return None
    frames, scale = _frames(original), int(job.asked["scale"])
    if variant == "thumbnail":
        frame = frames[len(frames) // 2]
        return Made(_picture(frame, "WEBP", scale), "image/webp", f"{job.id}.webp")
    if variant == "spritesheet":
        row = np.concatenate(list(frames), axis=1)
        return Made(_picture(row, "PNG"), "image/png", f"{job.id}.png")
    clip = Clip(frames, str(job.asked["prompt"]), fps=float(job.asked["fps"]))
    told = {"prompt": clip.caption, "seed": str(job.asked["seed"]), "model": job.model}
    if form == "mp4" or form == "webm":
        data = video_bytes(clip, form, scale=scale, metadata=told)
        return Made(data, f"video/{form}", f"{job.id}.{form}")
    data = animation_bytes(clip, form, scale=scale, metadata=told)
    return Made(data, f"image/{form}", f"{job.id}.{form}")


def _picture(pixels: np.ndarray, form: str, scale: int = 1) -> bytes:
    out = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture = picture.resize((picture.width * scale, picture.height * scale), 0)
    picture.save(out, form, lossless=True)
    return out.getvalue()


def _frames(original: bytes) -> np.ndarray:
    """(T, H, W, 3) of a lossless WebP of ours."""
    with Image.open(io.BytesIO(original)) as opened:
        return np.stack(
            [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(opened)]
        )


# ---- parts of files ----------------------------------------------------------------------------


def ranged(made: Made, asked: str | None, only_if: str | None) -> Response:
    """The file, or the one part of it that a Range header asks for (RFC 9110, §14).

    Several parts, and what is no range, get the whole file, as the standard allows: so an answer
    is never longer than that. Raises Wrong for a part beyond the end.
    """
    size, tag = len(made.data), f'"{hashlib.sha256(made.data).hexdigest()[:32]}"'
    headers = {
        "accept-ranges": "bytes",
        "etag": tag,
        "cache-control": "private, max-age=3600",
        "content-disposition": f'inline; filename="{made.name}"',
    }
    part = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (asked or "").strip())
    if not part or part[0].endswith("=-") or (only_if is not None and only_if != tag):
        return Response(made.data, media_type=made.kind, headers=headers)
    if part[1]:
        first, last = int(part[1]), min(int(part[2] or size), size - 1)
    else:  # the last so many
        first, last = max(size - int(part[2]), 0), size - 1
    if part[1] and part[2] and int(part[2]) < first:  # which is none (RFC 9110, §14.1.1)
        return Response(made.data, media_type=made.kind, headers=headers)
    if first > last:
        raise Wrong(f"There are {size} bytes.", code="range", status=416)
    return Response(
        made.data[first : last + 1],
        status_code=206,
        media_type=made.kind,
        headers=headers | {"content-range": f"bytes {first}-{last}/{size}"},
    )


# ---- events ------------------------------------------------------------------------------------


async def events(
    jobs: Jobs, name: str, every: float, ending: Callable[[], bool]
) -> AsyncIterator[str]:
    """What happens to a job, until it has ended or is gone, as server-sent events.

    Where the server is ``ending``, they end too; a browser then asks again by itself.

    A "preview" holds the number of the step and the clip as it looks after it, a WebP as data URL.
    """
    told, step, quiet = None, 0, 0.0
    while not ending():
        job = await asyncio.to_thread(jobs.get, name)
        while job and (shown := await asyncio.to_thread(jobs.file, name, step_file(step))):
            data = base64.b64encode(shown).decode()
            yield _event("preview", {"step": step, "image": f"data:image/webp;base64,{data}"})
            step, quiet = step + 1, 0.0
        now = job and (job.status, job.progress)
        if job is None or job.ended:
            yield _event("done", video(job).model_dump() if job else {"id": name, "gone": True})
            return
        if now != told:
            yield _event("progress", video(job).model_dump())
            told, quiet = now, 0.0
        elif quiet > _PING:
            yield ": still here\n\n"
            quiet = 0.0
        await asyncio.sleep(every)
        quiet += every


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
