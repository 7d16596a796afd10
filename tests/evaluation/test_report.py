from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kineograph.data.clip import Clip
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source
from kineograph.evaluation import page as parts
from kineograph.evaluation import report
from kineograph.evaluation.accuracy import Evaluation, PromptScore
from kineograph.evaluation.own_error import BROKEN, RIGHT
from kineograph.evaluation.report import Baseline, ReportData, render
from kineograph.evaluation.statistics import Share
from kineograph.evaluation.verifier import Verdict

YES = Verdict("yes")
NO = Verdict("no", ["It moves 41° off up; the limit is 15°."])
VOID = {"meta", "img", "input", "br", "link"}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    source = Source(Config())
    return [source.clip(index, 0) for index in range(20)]


def evaluation_of(clips: list[Clip]) -> Evaluation:
    unseen = [PromptScore(p, [YES, NO] * 10, clips, seen=False) for p in UNSEEN_PROMPTS]
    return Evaluation([*unseen, *(PromptScore(c, [YES] * 4, clips[:4], True) for c in CAPTIONS)])


def metrics() -> list[dict[str, Any]]:
    steps = range(1, 400)
    rows = [{"step": s, "elapsed": s * 0.6, "generator.total": 1 / s} for s in steps]
    rows += [{"step": s, "elapsed": s * 0.6, "discriminator.total": float("nan")} for s in steps]
    return rows + [{"step": s, "elapsed": s * 0.6, "accuracy": s / 400} for s in (100, 200, 399)]


@pytest.fixture(scope="module")
def data(clips: list[Clip]) -> ReportData:
    judge = {"true": Share(99, 100), "compressed": Share(97, 100), "frozen": Share(0, 100)}
    return ReportData(
        evaluation=evaluation_of(clips),
        command="kineograph demo --seed 7",
        version="9.8.7",
        training_seconds=250.4,
        times={"training": 250.4, "judging": 9.6},
        settings="seed = 7\n",
        environment={"torch_version": "2.13.0", "cores": 2, "gpu": None},
        metrics=metrics(),
        baseline=Baseline(0.01, {UNSEEN_PROMPTS[0]: 0.25}, "1 May 2026", "two cores", 360),
        judge=judge,
        date="2 May 2026",
        notes=["It was interrupted once."],
    )


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return render(data)


class Outline(HTMLParser):
    """Every tag with its attributes, and the text without styles; all that opens must close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.text += " "
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


# ---- one file, and nothing else ----------------------------------------------------------------


def test_it_needs_no_other_file_no_network_and_no_script(page: str) -> None:
    outline = Outline(page)
    assert not outline.all("script", "link", "iframe", "object", "base", "a")
    for _, attributes in outline.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
        assert not any(name.startswith("on") for name in attributes)
    assert "http" not in re.sub(r'="data:[^"]*"|http-equiv', "", page)
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


def test_it_forbids_itself_to_load_anything(page: str) -> None:
    policy = next(m for m in Outline(page).all("meta") if "http-equiv" in m)["content"]
    assert "default-src 'none'" in policy


def test_it_is_valid_enough_for_every_browser(page: str) -> None:
    outline = Outline(page)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', page))
    assert used <= set(ids)
    assert "$" not in outline.text
    assert len(outline.all("h1")) == len(outline.all("main")) == len(outline.all("title")) == 1


def test_all_its_parts_are_in_the_package() -> None:
    for name in ("report.css", "report.html"):
        assert resources.files("kineograph.evaluation").joinpath(name).is_file()


def test_the_same_data_give_the_same_page(data: ReportData, page: str) -> None:
    assert render(data) == page


# ---- what it tells -----------------------------------------------------------------------------


def test_it_tells_what_happened(page: str) -> None:
    text = " ".join(Outline(page).text.split()).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "trained from nothing on this computer in 4 min 10 s" in text
    assert "20 prompts, 2 of which it had never seen" in text
    assert "100 % 72 of 72 clips verified 95 % interval: 95 to 100 %" in text
    assert "10 of 20 clips verified" in text
    assert "The tutorial's own model: 25 %" in text
    assert "recorded in the last benchmark on 1 May 2026 (two cores), after 6 min" in text
    assert "10 of 10: It moves 41° off up; the limit is 15°" in text
    assert "It was interrupted once." in text
    assert "kineograph demo --seed 7" in text
    assert "seed = 7" in text
    assert "torch version 2.13.0" in text
    assert "gpu" not in text
    assert "all 4 min 20 s" in text
    assert "Kineograph 9.8.7" in text
    for prompt in (*UNSEEN_PROMPTS, *CAPTIONS):
        assert text.count(prompt) >= 2


def test_it_tells_of_every_kind_of_clip_whether_the_judge_should_accept_it(page: str) -> None:
    text = " ".join(Outline(page).text.split()).replace("\N{NARROW NO-BREAK SPACE}", " ")
    table = text[text.index("Clips that the judge accepted") :]
    right, broken = table.index("100 % should be accepted"), table.index("0 % should be accepted")
    broken = table.index("0 % should be accepted", right + 10)
    places = {name: table.index(f" {name} ") for name in (*RIGHT, *BROKEN)}
    assert all(right < places[name] < broken for name in RIGHT)
    assert all(broken < places[name] for name in BROKEN)
    assert "true Nothing: they do what their caption says. 99 of 100 99 %" in table
    assert "97 of 100" in table
    assert "frozen One frame from the middle half, all the time. 0 of 100 0 %" in table
    assert "blue for red. Not tried: it makes none of the captions false. -" in table


def test_clips_play_and_have_stills_and_words(page: str) -> None:
    outline = Outline(page)
    playing = [image for image in outline.all("img") if image["class"] == "plays"]
    still = [image for image in outline.all("img") if image["class"] == "still"]
    assert len(playing) == len(still) == 2 * 16 + 18 * 3
    assert all(image["alt"] for image in playing + still)
    for image, frames in ((playing[0], 10), (still[0], 1)):
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
        assert (picture.size, getattr(picture, "n_frames", 1)) == ((64, 64), frames)
    failed = [f for f in outline.all("figure") if f.get("class") == "clip no"]
    assert len(failed) == 16
    assert failed[0]["title"] == NO.reasons[0]


def test_a_still_shows_where_the_object_was_in_every_frame(clips: list[Clip]) -> None:
    down = next(clip for clip in clips if clip.caption == "circle moving down")
    assert down.facts is not None
    exposed = parts.exposure(down).frames
    assert exposed.shape == (1, *down.frames.shape[1:])
    darkness = [255 - exposed[0, int(y), int(x), 0] for x, y in down.facts.objects[0].position]
    assert darkness[-1] == 255
    assert darkness[0] >= 50


def test_tables_say_what_their_cells_are(page: str) -> None:
    outline = Outline(page)
    assert len(outline.all("table")) == len(outline.all("caption")) == 4
    assert all(heading.get("scope") for heading in outline.all("th"))


def test_curves_are_drawn_and_described(page: str) -> None:
    labels = [a["aria-label"] for a in Outline(page).all("div") if a.get("role") == "img"]
    assert len(labels) == 2  # a loss that is never a number has no curve
    assert labels[0].startswith("Verified accuracy")
    assert "from 25 % to 99.8 %" in labels[0]
    assert "var(--accent)" in page
    assert "#010101" not in page


def test_what_is_left_out_is_left_out(clips: list[Clip]) -> None:
    scores = [PromptScore("circle moving up", [YES], clips[:1], seen=True)]
    outline = Outline(render(ReportData(Evaluation(scores), "kineograph evaluate m", "1")))
    for missing in ("training went", "trust the judge", "never saw", "tutorial", "from nothing"):
        assert missing not in outline.text
    assert [i["id"] for i in outline.all("input")] == ["hold"]  # the clips can still be stopped


def test_many_unseen_prompts_share_one_number(clips: list[Clip]) -> None:
    scores = [PromptScore(f"prompt {n}", [YES], clips[:1], seen=False) for n in range(9)]
    outline = Outline(render(ReportData(Evaluation(scores), "c", "1")))
    assert len(outline.all("li")) == 1
    assert "9 prompts" in outline.text


def test_a_command_line_is_what_one_would_type() -> None:
    typed = parts.command_line("demo", minutes=0.5, seed=0, stop_at=None, force=True, anyway=False)
    assert typed == "kineograph demo --minutes 0.5 --seed 0 --force"
    asked = parts.command_line("evaluate", "my runs/a", split="held-out", i3d=Path("a b.pt"))
    assert asked == "kineograph evaluate 'my runs/a' --split held-out --i3d 'a b.pt'"


# ---- what it withstands ------------------------------------------------------------------------


def test_words_are_words_whatever_they_hold(data: ReportData, clips: list[Clip]) -> None:
    evil = "</td><script>alert('$title & \"x\"')</script>"
    verdict = Verdict("no", [f"{evil}; the limit is 1."])
    hostile = dataclasses.replace(
        data,
        evaluation=Evaluation([PromptScore(evil, [verdict], clips[:1], seen=False)]),
        baseline=Baseline(0.1, {evil: 0.1}, evil, evil, name=evil),
        metrics=[{"elapsed": t, f'{evil}"url(#x).total': t} for t in range(9)],
        **dict.fromkeys(("command", "version", "settings", "title", "date"), evil),
        environment={evil: evil},
        times={evil: 1.0},
        notes=[evil],
    )
    outline = Outline(render(hostile))
    assert not outline.all("script")
    assert outline.text.count(evil) >= 10
    image = outline.all("img")[0]
    assert image["alt"] == f"Video: {evil}"


def test_a_prompt_that_cannot_be_judged_is_listed(clips: list[Clip]) -> None:
    verdict = Verdict("cannot judge", ['"dog" is not an object it knows.'])
    scores = [PromptScore("dog barking", [verdict], clips[:1], seen=False)]
    outline = Outline(render(ReportData(Evaluation(scores), "c", "1")))
    assert 'is not counted. "dog" is not an object' in outline.text
    assert [f["class"] for f in outline.all("figure")] == ["clip unknown"]


def test_the_page_stays_small_and_every_prompt_gets_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert report.MAX_CLIP_CHARACTERS + 400_000 < 6_000_000
    rng = np.random.default_rng(0)
    noise = Clip(rng.integers(0, 256, (10, 24, 24, 3)).astype(np.uint8), "noise")
    scores = [PromptScore(f"prompt {n}", [NO] * 9, [noise] * 9, n > 1) for n in range(4)]
    monkeypatch.setattr(report, "MAX_CLIP_CHARACTERS", 260_000)
    shown = report._clips(scores)
    assert 200_000 < sum(len(figure) for figures in shown.values() for figure in figures) < 260_000
    assert {len(figures) for figures in shown.values()} == {2, 3}


def test_clips_too_large_to_show_are_told(
    monkeypatch: pytest.MonkeyPatch, clips: list[Clip]
) -> None:
    monkeypatch.setattr(report, "MAX_CLIP_CHARACTERS", 0)
    scores = [PromptScore("circle moving up", [YES], clips[:1], seen=False)]
    outline = Outline(render(ReportData(Evaluation(scores), "c", "1")))
    assert "Too large to show here." in outline.text


def test_fast_clips_are_played_as_fast_as_browsers_can(clips: list[Clip]) -> None:
    assert parts.webp(dataclasses.replace(clips[0], fps=240.0)).startswith("data:image/webp")


def test_nothing_evaluated_is_no_error() -> None:
    assert Outline(render(ReportData(Evaluation([]), "c", "1"))).all("h1")
