"""Does the service stand fifty clients that never rest, with a queue that is always full?

    python benchmarks/soak.py [--minutes 3 --clients 50]

Each client asks for a clip, comes again when it is told that the queue is full, asks how far its
clip is until it is made, and begins anew. In the end every clip that was accepted must have been
made, once. Prints how long a question for a status took and how the server's memory went, and
writes ``benchmarks/results/soak.json``; exit code 1 where something was lost or made twice.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from serve import PROMPT, server

from kineograph import api, recipes
from kineograph.training.environment import environment

RESULTS = Path(__file__).resolve().parent / "results" / "soak.json"
QUEUE = 32  # fewer than there are clients, so that it is full


class Client:
    """Asks, again and again, until it is time."""

    def __init__(self, number: int, address: str, until: float) -> None:
        self.number, self.address, self.until = number, address, until
        self.jobs: dict[str, str] = {}
        """Each key that was accepted, and its job."""
        self.latencies: list[float] = []
        self.full = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        """All of it."""
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while time.monotonic() < self.until:
                key = f"client {self.number}, clip {len(self.jobs)}"
                if self._asked(client, key):
                    self._await(client, self.jobs[key])

    def _asked(self, client: httpx.Client, key: str) -> bool:
        asked = {"prompt": PROMPT, "preview": False}
        answer = client.post("/v1/videos", json=asked, headers={"idempotency-key": key})
        if answer.status_code == 200:
            self.jobs[key] = answer.json()["id"]
            return True
        if answer.status_code != 429:
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
        self.full += 1
        time.sleep(float(answer.headers.get("retry-after", 1)) / 4)
        return False

    def _await(self, client: httpx.Client, job: str) -> None:
        while True:
            started = time.perf_counter()
            answer = client.get(f"/v1/videos/{job}")
            self.latencies.append(time.perf_counter() - started)
            status = answer.json().get("status")
            if status == "completed":
                return
            if status not in ("queued", "in_progress"):
                self.wrong.append(f"{job}: {answer.text[:200]}")
                return
            time.sleep(0.2)


def resident(process: int) -> float:
    """MiB of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def soak(model: Path, folder: Path, clients: int, minutes: float) -> dict[str, Any]:
    """Let them ask, and count."""
    with server(model, folder, "--queue", str(QUEUE)) as (address, process):
        until = time.monotonic() + 60 * minutes
        every = [Client(number, address, until) for number in range(clients)]
        threads = [threading.Thread(target=client.run) for client in every]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            memory.append(resident(process))
            time.sleep(5)
        told = httpx.get(f"{address}/metrics").text.splitlines()
    counted = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in told if "{" in line
    }
    accepted = [job for client in every for job in client.jobs.values()]
    latencies = [each for client in every for each in client.latencies]
    edges = [round(part * len(memory) / 5) for part in range(6)]
    fifths = [memory[first:end] or memory for first, end in itertools.pairwise(edges)]
    return {
        "accepted": len(accepted),
        "of_different_ids": len(set(accepted)),
        "completed": int(counted['kineograph_ended_total{status="completed"}']),
        "failed": int(counted['kineograph_ended_total{status="failed"}']),
        "told_to_come_again": sum(client.full for client in every),
        "wrong": [said for client in every for said in client.wrong][:20],
        "status_milliseconds": {
            "questions": len(latencies),
            "median": round(1000 * statistics.median(latencies), 2),
            "p99": round(1000 * statistics.quantiles(latencies, n=100)[98], 2),
        },
        "server_mib_by_fifths": [round(statistics.median(part), 1) for part in fifths],
    }


def main() -> None:
    """Soak, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "gan"
        short = {"training": {"steps": 2, "batch_size": 4, "evaluate_every": 0}}
        api.train(recipes.resolve("tutorial-gan", short), model)
        found = soak(model, Path(folder) / "kept", asked.clients, asked.minutes)
    print(json.dumps(found, indent=2))
    once = found["accepted"] == found["of_different_ids"] == found["completed"]
    told = {"environment": environment(), "clients": asked.clients, "minutes": asked.minutes}
    asked.out.write_text(json.dumps(told | found, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if once and not found["failed"] and not found["wrong"] else 1)


if __name__ == "__main__":
    main()
