"""Server and workers are killed in the middle: every job that was accepted ends, once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kineograph.apps.service.queue import LEASE

Running = Any
PROMPT = "circle moving up-right"


def ask(server: Running, keys: list[str], **more: Any) -> list[str]:
    """A job for each key; => their ids."""
    found = []
    with httpx.Client(base_url=server.address) as client:
        for key in keys:
            asked = {"prompt": PROMPT, "seed": 1, **more}
            answer = client.post("/v1/videos", json=asked, headers={"idempotency-key": key})
            answer.raise_for_status()
            found.append(answer.json()["id"])
    return found


def all_ended(server: Running, within: float = 60.0) -> dict[str, str]:
    """Wait until nothing is under way; => the status of each job."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        page = httpx.get(f"{server.address}/v1/videos?limit=100").json()
        told = {video["id"]: video["status"] for video in page["data"]}
        if set(told.values()) <= {"completed", "failed"}:
            return told
        time.sleep(0.1)
    raise AssertionError(f"some did not end: {told}")


def count(server: Running, series: str) -> float:
    lines = httpx.get(f"{server.address}/metrics").text.splitlines()
    (value,) = [line.split()[-1] for line in lines if line.startswith(f"kineograph_{series}")]
    return float(value)


@pytest.mark.slow
def test_every_job_ends_once_whoever_is_killed(running: Callable[..., Running]) -> None:
    keys = [f"job {n}" for n in range(40)]
    slow = {"num_inference_steps": 100}  # so that there is something to be in the middle of
    server = running("--at-once", "2")
    names = ask(server, keys[:20], **slow)
    time.sleep(0.3)
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    names += ask(server, keys[20:], **slow)
    time.sleep(0.5)
    for pid in [*server.workers(), server.process.pid]:
        os.kill(pid, signal.SIGKILL)
    server.process.wait()
    again = running("--at-once", "2")
    assert ask(again, keys, **slow) == names  # clients that heard nothing ask once more
    assert all_ended(again) == dict.fromkeys(names, "completed")
    assert count(again, 'ended_total{status="completed"}') == len(names)
    assert count(again, 'ended_total{status="failed"}') == 0


@pytest.mark.slow
def test_a_server_that_is_told_to_end_loses_nothing(running: Callable[..., Running]) -> None:
    server = running("--at-once", "1")
    names = ask(server, ["a", "b", "c"], num_inference_steps=200, best_of=8)
    time.sleep(0.3)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert time.monotonic() - started < 10
    again = running()
    assert all_ended(again) == dict.fromkeys(names, "completed")
    assert count(again, 'ended_total{status="completed"}') == 3


@pytest.mark.slow
def test_a_worker_that_is_stuck_is_replaced(running: Callable[..., Running]) -> None:
    server = running()
    (stuck,) = server.workers()
    names = ask(server, ["a"], num_inference_steps=200, best_of=64)
    while httpx.get(f"{server.address}/v1/videos/{names[0]}").json()["status"] == "queued":
        time.sleep(0.1)
    os.kill(stuck, signal.SIGSTOP)
    httpx.post(f"{server.address}/v1/videos/{names[0]}/cancel")
    more = ask(server, ["b"])
    told = all_ended(server, within=LEASE + 40)
    assert told == {names[0]: "failed", more[0]: "completed"}
    assert stuck not in server.workers()
