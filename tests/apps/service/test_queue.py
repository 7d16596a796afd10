"""A queue that loses nothing and ends each job once, whoever dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kineograph.apps.service import opened, worker
from kineograph.apps.service.jobs import Job, KeyInUse, Limits, QueueFull
from kineograph.apps.service.queue import LEASE, Jobs
from kineograph.apps.service.sqlite import SqliteJobs
from kineograph.apps.service.worker import Worker
from kineograph.apps.service.workers import Orders
from kineograph.core.errors import RequestError

Open = Callable[..., Jobs]


class Clock:
    """The time that a queue goes by."""

    now = 1_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def open_jobs(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Opens the one queue, once more each time, with the test's clock."""
    place = str(tmp_path / "queue")
    if request.param == "postgres":
        place = request.getfixturevalue("postgres")()
    every: list[Jobs] = []

    def open_(**limits: Any) -> Jobs:
        jobs = opened(place, Limits(**limits))
        jobs.now = lambda: clock.now
        every.append(jobs)
        return jobs

    yield open_
    for jobs in every:
        jobs.close()


@pytest.fixture
def jobs(open_jobs: Open) -> Jobs:
    return open_jobs()


def add(jobs: Jobs, prompt: str = "circle moving up", kind: str = "a", **told: Any) -> str:
    return jobs.add("toy", kind, {"prompt": prompt}, **told)[0].id


def status(jobs: Jobs, job: str) -> str:
    found = jobs.get(job)
    assert found
    return found.status


def test_what_was_queued_is_there_when_it_is_opened_again(jobs: Jobs, open_jobs: Open) -> None:
    name = add(jobs)
    found = open_jobs().get(name)
    assert found
    assert (found.status, found.asked, found.progress) == (
        "queued",
        {"prompt": "circle moving up"},
        0,
    )
    assert jobs.get("video_of_nobody") is None


def test_the_first_comes_first_with_others_of_its_kind(jobs: Jobs) -> None:
    first, other, third, fourth = add(jobs), add(jobs, kind="b"), add(jobs), add(jobs)
    assert [job.id for job in jobs.claim("w1", 2)] == [first, third]
    assert [job.id for job in jobs.claim("w2", 2)] == [other]
    assert [job.id for job in jobs.claim("w1", 2)] == [fourth]
    assert jobs.claim("w1", 2) == []


def test_who_holds_a_job_ends_it_and_nobody_else(jobs: Jobs) -> None:
    name = add(jobs)
    jobs.claim("w1", 1)
    assert not jobs.complete("w2", name, {"verdict": "yes"}, 10)
    assert status(jobs, name) == "in_progress"
    assert jobs.complete("w1", name, {"verdict": "yes"}, 10)
    assert not jobs.fail("w1", name, "late", "Too late.")
    found = jobs.get(name)
    assert found
    assert (found.status, found.progress, found.outcome) == ("completed", 100, {"verdict": "yes"})
    assert found.bytes == 10


def test_a_job_is_queued_again_once_its_lease_has_run_out(jobs: Jobs, clock: Clock) -> None:
    name = add(jobs)
    jobs.claim("w1", 1)
    clock.now += LEASE - 1
    assert jobs.renew("w1", {name: 40}) == {name}
    clock.now += LEASE - 1
    jobs.tend()
    assert status(jobs, name) == "in_progress"
    clock.now += 2
    jobs.tend()
    assert status(jobs, name) == "queued"
    assert [job.id for job in jobs.claim("w2", 1)] == [name]
    assert jobs.renew("w1", {name: 50}) == set()
    assert not jobs.complete("w1", name, {}, 0)
    assert jobs.complete("w2", name, {}, 0)


def test_a_job_that_kills_its_workers_fails_alone(jobs: Jobs) -> None:
    bad, good = add(jobs), add(jobs)
    assert len(jobs.claim("w0", 8)) == 2
    jobs.lost("w0")
    for number in (1, 2):  # what was lost goes alone, in its order
        assert [job.id for job in jobs.claim(f"w{number}", 8)] == [bad]
        jobs.lost(f"w{number}")
    found = jobs.get(bad)
    assert found
    assert found.error
    assert (found.status, found.error["code"]) == ("failed", "worker_died")
    assert [job.id for job in jobs.claim("w3", 8)] == [good]


def test_a_worker_that_ends_gives_back_what_it_has_not_made(jobs: Jobs) -> None:
    names = [add(jobs), add(jobs)]
    jobs.claim("w1", 2)
    jobs.complete("w1", names[0], {}, 0)
    jobs.give_back("w1")
    assert [status(jobs, name) for name in names] == ["completed", "queued"]
    assert jobs.claim("w2", 2)[0].tries == 1


def test_who_says_nothing_for_long_is_known(jobs: Jobs, clock: Clock) -> None:
    add(jobs)
    heard = add(jobs)
    jobs.claim("w1", 1)
    jobs.claim("w2", 1)
    clock.now += LEASE / 2 - 1
    assert jobs.overdue() == set()
    jobs.renew("w2", {heard: 10})
    clock.now += 2
    assert jobs.overdue() == {"w1"}
    clock.now += LEASE
    jobs.tend()
    assert jobs.overdue() == set()


def test_a_cancelled_job_ends_at_once_or_by_its_worker(jobs: Jobs, clock: Clock) -> None:
    waiting, made, lost = add(jobs, kind="w"), add(jobs, kind="m"), add(jobs, kind="l")
    assert jobs.cancel(waiting)
    assert status(jobs, waiting) == "failed"
    jobs.claim("w1", 1)
    jobs.claim("w2", 1)
    for name in (made, lost):
        assert jobs.cancel(name)
    assert jobs.renew("w1", {made: 10}) == set()
    assert jobs.fail("w1", made, "cancelled", "As asked.")
    clock.now += LEASE + 1
    jobs.tend()
    errors = [job.error for job in map(jobs.get, (waiting, made, lost)) if job]
    assert [error and error["code"] for error in errors] == ["cancelled"] * 3
    assert jobs.cancel("video_of_nobody") is None


def test_what_was_cancelled_before_it_was_kept_is_not_made(jobs: Jobs) -> None:
    name = add(jobs)
    jobs.claim("w1", 1)
    jobs.put_file(name, "clip.webp", b"pixels")
    jobs.cancel(name)
    assert not jobs.complete("w1", name, {"verdict": "yes"}, 6)
    found = jobs.get(name)
    assert found
    assert found.error
    assert (found.status, found.error["code"]) == ("failed", "cancelled")
    assert jobs.file(name, "clip.webp") is None
    assert jobs.counts().totals["ended failed"] == 1


def test_many_that_ask_at_once_do_not_wait_for_each_other(jobs: Jobs) -> None:
    """More than there are connections to a database."""
    threads = [threading.Thread(target=add, args=(jobs,)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(8)
    assert not any(thread.is_alive() for thread in threads)
    assert jobs.counts().jobs == {"queued": 24}


def test_a_deleted_job_is_gone_with_its_files(jobs: Jobs) -> None:
    done, made = add(jobs), add(jobs)
    jobs.claim("w1", 2)
    for name in (done, made):
        jobs.put_file(name, "clip.webp", b"pixels")
    jobs.complete("w1", done, {}, 6)
    assert jobs.file(done, "clip.webp") == b"pixels"
    assert jobs.delete(done)
    assert jobs.delete(made)
    assert not jobs.delete(made)
    jobs.put_file(made, "video.mp4", b"its worker has not heard")
    assert not jobs.complete("w1", made, {}, 6)
    assert [jobs.file(name, "clip.webp") for name in (done, made)] == [None, None]
    assert jobs.file(made, "video.mp4") is None


def test_one_key_is_one_job(jobs: Jobs) -> None:
    name = add(jobs, key="k", said="this")
    assert jobs.add("toy", "a", {"prompt": "x"}, key="k", said="this")[0].id == name
    assert jobs.counts().jobs == {"queued": 1}
    with pytest.raises(KeyInUse):
        add(jobs, key="k", said="that")


def test_one_key_is_one_job_for_many_that_ask_at_once(jobs: Jobs) -> None:
    found: list[str] = []
    ask = lambda: found.append(add(jobs, key="k", said="this"))  # noqa: E731  # shorter
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_many_workers_take_each_job_once(jobs: Jobs) -> None:
    names = [add(jobs) for _ in range(40)]
    taken: list[str] = []

    def work(owner: str) -> None:
        while some := jobs.claim(owner, 3):
            taken.extend(job.id for job in some)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(names)


def test_a_full_queue_says_so(open_jobs: Open) -> None:
    jobs = open_jobs(queued=2)
    for _ in range(2):
        add(jobs, key=None)
    with pytest.raises(QueueFull, match="2 jobs are waiting"):
        add(jobs)


def test_what_is_old_or_too_much_goes_favourites_last(open_jobs: Open, clock: Clock) -> None:
    jobs = open_jobs(seconds=100.0, bytes=25)
    names = [add(jobs) for _ in range(4)]
    jobs.claim("w1", 4)
    for name in names:
        jobs.put_file(name, "clip.webp", b"0123456789")
    jobs.set_favourite(names[0], True)
    for name in names:
        jobs.complete("w1", name, {}, 10)
    jobs.tend()
    assert [job is not None for job in map(jobs.get, names)] == [True, False, False, True]
    assert jobs.file(names[1], "clip.webp") is None
    clock.now += 101
    jobs.tend()
    assert [job is not None for job in map(jobs.get, names)] == [True, False, False, False]
    assert jobs.counts().bytes == 10


def test_pages_go_on_where_they_stopped(jobs: Jobs) -> None:
    names = [add(jobs, f"prompt {n}") for n in range(5)]
    first = jobs.page(limit=2)
    assert first
    assert ([job.id for job in first.jobs], first.has_more) == ([names[4], names[3]], True)
    add(jobs, "a new one")
    rest = jobs.page(after=names[3], limit=5)
    assert rest
    assert ([job.id for job in rest.jobs], rest.has_more) == (names[2::-1], False)
    upward = jobs.page(after=names[3], newest_first=False, limit=1)
    assert upward
    assert [job.id for job in upward.jobs] == [names[4]]
    assert jobs.page(after="video_of_nobody") is None


def test_a_list_can_be_searched(jobs: Jobs) -> None:
    plain, percent = add(jobs, "Circle moving up"), add(jobs, "100% sure")
    jobs.set_favourite(percent, True)
    found = [jobs.page(containing=text) for text in ("circle MOV", "100%", "0%0", "_")]
    assert [[job.id for job in page.jobs] if page else None for page in found] == [
        [plain],
        [percent],
        [],
        [],
    ]
    kept = jobs.page(favourites=True)
    assert kept
    assert [job.id for job in kept.jobs] == [percent]
    of_another = jobs.page(model="another")
    assert of_another
    assert not of_another.jobs


def test_what_is_no_queue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_bytes(
        b"not a database, and long enough to be read as one" * 9
    )
    with pytest.raises(RequestError, match="damaged or something else"):
        SqliteJobs(tmp_path)


def test_a_worker_that_was_idle_waits_a_moment_for_those_that_come_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = Worker(Orders("w", str(tmp_path / "queue"), []))
    made: list[int] = []

    def called(nap: float) -> bool:
        add(idle.jobs)
        return True

    def make(batch: Sequence[Job]) -> None:
        made.append(len(batch))
        idle.end()

    monkeypatch.setattr(idle.called, "wait", called)
    monkeypatch.setattr(worker.time, "sleep", lambda seconds: add(idle.jobs))
    monkeypatch.setattr(idle, "_make", make)
    idle.run()
    assert made == [2]
