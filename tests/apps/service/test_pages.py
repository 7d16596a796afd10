"""What the studio asks beyond the videos protocol: data, trainings, explanations."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kineograph import api, recipes
from kineograph.apps.service import errand
from kineograph.apps.service.asking import Wrong
from kineograph.apps.service.errands import Errands
from kineograph.apps.service.models import Models
from kineograph.apps.service.pages import Studio
from kineograph.apps.service.trainings import NoSuchRun, Trainings
from kineograph.core.errors import RequestError
from kineograph.core.files import holder, locked
from kineograph.data.folder.video_folder import write_video_folder
from kineograph.data.sources.tutorial import Config, Source
from kineograph.models import bundled
from kineograph.training import run_folder

Serve = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of a person's own, one of which no training would see."""
    source = Source(Config(num_frames=10, height=32, width=32))
    place = tmp_path / "my clips"
    write_video_folder((source.clip(index, 0) for index in range(3)), place, "webp")
    broken = sorted(place.glob("*.webp"))[0]
    broken.write_bytes(b"no picture")
    return place


@pytest.fixture
def runs(models: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to change."""
    return Path(shutil.copytree(models, tmp_path / "runs"))


def wall(told: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(told["sheet"].partition(",")[2])))


# ---- data --------------------------------------------------------------------------------------


def test_a_wall_of_clips_with_what_is_known_of_them(serve: Serve) -> None:
    with serve(workers=0) as client:
        sources = client.get("/v1/sources").json()
        told = client.get("/v1/sources/shapes/clips?split=held-out&first=5&count=3").json()
    cards = {each["name"]: each for each in sources["data"]}
    assert cards["shapes"]["splits"]
    assert cards["folder"]["needs_folder"]
    assert cards["digits"]["takes_folder"]
    assert len(told["clips"]) == 3
    assert told["total"] == 1_000_000
    assert told["clips"][0]["facts"]["background"]
    assert wall(told).size == (told["num_frames"] * 64, 3 * 64)


def test_a_wall_ends_where_the_clips_do(serve: Serve, folder: Path) -> None:
    with serve(workers=0, studio=Studio(folders=(folder,))) as client:
        asked = "/v1/sources/folder/clips?folder=my%20clips&first={}"
        assert len(client.get(asked.format(1)).json()["clips"]) == 1
        assert client.get(asked.format(9)).json()["clips"] == []


@pytest.mark.parametrize("bomb", [False, True])
def test_a_folder_is_checked(serve: Serve, folder: Path, bomb: bool) -> None:
    if bomb:  # some kilobytes, that say of themselves that they are 400 million pixels
        broken = sorted(folder.glob("*.webp"))[0]
        Image.new("1", (20_000, 20_000)).save(broken, "PNG")
        assert broken.stat().st_size < 100_000
    with serve(workers=0, studio=Studio(folders=(folder,))) as client:
        assert client.get("/v1/sources").json()["folders"] == ["my clips"]
        told = client.get("/v1/folders/my%20clips/check").json()
    assert told["total"] == 3
    assert told["counts"]["used"] == 2
    assert told["left_out"][0]["status"] == "broken"
    assert "convert it" in told["remedies"]["broken"]


@pytest.mark.parametrize(
    "asked",
    [
        "/v1/folders/etc/check",
        "/v1/folders/%2e%2e/check",
        "/v1/folders/%2Fetc/check",
        "/v1/sources/folder/clips?folder=/etc",
        "/v1/sources/folder/clips?folder=..",
        "/v1/sources/mine.py/clips",
        "/v1/sources/%2Ftmp%2Fmine.py/clips",
        "/v1/runs/%2e%2e",
        "/v1/runs/model",
        "/v1/runs/%2Fetc",
        "/v1/runs/flow/samples/3",
        "/v1/runs/%2e/samples/0",
        "/v1/models/nobody/duel",
    ],
)
def test_nothing_but_what_it_was_started_with_is_opened(
    serve: Serve, folder: Path, models: Path, asked: str
) -> None:
    with serve(workers=0, studio=Studio(folders=(folder,), runs=models)) as client:
        answer = client.get(asked)
    assert answer.status_code == 404, answer.text
    assert answer.json()["error"]["message"]


def test_what_cannot_be_opened_is_said(serve: Serve) -> None:
    with serve(workers=0) as client:
        answer = client.get("/v1/sources/folder/clips")
        split = client.get("/v1/sources/tutorial/clips?split=train")
    assert answer.status_code == split.status_code == 422
    assert "no split" in split.json()["error"]["message"]


# ---- errands -----------------------------------------------------------------------------------


def test_an_errand_that_takes_long_is_ended() -> None:
    with pytest.raises(Wrong, match=r"more than 0\.01 s"):
        asyncio.run(Errands().run("sources", seconds=0.01))


def test_an_errand_that_dies_takes_nobody_along() -> None:
    with pytest.raises(Wrong, match="failed"):
        asyncio.run(Errands().run("no such task"))


def test_few_errands_wait_and_what_is_known_is_not_looked_at_again() -> None:
    async def ask() -> list[Any]:
        errands = Errands()
        asked = {"source": "tutorial", "path": None, "split": None, "first": 0, "count": 1}
        many = [errands.run("clips", **asked, seed=seed) for seed in range(9)]
        found = await asyncio.gather(*many, return_exceptions=True)
        started = time.monotonic()
        await errands.run("clips", **asked, seed=0)
        assert time.monotonic() - started < 0.05  # it takes a process some tenths to start
        return found

    found = asyncio.run(ask())
    assert [getattr(each, "status", None) for each in found] == [None] * 8 + [503]


# ---- the duel ----------------------------------------------------------------------------------


def test_scores_of_a_duel(serve: Serve) -> None:
    with serve(workers=0) as client:
        told = client.get("/v1/models/gan/duel?seed=1").json()
        again = client.get("/v1/models/gan/duel?seed=1").json()
        flow = client.get("/v1/models/flow/duel")
    count = len(told["captions"])
    assert {name: len(scores) for name, scores in told["scores"].items()} == dict.fromkeys(
        ("real", "generated", "other"), count
    )
    assert told["scores"]["real"] != told["scores"]["generated"]
    assert told == again
    assert wall(told).height == 2 * count * told["height"]
    assert flow.status_code == 422
    assert "no discriminator" in flow.json()["error"]["message"]


def test_a_duel_shows_only_folders_that_may_be_looked_into(folder: Path, tmp_path: Path) -> None:
    told = {
        "data": {"source": "folder", "path": str(folder), "height": 16, "width": 16},
        "model": {"width": 16, "drawing_width": 8},
        "training": {"steps": 2, "batch_size": 2, "evaluate_every": 0},
    }
    api.train(recipes.resolve("tutorial-gan", told), tmp_path / "own")
    asked = str(tmp_path / "own"), 0.0
    with pytest.raises(RequestError, match="not to be looked into"):
        errand.duel(*asked, [str(tmp_path)], 2, 0)
    assert errand.duel(*asked, [str(folder)], 2, 0)["scores"]["real"]


# ---- trainings ---------------------------------------------------------------------------------


def test_runs_are_told(serve: Serve, models: Path) -> None:
    with serve(workers=0, studio=Studio(runs=models)) as client:
        listed = client.get("/v1/runs").json()
        told = client.get("/v1/runs/flow").json()
    assert listed["trains"] is False
    assert [run["id"] for run in listed["data"]] == ["flow", "gan"]
    assert told["state"] == "finished"
    assert told["steps"] == 2
    assert told["curves"]["autoencoder.total"]["steps"] == [1]
    assert "family = " in told["settings"]


def test_what_it_learned_is_told_thinly(runs: Path) -> None:
    rows = [
        {"step": step, "loss.total": float(step)}
        | ({"accuracy": 0.5, "accuracies": {"a": 0.25, "b": 0.75}} if step % 5 == 0 else {})
        for step in range(1, 1001)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (runs / "flow" / "metrics.jsonl").write_text(text)
    (runs / "flow" / "samples" / "step-001000.webp").write_bytes(b"RIFF")
    told = Trainings(runs).one("flow")
    curve = told.curves["loss.total"]
    assert len(curve.steps) == 250
    assert curve.steps[-1] == 1000
    assert curve.values[0] == 2.5
    assert len(told.checks) == 40
    assert told.checks[-1].step == 1000
    assert [check.sheet for check in told.checks] == [False] * 39 + [True]
    assert Trainings(runs).sheet("flow", 1000) == b"RIFF"
    with pytest.raises(NoSuchRun):
        Trainings(runs).sheet("flow", 995)


def test_trainings_are_started_only_where_they_may_be(serve: Serve, models: Path) -> None:
    with serve(workers=0, studio=Studio(runs=models)) as client:
        started = client.post("/v1/runs", json={"recipe": "tutorial", "minutes": 1})
        stopped = client.post("/v1/runs/flow/stop")
    assert started.status_code == stopped.status_code == 403


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"recipe": "tutorial", "minutes": 0}, 422),
        ({"recipe": "tutorial", "minutes": -1}, 422),
        ({"recipe": "tutorial"}, 422),
        ({"recipe": "nothing", "minutes": 1}, 404),
        ({"recipe": "/tmp/mine.toml", "minutes": 1}, 404),
        ({"recipe": "digits", "minutes": 1, "folder": "/etc"}, 404),
        ({"recipe": "tutorial", "minutes": 1, "seed": -1}, 422),
        ([], 422),
    ],
)
def test_a_training_that_cannot_be_is_refused(
    serve: Serve, tmp_path: Path, asked: Any, status: int
) -> None:
    with serve(workers=0, studio=Studio(runs=tmp_path, trains=True)) as client:
        answer = client.post("/v1/runs", json=asked)
        assert client.get("/v1/runs").json()["data"] == []
    assert answer.status_code == status, answer.text
    assert "error" in answer.json()


def test_one_that_is_under_way_is_not_disturbed(serve: Serve, runs: Path) -> None:
    """Nor is one that has ended gone on with."""
    with serve(workers=0, studio=Studio(runs=runs, trains=True)) as client, locked(runs / "gan"):
        assert client.get("/v1/runs/gan").json()["state"] == "running"
        beside = client.post("/v1/runs", json={"recipe": "tutorial", "minutes": 1})
        ended = client.post("/v1/runs/flow/resume")
        paused = client.post("/v1/runs/flow/pause")
    assert beside.status_code == ended.status_code == paused.status_code == 409
    assert "gan is being trained" in beside.json()["error"]["message"]


def test_who_trains_a_run_is_known(runs: Path) -> None:
    assert holder(runs / "gan") is None
    with locked(runs / "gan"):
        assert holder(runs / "gan") == os.getpid()
    (runs / "gan" / ".lock").write_text("1 another machine")
    assert holder(runs / "gan") is None


def test_one_that_waits_can_be_stopped_for_good(runs: Path) -> None:
    trainings = Trainings(runs)
    with pytest.raises(RequestError, match="flow is finished"):
        trainings.end("flow", for_good=True)
    settings = runs / "flow" / "config.toml"
    settings.write_text(settings.read_text().replace("steps = 2", "steps = 9", 1))
    assert run_folder.told(runs / "flow").state == "unfinished"
    card = trainings.end("flow", for_good=True)
    assert card.state == "stopped"
    assert run_folder.told(runs / "flow").resume_command is None
    assert [card.state for card in trainings.all() if card.id == "flow"] == ["stopped"]
    run_folder.go_on(runs / "flow")
    assert trainings.one("flow").state == "unfinished"


def test_a_model_is_asked_for_while_it_learns(runs: Path) -> None:
    """By its run's name; whoever names none gets one that has learned."""
    last = runs / "gan" / "snapshots" / "step-000050"
    shutil.copytree(runs / "gan" / "model", runs / "gan" / "snapshots" / "step-000025")
    shutil.copytree(runs / "gan" / "model", last)
    models = Models([runs])
    assert [(known.name, known.learns) for known in models.all()] == [
        ("flow", False),
        ("gan", True),
    ]
    assert models.named("gan").folder == last
    assert models.named(None).name == "flow"
    assert Models([runs / "gan"]).named(None).folder == last
    box = [bundled.FOLDER / name for name in bundled.NAMES]
    assert [known.name for known in Models([*box, runs]).all()] == ["flow", *bundled.NAMES, "gan"]


def test_numbers_that_are_none_are_left_out(runs: Path) -> None:
    rows = '{"step": 1, "a.total": NaN}\n{"step": 2, "a.total": 0.5}\n{"step": 3, "b.total": NaN}\n'
    (runs / "flow" / "metrics.jsonl").write_text(rows)
    curves = Trainings(runs).one("flow").curves
    assert {name: curve.values for name, curve in curves.items()} == {"a.total": [0.5]}


def test_the_log_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "digits-1.log").write_text("mine")
    (tmp_path / "digits-2").mkdir()
    trainings = Trainings(tmp_path)
    started = trainings.start("digits", ["--data.path", str(tmp_path / "none")])
    assert started.id == "digits-3"
    until_ended = time.monotonic() + 60
    while trainings.one("digits-3").state == "starting" and time.monotonic() < until_ended:
        time.sleep(0.1)
    assert trainings.one("digits-3").fault
    assert (tmp_path / "digits-1.log").read_text() == "mine"


def test_one_that_did_not_start_says_why(serve: Serve, tmp_path: Path) -> None:
    """The recipe needs a folder of sheets."""
    with serve(workers=0, studio=Studio(runs=tmp_path / "new", trains=True)) as client:
        started = client.post("/v1/runs", json={"recipe": "sprites", "minutes": 1}).json()
        assert started["state"] == "starting"
        told = until(client, started["id"], lambda run: run["state"] != "starting")
        assert told["state"] == "damaged"
        assert "data.path" in told["fault"]
        assert client.get("/v1/runs").json()["data"][0]["id"] == "sprites-1"


def until(
    client: TestClient, name: str, wanted: Callable[[Any], bool], within: float = 120
) -> dict[str, Any]:
    """Wait until a run is as ``wanted``."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        told: dict[str, Any] = client.get(f"/v1/runs/{name}").json()
        if wanted(told):
            return told
        time.sleep(0.2)
    raise AssertionError(told)


@pytest.fixture
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """A training outlives the server; not this test."""
    yield
    for run in (tmp_path / "new").glob("*/"):
        if holder(run):
            run_folder.pause(run)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_left")
def test_from_the_start_of_a_training_to_its_end(serve: Serve, tmp_path: Path) -> None:
    """It is paused, goes on where another server asks for it, and is ended."""
    studio = Studio(runs=tmp_path / "new", trains=True)
    with serve(workers=0, studio=studio) as client:
        asked = {"recipe": "tutorial-gan", "minutes": 30, "seed": 3}
        started = client.post("/v1/runs", json=asked).json()
        assert client.post("/v1/runs", json=asked).status_code == 409
        name = started["id"]
        until(client, name, lambda run: run["steps"] >= 2)
        first = client.post(f"/v1/runs/{name}/pause").json()
        for _ in range(3):  # which does not end it at once
            second = client.post(f"/v1/runs/{name}/pause").json()
        assert first["state"] == second["state"] == "pausing"
        paused = until(client, name, lambda run: run["state"] != "pausing")
        assert paused["state"] == "unfinished"
        assert paused["fault"] is None
        assert paused["has_model"]
    with serve(workers=0, studio=studio) as client:
        assert client.post(f"/v1/runs/{name}/resume").status_code == 200
        until(client, name, lambda run: run["steps"] > paused["steps"])
        client.post(f"/v1/runs/{name}/stop")
        ended = until(client, name, lambda run: run["state"] not in ("pausing", "running"))
        assert ended["state"] == "stopped"
        assert ended["steps"] > paused["steps"]
        assert ended["settings"].count("seed = 3") == 1
