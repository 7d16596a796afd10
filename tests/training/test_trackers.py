"""With the real packages, offline: what each has stored is read back."""

from __future__ import annotations

import importlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kineograph.core.errors import RequestError
from kineograph.models.base import VideoModel
from kineograph.training import trackers
from kineograph.training.distributed import World
from kineograph.training.loop import Hooks, Status, Trainer
from kineograph.training.metrics_log import read_metrics
from kineograph.training.settings import TrainingConfig
from kineograph.training.trackers import Tracker, numbers

Make = Callable[..., Trainer]
Rows = list[dict[str, Any]]
PROMPT = "circle moving up-right"


def judged(model: VideoModel, step: int) -> dict[str, float]:
    return {PROMPT: 1 - step / 10}  # no later check is the best, whose step would be kept


def followed_twice(trainer: Make, folder: Path, *names: str) -> None:
    """Breaks off after step 5, goes on from the checkpoint of step 3, and so logs 4 and 5 again."""

    def crash(status: Status) -> None:
        if status.step == 6:
            raise OSError("the power went")

    settings: dict[str, Any] = {"checkpoint_every": 3, "evaluate_every": 2, "trackers": names}
    with pytest.raises(OSError, match="the power went"):
        trainer(folder, Hooks(progress=crash, check=judged), **settings).run()
    second = trainer(folder, Hooks(check=judged), **settings)
    second.resume()
    assert second.step == 3
    second.run()


def truth(folder: Path) -> Rows:
    """The rows of metrics.jsonl, as a tracker is to have them."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{"step": row["step"], **numbers(row)} for row in rows]


def test_numbers_of_a_check_are_told_by_prompt() -> None:
    row = {"step": 3, "a.total": 0.5, "skipped": 1, "accuracy": 0.2, "accuracies": {PROMPT: 0.2}}
    wanted = {"a.total": 0.5, "skipped": 1, "accuracy": 0.2, f"accuracy/{PROMPT}": 0.2}
    assert numbers(row) == wanted
    assert numbers({"step": 3, "accuracy": None, "accuracies": {}}) == {}


# ---- the real ones -----------------------------------------------------------------------------


def test_tensorboard_shows_every_step_once(trainer: Make, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    followed_twice(trainer, tmp_path, "tensorboard")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found: dict[int, dict[str, float]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            assert name not in found.setdefault(event.step, {})
            found[event.step][name] = event.value
    wanted = truth(tmp_path)
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert found[2][f"accuracy/{PROMPT}"] == pytest.approx(0.8)
    for row in wanted:
        assert found[row.pop("step")] == pytest.approx(row, rel=1e-6)  # it keeps 32 bits


def wandb_history(folder: Path) -> Rows:
    """Of an offline run: records of protocol buffers, in blocks of 32 KiB as LevelDB's log has."""
    records = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    (file,) = folder.glob("*.wandb")
    data, at, whole, rows = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        _, size, kind = struct.unpack_from("<IHB", data, at)
        at += 7 + size
        whole += data[at - size : at]
        if 2**15 - at % 2**15 < 7:  # too little for a header, so left empty
            at += 2**15 - at % 2**15
        if kind in (1, 4):  # a whole record, or the last part of one
            record = records.Record.FromString(whole)
            whole = b""
            if record.HasField("history"):
                items = {"".join(i.nested_key): i for i in record.history.item}
                rows.append({name: json.loads(i.value_json) for name, i in items.items()})
    return [
        {"step": row["_step"]} | {name: x for name, x in row.items() if not name.startswith("_")}
        for row in rows
    ]


def test_wandb_keeps_the_history_offline(
    trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    followed_twice(trainer, tmp_path / "run", "wandb")
    wandb.teardown()  # its process may still be writing; at the end of ours it is waited for
    runs = (tmp_path / "run" / "wandb").glob("offline-run-*")
    first, second = sorted(map(wandb_history, runs), key=lambda rows: rows[0]["step"])
    wanted = truth(tmp_path / "run")
    assert first == wanted[:5]
    assert second == wanted[3:]


@pytest.fixture(scope="module")
def trackio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package, with a store of its own: where that is, it asks when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        store = tmp_path_factory.mktemp("trackio")
        patch.setenv("TRACKIO_DIR", str(store))
        package = pytest.importorskip("trackio", reason="it needs an older pillow than is pinned")
        assert store == package.utils.TRACKIO_DIR
        yield package


def test_trackio_stores_the_rows(
    trackio: Any, trainer: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    followed_twice(trainer, tmp_path / "mine", "trackio")
    read = trackio.sqlite_storage.SQLiteStorage.get_logs
    runs = trackio.Api().runs("kineograph")
    stored = {run.name: read("kineograph", run.name, run_id=run.id) for run in runs}
    found = {
        name: [{key: x for key, x in row.items() if key != "timestamp"} for row in rows]
        for name, rows in stored.items()
    }
    wanted = truth(tmp_path / "mine")
    assert found == {"mine": wanted[:5], "mine from step 3": wanted[3:]}
    assert capsys.readouterr().out == ""


# ---- how a training keeps them -----------------------------------------------------------------


class Spy(Tracker):
    """Remembers what all of its kind were told; breaks where ``breaks`` says."""

    package = "json"  # which is always there
    told: list[Any]
    breaks = ""

    def __init__(self, folder: Path, start: int) -> None:
        self.tell("start", start)

    def tell(self, what: str, step: int = 0) -> None:
        if what == self.breaks:
            raise ConnectionError(f"no network to {what}\nwith")
        self.told.append((what, step))

    def log(self, values: dict[str, float], step: int) -> None:
        self.tell("log", step)

    def close(self) -> None:
        self.tell("close")


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> tuple[type[Spy], type[Spy]]:
    class One(Spy):
        told: list[Any] = []  # noqa: RUF012  # new for every test

    class Other(Spy):
        told: list[Any] = []  # noqa: RUF012

    monkeypatch.setattr(trackers, "TRACKERS", {"one": One, "other": Other})
    return One, Other


STEPS = [("log", step) for step in range(1, 7)]


@pytest.mark.parametrize("where", ["start", "log", "close"])
def test_one_that_fails_is_left_out_and_the_training_goes_on(
    where: str, trainer: Make, tmp_path: Path, spies: tuple[type[Spy], type[Spy]]
) -> None:
    one, other = spies
    one.breaks = where
    said: list[str] = []
    run = trainer(tmp_path, Hooks(say=said.append), trackers=("one", "other"))
    assert run.run() == "finished"
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 6
    assert len(said) == 1
    assert said[0].endswith(
        f"one has failed; the training goes on without it: no network to {where}"
    )
    assert other.told == [("start", 0), *STEPS, ("close", 0)]
    before = {"start": [], "log": [("start", 0)], "close": [("start", 0), *STEPS]}
    assert one.told == before[where]


def test_a_training_that_goes_back_begins_them_anew(
    tmp_path: Path, spies: tuple[type[Spy], type[Spy]]
) -> None:
    one, _ = spies
    with trackers.Trackers(("one", "one"), tmp_path, 2, print) as kept:
        kept.log({"step": 3})
        kept.back_to(1)
        kept.log({"step": 2})
    first = [("start", 2), ("log", 3), ("close", 0)]
    assert one.told == [*first, ("start", 1), ("log", 2), ("close", 0)]


def test_a_training_whose_numbers_break_down_takes_them_back(
    trainer: Make, tmp_path: Path, spies: tuple[type[Spy], type[Spy]]
) -> None:
    one, _ = spies
    run = trainer(tmp_path, steps=8, trackers=("one",))
    for phase in {id(p): p for p in run.model.phases if p.name == "generator"}.values():
        losses = phase.losses

        def bad(batch: Any, losses: Any = losses) -> Any:
            found = losses(batch)
            broken = float("inf") if run.step >= 3 and run.place.rate == 1 else 1.0
            return found | {"total": broken * found["total"]}

        object.__setattr__(phase, "losses", bad)
    assert run.run() == "finished"
    assert [step for what, step in one.told if what == "start"] == [0, 4]
    assert [step for what, step in one.told if what == "log"] == [*range(1, 7), *range(5, 9)]


def test_only_the_process_that_leads_has_them(
    trainer: Make, tmp_path: Path, spies: tuple[type[Spy], type[Spy]]
) -> None:
    run = trainer(tmp_path, trackers=("one",))
    run.world = World(rank=1)
    run.signals.stop = True  # as the first process would say when all is done
    run.run()
    assert spies[0].told == []


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_the_training_is_the_same_with_one(name: str, trainer: Make, tmp_path: Path) -> None:
    pytest.importorskip(name)
    trainer(tmp_path / "with", trackers=(name,)).run()
    trainer(tmp_path / "without").run()
    rows = [(tmp_path / each / "metrics.jsonl").read_bytes() for each in ("with", "without")]
    assert rows[0] == rows[1]


# ---- what is checked before --------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"There is no tracker.*Did you mean \"tensorboard\""):
        TrainingConfig(trackers=("tensorbord",)).check()


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_package_that_is_missing_is_named_before_a_step(
    name: str, monkeypatch: pytest.MonkeyPatch, trainer: Make, tmp_path: Path
) -> None:
    there = importlib.import_module

    def missing(package: str) -> Any:
        if package == trackers.TRACKERS[name].package:
            raise ModuleNotFoundError(package)
        return there(package)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(RequestError, match=rf"pip install 'kineograph\[{name}\]'"):
        trainer(tmp_path, trackers=(name,))
    assert not [*tmp_path.iterdir()]


def test_a_folder_of_that_name_is_no_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spies: tuple[type[Spy], type[Spy]]
) -> None:
    (tmp_path / "left_by_an_offline_run").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(spies[0], "package", "left_by_an_offline_run")
    with pytest.raises(RequestError, match="cannot be imported"):
        TrainingConfig(trackers=("one",)).check()
