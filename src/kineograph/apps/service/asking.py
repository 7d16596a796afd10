"""What may be asked, what of it is decided here, and what the answers look like.

The fields are those of OpenAI's videos protocol, with the extensions that vLLM-Omni and SGLang
take, at the top level or in ``extra_params``.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kineograph.apps.service.jobs import Job
from kineograph.apps.service.models import Known
from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.core.errors import KineographError, nearest
from kineograph.sampling.export import usual_scale

MAX_SEED = 2**63 - 1
MAX_SIDE = 1024
"""Pixels of a video, however large its pixels are drawn."""

VerdictName = Literal["yes", "no", "cannot judge"]

_EXTENSIONS = "extra_params"

Asked = TypeVar("Asked", bound=BaseModel)


_SEEN = r"[^\x00-\x1f\x7f-\x9f]"

Text = Annotated[str, Field(pattern=f"^{_SEEN}*$")]
"""Without control characters, which no prompt needs and no database likes."""

Prompt = Annotated[
    str, Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, pattern=rf"^{_SEEN}*\S{_SEEN}*$")
]
"""Such a text that says something."""


class Wrong(KineographError):
    """A request that cannot be met, with the field and the HTTP status that say so."""

    exit_code = 2

    def __init__(
        self,
        cause: str,
        remedy: str = "",
        *,
        param: str | None = None,
        code: str = "invalid_value",
        status: int = 422,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(cause, remedy)
        self.param, self.code, self.status, self.retry_after = param, code, status, retry_after


@dataclass(frozen=True)
class WorkLimit:
    """The most that one request may ask for."""

    work: int = 1 << 30
    """Frames × pixels × steps × attempts."""


class VideoRequest(BaseModel):
    """A clip to be made. All but the prompt may be left away."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: Prompt
    """What to show."""
    model: Annotated[Text | None, Field(max_length=200)] = None
    """One of `GET /v1/models`; the newest unless it is named."""
    seconds: Annotated[str | None, Field(pattern=r"^\d{1,4}(\.\d{1,6})?$")] = None
    """How long it plays: the frames of the model over ``fps``."""
    size: Annotated[str | None, Field(pattern=r"^\d{1,5}x\d{1,5}$")] = None
    """Width × height of the video, each pixel of the model a square of so many."""
    num_frames: Annotated[int | None, Field(ge=1, le=10_000)] = None
    """As many as the model makes."""
    fps: Annotated[float | None, Field(ge=0.1, le=60)] = None
    """Frames per second at which it plays."""
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None
    """The same seed makes the same clip; one is drawn unless it is given."""
    num_inference_steps: Annotated[int | None, Field(ge=1, le=200)] = None
    """Steps of a model that takes several."""
    guidance_scale: Annotated[float | None, Field(ge=0, le=20, allow_inf_nan=False)] = None
    """How strongly to follow the prompt, if not as the model does; 1 is plain."""
    negative_prompt: Annotated[Text, Field(max_length=MAX_PROMPT_CHARACTERS)] = ""
    """What to lead away from, with a guidance of more than 1."""
    best_of: Annotated[int, Field(ge=1, le=64)] = 1
    """Attempts, of which the judge keeps the best."""
    preview: bool | None = None
    """Whether the events show the clip as it forms; unless it is said, where nothing else waits."""


class RemixRequest(BaseModel):
    """A clip made with the settings and the seed of another, of another prompt."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: Prompt
    """What to show."""


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str | None
    message: str
    param: str | None
    type: str


class ErrorAnswer(BaseModel):
    """Every answer that is none."""

    error: ErrorBody


class Judged(BaseModel):
    """What the judge says of a clip."""

    verdict: VerdictName
    reasons: list[str]
    measured: dict[str, Any]
    paths: list[list[tuple[float, float]]]
    """Where each object was seen, in pixels of the model, frame by frame."""
    seconds: float
    """That it took to make the clip, with those that were made together."""


class Video(BaseModel):
    """A clip that was asked for, and how far it is."""

    id: str
    object: Literal["video"] = "video"
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: Annotated[int, Field(ge=0, le=100)]
    model: str
    prompt: str
    created_at: int
    completed_at: int | None
    expires_at: int | None
    seconds: str
    size: str
    num_frames: int
    fps: float
    seed: int
    num_inference_steps: int | None
    guidance_scale: float
    negative_prompt: str
    best_of: int
    remixed_from_video_id: str | None
    error: ErrorBody | None
    judged: Judged | None
    favourite: bool


class VideoList(BaseModel):
    """A page of them."""

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(BaseModel):
    """That one is gone."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool


class ModelCard(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["kineograph"] = "kineograph"
    family: str
    source: str
    num_frames: int
    height: int
    width: int
    fps: float
    num_inference_steps: int | None
    guidance_scale: float
    accuracy: float | None
    captions: list[str]


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


REMIXED = (
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "negative_prompt",
    "best_of",
    "fps",
    "size",
    "preview",
)
"""What a remix keeps of a clip."""


# ---- requests ----------------------------------------------------------------------------------


def read(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    """Fields, as JSON or a form gives them, with those of ``extra_params`` beside the others.

    Raises Wrong, naming the field, and the nearest one for a name that is not known.
    """
    values = dict(values)
    extra = values.pop(_EXTENSIONS, None) or {}
    if isinstance(extra, str):  # a form's
        try:
            extra = json.loads(extra)
        except (ValueError, RecursionError) as error:
            raise Wrong(f"extra_params is no JSON: {error}.", param=_EXTENSIONS) from error
    if not isinstance(extra, Mapping):
        raise Wrong("extra_params is no object.", param=_EXTENSIONS)
    try:
        return kind.model_validate(dict(extra) | values)
    except ValidationError as error:
        raise _wrong(kind, error) from error


def _wrong(kind: type[BaseModel], error: ValidationError) -> Wrong:
    first = error.errors(include_url=False)[0]
    param = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        guess = nearest(param, kind.model_fields)
        said = f'There is no field "{param}".'
        remedy = f'Did you mean "{guess}"?' if guess else ""
        return Wrong(said, remedy, param=param, code="unknown_field")
    if first["type"] == "missing":
        return Wrong(f'The field "{param}" is missing.', param=param, code="missing_field")
    return Wrong(f"{param}: {first['msg']}.", param=param)


def form_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A form's fields, ``extra_params[seed]`` among them, as JSON would have them."""
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in pairs:
        if not isinstance(value, str):
            raise Wrong("These models make clips from words alone.", param=name, code="no_files")
        within = re.fullmatch(r"extra_params\[(\w+)\]", name)
        (extra if within else values)[within[1] if within else name] = value
    if extra:
        values[_EXTENSIONS] = extra
    return values


def decided(request: VideoRequest, model: Known, limit: WorkLimit) -> dict[str, Any]:
    """A request with all that it left open decided. Raises Wrong where the model cannot do it."""
    if request.num_frames not in (None, model.num_frames):
        raise Wrong(f"{model.name} makes {model.num_frames} frames.", param="num_frames")
    fps = request.fps or model.fps
    seconds = model.num_frames / fps
    if request.seconds is not None and abs(float(request.seconds) - seconds) > 0.01:
        raise Wrong(
            f"{model.num_frames} frames at {fps:g} a second last {seconds:.4g} s.",
            'Leave "seconds" away, or choose "fps" to fit.',
            param="seconds",
        )
    if model.num_inference_steps is None and request.negative_prompt:
        raise Wrong(
            f"{model.name} makes a clip in one pass, where nothing leads away from a prompt.",
            param="negative_prompt",
        )
    steps = request.num_inference_steps or model.num_inference_steps
    scale = _scale(request.size, model)
    work = model.num_frames * model.height * model.width * (steps or 1) * request.best_of
    if work > limit.work:
        raise Wrong(
            f"That is {work / limit.work:.1f} times as much as one request may ask for.",
            "Ask for fewer steps or attempts.",
            param="best_of",
        )
    return {
        "prompt": request.prompt,
        "seed": secrets.randbelow(2**31) if request.seed is None else request.seed,
        "num_inference_steps": steps if model.num_inference_steps else None,
        "guidance_scale": model.guidance_scale
        if request.guidance_scale is None
        else request.guidance_scale,
        "negative_prompt": request.negative_prompt,
        "best_of": request.best_of,
        "num_frames": model.num_frames,
        "fps": fps,
        "scale": scale,
        "size": f"{model.width * scale}x{model.height * scale}",
        "preview": request.preview,
        "remixed_from": None,
    }


def _scale(size: str | None, model: Known) -> int:
    if size is None:
        return usual_scale(model.height, model.width)
    width, height = map(int, size.split("x"))
    scale = width // model.width
    if scale < 1 or (width, height) != (scale * model.width, scale * model.height):
        raise Wrong(
            f"{model.name} makes {model.width}x{model.height} pixels, and that, twice, three times "
            f"... as much are its sizes, not {size}.",
            param="size",
        )
    if max(width, height) > MAX_SIDE:
        raise Wrong(f"{size} is too large.", f"Up to {MAX_SIDE} pixels.", param="size")
    return scale


def kind_of(model: str, asked: Mapping[str, Any]) -> str:
    """What requests must share to be made together."""
    names = ("num_inference_steps", "guidance_scale", "negative_prompt", "best_of")
    return json.dumps([model, *(asked[name] for name in names)])


# ---- answers -----------------------------------------------------------------------------------


def video(job: Job) -> Video:
    """A job, as the protocol tells of it."""
    asked, outcome = job.asked, job.outcome
    error = None
    if job.error:
        error = ErrorBody(**job.error, param=None, type="video_generation_error")
    return Video(
        id=job.id,
        status=job.status,
        progress=job.progress,
        model=job.model,
        created_at=int(job.created_at),
        completed_at=None if job.completed_at is None else int(job.completed_at),
        expires_at=None if job.expires_at is None or job.favourite else int(job.expires_at),
        seconds=f"{asked['num_frames'] / asked['fps']:.4g}",
        remixed_from_video_id=asked["remixed_from"],
        error=error,
        judged=None if outcome is None else Judged(**outcome),
        favourite=job.favourite,
        **{name: asked[name] for name in _TOLD},
    )


_TOLD = (
    "prompt",
    "size",
    "num_frames",
    "fps",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "negative_prompt",
    "best_of",
)


def card(model: Known) -> ModelCard:
    """A model, as the protocol tells of it."""
    return ModelCard(
        id=model.name,
        created=int(model.written_at),
        family=model.family,
        source=model.source,
        num_frames=model.num_frames,
        height=model.height,
        width=model.width,
        fps=model.fps,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        accuracy=model.accuracy,
        captions=list(model.captions),
    )
