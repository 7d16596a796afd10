"""Help explains every setting, with the value that it would have, and imports no plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from kineograph.apps import cli


def test_help_of_train_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["train", "--help"])
    said = capsys.readouterr().out
    assert "--training.checkpoint-every" in said
    assert "--data.variation" not in said
    cli.main(["train", "tutorial-baseline", "--help"])
    said = capsys.readouterr().out
    assert "--data.variation" in said
    assert "--data.num-clips" in said
    assert "(10000)" in said, "the recipe's own value, not the source's"
    assert "--model." in said or "Settings of the family tutorial_gan" in said


def test_help_explains_what_families_share(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["train", "tutorial-gan", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--model.appearance Numbers that say what an object looks like" in said
    assert "--model.penalty" in said
    assert said.count("--model.depth") == 1
    assert "--model.depth Hidden layers of the discriminator; the generator has one less" in said


def test_help_of_train_reads_a_file_of_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text('[data]\nsource = "tutorial"\nvariation = 0.25\n')
    assert cli.main(["train", str(tmp_path / "mine.toml"), "--help"]) == 0
    assert "(0.25)" in capsys.readouterr().out


def test_help_of_train_with_an_unknown_recipe_names_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["train", "tutoral", "--help"]) == 2
    assert 'Did you mean "tutorial"?' in capsys.readouterr().err


def test_help_of_a_source_explains_its_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["data", "preview", "tutorial", "--help"])
    assert "--data.variation" in capsys.readouterr().out
    mine = tmp_path / "mine.py"
    mine.write_text('class Config:\n    sides: int = 4\n    """How many ``sides``."""\n')
    cli.main(["data", "preview", str(mine), "--help"])
    assert "--data.sides  How many sides. (4)" in capsys.readouterr().out
