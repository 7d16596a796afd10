"""Errands of the page: each in a process of its own, one at a time, with a limit on its time."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

from kineograph.apps.service.asking import Wrong

log = logging.getLogger("kineograph.errands")

_SECONDS = 60.0
_WAITING = 8  # errands that may wait; more are told to come again
_KEPT = 64  # answers
_LONGEST = 32 << 20  # bytes of an answer


class Errands:
    """Looks at data and models; what was asked before is not looked at again, unless ``anew``."""

    def __init__(self) -> None:
        self._one = asyncio.Semaphore(1)
        self._waiting = 0
        self._kept: OrderedDict[str, Any] = OrderedDict()

    async def run(
        self, task: str, *, seconds: float = _SECONDS, anew: bool = False, **told: Any
    ) -> Any:
        """What `errand` answers. Raises Wrong where it cannot, or not in time."""
        asked = json.dumps({"task": task, **told}, sort_keys=True)
        if anew:
            self._kept.pop(asked, None)
        if asked not in self._kept:
            if self._waiting >= _WAITING:
                raise Wrong("Others are looked at first.", code="busy", status=503, retry_after=2)
            self._waiting += 1
            try:
                async with self._one:
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
            limit=_LONGEST,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(asked.encode()), seconds)
        except TimeoutError:
            raise Wrong(f"It took more than {seconds:g} s.", code="timeout", status=503) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            answer = json.loads(said)
        except ValueError:
            log.error("errand ended", extra={"asked": asked, "code": process.returncode})
            raise Wrong("Looking at it failed.", code="cannot_look", status=422) from None
        if "found" in answer:
            return answer["found"]
        cause, remedy = answer["cause"], answer["remedy"]
        if path := json.loads(asked).get("path"):  # where it is on the disk is nobody's business
            cause, remedy = (text.replace(path, Path(path).name) for text in (cause, remedy))
        raise Wrong(cause, remedy, code="cannot_look")
