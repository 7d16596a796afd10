"""The queue of jobs: what it promises, whatever database keeps it.

A job is claimed by one worker, which holds it by a lease that it keeps renewing. Where a worker
dies, its leases run out, and the jobs are queued again. Only who holds a job's lease can end it, so
that each ends once.
"""

from __future__ import annotations

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from kineograph.apps.service.jobs import BUCKETS, Counts, Job, KeyInUse, Limits, Page, QueueFull

LEASE = 20.0
"""Seconds for which a worker holds a job without a word of it."""

_MOST_TRIES = 3  # of a job whose worker died under it
_FAILED = "status = 'failed', error = ?"
_CANCELLED = json.dumps({"code": "cancelled", "message": "Cancelled as somebody asked."})
_WORKER_DIED = json.dumps(
    {
        "code": "worker_died",
        "message": f"The process that made it ended {_MOST_TRIES} times before it was done.",
    }
)
_COLUMNS = (
    "id, status, model, kind, asked, created_at, started_at, completed_at, expires_at, progress, "
    "error, outcome, owner, tries, cancelled, bytes, favourite"
)


class Jobs(ABC):
    """A queue of jobs with their files, in a database that speaks SQL.

    Safe to use from several threads and processes. What differs between databases is how a
    transaction begins, how its statements run, and where files are.
    """

    skip_locked = ""
    """What ends a SELECT that passes over rows which another worker is taking."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    # ---- what a database provides ----------------------------------------------------------------

    @abstractmethod
    def _transaction(self, *, reads: bool = False) -> AbstractContextManager[Any]:
        """A connection; what runs within, all takes effect or none. ``reads`` waits for nobody."""

    @abstractmethod
    def _rows(self, to: Any, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement with ``?`` for its values."""

    @abstractmethod
    def put_file(self, job: str, name: str, data: bytes) -> None:
        """Keep a file of a job; one of that name is replaced, at once and whole."""

    @abstractmethod
    def file(self, job: str, name: str) -> bytes | None:
        """A file of a job, or None."""

    @abstractmethod
    def _remove_files(self, to: Any, jobs: Sequence[str]) -> None:
        """Of jobs that are no more."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds open, in this thread at least."""

    def now(self) -> float:
        """The time that leases are told by."""
        return time.time()

    # ---- asking ----------------------------------------------------------------------------------

    def add(
        self,
        model: str,
        kind: str,
        asked: Mapping[str, Any],
        *,
        key: str | None = None,
        said: str = "",
    ) -> tuple[Job, bool]:
        """Queue a job => it, and whether it is new; with the ``key`` of an earlier one, that one.

        ``said`` is the request itself, before chance decided what it left open. Raises QueueFull,
        and KeyInUse where the earlier one said something else.
        """
        now = self.now()
        with self._transaction() as to:
            if known := self._known(to, key, said):
                return known, False
            queued = self._rows(to, "SELECT count(*) FROM jobs WHERE status = 'queued'")[0][0]
            if queued >= self.limits.queued:
                raise QueueFull(f"{queued} jobs are waiting already.", "Try again in a while.")
            rows = self._rows(
                to,
                "INSERT INTO jobs (id, status, model, kind, prompt, asked, key, said, created_at) "
                "VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING "
                f"RETURNING {_COLUMNS}",
                *("video_" + secrets.token_hex(12), model, kind, asked["prompt"]),
                *(json.dumps(asked), key, said, now),
            )
            if rows:
                return _job(rows[0]), True
            known = self._known(to, key, said)  # somebody was quicker
            assert known
            return known, False

    def known(self, key: str, said: str) -> Job | None:
        """The job that came with a key. Raises KeyInUse where it said something else."""
        with self._transaction(reads=True) as to:
            return self._known(to, key, said)

    def _known(self, to: Any, key: str | None, said: str) -> Job | None:
        if key is None:
            return None
        rows = self._rows(to, f"SELECT said, {_COLUMNS} FROM jobs WHERE key = ?", key)
        if rows and rows[0][0] != said:
            raise KeyInUse(
                "This Idempotency-Key came with another request before.",
                "Use a new one for each request.",
            )
        return _job(rows[0][1:]) if rows else None

    def get(self, job: str) -> Job | None:
        """A job by its id, or None."""
        with self._transaction(reads=True) as to:
            rows = self._rows(to, f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    def page(
        self,
        *,
        after: str | None = None,
        limit: int = 20,
        newest_first: bool = True,
        containing: str = "",
        model: str | None = None,
        favourites: bool = False,
    ) -> Page | None:
        """Jobs in the order in which they came, from the one that comes after ``after``.

        None where there is no such job. ``containing`` is a part of the prompt.
        """
        compare, order = ("<", "DESC") if newest_first else (">", "ASC")
        wheres, values = ["number > 0"], []
        with self._transaction(reads=True) as to:
            if after is not None:
                found = self._rows(to, "SELECT number FROM jobs WHERE id = ?", after)
                if not found:
                    return None
                wheres.append(f"number {compare} ?")
                values.append(found[0][0])
            if containing:
                wheres.append("lower(prompt) LIKE ? ESCAPE '!'")
                values.append(_like(containing))
            if model is not None:
                wheres.append("model = ?")
                values.append(model)
            if favourites:
                wheres.append("favourite")
            rows = self._rows(
                to,
                f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(wheres)} "
                f"ORDER BY number {order} LIMIT ?",
                *values,
                limit + 1,
            )
        return Page([_job(row) for row in rows[:limit]], len(rows) > limit)

    def counts(self) -> Counts:
        """How much there is, for whoever watches."""
        with self._transaction(reads=True) as to:
            jobs = dict(self._rows(to, "SELECT status, count(*) FROM jobs GROUP BY status"))
            taken = self._rows(to, "SELECT coalesce(sum(bytes), 0) FROM jobs")[0][0]
            first = self._rows(to, "SELECT min(created_at) FROM jobs WHERE status = 'queued'")[0][0]
            totals = dict(self._rows(to, "SELECT name, value FROM totals"))
        waited = None if first is None else max(self.now() - first, 0.0)
        return Counts(jobs, int(taken), waited, totals)

    def set_favourite(self, job: str, favourite: bool) -> Job | None:
        """Keep a job beyond its time, or not any more."""
        return self._changed("favourite = ?", job, favourite)

    def cancel(self, job: str) -> Job | None:
        """End a job that waits at once, and tell the worker of one that is under way."""
        now = self.now()
        with self._transaction() as to:
            self._rows(
                to,
                "UPDATE jobs SET status = 'failed', completed_at = ?, expires_at = ?, error = ? "
                "WHERE id = ? AND status = 'queued'",
                *(now, now + self.limits.seconds, _CANCELLED, job),
            )
            rows = self._rows(
                to,
                f"UPDATE jobs SET cancelled = TRUE WHERE id = ? RETURNING {_COLUMNS}",
                job,
            )
        return _job(rows[0]) if rows else None

    def delete(self, job: str) -> bool:
        """Forget a job and its files; => whether there was one. Its worker finds out by itself."""
        with self._transaction() as to:
            gone = self._rows(to, "DELETE FROM jobs WHERE id = ? RETURNING id", job)
            self._remove_files(to, [row[0] for row in gone])
        return bool(gone)

    # ---- working ---------------------------------------------------------------------------------

    def claim(self, owner: str, most: int) -> list[Job]:
        """Take the job that has waited longest, and up to ``most`` in all of its kind.

        One whose worker died goes alone, so that it takes no other with it the next time.
        """
        now, waits = self.now(), "FROM jobs WHERE status = 'queued'"
        with self._transaction(reads=True) as to:
            if not self._rows(to, f"SELECT 1 {waits} LIMIT 1"):
                return []
        with self._transaction() as to:
            first = self._rows(
                to, f"SELECT id, kind, tries {waits} ORDER BY number LIMIT 1{self.skip_locked}"
            )
            if not first:
                return []
            name, kind, tries = first[0]
            some = f"SELECT id {waits} AND kind = ? AND tries = 0 ORDER BY number LIMIT ?"
            which, values = ("?", [name]) if tries else (some + self.skip_locked, [kind, most])
            rows = self._rows(
                to,
                "UPDATE jobs SET status = 'in_progress', owner = ?, leased_until = ?, "
                f"tries = tries + 1, started_at = ?, progress = 0 WHERE id IN ({which}) "
                f"RETURNING number, {_COLUMNS}",
                *(owner, now + LEASE, now, *values),
            )
        return [_job(row[1:]) for row in sorted(rows, key=lambda row: int(row[0]))]

    def renew(self, owner: str, progress: Mapping[str, int]) -> set[str]:
        """Hold jobs on, and say how far each is; => those that are still the owner's to make."""
        mine, until = set(), self.now() + LEASE
        with self._transaction() as to:
            for job, done in progress.items():
                rows = self._rows(
                    to,
                    "UPDATE jobs SET leased_until = ?, progress = ? WHERE id = ? AND owner = ? "
                    "AND status = 'in_progress' RETURNING cancelled",
                    *(until, done, job, owner),
                )
                if rows and not rows[0][0]:
                    mine.add(job)
        return mine

    def complete(self, owner: str, job: str, outcome: Mapping[str, Any], size: int) -> bool:
        """End a job that its owner has made, whose files are there; => whether it is made.

        One that was cancelled meanwhile fails instead.
        """
        change = "status = 'completed', progress = 100, outcome = ?, bytes = ?"
        counted = ["ended completed", f"verdict {outcome.get('verdict', 'none')}"]
        if self._ended(owner, job, counted, change, json.dumps(outcome), size, wanted=True):
            return True
        self._ended(owner, job, ["ended failed"], _FAILED, _CANCELLED)
        return False

    def fail(self, owner: str, job: str, code: str, message: str) -> bool:
        """End a job that cannot be made; => whether it was the owner's."""
        told = json.dumps({"code": code, "message": message})
        return self._ended(owner, job, ["ended failed"], _FAILED, told)

    def _ended(
        self,
        owner: str,
        job: str,
        counted: list[str],
        change: str,
        *values: Any,
        wanted: bool = False,
    ) -> bool:
        now = self.now()
        with self._transaction() as to:
            mine = self._rows(
                to,
                f"UPDATE jobs SET {change}, completed_at = ?, expires_at = ?, owner = NULL "
                "WHERE id = ? AND owner = ? AND status = 'in_progress' "
                f"{'AND NOT cancelled' if wanted else ''} RETURNING created_at, started_at",
                *(*values, now, now + self.limits.seconds, job, owner),
            )
            for created, started in mine:
                for name in counted:
                    self._count(to, name, 1)
                for name, seconds in (("waited", started - created), ("made", now - started)):
                    edge = min((each for each in BUCKETS if seconds <= each), default="inf")
                    self._count(to, f"{name} {edge}", 1)
                    self._count(to, f"{name} sum", seconds)
            gone = not self._rows(to, "SELECT id FROM jobs WHERE id = ?", job)
            if gone or (mine and change == _FAILED):
                self._remove_files(to, [job])  # deleted while it was made, or of no use
        return bool(mine)

    def _count(self, to: Any, name: str, more: float) -> None:
        self._rows(
            to,
            "INSERT INTO totals (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = totals.value + excluded.value",
            *(name, more),
        )

    def give_back(self, owner: str) -> None:
        """Queue again what a worker that ends has not made, as if it had not been tried."""
        with self._transaction() as to:
            self._rows(
                to,
                "UPDATE jobs SET status = 'queued', owner = NULL, progress = 0, tries = tries - 1 "
                "WHERE owner = ? AND status = 'in_progress'",
                owner,
            )

    def lost(self, owner: str) -> None:
        """Let go of what a worker held that has died."""
        with self._transaction() as to:
            self._rows(to, "UPDATE jobs SET leased_until = 0 WHERE owner = ?", owner)
        self.tend()

    # ---- keeping house ---------------------------------------------------------------------------

    def overdue(self) -> set[str]:
        """Owners who hold jobs of which they have not said a word for half of their lease."""
        late = "SELECT DISTINCT owner FROM jobs WHERE status = 'in_progress' AND leased_until < ?"
        with self._transaction(reads=True) as to:
            return {str(row[0]) for row in self._rows(to, late, self.now() + LEASE / 2)}

    def tend(self) -> None:
        """Queue again what dead workers held, end what they were told to cancel or died of, and
        remove what is too old or too much. To be called now and then by anybody."""
        now = self.now()
        gone = now + self.limits.seconds
        with self._transaction() as to:
            lost = "status = 'in_progress' AND leased_until < ?"
            ends = (("cancelled", _CANCELLED, ()), ("tries >= ?", _WORKER_DIED, (_MOST_TRIES,)))
            for when, error, values in ends:
                failed = self._rows(
                    to,
                    f"UPDATE jobs SET {_FAILED}, owner = NULL, completed_at = ?, expires_at = ? "
                    f"WHERE {lost} AND {when} RETURNING id",
                    *(error, now, gone, now, *values),
                )
                self._remove_files(to, [row[0] for row in failed])
            self._rows(
                to,
                f"UPDATE jobs SET status = 'queued', owner = NULL, progress = 0 WHERE {lost}",
                now,
            )
            old = self._rows(
                to,
                "DELETE FROM jobs WHERE expires_at < ? AND NOT favourite RETURNING id",
                now,
            )
            self._remove_files(to, [row[0] for row in old])
            self._remove_files(to, [*self._too_many(to)])

    def _too_many(self, to: Any) -> Iterator[str]:
        """Delete the oldest that ended, favourites last, until the rest is within the limits."""
        count, taken = self._rows(to, "SELECT count(*), coalesce(sum(bytes), 0) FROM jobs")[0]
        if count <= self.limits.jobs and taken <= self.limits.bytes:
            return
        for job, size in self._rows(
            to,
            "SELECT id, bytes FROM jobs WHERE status IN ('completed', 'failed') "
            "ORDER BY favourite, number",
        ):
            if count <= self.limits.jobs and taken <= self.limits.bytes:
                return
            self._rows(to, "DELETE FROM jobs WHERE id = ?", job)
            count, taken = count - 1, taken - size
            yield job

    def _changed(self, change: str, job: str, *values: Any) -> Job | None:
        with self._transaction() as to:
            rows = self._rows(
                to, f"UPDATE jobs SET {change} WHERE id = ? RETURNING {_COLUMNS}", *values, job
            )
        return _job(rows[0]) if rows else None


def _job(row: Sequence[Any]) -> Job:
    told = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("asked", "error", "outcome"):
        told[name] = json.loads(told[name]) if told[name] is not None else None
    for name in ("cancelled", "favourite"):
        told[name] = bool(told[name])
    return Job(**told)


def _like(text: str) -> str:
    """A pattern for what contains a text, with ``!`` before what would mean more."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text.lower()}%"
