"""Decoding in processes of their own: in parallel, and so that no file can end the work.

A file that makes a decoder crash, or keeps it busy for ever, costs a worker; the next clip gets a
new one. A worker is ``python -m kineograph.data.folder.workers``, not a copy of this process, so
scripts need no ``if __name__ == "__main__"`` for it. Its parent writes a line of JSON for each
clip; it answers with a line of JSON and, behind that, the frames as they lie in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kineograph.core.errors import KineographError
from kineograph.data.folder.conform import Conformed, Form, conform
from kineograph.data.folder.entry import Entry, Member, Row

T = TypeVar("T")
R = TypeVar("R")

TIME_LIMIT = 600.0
"""Seconds that one clip may take."""


def conform_all(
    entries: Iterable[Entry], form: Form, workers: int, time_limit: float = TIME_LIMIT
) -> Generator[Conformed | str, None, None]:
    """Decode clips and bring them to their form; for each, in order, that or why it cannot be."""
    every = [_Worker(time_limit) for _ in range(max(1, workers))]
    free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in every:
        free.put(worker)

    def run(entry: Entry) -> Conformed | str:
        worker = free.get()
        try:
            return worker.conform(entry, form)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(every)) as pool:
        try:
            yield from in_order(pool, run, entries, 2 * len(every))
        finally:
            for worker in every:
                worker.stop()


def in_order(pool: Executor, call: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """``map`` over a pool that runs only ``ahead`` items before what was taken from it.

    The results of more would fill the memory.
    """
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def explained(entry: Entry, form: Form) -> Conformed | str:
    """`conform`, in this process; instead of an error, whatever it is, why it cannot be.

    The reason calls the clip "it", since it always stands beside the clip's name.
    """
    try:
        return conform(entry, form)
    except KineographError as error:
        for name in (entry.name, str(entry.path)):
            if error.cause.startswith(f"{name} "):
                return f"it {error.cause[len(name) + 1 :]}".rstrip(".")
        return error.cause.rstrip(".")
    except Exception as error:  # some decoder stumbled in a way that nobody knew of
        return f"it cannot be decoded ({type(error).__name__}: {error})"


class _Worker:
    """The parent's side: a process that is started when it is needed."""

    def __init__(self, time_limit: float) -> None:
        self.time_limit = time_limit
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def conform(self, entry: Entry, form: Form) -> Conformed | str:
        """What `conform` gives for an entry, or why there is nothing."""
        process = self.started()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self.time_limit, end)
        timer.start()
        try:
            return self.ask(process, {"entry": _plain(entry), "form": _plain(form)})
        except (OSError, EOFError, ValueError):
            code = _end(process)
            self.process = None
            if late.is_set():
                return f"it takes over {self.time_limit:g} s to decode"
            return f"it makes the decoder crash (exit code {code})"
        finally:
            timer.cancel()

    def started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            if self.stopped:
                raise RuntimeError("the worker was stopped")
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self.process

    def ask(self, process: subprocess.Popen[bytes], question: dict[str, Any]) -> Conformed | str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EOFError
        answer = json.loads(line)
        if "failed" in answer:
            return str(answer["failed"])
        frames = np.empty(answer.pop("shape"), np.uint8)
        view = frames.reshape(-1).data
        while view:
            count = process.stdout.readinto1(view)  # type: ignore[attr-defined]  # a pipe is buffered
            if not count:
                raise EOFError
            view = view[count:]
        return Conformed(frames=frames, **answer)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.stopped = True
        process = self.process
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    return code


def _plain(value: Entry | Form) -> dict[str, Any]:
    return {
        field.name: _plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    return dataclasses.astuple(value) if isinstance(value, Member | Row) else value


def _entry(values: dict[str, Any]) -> Entry:
    part = values["part"]
    kind = Member if part and len(part) == len(dataclasses.fields(Member)) else Row
    values |= {"path": Path(values["path"]), "part": part and kind(*part)}
    return Entry(**values)


def main() -> None:
    """The worker's side: answer until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints
    for line in sys.stdin.buffer:
        question = json.loads(line)
        form = Form(**question["form"] | {"background": tuple(question["form"]["background"])})
        result = explained(_entry(question["entry"]), form)
        if isinstance(result, str):
            answers.write(json.dumps({"failed": result}).encode() + b"\n")
        else:
            told = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
            frames = told.pop("frames")
            answers.write(json.dumps(told | {"shape": frames.shape}).encode() + b"\n")
            answers.write(frames.reshape(-1).data)
        answers.flush()


if __name__ == "__main__":
    main()
