"""Errands of the page: each in a process of its own, one of a kind at a time, with a limit on its
time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

from kineograph.apps.service.asking import Wrong

log = logging.getLogger("kineograph.errands")

_SECONDS = 60.0
_WAITING = 8  # errands that may wait; more are told to come again
_KEPT = 16  # answers


class Errands:
    """Looks at data and models; what was asked before is not looked at again, unless ``anew``."""

    def __init__(self) -> None:
        self._one: defaultdict[bool, asyncio.Semaphore]
        self._one = defaultdict(lambda: asyncio.Semaphore(1))
        """For those that take long, and for the others."""
        self._waiting = 0
        self._kept: OrderedDict[str, Any] = OrderedDict()

    async def run(
        self, task: str, *, seconds: float = _SECONDS, anew: bool = False, **told: Any
    ) -> Any:
        """What `errand` answers. Raises Wrong where it cannot, or not in time."""
        asked = json.dumps({"task": task, **told}, sort_keys=True)
        if anew:  # nor is anything else that is known of that place true any more
            path = json.dumps(told.get("path"))
            self._kept = OrderedDict(each for each in self._kept.items() if path not in each[0])
        if asked not in self._kept:
            if self._waiting >= _WAITING:
                raise Wrong("Others are looked at first.", code="busy", status=503, retry_after=2)
            self._waiting += 1
            try:
                async with self._one[seconds > _SECONDS]:
                    if asked not in self._kept:
                        self._kept[asked] = await self._answer(asked, seconds)
            finally:
                self._waiting -= 1
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[asked]

    async def _answer(self, asked: str, seconds: float) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "kineograph.apps.service.errand",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # with whom it decodes, so that all end together
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(asked.encode()), seconds)
        except TimeoutError:
            raise Wrong(
                f"It took more than {seconds:g} s.",
                "Decode a large folder once: kineograph data pack.",
                code="timeout",
                status=503,
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        try:
            answer = json.loads(said)
        except ValueError:
            log.error("errand ended", extra={"asked": asked, "code": process.returncode})
            raise Wrong("Looking at it failed.", code="cannot_look", status=422) from None
        if "found" in answer:
            return answer["found"]
        cause, remedy = answer["cause"], answer["remedy"]
        for path in filter(None, map(json.loads(asked).get, ("path", "folder"))):
            # Where it is on the disk is nobody's business.
            cause, remedy = (text.replace(path, Path(path).name) for text in (cause, remedy))
        raise Wrong(cause, remedy, code="cannot_look")
