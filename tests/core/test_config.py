"""Settings: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.core import config
from kineograph.core.errors import RequestError


@dataclass(frozen=True)
class Training:
    """How a model is trained."""

    steps: int = 1000
    """Optimiser steps."""
    learning_rate: float = 1e-4
    """Step size,
    at the top of its schedule."""
    checkpoint_every: int | None = 100
    """Steps between checkpoints; none for no checkpoints."""
    precision: Literal["bf16", "fp32"] = "bf16"
    betas: tuple[float, float] = (0.0, 0.99)
    compile: bool = False


@dataclass(frozen=True)
class Root:
    """Everything."""

    training: Training = field(default_factory=Training)
    data: dict[str, object] = field(default_factory=dict)
    out: Path | None = None
    tags: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Needy:
    """A setting without default."""

    width: int


def refused(values: dict[str, Any], cls: type = Root) -> str:
    with pytest.raises(RequestError) as caught:
        config.build(cls, values)
    assert caught.value.remedy
    return str(caught.value)


# ---- build -------------------------------------------------------------------------------------


def test_nothing_given_is_all_defaults() -> None:
    assert config.build(Root, {}) == Root()


def test_values_from_toml_keep_their_types_and_reach_nested_sections() -> None:
    values = tomllib.loads(
        'seed = 3\nout = "a/b"\ntags = ["x", "y"]\n[training]\nsteps = 5\nlearning_rate = 1\n'
        "betas = [0.5, 0.9]\ncompile = true\n"
    )
    built = config.build(Root, values)
    assert built.training == Training(5, 1.0, betas=(0.5, 0.9), compile=True)
    assert isinstance(built.training.learning_rate, float)
    assert (built.seed, built.out, built.tags) == (3, Path("a/b"), ("x", "y"))


def test_strings_from_a_command_line_are_read_as_their_field_is() -> None:
    built = config.build(
        Root,
        {
            "training": {
                "steps": "5",
                "learning_rate": "1e-4",
                "checkpoint_every": "none",
                "precision": "fp32",
                "betas": "0.5,0.9",
                "compile": "true",
            },
            "seed": "-1",
            "tags": "a, b",
        },
    )
    assert built.training == Training(5, 1e-4, None, "fp32", (0.5, 0.9), True)
    assert (built.seed, built.tags) == (-1, ("a", "b"))


def test_a_free_table_is_passed_on_as_it_is() -> None:
    values = {"data": {"source": "tutorial", "num_clips": 5}}
    assert config.build(Root, values).data == {"source": "tutorial", "num_clips": 5}


def test_a_built_section_may_be_given() -> None:
    assert config.build(Root, {"training": Training(7)}).training.steps == 7


def test_an_unknown_key_is_named_in_full_with_the_nearest() -> None:
    said = refused({"training": {"stpes": 5}})
    assert 'There is no setting "training.stpes". Did you mean "training.steps"?' in said


def test_a_key_of_another_section_is_found_there() -> None:
    assert 'Did you mean "training.checkpoint_every"?' in refused({"checkpoint_every": 5})


def test_an_unknown_key_like_nothing_gets_the_list() -> None:
    said = refused({"qqqqq": 1})
    assert "Did you mean" not in said
    assert "Known: data, out, seed, tags, training." in said


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("steps", 3.0, "a whole number"),
        ("steps", True, "a whole number"),
        ("steps", "3.5", "a whole number"),
        ("steps", "", "a whole number"),
        ("steps", None, "a whole number"),
        ("steps", 2**63, "a whole number"),
        ("steps", "9" * 5000, "a whole number"),
        ("learning_rate", "fast", "a number"),
        ("learning_rate", True, "a number"),
        ("learning_rate", float("nan"), "a number"),
        ("learning_rate", "inf", "a number"),
        ("learning_rate", 10**400, "a number"),
        ("checkpoint_every", "often", "a whole number, like 10 or none"),
        ("precision", "bf61", 'one of "bf16", "fp32" (did you mean "bf16"?)'),
        ("betas", [0.5], "a list of 2"),
        ("betas", 0.5, "a list of 2"),
        ("compile", 1, "true or false"),
        ("compile", "maybe", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused(key: str, value: object, expected: str) -> None:
    said = refused({"training": {key: value}})
    assert f"The setting training.{key} cannot be " in said
    assert f"It must be {expected}" in said
    assert len(said) < 250


def test_what_was_given_is_shown() -> None:
    assert 'seed cannot be "five"' in refused({"seed": "five"})
    assert "seed cannot be [1, 2]" in refused({"seed": [1, 2]})


def test_an_item_of_a_list_is_named_by_its_place() -> None:
    assert "training.betas[1] cannot be true" in refused({"training": {"betas": [0.5, True]}})
    assert "tags[0] cannot be 1" in refused({"tags": [1]})


def test_a_value_in_place_of_a_section_is_refused() -> None:
    said = refused({"training": "5"})
    assert 'training cannot be "5"' in said
    assert "a section with steps, learning_rate" in said


@pytest.mark.parametrize("value", ["", "a\0b", "\udcff", 5])
def test_a_path_that_no_system_could_open_is_refused(value: object) -> None:
    assert "out cannot be" in refused({"out": value})


def test_a_missing_setting_is_named() -> None:
    assert "The setting width is missing. It must be a whole number" in refused({}, Needy)


def test_a_field_type_that_no_file_can_hold_is_a_bug_of_ours() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: complex = 0j

    Odd.__annotations__["value"] = complex
    with pytest.raises(TypeError, match="cannot have a field of type"):
        config.build(Odd, {"value": 1})


# ---- to_dict, to_toml, read_toml ---------------------------------------------------------------


def test_a_config_survives_toml_and_json() -> None:
    root = Root(
        Training(5, 0.1, None, "fp32", (0.1, 0.2), True),
        {"source": "tutorial"},
        Path("x"),
        ("a",),
        9,
    )
    values = config.to_dict(root)
    assert config.build(Root, tomllib.loads(config.to_toml(values))) == root
    assert config.build(Root, json.loads(json.dumps(values))) == root


def test_none_is_left_out_unless_the_default_is_something_else() -> None:
    values = config.to_dict(Root(Training(checkpoint_every=None)))
    assert "out" not in values
    assert values["training"]["checkpoint_every"] == "none"


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_any_value_survives_toml(seed: int, rate: float, tags: list[str]) -> None:
    root = Root(Training(learning_rate=rate), tags=tuple(tags), seed=seed)
    assert config.build(Root, tomllib.loads(config.to_toml(config.to_dict(root)))) == root


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbfseed = 1\r\n[training]\r\nsteps = 2\r\n")
    assert config.read_toml(file) == {"seed": 1, "training": {"steps": 2}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"seed = 1\nsteps 5\n", "line 2"),
        (b"seed = 1\n\n# \xff\n", "not UTF-8 text (line 3)"),
        (b"a = " + b"[" * 5000, "not valid TOML"),
        (b"\x00\x00", "not valid TOML"),
    ],
)
def test_a_damaged_toml_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(RequestError) as caught:
        config.read_toml(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_toml_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"There is no file or folder .*gone\.toml"):
        config.read_toml(tmp_path / "gone.toml")
    with pytest.raises(RequestError, match="is a folder"):
        config.read_toml(tmp_path)


# ---- parse_overrides, merge --------------------------------------------------------------------


def test_overrides_become_a_nested_mapping_of_strings() -> None:
    args = ["--training.checkpoint-every", "7", "--seed=3", "--data.num_frames", "5", "--flag"]
    assert config.parse_overrides(args) == {
        "training": {"checkpoint_every": "7"},
        "seed": "3",
        "data": {"num_frames": "5"},
        "flag": "true",
    }


def test_a_value_may_be_a_negative_number_and_hold_an_equals_sign() -> None:
    args = [
        "--a",
        "-5",
        "--b",
        "-.5",
        "--c",
        "-1e-4",
        "--d=-x",
        "--e=f=g",
        "--h",
        "--i=",
        "--j",
        "",
    ]
    assert config.parse_overrides(args) == {
        "a": "-5",
        "b": "-.5",
        "c": "-1e-4",
        "d": "-x",
        "e": "f=g",
        "h": "true",
        "i": "",
        "j": "",
    }


def test_the_last_of_several_wins() -> None:
    assert config.parse_overrides(["--seed", "1", "--seed", "2"]) == {"seed": "2"}


@pytest.mark.parametrize("args", [["seed", "3"], ["-s", "3"], ["--"], ["--=3"], ["--a..b", "1"]])
def test_what_is_no_setting_is_refused(args: list[str]) -> None:
    with pytest.raises(RequestError, match="is not a setting"):
        config.parse_overrides(args)


@pytest.mark.parametrize(
    "args",
    [
        ["--training", "5", "--training.steps", "3"],
        ["--training.steps", "3", "--training", "5"],
        ["--a", "5", "--a.b.c", "3"],
    ],
)
def test_a_name_cannot_be_both_section_and_value(args: list[str]) -> None:
    with pytest.raises(RequestError, match="both as a section and as a value"):
        config.parse_overrides(args)


def test_merge_lets_the_second_win_and_changes_neither() -> None:
    base = {"training": {"steps": 1, "compile": True}, "seed": 1}
    extra = {"training": {"steps": "2"}, "out": "x"}
    merged = config.merge(base, extra)
    assert merged == {"training": {"steps": "2", "compile": True}, "seed": 1, "out": "x"}
    assert base == {"training": {"steps": 1, "compile": True}, "seed": 1}
    assert extra == {"training": {"steps": "2"}, "out": "x"}
