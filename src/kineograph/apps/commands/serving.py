"""Serving: the HTTP service, for programs and for the studio."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from kineograph.apps import terminal
from kineograph.apps.commands.runs import RUNS
from kineograph.core.errors import RequestError, in_short

if TYPE_CHECKING:
    from fastapi import FastAPI

KEY_VARIABLE = "KINEOGRAPH_API_KEY"
DATABASE_VARIABLE = "KINEOGRAPH_DATABASE"
_SHORTEST_KEY = 16  # characters; a shorter one can be guessed
_MOST_AT_ONCE = 64  # which a pipeline makes in one pass
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def serve(
    *,
    model: tuple[Path, ...] = (),
    folder: tuple[Path, ...] = (),
    data: Path = Path("service"),
    host: str = "127.0.0.1",
    port: int = 8000,
    name: tuple[str, ...] = (),
    api_key_file: Path | None = None,
    workers: int = 1,
    at_once: int = 16,
    queue: int = 256,
    keep_days: float = 30.0,
    keep_gigabytes: float = 4.0,
    training: bool = False,
    browser: bool = False,
) -> int:
    """Serve the models: a page to make clips with, and OpenAI's videos protocol for programs.

    Args:
        model: Models, runs, or folders of runs; new ones are found while it serves. New trainings
            go into the first folder of runs. By default runs, and the models that come with
            Kineograph.
        folder: Folders of clips, digits or sprite sheets to look into and to train on, from the
            page.
        data: A folder for all that it keeps: jobs and what was made. Several machines that serve
            one queue keep it in PostgreSQL, whose address is in KINEOGRAPH_DATABASE.
        host: The address to listen at. Any but this machine's own needs an API key.
        port: The port to listen at.
        name: Further host names by which it is called, such as that of a proxy.
        api_key_file: A file of API keys, one a line, instead of KINEOGRAPH_API_KEY.
        workers: Processes that make clips.
        at_once: Clips of one kind that a worker makes together.
        queue: Jobs that may wait; more are told to come again.
        keep_days: Days after which a clip goes, unless it is a favourite.
        keep_gigabytes: Of clips that are kept; beyond, the oldest go.
        training: Let trainings be started from the page, even where others than this machine's own
            users can reach it, by --host or --name; that needs an API key.
        browser: Open the page in a browser.
    """
    keys = _keys(api_key_file)
    if not _is_local(host) and not keys:
        raise RequestError(
            f"{host} can be reached from other machines, and there is no API key.",
            f"Set {KEY_VARIABLE}, or --api-key-file, or leave --host away.",
        )
    if name and training and not keys:  # whoever reaches a proxy may not be somebody known
        raise RequestError(
            "Others may start trainings, by --name and --training, and there is no API key.",
            f"Set {KEY_VARIABLE}, or --api-key-file, or leave --training away.",
        )
    for setting, value in {"workers": workers, "at_once": at_once, "queue": queue}.items():
        if value < 1:
            raise RequestError(
                f"--{setting.replace('_', '-')} is {value}.", "It must be 1 or more."
            )
    if at_once > _MOST_AT_ONCE:
        raise RequestError(f"--at-once is {at_once}.", f"It must be {_MOST_AT_ONCE} or less.")
    for place in folder:
        if not place.exists():
            raise RequestError(f"There is no folder {place}.", "Name one that is there.")
    if len({place.resolve().name for place in folder}) < len(folder):
        raise RequestError("Two folders have the same name.", "Give one of them another.")
    from kineograph.apps.service.guard import Guarded
    from kineograph.apps.service.jobs import Limits
    from kineograph.apps.service.logs import log_as_json
    from kineograph.apps.service.models import is_run
    from kineograph.apps.service.pages import Studio
    from kineograph.apps.service.server import Service, make_app
    from kineograph.models import bundled

    listening = _listening(host, port)
    port = listening.getsockname()[1]  # of 0 the system makes one that is free
    called = [*_LOCAL, *name, f"[{host}]" if ":" in host else host]
    hosts = [*called, *(f"{each}:{port}" for each in called)]
    places = tuple(bundled.place(each) for each in model or (RUNS, *bundled.NAMES))
    runs = next((place for place in places if not is_run(place)), None)
    limits = Limits(queued=queue, seconds=keep_days * 86_400, bytes=int(keep_gigabytes * (1 << 30)))
    app = make_app(
        Service(
            jobs=os.environ.get(DATABASE_VARIABLE) or str(data),
            models=places,
            guarded=Guarded(hosts, keys),
            workers=workers,
            at_once=at_once,
            limits=limits,
            studio=Studio(
                folders=tuple(folder),
                runs=runs or RUNS,
                trains=runs is not None and (training or (_is_local(host) and not name)),
            ),
        )
    )
    log_as_json()
    page = f"http://{called[-1]}:{port}/"
    terminal.say(f"The studio: {page}  For programs: {page}v1  Ctrl-C ends it.")
    _run(app, listening, page if browser else None)
    return 0


def studio(
    *,
    model: tuple[Path, ...] = (),
    folder: tuple[Path, ...] = (),
    data: Path = Path("service"),
    port: int = 8000,
) -> int:
    """Open the page on which prompts become clips, in a browser.

    Args:
        model: Models, runs, or folders of runs; new ones are found meanwhile. New trainings go into
            the first folder of runs. By default runs, and the models that come with Kineograph.
        folder: Folders of clips, digits or sprite sheets to look into and to train on.
        data: A folder for all that it keeps.
        port: The port to listen at.
    """
    return serve(model=model, folder=folder, data=data, port=port, browser=True)


def _run(app: FastAPI, listening: socket.socket, page: str | None) -> None:
    """Until Ctrl-C or SIGTERM; both are a good end."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn does, but without raising them again in the end."""
            numbers = (signal.SIGINT, signal.SIGTERM)
            before = {number: signal.signal(number, self.handle_exit) for number in numbers}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if page:
                # A browser of the terminal may not return before it is closed.
                threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.of.ending = True  # who follows a job hears no more, and lets go
            super().handle_exit(sig, frame)

    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=1 << 16,
    )
    Server(settings).run([listening])


def _listening(host: str, port: int) -> socket.socket:
    """Raises RequestError where nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only where it is said that this is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise RequestError(
            f"Nothing can listen at {host}:{port}: {in_short(error)}.", "Choose another --port."
        ) from error
    return listening


def _keys(file: Path | None) -> list[str]:
    from kineograph.core.files import translate_os_errors

    told = os.environ.get(KEY_VARIABLE, "")
    if file is not None:
        with translate_os_errors(file):
            told = file.read_text(encoding="utf-8")
    keys = [line.strip() for line in told.splitlines() if line.strip()]
    if file is not None and not keys:
        raise RequestError(f"{file} holds no key.", "Write one into it, a line each.")
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise RequestError(
            "An API key is too short.", f"Use {_SHORTEST_KEY} characters or more, drawn at random."
        )
    return keys


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
