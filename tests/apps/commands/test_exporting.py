"""What `kineograph export onnx` writes, measures and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_an_export_is_measured_beside_pytorch(call: Any) -> None:
    done = call("export", "onnx", "tutorial-gan", "--count", "6", "--json")
    assert done.code == 0
    told = done.json
    assert sorted(told["files"]) == ["onnx/config.json", "onnx/model.onnx", "onnx/tokenizer.json"]
    assert told["bytes"] == sum(Path(file).stat().st_size for file in told["files"])
    assert 0 < told["largest_difference"] < 1e-3
    assert told["accuracy"] == told["accuracy_of_pytorch"]
    assert told["accuracy"]["trials"] == 6
    done = call("export", "onnx", "tutorial-gan", "--count", "0", "--force")
    assert "Wrote onnx." in done.out
    assert "verified" not in done.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "MODEL is missing"),
        (("nowhere",), "There is no folder nowhere"),
        (("tutorial-gan", "--precision", "int4"), "int4"),
        (("tutorial-gan", "--count", "-1"), "--count is -1"),
        (("tutorial-gan", "--out", "taken"), "--force"),
    ],
)
def test_a_wrong_request_writes_nothing(words: tuple[str, ...], hint: str, call: Any) -> None:
    Path("taken").write_text("mine")
    done = call("export", "onnx", *words)
    assert done.code == 2
    assert hint in " ".join(done.err.split())
    assert [str(path) for path in Path().iterdir()] == ["taken"]
    assert Path("taken").read_text() == "mine"
