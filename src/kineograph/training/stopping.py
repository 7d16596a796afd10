"""How a training is told to end: Ctrl-C, SIGTERM, and SIGUSR2, which may come twice; and SIGUSR1,
which asks for a checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Stopping(BaseException):
    """The first Ctrl-C or SIGTERM, raised where what goes on may be left at any line."""


class Signals:
    """What the process was told so far; a context in which signals are taken.

    A first signal to end is noted, and whoever works looks for it; a second one ends at once. Only
    the main thread of a process is told of signals, so elsewhere nothing is taken.
    """

    def __init__(self) -> None:
        self.stop = False
        """Whether to end."""
        self.save = False
        """Whether a checkpoint was asked for; whoever writes it takes this back."""
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGINT: self._to_end, signal.SIGTERM: self._to_end}
            if hasattr(signal, "SIGUSR1"):  # Windows has none
                handlers[signal.SIGUSR1] = self._to_save
                handlers[signal.SIGUSR2] = self._to_end_once
            self._before = {each: signal.signal(each, do) for each, do in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, a signal to end raises `Stopping`, as does one that came before."""
        if self.stop:
            raise Stopping
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _to_end(self, number: int, frame: FrameType | None) -> None:
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True
        if self._at_once:
            raise Stopping

    def _to_end_once(self, number: int, frame: FrameType | None) -> None:
        if not self.stop:
            self._to_end(number, frame)

    def _to_save(self, number: int, frame: FrameType | None) -> None:
        self.save = True
