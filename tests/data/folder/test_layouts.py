"""A folder is recognised as what it is, and each clip gets its caption or what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kineograph.core.errors import RequestError
from kineograph.data.folder.entry import Entry
from kineograph.data.folder.frame_folders import write_frame_folders
from kineograph.data.folder.layouts import Layout, recognise


def captions(layout: Layout) -> dict[str, str]:
    """The clips that are used, by name."""
    return {e.name: e.caption for e in layout.entries if e.status == "used"}


def wrong(layout: Layout) -> dict[str, tuple[str, str]]:
    """The clips that are not used: status and reason, by name."""
    return {e.name: (e.status, e.reason) for e in layout.entries if e.status != "used"}


@pytest.fixture
def clips(make: Any, tmp_path: Path) -> Path:
    """A folder with three clips, one of them in a folder of its own."""
    content = make.put(tmp_path / "a.webp").read_bytes()
    for name in ("b.webp", "more/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


# ---- VideoFolder -------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["caption", "text", "Prompt", "description"])
def test_a_metadata_csv_is_a_video_folder(column: str, clips: Path) -> None:
    rows = f'file_name,fps,{column}\na.webp,1,one\nb.webp,2,"two, with ""quotes""\nand a line"\n'
    (clips / "metadata.csv").write_text(rows + "more/c.webp,3,three\n")
    layout = recognise(clips)
    assert layout.name == "Hugging Face VideoFolder: metadata.csv"
    assert captions(layout) == {
        "a.webp": "one",
        "b.webp": 'two, with "quotes" and a line',
        "more/c.webp": "three",
    }
    assert not wrong(layout)


def test_a_metadata_jsonl_is_a_video_folder(clips: Path) -> None:
    lines = [{"file_name": "a.webp", "text": "one"}, {"file_name": "b.webp", "text": None}]
    text = "\n".join(map(json.dumps, lines)) + '\n\n{"file_name": "more/c.webp", "te\n[1]\n'
    (clips / "metadata.jsonl").write_text(text)
    layout = recognise(clips)
    assert captions(layout) == {"a.webp": "one"}
    assert wrong(layout)["b.webp"][0] == "caption missing"
    assert wrong(layout)["metadata.jsonl, line 4"][0] == "broken"
    assert wrong(layout)["metadata.jsonl, line 5"][0] == "broken"
    assert wrong(layout)["more/c.webp"] == ("caption missing", "metadata.jsonl does not name it")


def test_a_metadata_parquet_is_a_video_folder(clips: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    import pyarrow  # type: ignore[import-not-found, unused-ignore]

    columns = {"file_name": ["a.webp", "b.webp", "more/c.webp"], "caption": ["one", None, "ö"]}
    parquet.write_table(pyarrow.table(columns), clips / "metadata.parquet")
    layout = recognise(clips)
    assert captions(layout) == {"a.webp": "one", "more/c.webp": "ö"}
    assert wrong(layout)["b.webp"][0] == "caption missing"
    (clips / "metadata.parquet").write_bytes(b"PAR1 and no more PAR1")
    with pytest.raises(RequestError, match="damaged or no Parquet"):
        recognise(clips)


def test_parquet_without_pyarrow_says_what_to_install(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clips / "metadata.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RequestError, match=r"kineograph\[parquet\]"):
        recognise(clips)


def test_each_metadata_file_speaks_of_its_own_folder(clips: Path) -> None:
    (clips / "metadata.csv").write_text("file_name,caption\na.webp,one\nb.webp,two\n")
    (clips / "more" / "metadata.csv").write_text("file_name,caption\nc.webp,three\n")
    layout = recognise(clips)
    assert captions(layout) == {"a.webp": "one", "b.webp": "two", "more/c.webp": "three"}
    (clips / "more" / "metadata.jsonl").touch()
    with pytest.raises(RequestError, match="several metadata files"):
        recognise(clips)


def test_metadata_that_leads_astray_is_refused_line_by_line(clips: Path) -> None:
    names = [
        "a.webp",
        "gone.webp",
        "../out.webp",
        "/etc/passwd",
        "x/../../out.webp",
        "",
        "C:\\x.mp4",
    ]
    names += ["more\\c.webp", "no\0name", "x" * 300, str(clips.absolute() / "b.webp")]
    rows = "".join(f"{name},caption {k}\n" for k, name in enumerate(names))
    (clips.parent / "out.webp").write_bytes((clips / "a.webp").read_bytes())
    (clips / "metadata.csv").write_text("file_name,caption\n" + rows)
    layout = recognise(clips)
    assert captions(layout) == {
        "a.webp": "caption 0",
        "more/c.webp": "caption 7",
        "b.webp": "caption 10",
    }
    assert [(e.status, e.reason.partition(" names")[0]) for e in layout.entries] == [
        ("used", ""),
        ("missing", "metadata.csv, line 3"),
        ("refused", "metadata.csv, line 4"),
        ("refused", "metadata.csv, line 5"),
        ("refused", "metadata.csv, line 6"),
        ("broken", "metadata.csv, line 7"),
        ("refused", "metadata.csv, line 8"),
        ("used", ""),
        ("broken", "metadata.csv, line 10"),
        ("missing", "metadata.csv, line 11"),
        ("used", ""),
    ]


def test_one_clip_may_have_several_captions_but_not_one_twice(clips: Path) -> None:
    rows = "a.webp,one\nb.webp,two\na.webp,another\na.webp,one\nmore/c.webp,three\n"
    (clips / "metadata.csv").write_text("file_name,caption\n" + rows)
    layout = recognise(clips)
    assert captions(layout)["a.webp"] == "one"
    assert captions(layout)["a.webp (caption 2)"] == "another"
    assert wrong(layout)["a.webp (caption 3)"][0] == "same name"
    assert len({entry.name for entry in layout.entries}) == 5


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_list_of_captions_is_several_and_an_empty_cell_none(kind: str, clips: Path) -> None:
    values = {"a.webp": ["one", "another"], "b.webp": [], "more/c.webp": [None, "three"]}
    rows = [{"file_name": name, "caption": value} for name, value in values.items()]
    if kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="the extra is not installed")
        import pyarrow  # type: ignore[import-not-found, unused-ignore]

        parquet.write_table(pyarrow.Table.from_pylist(rows), clips / "metadata.parquet")
    else:
        text = "\n".join(map(json.dumps, rows))
        text += '\n{"file_name": "a.webp", "caption": NaN}\n{"file_name": "a.webp", "caption": {}}'
        (clips / "metadata.jsonl").write_text(text)
    layout = recognise(clips)
    assert captions(layout) == {
        "a.webp": "one",
        "a.webp (caption 2)": "another",
        "more/c.webp (caption 2)": "three",
    }
    assert {status for status, _ in wrong(layout).values()} == {"caption missing"}


def test_an_address_is_no_clip_yet(clips: Path) -> None:
    (clips / "metadata.csv").write_text("video_file_name,text\nhttps://a.b/c.mp4,one\n")
    status, reason = wrong(recognise(clips))["https://a.b/c.mp4"]
    assert status == "missing"
    assert "metadata.csv, line 2 names an address" in reason


def test_columns_that_nobody_knows_can_be_named(clips: Path) -> None:
    (clips / "metadata.csv").write_text("file_name,sentence\na.webp,one\nb.webp,two\n")
    with pytest.raises(RequestError, match="file_name, sentence") as caught:
        recognise(clips)
    assert "--data.caption-column" in caught.value.remedy
    with pytest.raises(RequestError, match='Did you mean "sentence"'):
        recognise(clips, "sentense")
    assert captions(recognise(clips, "sentence")) == {"a.webp": "one", "b.webp": "two"}
    (clips / "metadata.csv").write_text("name,caption\na.webp,one\n")
    with pytest.raises(RequestError, match="names of files"):
        recognise(clips)


# ---- other lists -------------------------------------------------------------------------------


def test_prompts_and_videos_go_line_by_line(clips: Path) -> None:
    (clips / "prompts.txt").write_text("one\r\n\ntwo\u2028half\n")
    (clips / "videos.txt").write_text("a.webp\nmore/c.webp\nb.webp\n\n")
    layout = recognise(clips)
    assert layout.name == "prompts.txt + videos.txt"
    assert captions(layout) == {"a.webp": "one", "b.webp": "two half"}
    reason = "the caption in prompts.txt, line 2 is empty"
    assert wrong(layout) == {"more/c.webp": ("caption empty", reason)}
    (clips / "prompts.txt").write_text("one\n")
    with pytest.raises(RequestError, match=r"1 lines and videos\.txt 3"):
        recognise(clips)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "path,caption\na.webp,one\nb.webp,two\n"),
        ("list.csv", "a.webp,one\nb.webp,two\n"),
        ("list.csv", "\ufeffvideo;text\r\na.webp;one\r\nb.webp;two\r\n"),
        ("list.tsv", "Text\tClip\none\ta.webp\ntwo\tb.webp\n"),
        ("list.jsonl", '{"video": "a.webp", "prompt": "one"}\n{"video":"b.webp","prompt":"two"}'),
    ],
)
def test_a_table_of_paths_and_captions_is_read(name: str, text: str, clips: Path) -> None:
    (clips / name).write_text(text, newline="")
    (clips / "notes.csv").write_text("date,weather\n1868,rain\n")
    for path in (clips, clips / name):
        layout = recognise(path)
        assert layout.name == f"table of clips and captions: {name}"
        assert captions(layout) == {"a.webp": "one", "b.webp": "two"}


def test_of_several_tables_one_must_be_named(clips: Path) -> None:
    for name in ("x.csv", "y.csv"):
        (clips / name).write_text("path,caption\na.webp,one\n")
    with pytest.raises(RequestError, match=r"several tables of clips: x\.csv, y\.csv"):
        recognise(clips)
    assert captions(recognise(clips / "y.csv")) == {"a.webp": "one"}


def test_a_table_that_must_have_been_meant_is_not_passed_over(clips: Path) -> None:
    (clips / "list.csv").write_text("path,sentence\na.webp,one\n")
    (clips / "more" / "c.webp").unlink()
    with pytest.raises(RequestError, match="path, sentence"):
        recognise(clips)


# ---- names and texts ---------------------------------------------------------------------------


def test_a_txt_beside_each_clip_is_its_caption(clips: Path) -> None:
    (clips / "a.txt").write_text("\ufeff one\n  and more\n")
    (clips / "more" / "c.txt").write_text("three")
    layout = recognise(clips)
    assert layout.name == "clips with a .txt of the same name beside each"
    assert captions(layout) == {"a.webp": "one and more", "more/c.webp": "three"}
    assert wrong(layout) == {"b.webp": ("caption missing", "there is no b.txt")}


def test_two_clips_of_one_name_share_no_caption(clips: Path) -> None:
    (clips / "a.txt").write_text("one")
    (clips / "a.gif").write_bytes((clips / "a.webp").read_bytes())
    layout = recognise(clips)
    assert captions(layout) == {"a.gif": "one"}
    assert wrong(layout)["a.webp"][0] == "same name"
    assert "a.gif has this name too" in wrong(layout)["a.webp"][1]


def test_class_folders_give_their_names(clips: Path) -> None:
    (clips / "jumping_up" / "high-jump").mkdir(parents=True)
    (clips / "b.webp").rename(clips / "jumping_up" / "10.webp")
    (clips / "more" / "c.webp").rename(clips / "jumping_up" / "9.webp")
    (clips / "a.webp").rename(clips / "jumping_up" / "high-jump" / "1.webp")
    layout = recognise(clips)
    assert layout.name == "class folders: a folder's name is the caption"
    assert list(captions(layout).items()) == [
        ("jumping_up/9.webp", "jumping up"),
        ("jumping_up/10.webp", "jumping up"),
        ("jumping_up/high-jump/1.webp", "jumping up high jump"),
    ]


def test_folders_of_splits_are_no_classes(clips: Path) -> None:
    for name, place in (("a", "train/cat"), ("b", "test/dog"), ("more/c", "train")):
        (clips / place).mkdir(parents=True, exist_ok=True)
        (clips / f"{name}.webp").rename(clips / place / f"{name[-1]}.webp")
    assert captions(recognise(clips)) == {"train/cat/a.webp": "cat", "test/dog/b.webp": "dog"}
    (clips / "train" / "c.webp").rename(clips / "more" / "c.webp")
    assert captions(recognise(clips))["test/dog/b.webp"] == "test dog"


def test_the_tutorials_folders_of_frames_are_clips(make: Any, tmp_path: Path) -> None:
    write_frame_folders([make.counting(2)] * 11, tmp_path)
    (tmp_path / "video_3" / "prompt.txt").unlink()
    (tmp_path / "video_4" / "frame_0.png").unlink()
    (tmp_path / "video_4" / "frame_1.png").unlink()
    layout = recognise(tmp_path)
    assert "tutorial" in layout.name
    assert list(captions(layout)) == [f"video_{k}" for k in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)]
    assert wrong(layout) == {"video_3": ("caption missing", "there is no video_3/prompt.txt")}
    assert captions(recognise(tmp_path / "video_0")) == {"video_0": "counting to 2"}


def test_clips_alone_have_no_captions(clips: Path) -> None:
    (clips / "more" / "c.webp").unlink()
    assert {status for status, _ in wrong(recognise(clips)).values()} == {"caption missing"}


def test_stills_hidden_and_other_files_are_no_clips(make: Any, clips: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(clips / "thumb.png")
    make.put(clips / "anim.png")
    for name in (".hidden.webp", "._a.webp", ".git/x.webp", "kineograph-pack/x.webp", "read.me"):
        (clips / name).parent.mkdir(exist_ok=True)
        (clips / name).write_bytes((clips / "a.webp").read_bytes())
    assert [e.video for e in recognise(clips).entries] == [
        "a.webp",
        "anim.png",
        "b.webp",
        "more/c.webp",
    ]


def test_a_linked_folder_that_goes_round_ends(clips: Path) -> None:
    (clips / "more" / "round").symlink_to(clips)
    assert len(recognise(clips).entries) == 3


def test_a_single_clip_is_no_folder(clips: Path) -> None:
    with pytest.raises(RequestError, match="single clip") as caught:
        recognise(clips / "a.webp")
    assert str(clips) in caught.value.remedy


@pytest.mark.parametrize("name", ["missing", "empty", "notes", "a.mp4"])
def test_what_holds_no_clips_says_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").touch()
    (tmp_path / "a.mp4").touch()
    with pytest.raises(RequestError) as caught:
        recognise(tmp_path / name)
    assert caught.value.remedy


# ---- captions ----------------------------------------------------------------------------------

HARD = [
    "🎉👩‍👩‍👧 party 🎉",
    "קובייה אדומה נעה שמאלה",
    "كرة حمراء",
    "圆圈",
    "a" * 1000,
    "caf\u0065\u0301",
]


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("place", ["a.txt", "metadata.csv", "metadata.jsonl", "prompts.txt"])
def test_captions_of_any_script_are_kept(place: str, text: str, clips: Path) -> None:
    content = {
        "a.txt": text,
        "metadata.csv": f"file_name,caption\na.webp,{text}\n",
        "metadata.jsonl": json.dumps({"file_name": "a.webp", "caption": text}),
        "prompts.txt": text,
    }
    (clips / place).write_text(content[place], "utf-8")
    (clips / "videos.txt").write_text("a.webp")
    assert captions(recognise(clips)) == {"a.webp": text}


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        (b"", "caption empty", "a.txt is empty"),
        (b" \n\t ", "caption empty", "a.txt is empty"),
        (b"x" * 10_000, "caption unusable", "10,000 characters, 1,000 at most"),
        (b"x" * 2_000_000, "caption unusable", "too long for a caption"),
        (b"one\ntw\xff\n", "caption unusable", "a.txt, line 2 is not UTF-8"),
        ("käse".encode("latin-1"), "caption unusable", "a.txt, line 1 is not UTF-8"),
        ("käse".encode("utf-16"), "caption unusable", "a.txt, line 1 is not UTF-8"),
    ],
)
def test_a_caption_that_cannot_be_used_says_where_and_why(
    text: bytes, status: str, says: str, clips: Path
) -> None:
    (clips / "a.txt").write_bytes(text)
    found = wrong(recognise(clips))["a.webp"]
    assert found[0] == status
    assert says in found[1]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "txt"])
def test_one_line_that_is_not_utf8_costs_one_clip(kind: str, clips: Path) -> None:
    bad = "k\xe4se"
    content = {
        "csv": f'file_name,caption\na.webp,"one\n\nhalf"\nb.webp,{bad}\nmore/c.webp,three\n',
        "jsonl": '{"file_name": "a.webp", "text": "one half"}\n\n\n\n{"file_name": "b.webp", '
        f'"text": "{bad}"}}\n{{"file_name": "more/c.webp", "text": "three"}}\n',
        "txt": f"one half\n{bad}\nthree\n",
    }
    name = {"csv": "metadata.csv", "jsonl": "metadata.jsonl", "txt": "prompts.txt"}[kind]
    (clips / name).write_bytes(content[kind].encode("latin-1"))
    (clips / "videos.txt").write_text("a.webp\nb.webp\nmore/c.webp\n")
    layout = recognise(clips)
    assert captions(layout) == {"a.webp": "one half", "more/c.webp": "three"}
    line = 2 if kind == "txt" else 5
    reason = f"the caption in {name}, line {line} is not UTF-8 text"
    assert wrong(layout) == {"b.webp": ("caption unusable", reason)}


def test_half_a_character_in_json_is_not_text(clips: Path) -> None:
    (clips / "metadata.jsonl").write_text('{"file_name": "a.webp", "caption": "\\ud83c"}')
    assert wrong(recognise(clips))["a.webp"][0] == "caption unusable"


@pytest.mark.parametrize(
    "content",
    [
        "file_name,caption\n".encode("utf-16"),
        b"\xff\xfe",
        b"",
        b"\0\0\0",
        b'"' + b"x" * 200_000,
        b"file_name\n",
    ],
)
def test_a_table_that_is_none_is_an_error_for_people(content: bytes, clips: Path) -> None:
    (clips / "metadata.csv").write_bytes(content)
    with pytest.raises(RequestError, match=r"metadata\.csv"):
        recognise(clips)


def test_a_field_that_never_ends_costs_what_it_swallows(clips: Path) -> None:
    rows = f'file_name,caption\na.webp,one\nb.webp,"{"x" * 200_000}\n'
    (clips / "metadata.csv").write_text(rows)
    layout = recognise(clips)
    assert captions(layout) == {"a.webp": "one"}
    assert wrong(layout)["metadata.csv, line 3"][0] == "broken"


def test_names_that_are_not_utf8_are_no_reason_to_fail(clips: Path) -> None:
    try:
        (clips / b"k\xe4se.webp".decode("utf-8", "surrogateescape")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    assert len(recognise(clips).entries) == 4


def test_an_entry_is_named_after_its_video() -> None:
    assert Entry("a/b.mp4", Path("x")).name == "a/b.mp4"
