"""The videos protocol, from the first word to the last, as programs speak it."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kineograph import api
from kineograph.apps.service.asking import WorkLimit
from kineograph.apps.service.guard import Guarded
from kineograph.apps.service.jobs import Limits
from kineograph.apps.service.server import Service, make_app
from kineograph.data.video_io import read_video

Serve = Callable[..., AbstractContextManager[TestClient]]
PROMPT = "circle moving up-right"


@pytest.fixture
def idle(serve: Serve) -> Any:
    """A client of a service whose workers do nothing."""
    with serve(workers=0) as client:
        yield client


def ended(client: TestClient, name: str, within: float = 60.0) -> dict[str, Any]:
    until = time.monotonic() + within
    while time.monotonic() < until:
        video = client.get(f"/v1/videos/{name}").json()
        if video["status"] in ("completed", "failed"):
            return video
        time.sleep(0.05)
    raise AssertionError(f"{name} did not end within {within} s")


def error(answer: Any) -> tuple[int, str | None, str | None]:
    told = answer.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, told["error"]["code"], told["error"]["param"]


# ---- from the first word to the last -------------------------------------------------------------


def test_a_prompt_becomes_a_video_with_its_verdict(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    with serve() as client:
        asked = client.post("/v1/videos", json={"prompt": PROMPT, "seed": 7, "size": "64x64"})
        assert asked.status_code == 200
        first = asked.json()
        assert (first["status"], first["progress"], first["model"]) == ("queued", 0, "flow")
        video = ended(client, first["id"])
        assert (video["status"], video["progress"]) == ("completed", 100)
        assert video["judged"]["verdict"] in ("yes", "no")
        assert video["judged"]["seconds"] > 0
        assert all(
            0 <= x <= 16 for path in video["judged"]["paths"] for point in path for x in point
        )
        assert (video["seconds"], video["size"], video["num_frames"]) == ("0.4", "64x64", 4)
        content = client.get(f"/v1/videos/{first['id']}/content")
        assert content.headers["content-type"] == "video/mp4"
        (tmp_path / "made.mp4").write_bytes(content.content)
        assert read_video(tmp_path / "made.mp4").frames.shape == (4, 64, 64, 3)
        sheet = client.get(f"/v1/videos/{first['id']}/content?variant=spritesheet")
    pixels = np.asarray(Image.open(io.BytesIO(sheet.content)))
    expected = api.generate(PROMPT, model=models / "flow", seed=7)[0].frames
    assert np.array_equal(pixels, np.concatenate(list(expected), axis=1))


def test_what_was_made_is_there_after_a_restart(serve: Serve) -> None:
    with serve() as client:
        name = client.post("/v1/videos", json={"prompt": PROMPT, "fps": 60}).json()["id"]
        ended(client, name)
        too_fast = client.get(f"/v1/videos/{name}/content?format=gif")
        assert error(too_fast) == (422, "invalid_value", "format")
        films = [client.get(f"/v1/videos/{name}/content?format=webm").content for _ in range(2)]
        assert films[0] == films[1]
        name = client.post("/v1/videos", json={"prompt": PROMPT}).json()["id"]
        ended(client, name)
    with serve(workers=0) as client:
        assert client.get("/v1/videos").json()["first_id"] == name
        assert client.get(f"/v1/videos/{name}/content?format=gif").content[:4] == b"GIF8"
        assert client.get(f"/v1/videos/{name}/content?format=webp").content[8:12] == b"WEBP"
        thumbnail = client.get(f"/v1/videos/{name}/content?variant=thumbnail")
        assert Image.open(io.BytesIO(thumbnail.content)).size == (512, 512)


def test_what_waited_is_made_after_a_restart(serve: Serve) -> None:
    with serve(workers=0) as client:
        names = [
            client.post("/v1/videos", json={"prompt": PROMPT, "model": model}).json()["id"]
            for model in ("gan", "flow", "gan")
        ]
    with serve() as client:
        assert [ended(client, name)["status"] for name in names] == ["completed"] * 3


def test_the_events_show_how_it_forms(serve: Serve) -> None:
    with serve() as client:
        asked = {"prompt": PROMPT, "num_inference_steps": 3}
        name = client.post("/v1/videos", json=asked).json()["id"]
        with client.stream("GET", f"/v1/videos/{name}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in stream.iter_lines() if line]
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data")]
    assert events.count("preview") == 1 + 3  # nothing but noise, and after each step
    assert (events[-1], data[-1]["status"]) == ("done", "completed")
    previews = [told for kind, told in zip(events, data, strict=True) if kind == "preview"]
    assert [told["step"] for told in previews] == [0, 1, 2, 3]
    assert all(told["image"].startswith("data:image/webp;base64,") for told in previews)


def test_a_remix_keeps_all_but_the_prompt(idle: TestClient) -> None:
    asked = {"prompt": PROMPT, "seed": 3, "guidance_scale": 2.0, "model": "flow"}
    first = idle.post("/v1/videos", json=asked).json()
    second = idle.post(f"/v1/videos/{first['id']}/remix", json={"prompt": "square moving up"})
    told = second.json()
    assert told["remixed_from_video_id"] == first["id"]
    assert (told["prompt"], told["seed"], told["guidance_scale"]) == ("square moving up", 3, 2.0)


def test_what_is_left_open_is_as_the_model_does(idle: TestClient) -> None:
    left, asked = (
        idle.post("/v1/videos", json={"prompt": PROMPT, "model": "flow", **told}).json()
        for told in ({}, {"guidance_scale": 1.0})
    )
    assert (left["num_inference_steps"], left["guidance_scale"]) == (8, 1.5)
    assert asked["guidance_scale"] == 1.0


# ---- what may be asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["json", "curl", "form", "multipart", "extra_params", "brackets"])
def test_the_same_is_asked_in_many_ways(idle: TestClient, how: str) -> None:
    extra = {"seed": 5, "num_inference_steps": 4, "fps": 5, "best_of": 2, "guidance_scale": 1.5}
    fields = {"prompt": PROMPT, **{name: str(value) for name, value in extra.items()}}
    sent: dict[str, dict[str, Any]] = {
        "json": {"json": {"prompt": PROMPT, **extra}},
        "curl": {
            "content": json.dumps({"prompt": PROMPT, **extra}),
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
        "form": {"data": fields},
        "multipart": {"files": {name: (None, value) for name, value in fields.items()}},
        "extra_params": {"json": {"prompt": PROMPT, "extra_params": extra}},
        "brackets": {
            "files": {
                "prompt": (None, PROMPT),
                **{f"extra_params[{name}]": (None, str(value)) for name, value in extra.items()},
            }
        },
    }
    answer = idle.post("/v1/videos", **sent[how])
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {name: told[name] for name in extra} == extra
    assert told["seconds"] == "0.8"


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({}, "missing_field", "prompt"),
        ({"prompt": "   "}, "invalid_value", "prompt"),
        ({"prompt": "x" * 1001}, "invalid_value", "prompt"),
        ({"promt": PROMPT, "prompt": PROMPT}, "unknown_field", "promt"),
        ({"prompt": PROMPT, "size": "100x64"}, "invalid_value", "size"),
        ({"prompt": PROMPT, "size": "16384x16384"}, "invalid_value", "size"),
        ({"prompt": PROMPT, "size": "0x0"}, "invalid_value", "size"),
        ({"prompt": PROMPT, "seconds": "8"}, "invalid_value", "seconds"),
        ({"prompt": PROMPT, "num_frames": 400}, "invalid_value", "num_frames"),
        ({"prompt": PROMPT, "seed": -1}, "invalid_value", "seed"),
        ({"prompt": PROMPT, "best_of": 65}, "invalid_value", "best_of"),
        ({"prompt": PROMPT, "guidance_scale": "nan"}, "invalid_value", "guidance_scale"),
        ({"prompt": PROMPT, "extra_params": 3}, "invalid_value", "extra_params"),
        (
            {"prompt": PROMPT, "input_reference": {"image_url": "file:///etc/passwd"}},
            "unknown_field",
            "input_reference",
        ),
        (
            {"prompt": PROMPT, "model": "gan", "negative_prompt": "x"},
            "invalid_value",
            "negative_prompt",
        ),
    ],
)
def test_what_cannot_be_made_names_the_field(
    idle: TestClient, asked: dict[str, Any], code: str, param: str
) -> None:
    assert error(idle.post("/v1/videos", json=asked)) == (422, code, param)
    assert not idle.get("/v1/videos").json()["data"]


def test_a_word_that_is_nearly_right_is_named(idle: TestClient) -> None:
    told = idle.post("/v1/videos", json={"prompt": PROMPT, "model": "flw"})
    assert error(told) == (404, "model_not_found", "model")
    assert 'Did you mean "flow"?' in told.json()["error"]["message"]


def test_files_and_other_bodies_are_refused(idle: TestClient) -> None:
    with_file = {"prompt": (None, PROMPT), "input_reference": ("a.png", b"pixels")}
    assert error(idle.post("/v1/videos", files=with_file)) == (422, "no_files", "input_reference")
    for content, kind, expected in (
        (b"{", "application/json", (400, "bad_request", None)),
        (b"[]", "application/json", (400, "bad_request", None)),
        (b"[" * 100_000, "application/json", (400, "bad_request", None)),
        (b"prompt", "text/plain", (415, "unsupported_media_type", None)),
        (b"nonsense", "multipart/form-data; boundary=x", (400, "bad_request", None)),
        (b"nonsense", "multipart/form-data", (400, "bad_request", None)),
        (
            b"prompt=x&extra_params=" + b"[" * 100_000,
            "application/x-www-form-urlencoded",
            (422, "invalid_value", "extra_params"),
        ),
    ):
        answer = idle.post("/v1/videos", content=content, headers={"content-type": kind})
        assert error(answer) == expected, (content[:10], kind)


def test_too_much_work_is_refused(serve: Serve) -> None:
    with serve(workers=0, work=WorkLimit(4 * 16 * 16 * 10)) as client:
        asked = {"prompt": PROMPT, "num_inference_steps": 5, "best_of": 3}
        assert error(client.post("/v1/videos", json=asked)) == (422, "invalid_value", "best_of")


def test_a_key_asks_once(idle: TestClient) -> None:
    headers = {"idempotency-key": "once"}
    first, again = (
        idle.post("/v1/videos", json={"prompt": PROMPT}, headers=headers).json() for _ in range(2)
    )
    assert first == again
    other = idle.post("/v1/videos", json={"prompt": "square"}, headers=headers)
    assert error(other) == (409, "key_in_use", None)


def test_a_full_queue_says_when_to_come_again(serve: Serve) -> None:
    with serve(workers=0, limits=Limits(queued=1)) as client:
        client.post("/v1/videos", json={"prompt": PROMPT})
        full = client.post("/v1/videos", json={"prompt": PROMPT})
        assert error(full) == (429, "queue_full", None)
        assert int(full.headers["retry-after"]) > 0


# ---- lists, ends -------------------------------------------------------------------------------


def test_lists_have_pages(idle: TestClient) -> None:
    names = [idle.post("/v1/videos", json={"prompt": f"circle {n}"}).json()["id"] for n in range(5)]
    page = idle.get("/v1/videos?limit=2").json()
    assert (page["object"], page["has_more"]) == ("list", True)
    assert (page["first_id"], page["last_id"]) == (names[4], names[3])
    rest = idle.get(f"/v1/videos?after={page['last_id']}&limit=100").json()
    assert [video["id"] for video in rest["data"]] == names[2::-1]
    assert not rest["has_more"]
    assert idle.get("/v1/videos?order=asc&limit=1").json()["first_id"] == names[0]
    assert error(idle.get("/v1/videos?limit=0")) == (422, "invalid_value", "limit")
    unknown = idle.get("/v1/videos?after=video_" + "0" * 24)
    assert error(unknown) == (404, "not_found", "after")


def test_one_that_waits_can_be_cancelled_and_deleted(idle: TestClient) -> None:
    name = idle.post("/v1/videos", json={"prompt": PROMPT}).json()["id"]
    told = idle.get(f"/v1/videos/{name}")
    assert int(told.headers["openai-poll-after-ms"]) > 0
    assert error(idle.get(f"/v1/videos/{name}/content")) == (409, "not_ready", "id")
    cancelled = idle.post(f"/v1/videos/{name}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    gone = idle.delete(f"/v1/videos/{name}").json()
    assert gone == {"id": name, "object": "video.deleted", "deleted": True}
    assert error(idle.get(f"/v1/videos/{name}")) == (404, "not_found", "id")
    assert error(idle.delete(f"/v1/videos/{name}")) == (404, "not_found", "id")


@pytest.mark.parametrize("model", ["flow", "gan"])
def test_one_under_way_can_be_cancelled(serve: Serve, model: str) -> None:
    with serve() as client:
        asked = {"prompt": PROMPT, "num_inference_steps": 200, "best_of": 64, "model": model}
        name = client.post("/v1/videos", json=asked).json()["id"]
        while client.get(f"/v1/videos/{name}").json()["status"] == "queued":
            time.sleep(0.02)
        client.post(f"/v1/videos/{name}/cancel")
        video = ended(client, name, within=10)
        assert (video["status"], video["error"]["code"]) == ("failed", "cancelled")
        after = client.post("/v1/videos", json={"prompt": PROMPT}).json()["id"]
        assert ended(client, after)["status"] == "completed"


def test_what_cannot_be_made_fails_and_the_next_is_made(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    with serve(workers=0) as client:
        bad = client.post("/v1/videos", json={"prompt": PROMPT, "model": "gan"}).json()["id"]
    weights = models / "gan" / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-50])
    try:
        with serve() as client:
            video = ended(client, bad)
            assert (video["status"], video["error"]["code"]) == ("failed", "cannot_make")
            good = client.post("/v1/videos", json={"prompt": PROMPT, "model": "flow"}).json()["id"]
            assert ended(client, good)["status"] == "completed"
    finally:
        weights.write_bytes(whole)


def test_the_models_tell_what_they_make(idle: TestClient) -> None:
    told = idle.get("/v1/models").json()
    assert [model["id"] for model in told["data"]] == ["flow", "gan"]
    flow, gan = told["data"]
    assert (flow["num_frames"], flow["width"], flow["num_inference_steps"]) == (4, 16, 8)
    assert gan["num_inference_steps"] is None
    assert (flow["guidance_scale"], gan["guidance_scale"]) == (1.5, 1.0)
    assert "circle moving left" in flow["captions"]


def test_a_model_tells_its_words_and_which_it_does_not_know(idle: TestClient) -> None:
    told = idle.get("/v1/models/flow/words", params={"prompt": "A sqare moving Upp-left"}).json()
    assert told["slots"]["shape"] == ["circle"]
    assert "moving up-left" in told["slots"]["motion"]
    assert "moving up" in told["slots"]["motion"]  # in no caption alone, but known from others
    assert "orbiting clockwise" not in told["slots"]["motion"]
    assert set(told["slots"]) == {"shape", "motion"}
    assert told["known"][0] == "circle"
    assert [(each["word"], each["start"]) for each in told["unknown"]] == [
        ("A", 0),
        ("sqare", 2),
        ("Upp", 15),
    ]
    assert told["unknown"][2]["nearest"] == "up"
    assert error(idle.get("/v1/models/nobody/words")) == (404, "model_not_found", "model")


# ---- parts of a file -----------------------------------------------------------------------------


def test_parts_of_a_file(serve: Serve) -> None:
    with serve() as client:
        name = client.post("/v1/videos", json={"prompt": PROMPT}).json()["id"]
        ended(client, name)
        place = f"/v1/videos/{name}/content"
        whole = client.get(place)
        data, tag = whole.content, whole.headers["etag"]
        assert whole.headers["accept-ranges"] == "bytes"
        for asked, first, last in (
            ("bytes=0-9", 0, 9),
            ("bytes=10-", 10, len(data) - 1),
            ("bytes=-5", len(data) - 5, len(data) - 1),
            (f"bytes=3-{10**15}", 3, len(data) - 1),
        ):
            part = client.get(place, headers={"range": asked})
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
            assert part.content == data[first : last + 1]
        beyond = client.get(place, headers={"range": f"bytes={len(data)}-"})
        assert error(beyond) == (416, "range", None)
        bomb = "bytes=" + ",".join(f"{n}-" for n in range(1000))
        for asked in (bomb, "bytes=9-3", "lines=1-2", "bytes=-", "bytes=" + "9" * 500 + "-"):
            answer = client.get(place, headers={"range": asked})
            assert (answer.status_code, len(answer.content)) in (
                (200, len(data)),
                (416, len(answer.content)),
            )
        changed = client.get(place, headers={"range": "bytes=0-1", "if-range": '"another"'})
        assert changed.status_code == 200
        same = client.get(place, headers={"range": "bytes=0-1", "if-range": tag})
        assert same.status_code == 206


# ---- who may ask ---------------------------------------------------------------------------------


def test_names_bent_to_this_address_are_refused(idle: TestClient) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1:8000.evil.example", ""):
        assert error(idle.get("/v1/videos", headers={"host": host}))[:2] == (421, "wrong_host")


def test_pages_of_others_are_refused(idle: TestClient) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8001", "http://127.0.0.1"):
        answer = idle.post("/v1/videos", json={"prompt": PROMPT}, headers={"origin": origin})
        assert error(answer)[:2] == (403, "wrong_origin")
    for site in ("cross-site", "same-site"):  # a picture in another page has no Origin
        answer = idle.get("/v1/models", headers={"sec-fetch-site": site})
        assert error(answer)[:2] == (403, "wrong_origin")
    for site in ("same-origin", "none"):
        assert idle.get("/v1/models", headers={"sec-fetch-site": site}).status_code == 200
    mine = {"origin": "http://127.0.0.1:8000"}
    assert idle.post("/v1/videos", json={"prompt": PROMPT}, headers=mine).status_code == 200


def test_a_key_opens(serve: Serve) -> None:
    guarded = Guarded(("127.0.0.1:8000",), ("a-long-enough-key", "another-long-key"))
    with serve(workers=0, guarded=guarded) as client:
        assert error(client.get("/v1/videos"))[:2] == (401, "invalid_api_key")
        for wrong in ("Bearer a-long-enough-ke", "Basic a-long-enough-key", "Bearer ", "Bearer ü"):
            headers = {"authorization": wrong.encode()}
            assert client.get("/v1/videos", headers=headers).status_code == 401
        for right in ("Bearer a-long-enough-key", "bearer another-long-key"):
            assert client.get("/v1/videos", headers={"authorization": right}).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_too_long_a_body_is_not_read(idle: TestClient) -> None:
    long = b'{"prompt": "' + b"x" * (1 << 18) + b'"}'
    assert error(idle.post("/v1/videos", content=long)) == (413, "too_large", None)

    def parts() -> Any:
        for _ in range(1 << 10):
            yield b" " * 1024

    assert error(idle.post("/v1/videos", content=parts())) == (413, "too_large", None)
    for length in ("-1", "+5", "1e9", "٣"):
        headers = {"content-length": length.encode()}
        assert idle.get("/v1/models", headers=headers).status_code == 400


def test_a_compressed_body_is_not_unpacked(idle: TestClient) -> None:
    bomb = gzip.compress(b" " * (1 << 24))
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = idle.post("/v1/videos", content=bomb, headers=headers)
    assert error(answer)[:2] == (400, "bad_request")


def test_a_body_that_comes_too_slowly_is_not_waited_for(models: Path, tmp_path: Path) -> None:
    guarded = Guarded(("127.0.0.1",), body_seconds=0.2)
    app = make_app(Service(str(tmp_path), (models,), guarded, workers=0))

    async def slowly() -> AsyncIterator[bytes]:
        for sign in b'{"prompt": "a circle"}':
            await asyncio.sleep(0.05)
            yield bytes([sign])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/v1/videos", content=slowly())

    assert error(asyncio.run(ask())) == (408, "timeout", None)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/videos/..%2f..%2fetc%2fpasswd",
        "/v1/videos/../../../etc/passwd/content",
        "/v1/videos/video_%00/content",
        "/v1/videos/video_" + "0" * 24 + "/content?variant=../../etc/passwd",
        "/v1/videos/video_" + "0" * 24 + "%2f..%2fjobs.sqlite3/content",
        "/nothing",
    ],
)
def test_no_path_leads_out(idle: TestClient, path: str) -> None:
    assert idle.get(path).status_code in (404, 422)
    error(idle.get(path))


def test_a_page_may_load_nothing_from_elsewhere(idle: TestClient) -> None:
    headers = idle.get("/v1/models").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


# ---- operation -----------------------------------------------------------------------------------


def test_who_operates_it_sees_how_it_does(serve: Serve) -> None:
    with serve(workers=0) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").status_code == 503
        client.post("/v1/videos", json={"prompt": PROMPT})
        told = client.get("/metrics").text
        assert 'kineograph_jobs{status="queued"} 1' in told
        assert "kineograph_workers 0" in told


def test_the_document_tells_of_every_answer(idle: TestClient) -> None:
    document = idle.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/videos",
        "/v1/videos/{id}",
        "/v1/videos/{id}/cancel",
        "/v1/videos/{id}/favourite",
        "/v1/videos/{id}/remix",
        "/v1/videos/{id}/content",
        "/v1/videos/{id}/events",
        "/v1/models",
        "/v1/models/{id}/words",
        "/v1/models/{id}/duel",
        "/v1/sources",
        "/v1/sources/{id}/clips",
        "/v1/folders/{id}/check",
        "/v1/recipes",
        "/v1/runs",
        "/v1/runs/{id}",
        "/v1/runs/{id}/samples/{step}",
        "/v1/runs/{id}/{action}",
    }
    body = document["paths"]["/v1/videos"]["post"]["requestBody"]["content"]
    assert set(body) >= {"application/json", "multipart/form-data"}
    assert "HTTPValidationError" not in json.dumps(document)
