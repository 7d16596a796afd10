"""The process that makes clips: takes jobs from the queue, a batch at a time.

It speaks with nobody but the queue. Its standard input tells it that there may be a job (a line),
or that nobody needs it any more (the end of it).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kineograph import api
from kineograph.apps.service import opened
from kineograph.apps.service.contents import ORIGINAL, VIDEO, step_file
from kineograph.apps.service.jobs import Job
from kineograph.apps.service.logs import log_as_json
from kineograph.apps.service.models import Known, Models
from kineograph.apps.service.queue import LEASE
from kineograph.apps.service.workers import Orders
from kineograph.apps.terminal import finite
from kineograph.core import seeds
from kineograph.core.errors import KineographError, MachineError, in_short
from kineograph.data.animation import animation_bytes
from kineograph.data.clip import Clip
from kineograph.data.video_io import video_bytes
from kineograph.evaluation import novelty
from kineograph.evaluation.best_of import best_of
from kineograph.evaluation.verifier import Judge, Verdict
from kineograph.models.base import to_frames
from kineograph.sampling.pipeline import Pipeline

log = logging.getLogger("kineograph.worker")

_MOST_MODELS = 2  # that are held in memory
_ENCODERS = 2  # clips that are encoded at a time; more would keep requests waiting
_NAP = 1.0  # seconds between looks at the queue, where nobody says that there is a job
_GATHER = 0.04  # seconds from such a word to the look: the first of many jobs should not go alone
_RENEW = LEASE / 4
_STUCK = 300.0  # seconds of one step, after which the server ends this process
_SOON = 0.1  # seconds between two looks at whether the jobs under way are still wanted


class _Ending(Exception):
    """It was told to end."""


class _Unwanted(Exception):
    """Nobody wants any job of the batch any more."""


class Worker:
    """Makes what the queue asks for."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.jobs = orders, opened(orders.jobs)
        self.ending = False
        self.called = threading.Event()
        self.models = Models([Path(place) for place in orders.models])
        self._loaded: OrderedDict[Known, tuple[Pipeline, Judge]] = OrderedDict()

    def run(self) -> None:
        """Until it is told to end; what it has not made is then queued again."""
        try:
            while not self.ending:
                self.called.clear()
                batch = self.jobs.claim(self.orders.owner, self.orders.at_once)
                if not batch and not self.ending:
                    if self.called.wait(_NAP):
                        time.sleep(_GATHER)
                elif batch:
                    self._make(batch)
        except _Ending:
            pass
        finally:
            self.jobs.give_back(self.orders.owner)

    def _make(self, batch: Sequence[Job]) -> None:
        try:
            _Batch(self, batch).make()
        except MachineError as error:  # such as a full disk, or a database that is away
            log.error("later", extra={"error": str(error)})
            time.sleep(_NAP)
            self.jobs.give_back(self.orders.owner)

    def end(self) -> None:
        """To be called at any time, from a signal or another thread."""
        self.ending = True
        self.called.set()

    def model(self, name: str) -> tuple[Pipeline, Judge]:
        """A model and who judges it. Raises KineographError where it cannot be opened."""
        known = self.models.named(name)  # as it is now: it may have been trained again
        if known not in self._loaded:
            pipeline = api.load(known.folder.resolve())  # a path, never a name on the Hub
            self._loaded[known] = pipeline, api.judge_of_model(pipeline)
            if len(self._loaded) > _MOST_MODELS:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(known)
        return self._loaded[known]


class _Batch:
    """Jobs of one kind, made together."""

    def __init__(self, worker: Worker, jobs: Sequence[Job]) -> None:
        self.worker, self.queue, self.owner = worker, worker.jobs, worker.orders.owner
        self.jobs = {job.id: job for job in jobs}
        self.done = dict.fromkeys(self.jobs, 0)
        self.begun = time.monotonic()
        self.shown = dict.fromkeys(self.jobs, 0)  # bytes of what shows how each forms
        self._looked = self.begun

    def make(self) -> None:
        """Each job ends as made, as failed, or as not wanted."""
        with self._held():
            try:
                jobs, made = [*self.jobs.values()], self._made()
                with _encoders() as pool:
                    files = pool.map(_files, jobs, [clip for clip, _ in made])
                    for job, (clip, verdict), each in zip(jobs, made, files, strict=True):
                        self._look_again()
                        if job.id in self.done:
                            self._keep(job, clip, verdict, each)
                            del self.done[job.id]
            except _Unwanted:
                pass
            except (_Ending, MachineError):  # of the queue or the disk: no job is to blame
                raise
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """One of a batch is to blame: so each is tried alone, and that one fails alone."""
        if len(self.jobs) > 1:
            for name in [*self.done]:
                self._looked = time.monotonic()
                _Batch(self.worker, [self.jobs[name]]).make()
            return
        code, said = "cannot_make", str(error)
        if not isinstance(error, KineographError):
            log.exception("a bug", extra={"job": next(iter(self.jobs))})
            code, said = "internal_error", f"{type(error).__name__}: {error}"
        for name in self.done:
            self.queue.fail(self.owner, name, code, in_short(said))
            log.error("failed", extra={"job": name, "code": code, "error": in_short(said)})

    def _made(self) -> list[tuple[Clip, Verdict]]:
        jobs = [*self.jobs.values()]
        asked, alone = jobs[0].asked, len(jobs) == 1
        shown = {
            job.id
            for job in jobs
            if job.asked["preview"] or (alone and job.asked["preview"] is None)
        }
        pipeline, judge = self.worker.model(jobs[0].model)

        def attempt(which: Sequence[int], number: int) -> list[Clip]:
            some = [jobs[index] for index in which]
            self._progress(some, number, 0.0)
            self._look()
            return pipeline.batch(
                [str(job.asked["prompt"]) for job in some],
                [0] * len(some),
                [_seed(job, number) for job in some],
                asked["num_inference_steps"],
                asked["guidance_scale"],
                asked["negative_prompt"],
                self._watch(some, number, shown if number == 0 else set()),
            )

        return best_of(asked["best_of"], attempt, len(jobs), judge)

    def _watch(
        self, some: Sequence[Job], number: int, shown: set[str]
    ) -> Callable[[float, Callable[[], Any]], None]:
        """Told of each step: says how far the jobs are, and keeps what is to be ``shown`` of it."""
        steps = 0

        def watch(done: float, clips: Callable[[], Any]) -> None:
            nonlocal steps
            self._progress(some, number, done)
            if shown:
                for job, frames in zip(some, to_frames(clips()), strict=True):
                    if job.id in shown and job.id in self.done:
                        picture = _picture(frames, job)
                        self.queue.put_file(job.id, step_file(steps), picture)
                        self.shown[job.id] += len(picture)
            steps += 1
            if shown:  # how far each is goes out with its picture
                self._look()
            else:
                self._look_again()

        return watch

    def _progress(self, some: Sequence[Job], number: int, done: float) -> None:
        for job in some:
            if job.id in self.done:
                self.done[job.id] = int(99 * (number + done) / job.asked["best_of"])

    def _look(self) -> None:
        """Hold the jobs, and let go of those that nobody wants any more."""
        if self.worker.ending:
            raise _Ending
        self._looked = time.monotonic()
        mine = self.queue.renew(self.owner, self.done)
        for name in self.done.keys() - mine:
            self.queue.fail(self.owner, name, "cancelled", "Cancelled as somebody asked.")
            del self.done[name]
        if not self.done:
            raise _Unwanted

    def _look_again(self) -> None:
        """Not as often as this is called: each look writes into the database."""
        if time.monotonic() > self._looked + _SOON:
            self._look()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Within, the jobs are held on to, unless a step takes so long that it is stuck."""
        over = threading.Event()

        def hold() -> None:
            while not over.wait(_RENEW) and time.monotonic() < self._looked + _STUCK:
                with contextlib.suppress(KineographError):  # the next one may succeed
                    self.queue.renew(self.owner, dict(self.done))

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, job: Job, clip: Clip, verdict: Verdict, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self.queue.put_file(job.id, name, data)
        outcome = asdict(verdict) | {
            "paths": novelty.paths(verdict.measured, *clip.frames.shape[1:3]),
            "seconds": round(time.monotonic() - self.begun, 3),
        }
        size = self.shown[job.id] + sum(len(data) for data in files.values())
        if self.queue.complete(self.owner, job.id, finite(outcome), size):
            log.info("made", extra={"job": job.id, "verdict": verdict.verdict})


@contextlib.contextmanager
def _encoders() -> Iterator[ThreadPoolExecutor]:
    """Threads that encode, which end with what needs them."""
    pool = ThreadPoolExecutor(_ENCODERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _files(job: Job, clip: Clip) -> dict[str, bytes]:
    """What is kept of a clip."""
    asked = job.asked
    told = {name: str(asked[name]) for name in ("prompt", "seed")} | {"model": job.model}
    clip = Clip(clip.frames, clip.caption, fps=float(asked["fps"]))
    return {
        ORIGINAL: animation_bytes(clip, "webp", metadata=told),
        VIDEO: video_bytes(clip, "mp4", scale=int(asked["scale"]), metadata=told),
    }


def _seed(job: Job, attempt: int) -> int:
    """The first attempt is what `kineograph generate` makes of the seed."""
    seed = int(job.asked["seed"])
    return seeds.seed_for(seed, attempt) if attempt else seed


def _picture(frames: np.ndarray, job: Job) -> bytes:
    return animation_bytes(Clip(frames, job.asked["prompt"], fps=float(job.asked["fps"])), "webp")


def main() -> None:
    """The first line of standard input has the orders (JSON)."""
    log_as_json()
    worker = Worker(Orders(**json.loads(sys.stdin.buffer.readline())))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which tells us
    signal.signal(signal.SIGTERM, lambda number, frame: worker.end())
    if hasattr(os, "nice"):
        os.nice(5)  # who asks how far a job is should not wait for it

    def listen() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock this thread would hold at the end
            worker.called.set()
        worker.end()

    threading.Thread(target=listen, daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
