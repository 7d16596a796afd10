"""The routes: the videos protocol, events, and what keeps a service running in order.

An answer costs one look into the queue; what takes longer than that is a worker's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request
from fastapi import Path as PathParam
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from kineograph.apps.service import contents, metrics, opened
from kineograph.apps.service.asking import (
    REMIXED,
    ErrorAnswer,
    ModelList,
    RemixRequest,
    Text,
    Video,
    VideoDeleted,
    VideoList,
    VideoRequest,
    WorkLimit,
    Wrong,
    card,
    decided,
    form_fields,
    kind_of,
    read,
    video,
)
from kineograph.apps.service.guard import Guard, Guarded, error_body
from kineograph.apps.service.jobs import (
    Job,
    KeyInUse,
    Limits,
    QueueFull,
)
from kineograph.apps.service.models import Known, Models
from kineograph.apps.service.pages import Studio, add_pages
from kineograph.apps.service.queue import Jobs
from kineograph.apps.service.words import Words, words_of
from kineograph.apps.service.workers import Workers
from kineograph.core.conventions import MAX_PROMPT_CHARACTERS
from kineograph.core.errors import KineographError, RequestError

log = logging.getLogger("kineograph.server")

STUDIO = Path(__file__).parents[1] / "studio"
"""The page, which speaks nothing but HTTP."""

_POLL_MS = 250  # after which a client may ask again
_RETRY_AFTER = 2  # seconds, where the queue is full
_SEEN_EVERY = 0.05  # seconds between two looks at a job that somebody follows
_MOST_FIELDS = 40
_ID = r"^video_[0-9a-f]{24}$"


@dataclass(frozen=True)
class Service:
    """How a service is set up."""

    jobs: str
    """Where its jobs are: a folder, or the address of a database."""
    models: tuple[Path, ...]
    guarded: Guarded
    workers: int = 1
    at_once: int = 16
    limits: Limits = field(default_factory=Limits)
    studio: Studio = field(default_factory=Studio)
    work: WorkLimit = field(default_factory=WorkLimit)


class State:
    """What the routes share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ending = False
        """Whether the server is about to end, for those who would wait long."""
        self.jobs: Jobs = opened(service.jobs, service.limits)
        self.models = Models(service.models)
        self.workers = Workers(
            self.jobs,
            service.jobs,
            [str(place.resolve()) for place in service.models],
            service.workers,
            service.at_once,
        )

    def job(self, name: str) -> Job:
        """A job by its id. Raises Wrong where there is none."""
        found = self.jobs.get(name)
        if not found:
            raise Wrong("There is no such video.", param="id", code="not_found", status=404)
        return found

    def model(self, name: str | None) -> Known:
        """A model by its name, or the newest. Raises Wrong where there is none."""
        try:
            return self.models.named(name)
        except RequestError as error:
            status = 404 if name is not None else 503
            raise Wrong(
                error.cause, error.remedy, param="model", code="model_not_found", status=status
            ) from error

    def known(self, key: str, said: str) -> Job | None:
        """The job that came with a key. Raises Wrong where it said something else."""
        try:
            return self.jobs.known(key, said)
        except KeyInUse as error:
            raise Wrong(error.cause, error.remedy, code="key_in_use", status=409) from error

    def queue(
        self, asked: Mapping[str, Any], model: Known, *, key: str | None = None, said: str = ""
    ) -> Job:
        """Queue what is decided, and call a worker. Raises Wrong where too much waits."""
        try:
            kind = kind_of(model.name, asked)
            job, new = self.jobs.add(model.name, kind, asked, key=key, said=said)
        except QueueFull as error:
            raise Wrong(
                error.cause, error.remedy, code="queue_full", status=429, retry_after=_RETRY_AFTER
            ) from error
        except KeyInUse as error:
            raise Wrong(error.cause, error.remedy, code="key_in_use", status=409) from error
        if new:
            self.workers.call()
            log.info("queued", extra={"job": job.id, "model": job.model})
        return job


def make_app(service: Service) -> FastAPI:
    """The service as an ASGI application; its workers live as long as its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(app.state.of.workers.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 409, 413, 421, 422)
    }
    app = FastAPI(
        title="Kineograph",
        summary="Text to video, each clip verified.",
        lifespan=lifespan,
        responses=errors,
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.of = State(service)
    app.add_middleware(Guard, guarded=service.guarded)
    _add_videos(app)
    add_pages(app, service.studio, app.state.of.model)
    _add_operation(app)
    _add_errors(app)
    app.mount("/", StaticFiles(directory=STUDIO, html=True))
    return app


# ---- videos ------------------------------------------------------------------------------------

_Id = Annotated[str, PathParam(alias="id", pattern=_ID)]


def _add_videos(app: FastAPI) -> None:
    state: State = app.state.of

    @app.post("/v1/videos", openapi_extra=_body(VideoRequest), responses=_BUSY)
    async def create(
        request: Request,
        idempotency_key: Annotated[Text | None, Header(min_length=1, max_length=255)] = None,
    ) -> Video:
        """Ask for a clip. The same ``Idempotency-Key`` asks for it once."""
        asked = read(VideoRequest, await _fields(request))

        def queue() -> Job:
            said = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
            if idempotency_key and (known := state.known(idempotency_key, said)):
                return known
            model = state.model(asked.model)
            settled = decided(asked, model, state.service.work)
            return state.queue(settled, model, key=idempotency_key, said=said)

        return video(await asyncio.to_thread(queue))

    @app.get("/v1/videos")
    def page(
        after: Annotated[str | None, Query(pattern=_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
        containing: Annotated[Text, Query(max_length=200)] = "",
        model: Annotated[Text | None, Query(max_length=200)] = None,
        favourites: bool = False,
    ) -> VideoList:
        """Those that there are, the newest first."""
        found = state.jobs.page(
            after=after,
            limit=limit,
            newest_first=order == "desc",
            containing=containing,
            model=model,
            favourites=favourites,
        )
        if found is None:
            raise Wrong("There is no such video.", param="after", code="not_found", status=404)
        data = [video(job) for job in found.jobs]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return VideoList(data=data, first_id=first, last_id=last, has_more=found.has_more)

    @app.get("/v1/videos/{id}")
    def retrieve(name: _Id, response: Response) -> Video:
        """How far one is."""
        job = state.job(name)
        if not job.ended:
            response.headers["openai-poll-after-ms"] = str(_POLL_MS)
        return video(job)

    @app.delete("/v1/videos/{id}")
    def delete(name: _Id) -> VideoDeleted:
        """Forget one, with its files; one that is under way ends."""
        state.job(name)
        return VideoDeleted(id=name, deleted=state.jobs.delete(name))

    @app.post("/v1/videos/{id}/cancel")
    def cancel(name: _Id) -> Video:
        """End one that waits or is under way; it is then failed, with the code "cancelled"."""
        return video(state.jobs.cancel(name) or state.job(name))

    @app.post("/v1/videos/{id}/favourite")
    def favourite(name: _Id, keep: bool = True) -> Video:
        """Keep one beyond its time, or not any more."""
        return video(state.jobs.set_favourite(name, keep) or state.job(name))

    @app.post("/v1/videos/{id}/remix", openapi_extra=_body(RemixRequest), responses=_BUSY)
    async def remix(name: _Id, request: Request) -> Video:
        """Another prompt with the settings and the seed of a clip that is there."""
        asked = read(RemixRequest, await _fields(request))

        def queue() -> Job:
            before, model = state.job(name), state.model(state.job(name).model)
            kept = {field: before.asked[field] for field in REMIXED}
            request = VideoRequest(prompt=asked.prompt, **kept)
            settled = decided(request, model, state.service.work) | {"remixed_from": name}
            return state.queue(settled, model)

        return video(await asyncio.to_thread(queue))

    @app.get("/v1/videos/{id}/content", responses=_CONTENT, response_class=Response)
    def content(
        name: _Id,
        request: Request,
        variant: Literal["video", "thumbnail", "spritesheet"] = "video",
        form: Annotated[Literal["mp4", "webm", "gif", "webp"], Query(alias="format")] = "mp4",
    ) -> Response:
        """The clip; a frame of it; or all its frames in a row, as they were made, as PNG."""
        job = state.job(name)
        if job.status != "completed":
            raise Wrong(f"It is {job.status}.", param="id", code="not_ready", status=409)
        try:
            made = contents.made(state.jobs, job, variant, form)
        except RequestError as error:  # such as more frames a second than a GIF can play
            raise Wrong(error.cause, error.remedy, param="format") from error
        if made is None:
            raise Wrong("Its files are gone.", param="id", code="gone", status=410)
        return contents.ranged(made, request.headers.get("range"), request.headers.get("if-range"))

    @app.get("/v1/videos/{id}/events", responses=_EVENTS, response_class=StreamingResponse)
    async def events(name: _Id) -> StreamingResponse:
        """Server-sent events: ``progress`` and ``preview`` as it is made, then ``done``."""
        await asyncio.to_thread(state.job, name)
        return StreamingResponse(
            contents.events(state.jobs, name, _SEEN_EVERY, lambda: state.ending),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    @app.get("/v1/models")
    def models() -> ModelList:
        """The models that can be asked, the newest first."""
        return ModelList(data=[card(known) for known in state.models.all()])

    @app.get("/v1/models/{id}/words")
    def words(
        name: Annotated[Text, PathParam(alias="id", max_length=200)],
        prompt: Annotated[Text, Query(max_length=MAX_PROMPT_CHARACTERS)] = "",
    ) -> Words:
        """The words that a model knows, and those of a prompt that it does not."""
        return words_of(state.model(name), prompt)


async def _fields(request: Request) -> dict[str, Any]:
    """Those of a body, JSON or a form. Raises Wrong where it is neither."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    as_json = kind == "application/x-www-form-urlencoded" and (
        (await request.body()).lstrip().startswith(b"{")  # as `curl -d` sends it
    )
    if not as_json and kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        try:
            async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
                return form_fields(form.multi_items())
        except HTTPException as error:
            raise Wrong(str(error.detail), code="bad_request", status=400) from error
    if not as_json and kind and kind != "application/json":
        raise Wrong("Send JSON or a form.", code="unsupported_media_type", status=415)
    try:
        told = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Wrong(f"The body is no JSON: {error}.", code="bad_request", status=400) from error
    if not isinstance(told, dict):
        raise Wrong("The body is no JSON object.", code="bad_request", status=400)
    return told


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI document's word on a body that may be JSON or a form."""
    schema = kind.model_json_schema()
    kinds = ("application/json", "multipart/form-data", "application/x-www-form-urlencoded")
    content = {each: {"schema": schema} for each in kinds}
    return {"requestBody": {"required": True, "content": content}}


_BUSY: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (408, 415, 429, 503)
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_KINDS = ("video/mp4", "video/webm", "image/gif", "image/webp", "image/png")
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": dict.fromkeys(_KINDS, _BINARY), "description": "The whole file."},
    206: {"content": dict.fromkeys(_KINDS, _BINARY), "description": "The part asked for."},
    410: {"model": ErrorAnswer},
    416: {"model": ErrorAnswer},
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events"}
}


# ---- operation ---------------------------------------------------------------------------------


def _add_operation(app: FastAPI) -> None:
    state: State = app.state.of

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        """Whether it has a worker, a model and its queue."""
        lacks = [] if state.workers.alive else ["worker"]
        lacks += [] if state.models.all() else ["model"]
        with contextlib.suppress(KineographError):
            state.jobs.counts()
            return JSONResponse({"lacks": lacks}, status_code=503 if lacks else 200)
        return JSONResponse({"lacks": [*lacks, "queue"]}, status_code=503)

    @app.get("/metrics", include_in_schema=False)
    def numbers() -> PlainTextResponse:
        told = metrics.exposition(state.jobs.counts(), state.workers.alive, state.workers.restarts)
        return PlainTextResponse(told, media_type="text/plain; version=0.0.4")


# ---- what went wrong ---------------------------------------------------------------------------


def _add_errors(app: FastAPI) -> None:
    def answer(error: Wrong) -> JSONResponse:
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        return JSONResponse(error_body(error), status_code=error.status, headers=headers)

    @app.exception_handler(Wrong)
    async def wrong(request: Request, error: Wrong) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        param = str(first["loc"][-1])
        return answer(Wrong(f"{param}: {first['msg']}.", param=param))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        said = answer(Wrong(str(error.detail), code=code, status=error.status_code))
        said.headers.update(error.headers or {})
        return said

    @app.exception_handler(KineographError)
    async def known(request: Request, error: KineographError) -> JSONResponse:
        log.error("failed", extra={"error": str(error)})
        return answer(
            Wrong(error.cause, error.remedy, code="unavailable", status=503, retry_after=10)
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("unexpected", exc_info=error)
        return answer(Wrong("Something unexpected.", code="internal_error", status=500))
