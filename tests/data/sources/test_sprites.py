from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kineograph.core.errors import RequestError
from kineograph.data.clip import Facts
from kineograph.data.grammar import CannotParse
from kineograph.data.sources.sprites import Config, Source

Dataset = Callable[[str], Path]

SIZE = 8
LAYOUT = {
    "frame_size": SIZE,
    "order": ["body", "coat", "hat"],
    "body": ["pale skin", "dark skin", "green skin", "blue skin"],
    "coat": ["a red coat", "a grey coat", "a coat and tie", "mail"],
    "hat": ["a straw hat", "a tall hat", "an Old Crown"],
    "actions": {
        "walk": {"left": [0, 4], "right": [1, 4]},
        "wave": {"left": [2, 6], "right": [3, 6]},
        "hurt": {"down": [4, 2]},
    },
    "words": {"wave": "waves facing {direction}"},
}
HIDDEN = ("hat", 1, 2)  # this sheet is empty in that row


def write_sheets(folder: Path, layout: dict[str, object] | None = None) -> Path:
    """Blocks of a colour for each item; the upper half of every hat is half transparent."""
    said = LAYOUT if layout is None else layout
    rng = np.random.default_rng(0)
    for layer, name in enumerate(said["order"]):  # type: ignore[arg-type, var-annotated]
        (folder / name).mkdir(parents=True)
        for item in range(len(said[name])):  # type: ignore[arg-type]
            sheet = np.zeros((5, SIZE, 6, SIZE, 4), np.uint8)
            for row, column in product(range(5), range(6)):
                across = slice(1 + (row + column) % 3, 5 + (row + column) % 3)
                sheet[row, 5 - 2 * layer : 8 - 2 * layer, column, across] = 255
            sheet[..., :3] = rng.integers(0, 256, 3)
            sheet[:, 1, ..., 3] //= 2
            if (name, item, 2) == HIDDEN:
                sheet[2] = 0
            pixels = sheet.reshape(5 * SIZE, 6 * SIZE, 4)
            Image.fromarray(pixels).save(folder / name / f"{item}.png")
    (folder / "layers.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sheets(tmp_path_factory.mktemp("sheets"))


@pytest.fixture(params=["drawn here", "real"])
def path(request: pytest.FixtureRequest, sheets: Path, dataset: Dataset) -> str:
    return str(sheets if request.param == "drawn here" else dataset("sprites"))


def attributes(source: Source, count: int) -> list[dict[str, str]]:
    batch = source.batch(np.arange(count), 0)
    return [dict(facts.attributes) for facts in batch.facts if facts]


# ---- pictures -----------------------------------------------------------------------------------


def test_a_clip_is_what_its_caption_says(path: str) -> None:
    source = Source(Config(path=path, backgrounds=("#102030",)))
    clip = source.clip(3, 5)
    size = source.layout.frame_size
    assert clip.frames.shape == (10, size, size, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.frames[0, 0, 0].tolist() == [16, 32, 48]
    assert isinstance(clip.facts, Facts)
    assert clip.facts.background == (16, 32, 48)
    assert clip.facts.objects == ()
    assert source.parse(clip.caption) == clip.facts.attributes


def test_layers_lie_over_one_another_as_pillow_lays_them(path: str) -> None:
    source = Source(Config(path=path))
    layout, rng = source.layout, np.random.default_rng(1)
    size, color = layout.frame_size, (250, 100, 7)
    items = [rng.integers(len(words)) for words in layout.layers.values()]
    first = Image.open(layout.sheet(next(iter(layout.layers)), items[0]))
    wanted = Image.new("RGBA", first.size, color)
    for layer, item in zip(layout.layers, items, strict=True):
        wanted.alpha_composite(Image.open(layout.sheet(layer, item)).convert("RGBA"))
    whole = np.asarray(wanted)[..., :3].astype(int)
    for index, row in enumerate(layout.rows):
        seen = source.sheets.compose(index, np.array([items]), np.array([color], np.uint8))[0]
        strip = whole[row.line * size : (row.line + 1) * size, : row.frames * size]
        apart = np.abs(np.concatenate(list(seen), axis=1) - strip)
        assert apart.max() <= 1  # each layer rounds


def test_a_clip_is_the_same_whatever_its_batch(path: str) -> None:
    source = Source(Config(path=path, backgrounds=("white", "black", "teal")))
    indices = np.array([5, 40_000, 17, 5])
    batch = source.batch(indices, 3)
    for row, index in enumerate(indices):
        clip = Source(source.config).clip(int(index), 3)
        assert np.array_equal(clip.frames, batch.frames[row])
        assert clip.caption == batch.captions[row]
        assert clip.facts == batch.facts[row]
    assert source.batch(np.arange(20), 3).captions != source.batch(np.arange(20), 4).captions
    assert len({f.background for f in source.batch(np.arange(60), 0).facts if f}) == 3


@pytest.mark.parametrize(
    ("num_frames", "walk", "wave"),
    [
        (10, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]),
        (4, [0, 1, 2, 3], [0, 2, 3, 5]),
        (3, [0, 1, 2], [0, 2, 5]),
        (1, [0], [0]),
    ],
)
def test_actions_are_looped_held_or_thinned(
    sheets: Path, num_frames: int, walk: list[int], wave: list[int]
) -> None:
    source = Source(Config(path=str(sheets), num_frames=num_frames))
    shown = {r.action: source.layout.columns(r, num_frames).tolist() for r in source.layout.rows}
    assert shown["walk"] == walk
    assert shown["wave"] == wave
    frames = source.batch(np.arange(40), 0).frames
    assert frames.shape[1] == num_frames


def test_the_source_says_how_it_fills_a_clip(tmp_path: Path) -> None:
    path = str(write_sheets(tmp_path, {**LAYOUT, "loop": {"walk": 1}}))
    assert Source(Config(path=path)).notes == {
        "walk": "4 frames, looped",
        "wave": "6 frames, the last one held",
        "hurt": "2 frames, the last one held",
    }
    assert Source(Config(path=path, num_frames=4)).notes == {
        "walk": "4 frames, as they are",
        "wave": "6 frames, 4 of them at even distances",
        "hurt": "2 frames, the last one held",
    }
    assert Source(Config(path=path, num_frames=3)).notes["walk"] == "4 frames, the first 3 of them"
    layout = Source(Config(path=path)).layout
    assert layout.columns(layout.rows[0], 9).tolist() == [0, 1, 2, 3, 1, 2, 3, 1, 2]


def test_sheets_of_other_sizes_and_with_a_palette_work(tmp_path: Path, sheets: Path) -> None:
    write_sheets(tmp_path)
    file = tmp_path / "body" / "0.png"
    larger = Image.new("RGBA", (20 * SIZE, 9 * SIZE))
    larger.paste(Image.open(file))
    larger.save(file)
    coat = tmp_path / "coat" / "0.png"
    Image.open(coat).quantize(4).save(coat)
    assert Image.open(coat).mode == "P"
    seen = Source(Config(path=str(tmp_path))).batch(np.arange(30), 0).frames
    assert np.array_equal(seen, Source(Config(path=str(sheets))).batch(np.arange(30), 0).frames)


# ---- words --------------------------------------------------------------------------------------


def test_captions_name_some_attributes_in_any_order(path: str) -> None:
    said = attributes(Source(Config(path=path)), 300)
    worn = [tuple(fact for fact in a if fact not in ("action", "direction")) for a in said]
    assert len({frozenset(w) for w in worn}) > 5
    assert any(a != b and set(a) == set(b) for a, b in combinations(worn, 2))
    none = attributes(Source(Config(path=path, mention=0)), 50)
    assert all(set(a) <= {"action", "direction"} for a in none)


def test_what_cannot_be_seen_is_not_named(sheets: Path) -> None:
    said = attributes(Source(Config(path=str(sheets), split="all", mention=1)), 600)
    waves = [a for a in said if (a["action"], a.get("direction")) == ("wave", "left")]
    assert any("hat" not in a for a in waves)
    assert not any(a.get("hat") == "a tall hat" for a in waves)
    assert all("hat" in a for a in said if a["action"] == "walk")


def test_eyes_are_not_named_from_behind(dataset: Dataset) -> None:
    said = attributes(Source(Config(path=str(dataset("sprites")), mention=1)), 200)
    behind = [a for a in said if a.get("direction") == "up"]
    assert behind
    assert not any("eyes" in a for a in behind)
    assert all("eyes" in a for a in said if a.get("direction") != "up")


def test_an_action_seen_from_one_side_only_is_named_without_it(sheets: Path) -> None:
    source = Source(Config(path=str(sheets)))
    hurt = {"body": "pale skin", "action": "hurt"}
    assert source.describe(hurt) == "a character with pale skin is hurt"
    assert source.parse("a character with pale skin is hurt") == hurt
    assert source.parse("hurt, facing down") == {"action": "hurt", "direction": "down"}
    said = [a for a in attributes(source, 200) if a["action"] == "hurt"]
    assert said
    assert not any("direction" in a for a in said)


def test_captions_read_well(dataset: Dataset) -> None:
    source = Source(Config(path=str(dataset("sprites"))))
    worn = {
        "hair": "messy green hair",
        "body": "pale skin",
        "topwear": "a maroon shirt",
        "bottomwear": "white trousers",
        "shoes": "brown shoes",
    }
    assert source.describe({**worn, "action": "walk", "direction": "left"}) == (
        "a character with messy green hair, pale skin, a maroon shirt, white trousers and brown "
        "shoes walks left"
    )
    assert source.describe({"action": "spellcast", "direction": "up"}) == (
        "a character casts a spell facing up"
    )


def facts_of(source: Source) -> st.SearchStrategy[dict[str, str]]:
    """Every set of facts that a caption can say, in every order; at least one."""
    rows = source.layout.rows
    deeds = [{}, *({"action": r.action, "direction": r.direction} for r in rows)]
    deeds += [{"action": r.action} for r in rows] + [{"direction": r.direction} for r in rows]
    worn = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(words) for name, words in source.layout.layers.items()}
    )
    both = st.builds(lambda some, deed: {**some, **deed}, worn, st.sampled_from(deeds))
    shuffled = both.flatmap(lambda facts: st.permutations(sorted(facts.items())).map(dict))
    return shuffled.filter(bool)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_facts_become_a_caption_and_the_same_facts_again(path: str, data: st.DataObject) -> None:
    source = _opened(path)
    facts = data.draw(facts_of(source))
    assert source.parse(source.describe(facts)) == facts


_OPEN: dict[str, Source] = {}


def _opened(path: str) -> Source:
    return _OPEN.setdefault(path, Source(Config(path=path)))


def test_parsing_is_tolerant(sheets: Path) -> None:
    source = Source(Config(path=str(sheets)))
    wanted = {
        "coat": "a coat and tie",
        "hat": "an Old Crown",
        "action": "walk",
        "direction": "left",
    }
    for caption in (
        "a character with a coat and tie and an Old Crown walks left",
        "THE CHARACTER WALKS LEFT, WITH OLD CROWN AND THE COAT AND TIE.",
        "left walk old crown coat and tie",
        "a character who walks to the left wearing an old crown, a coat and tie",
    ):
        assert source.parse(caption) == wanted


@pytest.mark.parametrize(
    ("caption", "word"),
    [
        ("a character with a purple wig walks left", "purple wig"),
        ("a character with a strow hat walks left", 'mean "straw hat"'),
        ("a character with pale skin and dark skin", "dark skin"),
        ("a character walks left right", "right"),
        ("a character walks down", '"walk" has the directions left, right'),
        ("a character", "nothing"),
        ("", "nothing"),
        ("🙂", "🙂"),
    ],
)
def test_what_the_sheets_do_not_have_is_named(sheets: Path, caption: str, word: str) -> None:
    with pytest.raises(CannotParse) as error:
        Source(Config(path=str(sheets))).parse(caption)
    assert word in str(error.value)


def test_the_sample_of_captions_spells_every_word(path: str) -> None:
    source = Source(Config(path=path))
    spelled = set(" ".join(source.captions).replace(",", "").split())
    more = source.batch(np.arange(10_000, 10_400), 7).captions
    assert set(" ".join(more).replace(",", "").split()) <= spelled
    assert len(source.captions) < 60
    assert not any(source.held_out_pairs(source.parse(c)) for c in source.captions)


# ---- the split ----------------------------------------------------------------------------------


def values(source: Source) -> dict[str, tuple[str, ...]]:
    return {**source.layout.layers, "action": tuple(source.layout.actions)}


def everything(source: Source) -> Iterator[dict[str, str]]:
    """Every character with every action."""
    known = values(source)
    for combination in product(*known.values()):
        yield dict(zip(known, combination, strict=True))


def drawn(source: Source, count: int) -> list[dict[str, str]]:
    """What is in the pictures, said or not."""
    what = source._draw(np.arange(count), 0)
    names = list(source.layout.layers.items())
    found = []
    for row, items in zip(what.row, what.items, strict=True):
        worn = {layer: words[k] for (layer, words), k in zip(names, items, strict=True)}
        found.append({**worn, "action": source.layout.rows[row].action})
    return found


def test_training_never_shows_a_pair_that_is_held_out(path: str) -> None:
    train = Source(Config(path=path))
    assert not any(train.held_out_pairs(facts) for facts in drawn(train, 3000))


def test_a_held_out_clip_shows_and_names_a_pair_that_is_held_out(path: str) -> None:
    held_out = Source(Config(path=path, split="held-out"))
    assert all(held_out.held_out_pairs(facts) for facts in drawn(held_out, 3000))
    batch = held_out.batch(np.arange(300), 1)
    assert all(held_out.held_out_pairs(f.attributes) for f in batch.facts if f)
    assert all(held_out.held_out_pairs(held_out.parse(caption)) for caption in held_out.captions)


def test_the_splits_are_disjoint_and_together_everything(path: str) -> None:
    train, both = Source(Config(path=path)), Source(Config(path=path, split="all"))
    directions = {action: len(rows) for action, rows in train.layout.actions.items()}
    every = Counter(bool(train.held_out_pairs(facts)) for facts in everything(train))
    seen = [f for f in everything(train) if not train.held_out_pairs(f)]
    assert every[True] > 0
    assert train.num_combinations == sum(directions[f["action"]] for f in seen)
    assert both.num_combinations == sum(directions[f["action"]] for f in everything(train))


def test_training_still_shows_every_value(path: str) -> None:
    train = Source(Config(path=path))
    seen = Counter(item for facts in drawn(train, 6000) for item in facts.items())
    for fact, words in values(train).items():
        for word in words:
            assert seen[fact, word] > 6000 / len(words) / 6


def test_about_a_fifth_of_the_pairs_is_held_out(dataset: Dataset) -> None:
    train = Source(Config(path=str(dataset("sprites"))))
    held_out, of = Counter[bool](), Counter[bool]()
    for (f, first), (g, second) in combinations(values(train).items(), 2):
        for a, b in product(first, second):
            of[g == "action"] += 1
            held_out[g == "action"] += bool(train.held_out_pairs({f: a, g: b}))
    assert 0.18 < held_out[False] / of[False] < 0.22  # of two attributes
    assert 0.18 < held_out[True] / of[True] < 0.22  # of an attribute and an action
    assert train.num_combinations > 100_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_whatever_the_sheets_training_shows_every_value(
    counts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"layer{k}" for k in range(len(counts))]
    words = {n: [f"{n} no{k}" for k in range(c)] for n, c in zip(names, counts, strict=True)}
    path = write_sheets(tmp_path_factory.mktemp("any"), {**LAYOUT, "order": names, **words})
    _drop_old_layers(path, names)
    train = Source(Config(path=str(path)))
    seen = [f for f in everything(train) if not train.held_out_pairs(f)]
    assert {item for facts in seen for item in facts.items()} == {
        (fact, word) for fact, words in values(train).items() for word in words
    }


def _drop_old_layers(path: Path, names: list[str]) -> None:
    said = json.loads((path / "layers.json").read_text())
    kept = {k: v for k, v in said.items() if k in names or k not in ("body", "coat", "hat")}
    (path / "layers.json").write_text(json.dumps(kept))


def test_everything_that_a_split_allows_is_equally_likely(sheets: Path) -> None:
    train = Source(Config(path=str(sheets)))
    count = 20_000
    what = train._draw(np.arange(count), 0)
    seen = Counter(zip(what.row.tolist(), map(tuple, what.items.tolist()), strict=True))
    assert len(seen) == train.num_combinations
    expected = count / train.num_combinations
    deviation = np.sqrt(np.mean((np.array(list(seen.values())) - expected) ** 2) / expected)
    assert 0.8 < deviation < 1.2  # as chance has it


def test_sheets_that_leave_nothing_to_hold_out_are_told(tmp_path: Path) -> None:
    one = {"frame_size": SIZE, "order": ["body"], "body": ["skin"]}
    path = write_sheets(tmp_path, {**one, "actions": {"walk": {"left": [0, 4]}}})
    assert Source(Config(path=str(path))).num_combinations == 1
    with pytest.raises(RequestError, match="too few"):
        Source(Config(path=str(path), split="held-out")).clip(0, 0)


# ---- what is wrong is said ----------------------------------------------------------------------

ONE = {"words": {}}  # for fewer actions than have words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_size": 0}, "frame_size"),
        ({"frame_size": "8"}, "frame_size"),
        ({"frame_size": 7}, "no multiple"),
        ({"order": ["body", "coat", "hat", "beard"]}, '"beard"'),
        ({"order": ["body", "coat"]}, 'leaves out "hat"'),
        ({"order": []}, '"order"'),
        ({"order": ["body", "body", "coat", "hat"]}, "twice"),
        ({"order": ["../body", "coat", "hat"], "../body": ["skin"]}, "not the name of a folder"),
        ({"order": ["/", "coat", "hat"], "/": ["skin"]}, "not the name of a folder"),
        ({"order": ["..", "coat", "hat"], "..": ["skin"]}, "not the name of a folder"),
        ({"order": ["action", "coat", "hat"], "action": ["skin"]}, "cannot be called"),
        ({"beard": ["a beard"]}, 'leaves out "beard"'),
        ({"hat": ["a straw hat", "a tall hat"]}, "2 words .* 3 sheets: 2.png has no words"),
        ({"hat": ["a hat", "b hat", "c hat", "d hat"]}, "4 words .* 3 sheets: 3.png is missing"),
        ({"hat": ["a hat", "b hat", ""]}, "no line of text"),
        ({"hat": ["a hat", "b hat", 3]}, "no line of text"),
        ({"hat": ["a hat", "b hat", "c\nhat"]}, "no line of text"),
        ({"hat": "hats"}, '"hat"'),
        ({"actions": {}}, '"actions"'),
        ({"actions": {"walk": [0, 4]}}, '"walk"'),
        ({"actions": {"walk": {"left": 3}}}, '"left"'),
        ({**ONE, "actions": {"walk": {"left": [5, 4]}}}, 'too few for the action "walk" "left"'),
        ({**ONE, "actions": {"walk": {"left": [0, 7]}}}, 'too few for the action "walk" "left"'),
        ({"actions": {"walk": {"left": [0, 0]}}}, "number of frames"),
        ({"actions": {"walk": {"left": [-1, 4]}}}, "the row of"),
        ({"words": {"wlak": "walks"}}, 'mean "walk"'),
        ({"words": {"walk": ""}}, "no line of text"),
        ({"words": ["walks"]}, '"words"'),
        ({"loop": ["wlak"]}, 'mean "walk"'),
        ({"loop": {"walk": 4}}, "first frame of the cycle"),
        ({"loop": 3}, '"loop"'),
        ({"hat": ["a hat", "the hat", "a crown"]}, "ambiguous"),
        ({"hat": ["a straw hat", "a tall hat", "dark skin"]}, "ambiguous"),
        ({"hat": ["a straw hat", "mail and plate", "a crown"]}, "ambiguous"),
        ({"hat": ["and more", "a tall hat", "a crown"]}, "ambiguous"),
        ({"hat": ["...", "a tall hat", "a crown"]}, "ambiguous"),
        ({"words": {"walk": "waves", "wave": "waves"}}, "ambiguous"),
    ],
)
def test_a_wrong_layers_file_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_sheets(tmp_path)
    (tmp_path / "layers.json").write_text(json.dumps({**LAYOUT, **change}))
    with pytest.raises(RequestError, match=message):
        Source(Config(path=str(tmp_path)))


def break_sheet(file: Path, how: str) -> None:
    data, image = file.read_bytes(), Image.open(file)
    wide, high = image.size
    if how == "cut":
        file.write_bytes(data[:-30])
    elif how == "flipped":
        file.write_bytes(data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "opaque":
        image.convert("RGB").save(file)
    elif how == "another format":
        image.convert("RGB").save(file, "GIF")
    elif how == "odd":
        image.crop((0, 0, wide - 1, high)).save(file)
    elif how == "low":
        image.crop((0, 0, wide, high - SIZE)).save(file)
    elif how == "huge":
        Image.new("LA", (SIZE, 1200 * SIZE)).save(file)
    else:
        file.unlink()
        if how == "a folder":
            file.mkdir()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "damaged"),
        ("flipped", "damaged"),
        ("empty", "damaged"),
        ("another format", "damaged, or no PNG"),
        ("opaque", "no transparency"),
        ("odd", "no multiple"),
        ("low", 'too few for the action "hurt" "down"'),
        ("huge", "limit is 8192"),
        ("missing", "1.png is missing"),
        ("a folder", "is a folder"),
    ],
)
def test_a_wrong_sheet_is_refused_by_name(tmp_path: Path, how: str, message: str) -> None:
    write_sheets(tmp_path)
    break_sheet(tmp_path / "coat" / "1.png", how)
    with pytest.raises(RequestError, match=message) as error:
        Source(Config(path=str(tmp_path)))
    assert "coat" in str(error.value)


def test_a_sheet_that_is_damaged_later_is_named_too(tmp_path: Path) -> None:
    write_sheets(tmp_path)
    source = Source(Config(path=str(tmp_path)))
    (tmp_path / "coat" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(RequestError, match=r"1\.png is damaged"):
        source.clip(0, 0)


def test_a_missing_folder_or_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs a folder"):
        Source(Config(""))
    with pytest.raises(RequestError, match="There is no folder"):
        Source(Config(path=str(tmp_path / "nowhere")))
    with pytest.raises(RequestError, match="has no layers"):
        Source(Config(path=str(tmp_path)))
    (tmp_path / "layers.json").write_text("{")
    with pytest.raises(RequestError, match="damaged"):
        Source(Config(path=str(tmp_path)))
    write_sheets(tmp_path / "more")
    for file in (tmp_path / "more" / "hat").iterdir():
        file.unlink()
    (tmp_path / "more" / "hat").rmdir()
    with pytest.raises(RequestError, match=r"no folder .*hat"):
        Source(Config(path=str(tmp_path / "more")))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_clips": 0},
        {"num_frames": 0},
        {"mention": 1.5},
        {"split": "trian"},
        {"backgrounds": ()},
        {"backgrounds": ("whyte",)},
        {"backgrounds": ("#ffffff80",)},
    ],
)
def test_settings_out_of_range_are_refused(sheets: Path, settings: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Source(Config(path=str(sheets), **settings))  # type: ignore[arg-type]
