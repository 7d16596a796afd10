"""What does the service cost? Requests and clips a second, beside the bare pipeline, in one run.

    python benchmarks/serve.py

The bare pipeline makes the same clips in as large batches, has them judged and encodes them, in one
process. The two take turns, since the speed of a machine drifts, and the service is asked with
Python's plain HTTP client, since the client shares the cores with what is measured. Prints how many
times as long the service takes, from the first request to the last clip, and how long a request for
a job's status takes meanwhile; writes ``benchmarks/results/serve.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from kineograph import api, recipes
from kineograph.data.animation import animation_bytes
from kineograph.data.clip import Clip
from kineograph.data.video_io import video_bytes
from kineograph.evaluation.best_of import best_of
from kineograph.sampling.export import usual_scale
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "serve.json"
PROMPT = "circle moving up-right"
RECIPES = {"gan": "tutorial-gan", "flow": "tutorial"}
CLIPS, AT_ONCE, ROUNDS = 512, 16, 7


def bare(model: Path) -> float:
    """Seconds for all clips without a service: made, judged, encoded."""
    pipeline = api.load(model)
    judge = api.judge_of_model(pipeline)

    def some(seeds: range) -> None:
        def make(which: Any, attempt: int) -> Any:
            return pipeline.batch(
                [PROMPT] * len(which), [0] * len(which), [seeds[i] for i in which]
            )

        made = [clip for clip, _ in best_of(1, make, len(seeds), judge)]
        with ThreadPoolExecutor(2) as pool:  # as many as a worker has
            list(pool.map(encode, made))

    def encode(clip: Clip) -> None:
        animation_bytes(clip, "webp")
        video_bytes(clip, "mp4", scale=usual_scale(*clip.frames.shape[1:3]))

    some(range(AT_ONCE))  # warms up
    started = time.perf_counter()
    for first in range(0, CLIPS, AT_ONCE):
        some(range(first, first + AT_ONCE))
    return time.perf_counter() - started


def served(address: str) -> tuple[float, float, list[float]]:
    """Seconds for all clips, for all requests for them, and of each question for a status."""
    client = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)

    def answer(method: str, path: str, said: Any = None) -> tuple[dict[str, Any], Any]:
        kind = {"content-type": "application/json"}
        client.request(method, path, None if said is None else json.dumps(said), kind)
        response = client.getresponse()
        told = json.loads(response.read())
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {told}")
        return told, response.headers

    started = time.perf_counter()
    names = [
        answer("POST", "/v1/videos", {"prompt": PROMPT, "seed": seed})[0]["id"]
        for seed in range(CLIPS)
    ]
    asked = time.perf_counter() - started
    latencies = []
    for name in names:
        while True:
            before = time.perf_counter()
            told, headers = answer("GET", f"/v1/videos/{name}")
            latencies.append(time.perf_counter() - before)
            if told["status"] == "completed":
                break
            if told["status"] == "failed":
                raise RuntimeError(f"{name}: {told['error']}")
            time.sleep(int(headers["openai-poll-after-ms"]) / 1000)
    client.close()
    return time.perf_counter() - started, asked, latencies


@contextlib.contextmanager
def server(model: Path, folder: Path, *words: str) -> Iterator[tuple[str, int]]:
    """`kineograph serve` in a process of its own, ready; => its address and process id."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "kineograph", "serve", "--port", str(port), *words]
    command += ["--model", str(model), "--data", str(folder), "--at-once", str(AT_ONCE)]
    with (folder.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(30)


def measure(recipe: str, folder: Path) -> dict[str, Any]:
    """A model of two steps, which takes as long as one of many; the median of some rounds."""
    model = folder / recipe
    short = {"training": {"steps": 2, "batch_size": 4, "evaluate_every": 0}}
    api.train(recipes.resolve(recipe, short), model)
    service, asks, latencies = [], [], []
    with server(model, folder / f"kept-{recipe}", "--queue", str(CLIPS)) as (address, _):
        served(address)  # warms up
        alone = [bare(model)]
        for _ in range(ROUNDS):
            whole, asked, each = served(address)
            service.append(whole)
            asks.append(asked)
            latencies += each
            alone.append(bare(model))
    beside = [statistics.mean(two) for two in itertools.pairwise(alone)]  # before and after
    ratios = [s / b for s, b in zip(service, beside, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(each, 3) for each in ratios],
        "clips_a_second": {
            "bare": round(CLIPS / statistics.median(alone), 1),
            "served": round(CLIPS / statistics.median(service), 1),
        },
        "requests_a_second": round(CLIPS / statistics.median(asks), 1),
        "status_milliseconds": {
            "median": round(1000 * statistics.median(latencies), 2),
            "p99": round(1000 * statistics.quantiles(latencies, n=100)[98], 2),
        },
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for family, recipe in RECIPES.items():
            found[family] = measure(recipe, Path(folder))
            print(
                f"{family}: the service takes {found[family]['ratio']:.2f} times the bare pipeline"
            )
            print(f"  {found[family]}")
    told = {"environment": environment(), "clips": CLIPS, "at_once": AT_ONCE, "families": found}
    asked.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
