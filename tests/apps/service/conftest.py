from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from kineograph import api, recipes
from kineograph.apps.service.guard import Guarded
from kineograph.apps.service.server import Service, make_app
from kineograph.core import config

TOY: dict[str, dict[str, int]] = {
    "data": {"num_frames": 4, "height": 16, "width": 16},
    "model": {"width": 16, "drawing_width": 8},
    "training": {"steps": 2, "batch_size": 4, "evaluate_every": 0},
}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each family that makes clips, "flow" the newest."""
    folder = tmp_path_factory.mktemp("models")
    guided = {"model": {"guidance": 1.5}}
    for name, recipe, own in (("gan", "tutorial-gan", {}), ("flow", "tutorial", guided)):
        api.train(recipes.resolve(recipe, config.merge(TOY, own)), folder / name)
    return folder


@pytest.fixture
def serve(
    models: Path, tmp_path: Path
) -> Callable[..., contextlib.AbstractContextManager[TestClient]]:
    """A service with its workers, or without, in a folder of its own; a client that asks it."""

    @contextlib.contextmanager
    def serve(
        *, workers: int = 1, base_url: str = "http://127.0.0.1:8000", **told: Any
    ) -> Iterator[TestClient]:
        guarded = told.pop("guarded", Guarded(("127.0.0.1:8000",)))
        service = Service(str(tmp_path / "kept"), (models,), guarded, workers=workers, **told)
        with TestClient(make_app(service), base_url, raise_server_exceptions=False) as client:
            yield client

    return serve


@dataclass(frozen=True)
class Running:
    """A `kineograph serve` in a process of its own."""

    process: subprocess.Popen[bytes]
    address: str

    def ready(self, within: float = 60.0) -> None:
        """Wait until it would make a clip."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            assert self.process.poll() is None, "it ended"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"nothing answers at {self.address}")

    def workers(self) -> list[int]:
        """Process ids."""
        told = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in told.stdout.split()]


@pytest.fixture
def running(models: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a server as a user does, with more words and variables of its environment, as often as
    one likes on the same folder; all that still live are ended by Ctrl-C."""
    started: list[Running] = []

    def start(*words: str, runs: Path = models, **environment: str) -> Running:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        command = [sys.executable, "-m", "kineograph", "serve", "--port", str(port), *words]
        command += ["--model", str(runs), "--data", str(tmp_path / "kept")]
        process = subprocess.Popen(command, env=os.environ | environment)
        started.append(Running(process, f"http://127.0.0.1:{port}"))
        started[-1].ready()
        return started[-1]

    yield start
    alive = [each.process for each in started if each.process.poll() is None]
    for process in alive:
        process.send_signal(signal.SIGINT)
    assert [process.wait(30) for process in alive] == [0] * len(alive)


# ---- PostgreSQL --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes a new database in a server of its own; => its address. Skips where there is none."""
    psycopg = pytest.importorskip("psycopg", reason="the extra is not installed")
    places = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    initdb = shutil.which("initdb") or (str(max(places)) if places else None)
    if not initdb:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the path of a socket is short
        as_user: dict[str, Any] = {}
        if os.getuid() == 0:  # as which the server refuses to run
            as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        command = [initdb, "-D", data, "-U", "tester", "-A", "trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user)
        command = [str(Path(initdb).with_name("postgres")), "-D", data, "-k", folder]
        command += ["-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/", **as_user)
        address = f"postgresql://tester@/{{}}?host={folder}"
        numbers = itertools.count()

        def make() -> str:
            name = f"queue{next(numbers)}"
            with psycopg.connect(address.format("postgres"), autocommit=True) as to:
                to.execute(f"CREATE DATABASE {name}")
            return address.format(name)

        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(address.format("postgres")).close()
                    break
                time.sleep(0.1)
            yield make
        finally:
            server.send_signal(signal.SIGINT)  # ends at once, whoever is connected
            server.wait(30)
