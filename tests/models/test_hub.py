"""Models on the Hub, against an endpoint of this machine that speaks its protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from kineograph import api, recipes
from kineograph.core.errors import RequestError
from kineograph.data.video_io import read_video
from kineograph.models import hub

pytest.importorskip("huggingface_hub", reason="the extra is not installed")

COMMIT = "a" * 40
NAME = "somebody/circles"


@dataclass
class Endpoint:
    """What it has, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the one repository that there is; without any it is not there."""
    asked: list[str] = field(default_factory=list)
    broken: bool = False

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        if self.broken:
            return 500, {"error": "It burns."}
        if path == "/api/repos/create":
            return 200, {"url": f"{self.address}/{NAME}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == f"/api/models/{NAME}/preupload/main":
            wanted = json.loads(body)["files"]
            return 200, {
                "files": [
                    {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for each in wanted
                ]
            }
        if path == f"/api/models/{NAME}/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    told = line["value"]
                    self.files[told["path"]] = base64.b64decode(told["content"])
            return 200, {"commitUrl": f"{self.address}/{NAME}/commit/{COMMIT}", "commitOid": COMMIT}
        known = f"/api/models/{NAME}/"
        if self.files and path in (f"{known}revision/main", f"{known}revision/{COMMIT}"):
            return 200, {
                "id": NAME,
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in self.files],
            }
        if self.files and path.startswith(f"{known}tree/"):
            return 200, [
                {"type": "file", "path": name, "size": len(data), "oid": _tag(data)}
                for name, data in self.files.items()
            ]
        if path.startswith(f"/{NAME}/resolve/"):
            name = path.split("/", 5)[5]
            if name in self.files:
                return 200, self.files[name]
        return 404, {"error": "Repository not found"}


def _tag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint with an empty repository."""
    known = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _give(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            path = unquote(self.path.partition("?")[0])
            known.asked.append(f"{self.command} {path}")
            code, told = known.answer(path, self.rfile.read(length))
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(code)
            if code == 404:
                self.send_header("x-error-code", "RepoNotFound")
            self.send_header("x-repo-commit", COMMIT)
            self.send_header("etag", f'"{_tag(body)}"')
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = _give  # noqa: N815  # what http.server calls

        def log_message(self, *told: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


@pytest.fixture
def kineograph(endpoint: Endpoint, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a command with a cache of its own, and expects an exit code; => what it says."""
    own = {
        "HF_ENDPOINT": endpoint.address,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_TOKEN": "hf_nobody",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
    }

    def run(*words: str, code: int = 0, **more: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "kineograph", *words, "--json"],
            env=os.environ | own | more,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "circles"
    short = {
        "data": {"num_frames": 4, "height": 16, "width": 16},
        "model": {"width": 16, "drawing_width": 8},
        "training": {"steps": 2, "batch_size": 4, "evaluate_every": 0},
    }
    api.train(recipes.resolve("tutorial-gan", short), folder)
    return folder


def test_what_was_pushed_makes_the_same_clips_by_its_name(
    endpoint: Endpoint, kineograph: Callable[..., dict[str, Any]], run: Path, tmp_path: Path
) -> None:
    told = kineograph("push", str(run), NAME)
    assert told["address"] == f"{endpoint.address}/{NAME}"
    assert {*endpoint.files} == {
        *("README.md", "MODEL_CARD.md", "config.json", "manifest.json"),
        *("model.safetensors", "tokenizer.json"),
    }
    card = endpoint.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: kineograph\n")
    assert f"--model {NAME}\n" in card
    asked = ("generate", "circle moving left", "--seed", "3")
    kineograph(*asked, "--model", str(run), "--out", "here.webp")
    kineograph(*asked, "--model", NAME, "--out", "there.webp")
    here, there = (read_video(tmp_path / f"{name}.webp").frames for name in ("here", "there"))
    assert np.array_equal(here, there)
    fetched = {line for line in endpoint.asked if line.startswith("GET") and "resolve" in line}
    assert len(fetched) == 5  # the README is not fetched
    kineograph(*asked, "--model", f"{NAME}@{COMMIT}", "--out", "again.webp")
    assert {line for line in endpoint.asked if line.startswith("GET") and "resolve" in line} == (
        fetched
    )


def test_without_the_network_what_was_fetched_is_still_there(
    kineograph: Callable[..., dict[str, Any]], run: Path
) -> None:
    kineograph("push", str(run), NAME)
    asked = ("generate", "circle moving left", "--model", NAME)
    kineograph(*asked, "--out", "one.webp")
    kineograph(*asked, "--out", "two.webp", HF_ENDPOINT="http://127.0.0.1:9")
    told = kineograph(
        *("generate", "circle moving left", "--model", "somebody/squares", "--out", "three.webp"),
        code=3,
        HF_ENDPOINT="http://127.0.0.1:9",
    )
    assert "cannot be had from the Hub" in json.dumps(told)


def test_what_the_hub_has_not_or_is_no_model_of_ours(
    endpoint: Endpoint, kineograph: Callable[..., dict[str, Any]]
) -> None:
    asked = ("generate", "circle moving left", "--model", NAME, "--out", "one.webp")
    assert "or it is not yours to see" in json.dumps(kineograph(*asked, code=2))
    endpoint.files = {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."}
    assert "is no model of Kineograph" in json.dumps(kineograph(*asked, code=2))
    assert not any("pytorch_model.bin" in line for line in endpoint.asked)


def test_a_changed_file_is_refused(
    endpoint: Endpoint, kineograph: Callable[..., dict[str, Any]], run: Path
) -> None:
    kineograph("push", str(run), NAME)
    weights = endpoint.files["model.safetensors"]
    endpoint.files["model.safetensors"] = weights[:-1] + bytes([weights[-1] ^ 1])
    asked = ("generate", "circle moving left", "--model", NAME, "--out", "one.webp")
    assert "model.safetensors" in json.dumps(kineograph(*asked, code=2))


def test_a_hub_that_fails(
    endpoint: Endpoint, kineograph: Callable[..., dict[str, Any]], run: Path
) -> None:
    endpoint.broken = True
    assert "The Hub fails" in json.dumps(kineograph("push", str(run), NAME, code=3))


@pytest.mark.parametrize("name", ["circles", "a/b/c", "../circles", "somebody/circles@v1", "a b/c"])
def test_names_that_are_none(name: str, run: Path) -> None:
    with pytest.raises(RequestError, match="is no name on the Hub"):
        hub.push(run, name)


def test_a_folder_of_this_machine_is_never_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("runs/tutroial", "runs", "/runs/tutorial", "one/two/three"):
        assert hub.local(name) == Path(name)
