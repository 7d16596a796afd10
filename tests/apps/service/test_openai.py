"""OpenAI's own client, its first version with videos and the newest, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Running = Any
FIRST = "2.2.0"  # with client.videos
KEY = "a-key-that-is-long-enough"

CLIENT = """
import json, sys
from openai import OpenAI, NotFoundError, UnprocessableEntityError

client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
video = client.videos.create_and_poll(
    prompt="circle moving up-right", model="flow", size="64x64", extra_body={"seed": 7}
)
told = {"status": video.status, "progress": video.progress, "seed": video.seed}
told["bytes"] = len(client.videos.download_content(video.id).read())
sheet = client.videos.download_content(video.id, variant="spritesheet").read()
told["sheet"] = sheet[:4].decode("latin-1")
remix = client.videos.remix(video.id, prompt="circle moving up")
told["remixed"] = remix.remixed_from_video_id == video.id
told["remix"] = client.videos.poll(remix.id).status
told["pages"] = [each.id for each in client.videos.list(limit=1)] == [remix.id, video.id]
told["deleted"] = client.videos.delete(video.id).deleted
try:
    client.videos.retrieve(video.id)
except NotFoundError as error:
    told["gone"] = error.code
try:
    client.videos.create(prompt="circle", size="1280x720")
except UnprocessableEntityError as error:
    told["refused"] = error.param
told["models"] = [each.id for each in client.models.list()]
print(json.dumps(told))
"""


@pytest.fixture
def address(running: Callable[..., Running]) -> str:
    """Of `kineograph serve`, as a user starts it, with an API key."""
    return running(KINEOGRAPH_API_KEY=KEY).address + "/v1"


def speak(address: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-c", CLIENT, address, KEY]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def check(told: dict[str, Any]) -> None:
    assert told.pop("bytes") > 500
    assert told == {
        "status": "completed",
        "progress": 100,
        "seed": 7,
        "sheet": "\x89PNG",
        "remixed": True,
        "remix": "completed",
        "pages": True,
        "deleted": True,
        "gone": "not_found",
        "refused": "size",
        "models": ["flow", "gan"],
    }


def test_the_newest_client(address: str) -> None:
    pytest.importorskip("openai", reason="the client is not installed")
    check(speak(address))


@pytest.mark.slow
def test_the_first_client_with_videos(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "old")]
    subprocess.run([*command, f"openai=={FIRST}"], check=True, timeout=300)
    check(speak(address, PYTHONPATH=str(tmp_path / "old")))
