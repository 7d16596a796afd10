"""What `kineograph serve` refuses, before it listens to anybody."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kineograph.apps.cli import main
from kineograph.apps.commands.serving import _listening


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What stands on standard error, without line breaks."""
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINEOGRAPH_API_KEY", raising=False)
    monkeypatch.delenv("KINEOGRAPH_DATABASE", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_need_a_key(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", host]) == 2
    assert "there is no API key" in told(capsys)


def test_keys_are_looked_at_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    assert main(["serve", "--api-key-file", str(file)]) == 2
    file.write_text("\n")
    assert main(["serve", "--api-key-file", str(file)]) == 2
    assert "holds no key" in told(capsys)
    file.write_text("short\n")
    assert main(["serve", "--api-key-file", str(file)]) == 2
    assert "An API key is too short." in told(capsys)
    monkeypatch.setenv("KINEOGRAPH_API_KEY", "short")
    assert main(["serve"]) == 2


def test_others_start_no_trainings_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--name", "videos.example.org", "--training"]) == 2
    assert "there is no API key" in told(capsys)


@pytest.mark.parametrize("setting", ["--workers", "--at-once", "--queue"])
def test_numbers_that_make_no_sense(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", setting, "0"]) == 2
    assert setting in told(capsys)


def test_folders_are_there_and_told_apart_by_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--folder", str(tmp_path / "none")]) == 2
    assert "There is no folder" in told(capsys)
    for place in ("a/clips", "b/clips"):
        (tmp_path / place).mkdir(parents=True)
    both = ["--folder", str(tmp_path / "a/clips"), "--folder", str(tmp_path / "b/clips")]
    assert main(["serve", *both]) == 2
    assert "Two folders have the same name." in told(capsys)


def test_small_answers_leave_at_once() -> None:
    """asyncio sets TCP_NODELAY only on what is said to be TCP; without it each takes 40 ms."""
    listening = _listening("127.0.0.1", 0)
    listening.listen()
    with listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--data", str(tmp_path)]) == 2
        assert main(["serve", "--port", "99999"]) == 2
    assert f"127.0.0.1:{port}" in told(capsys)
