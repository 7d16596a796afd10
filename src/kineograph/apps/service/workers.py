"""The workers of a server: started, called, watched, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kineograph.apps.service.queue import LEASE, Jobs
from kineograph.core.errors import KineographError

log = logging.getLogger("kineograph.workers")

_LOOK = 0.2  # seconds between two looks at whether they live
_LOOKS_A_TEND = 5
_CALM = 10.0  # seconds that one has to live before it is started again without a wait
_LONGEST_WAIT = 30.0
_PATIENCE = LEASE / 4 + 1  # seconds with one that is silent: before its lease ends, it is gone


@dataclass(frozen=True)
class Orders:
    """What a worker is told when it starts."""

    owner: str
    jobs: str
    """Where the queue is; see `opened`."""
    models: Sequence[str]
    """Where models are; see `Models`."""
    at_once: int = 16
    """Jobs of one kind that are made together."""


@dataclass
class _One:
    owner: str
    process: subprocess.Popen[bytes]
    started: float


class Workers:
    """As many processes as are wanted, each of which takes jobs from the queue.

    One that dies is started again, and what it held is queued again at once, as its end is seen
    here; only where this process dies, too, do its leases have to run out.
    """

    def __init__(
        self, jobs: Jobs, place: str, models: Sequence[str], count: int, at_once: int
    ) -> None:
        self.jobs, self.place, self.models = jobs, place, models
        self.count, self.at_once = count, at_once
        self._all: list[_One] = []
        self._restarts = 0
        self._wait_until = 0.0
        self._silent: dict[str, float] = {}
        """Since when."""
        self._ending = False

    @property
    def alive(self) -> int:
        """How many live now."""
        return sum(one.process.poll() is None for one in self._all)

    @property
    def restarts(self) -> int:
        """How often one had to be started again."""
        return self._restarts

    def call(self) -> None:
        """Tell them that there may be a job."""
        for one in self._all:
            with contextlib.suppress(OSError):
                assert one.process.stdin
                one.process.stdin.write(b"\n")

    async def run(self) -> None:
        """Keep them alive, and the queue in order, until cancelled; then end them."""
        try:
            for look in itertools.count():
                try:
                    await asyncio.to_thread(self._look, look % _LOOKS_A_TEND == 0)
                except KineographError as error:  # such as a database that is away for a while
                    log.error("queue", extra={"error": str(error)})
                except Exception:  # without anybody to see to the workers no job would be made
                    log.exception("workers")
                await asyncio.sleep(_LOOK)
        finally:
            self._ending = True
            await asyncio.to_thread(self.end)

    def _look(self, tend: bool) -> None:
        """Start what lacks; see to the queue, too, if it is time to ``tend`` it."""
        if tend:
            self._end_stuck()
            self.jobs.tend()
        if self._ending:
            return
        for one in [one for one in self._all if one.process.poll() is not None]:
            self._all.remove(one)
            self._restarts += 1
            log.error("worker ended", extra={"owner": one.owner, "code": one.process.returncode})
            if time.monotonic() < one.started + _CALM:
                wait = min(2.0 ** min(self._restarts, 5), _LONGEST_WAIT)
                self._wait_until = time.monotonic() + wait
            self.jobs.lost(one.owner)
        while (
            not self._ending
            and len(self._all) < self.count
            and time.monotonic() >= self._wait_until
        ):
            self._all.append(self._started())

    def _end_stuck(self) -> None:
        """Kill those that have been silent for long, and would stay so.

        Not at the first sight: a machine that slept has silent ones, too.
        """
        now, silent = time.monotonic(), self.jobs.overdue()
        self._silent = {
            one.owner: self._silent.get(one.owner, now) for one in self._all if one.owner in silent
        }
        for one in self._all:
            if now > self._silent.get(one.owner, now) + _PATIENCE:
                log.error("worker is stuck", extra={"owner": one.owner})
                one.process.kill()

    def _started(self) -> _One:
        owner = f"worker-{secrets.token_hex(6)}"
        orders = Orders(owner, self.place, list(self.models), self.at_once)
        command = [sys.executable, "-P", "-m", "kineograph.apps.service.worker"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        assert process.stdin
        # Not as an argument: the address of a database has a password, and `ps` shows arguments.
        process.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
        os.set_blocking(process.stdin.fileno(), False)  # nobody waits for one that does not listen
        return _One(owner, process, time.monotonic())

    def end(self, patience: float = 10.0) -> None:
        """Tell all to end, which queue again what they have not made; kill who does not listen."""
        for one in self._all:
            with contextlib.suppress(OSError):
                one.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + patience
        for one in self._all:
            try:
                one.process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
                self.jobs.lost(one.owner)
        self._all.clear()
