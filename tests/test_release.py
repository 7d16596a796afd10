"""What is released installs in an empty environment, and makes a video there at once."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from kineograph.apps import arguments, cli
from kineograph.training.environment import version

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_and_sdist_install_in_an_empty_environment_and_make_a_video(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    done = subprocess.run(
        ["make", "-C", str(ROOT), "release", f"DIST={dist}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("sdist", "wheel"):
        assert (dist / f"first-{kind}.mp4").stat().st_size > 500
    assert "circle moving up-right" in done.stdout
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    assert wheel.name.startswith(f"kineograph-{version()}-")
    inside = zipfile.ZipFile(wheel).namelist()
    assert "kineograph/bundled/shapes/model.safetensors" in inside
    assert not [name for name in inside if not name.startswith("kineograph")]
    with tarfile.open(sdist) as opened:
        top = {name.split("/")[1] for name in opened.getnames()}
    assert top <= {
        *("src", "pyproject.toml", "PKG-INFO", ".gitignore", "LICENSE"),
        *("README.md", "CHANGELOG.md", "CITATION.cff", "constraints.txt"),
    }
    told = json.loads((dist / "sbom.cdx.json").read_text("utf-8"))
    assert told["metadata"]["component"]["name"] == "kineograph"
    assert {"torch", "numpy", "safetensors"} <= {each["name"] for each in told["components"]}
    assert "pytest" not in {each["name"] for each in told["components"]}


def test_the_version_is_said_once_and_the_citation_repeats_it() -> None:
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), flags=re.M)
    assert cited
    assert cited[1] == version()


IMAGE = (ROOT / "Dockerfile").read_text("utf-8")


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in let_in)
    copied = re.findall(r"^COPY (?!--from)(\S+)", IMAGE, flags=re.M)
    assert {*copied} - {"."} <= let_in
    built = {"src", "pyproject.toml", "README.md", "LICENSE"}  # what a wheel is made from
    assert built <= let_in


def test_the_image_has_the_torch_that_is_pinned_and_is_nobody_in_particular() -> None:
    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.M)
    assert pinned
    assert re.findall(r"torch==(\S+)", IMAGE) == [pinned[1]]
    assert re.search(r"^USER (?!root)", IMAGE, flags=re.M)


def test_what_the_image_starts_and_what_its_head_says_has_the_options_that_it_is_given() -> None:
    entry, start = (
        json.loads(re.search(rf"^{word} (\[.*\])$", IMAGE, flags=re.M)[1])  # type: ignore[index]  # both are there
        for word in ("ENTRYPOINT", "CMD")
    )
    assert entry == ["kineograph"]
    said = re.findall(r"^#   docker run .* kineograph (\S.*)$", IMAGE, flags=re.M)
    assert said
    for words in [start, *map(shlex.split, said)]:
        arguments.parse(cli.function(words[0]), words[0], words[1:])
