"""The routes that the studio needs beyond the videos protocol: data, trainings, explanations.

What a client names is looked up among what the server was started with; no path is made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kineograph.apps.service.asking import ErrorAnswer, Text, Wrong
from kineograph.apps.service.errands import Errands
from kineograph.apps.service.models import Known
from kineograph.apps.service.trainings import NoSuchRun, RunCard, RunDetail, RunList, Trainings
from kineograph.core.errors import RequestError
from kineograph.recipes import RECIPES

_CHECK_SECONDS = 600.0  # for a folder, however large
_DUELS = 6  # clips of each kind

Answer = TypeVar("Answer")

Name = Annotated[Text, PathParam(max_length=200)]


class SourceCard(BaseModel):
    """Where clips come from."""

    name: str
    about: str
    captions: list[str]
    """Examples."""
    splits: bool
    takes_folder: bool
    needs_folder: bool


class SourceList(BaseModel):
    """All of them, and the folders that they may look into."""

    data: list[SourceCard]
    folders: list[str]


class Sheet(BaseModel):
    """Clips that play: a PNG as data URL, with a row for each clip and a column for each frame."""

    num_frames: int
    height: int
    width: int
    fps: float
    sheet: str


class ClipFacts(BaseModel):
    """What is known of a clip."""

    caption: str
    facts: dict[str, str]


class ClipWall(Sheet):
    """Some clips of a source."""

    total: int
    clips: list[ClipFacts]


class LeftOut(BaseModel):
    """A clip that no training would see."""

    name: str
    status: str
    reason: str


class FolderCheck(BaseModel):
    """What will happen to the clips of a folder."""

    layout: str
    total: int
    counts: dict[str, int]
    remedies: dict[str, str]
    left_out: list[LeftOut]


class Duel(Sheet):
    """Real clips, then generated ones of the same captions, and the discriminator's scores."""

    captions: list[str]
    scores: dict[str, list[float]]
    """Of "real" clips, of "generated" ones, and, where there are several captions, of real ones
    beside an "other" caption."""


class RecipeCard(BaseModel):
    """A recipe."""

    name: str
    about: str
    source: str
    family: str


class RecipeList(BaseModel):
    """All of them."""

    data: list[RecipeCard]


class TrainRequest(BaseModel):
    """What to train."""

    recipe: Text
    minutes: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    folder: Text | None = None
    """The name of a folder to learn from."""


@dataclass(frozen=True)
class Studio:
    """What the page may look into and do."""

    folders: tuple[Path, ...] = ()
    """Of clips, digits or sheets."""
    runs: Path = Path("runs")
    trains: bool = False
    """Whether trainings may be started, paused and ended."""


@dataclass
class _Shared:
    studio: Studio
    errands: Errands = field(default_factory=Errands)

    def __post_init__(self) -> None:
        self.trainings = Trainings(self.studio.runs)

    def folder(self, name: str) -> Path:
        for place in self.studio.folders:
            if _name(place) == name:
                return place
        raise Wrong(
            "There is no such folder.",
            "Start the service with --folder PATH for each that it may look into.",
            param="folder",
            code="not_found",
            status=404,
        )

    def may_train(self) -> None:
        if not self.studio.trains:
            raise Wrong(
                "Trainings are not started from here.",
                "Start the service with --training.",
                code="no_training",
                status=403,
            )


def add_pages(app: FastAPI, studio: Studio, model: Callable[[str], Known]) -> None:
    """Add the routes; ``model`` finds one by its name, or raises Wrong."""
    shared = _Shared(studio)
    _add_data(app, shared)
    _add_trainings(app, shared)

    @app.get("/v1/models/{id}/duel", responses=_BUSY)
    async def duel(
        name: Annotated[Name, PathParam(alias="id")],
        seed: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
    ) -> Duel:
        """How a GAN's discriminator scores real and generated clips."""
        known = await asyncio.to_thread(model, name)
        folder, written = str(known.folder.resolve()), known.written_at
        told: dict[str, Any] = {"folder": folder, "written_at": written}
        told["folders"] = [str(place.resolve()) for place in studio.folders]
        told |= {"count": _DUELS, "seed": seed}
        return Duel(**await shared.errands.run("duel", **told))


def _add_data(app: FastAPI, shared: _Shared) -> None:
    @app.get("/v1/sources", responses=_BUSY)
    async def sources() -> SourceList:
        """Where clips come from."""
        found = await shared.errands.run("sources")
        return SourceList(data=found, folders=[_name(place) for place in shared.studio.folders])

    @app.get("/v1/sources/{id}/clips", responses=_BUSY)
    async def clips(
        name: Annotated[Name, PathParam(alias="id")],
        folder: Annotated[Text | None, Query(max_length=200)] = None,
        split: Literal["train", "held-out"] | None = None,
        first: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
        count: Annotated[int, Query(ge=1, le=24)] = 12,
        seed: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
    ) -> ClipWall:
        """Some clips of a source."""
        known = await shared.errands.run("sources")
        if name not in [source["name"] for source in known]:
            raise Wrong("There is no such source.", param="id", code="not_found", status=404)
        path = None if folder is None else str(shared.folder(folder).resolve())
        told: dict[str, Any] = {"path": path, "split": split, "first": first}
        told |= {"count": count, "seed": seed}
        return ClipWall(**await shared.errands.run("clips", source=name, **told))

    @app.get("/v1/folders/{id}/check", responses=_BUSY)
    async def check(name: Annotated[Name, PathParam(alias="id")]) -> FolderCheck:
        """What will happen to the clips of a folder."""
        path = str(shared.folder(name).resolve())
        run = shared.errands.run("check", path=path, seconds=_CHECK_SECONDS, anew=True)
        return FolderCheck(**await run)


def _add_trainings(app: FastAPI, shared: _Shared) -> None:
    trainings = shared.trainings

    @app.get("/v1/recipes")
    def recipes() -> RecipeList:
        """What can be trained."""
        return RecipeList(data=_recipes())

    @app.get("/v1/runs")
    def runs() -> RunList:
        """All trainings, the newest first."""
        return RunList(data=trainings.all(), trains=shared.studio.trains)

    @app.post("/v1/runs", responses=_BUSY)
    def start(asked: TrainRequest) -> RunCard:
        """Start a training; one at a time."""
        shared.may_train()
        if asked.recipe not in RECIPES:
            raise Wrong("There is no such recipe.", param="recipe", code="not_found", status=404)
        words = ["--seed", str(asked.seed), "--minutes", f"{asked.minutes:g}"]
        if asked.folder is not None:
            words += ["--data.path", str(shared.folder(asked.folder).resolve())]
        return _asked(trainings.start, asked.recipe, words)

    @app.get("/v1/runs/{id}")
    def run(name: Annotated[Name, PathParam(alias="id")]) -> RunDetail:
        """All that is known of one."""
        return _asked(trainings.one, name)

    @app.get("/v1/runs/{id}/samples/{step}", responses=_WEBP, response_class=Response)
    def samples(
        name: Annotated[Name, PathParam(alias="id")],
        step: Annotated[int, PathParam(ge=0, lt=1 << 31)],
    ) -> Response:
        """The clips of a check, playing."""
        return Response(_asked(trainings.sheet, name, step), media_type="image/webp")

    @app.post("/v1/runs/{id}/{action}")
    def change(
        name: Annotated[Name, PathParam(alias="id")],
        action: Literal["pause", "resume", "stop"],
    ) -> RunCard:
        """Let one end with a checkpoint, to go on later or for good; or go on."""
        shared.may_train()
        if action == "resume":
            return _asked(trainings.resume, name)
        return _asked(trainings.end, name, action == "stop")


def _asked(ask: Callable[..., Answer], *told: object) -> Answer:
    """What it gives. Raises Wrong where there is no such thing, or it is not as one thought."""
    try:
        return ask(*told)
    except NoSuchRun as error:
        raise Wrong(error.cause, error.remedy, code="not_found", status=404) from error
    except RequestError as error:
        raise Wrong(error.cause, error.remedy, code="conflict", status=409) from error


def _recipes() -> list[RecipeCard]:
    from kineograph.apps.commands.looking import recipes

    found: Sequence[dict[str, Any]] = recipes().data["recipes"]
    return [RecipeCard(**each) for each in found]


def _name(place: Path) -> str:
    return place.resolve().name


_BUSY: dict[int | str, dict[str, Any]] = {503: {"model": ErrorAnswer}}
_WEBP: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}},
        "description": "An animation.",
    }
}
