"""Jobs in SQLite (WAL), beside their files: for one machine, with nothing to set up."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kineograph.apps.service.jobs import Limits
from kineograph.apps.service.queue import Jobs
from kineograph.core.errors import DiskFullError, MachineError, RequestError
from kineograph.core.files import translate_os_errors, write_atomically

FORMAT = 1
"""Of the database; one of another is refused."""

_WAIT = 10.0  # seconds for another process that writes
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    prompt TEXT NOT NULL,
    asked TEXT NOT NULL,
    key TEXT UNIQUE,
    said TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    completed_at REAL,
    expires_at REAL,
    progress INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    outcome TEXT,
    owner TEXT,
    leased_until REAL,
    tries INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT FALSE,
    bytes INTEGER NOT NULL DEFAULT 0,
    favourite INTEGER NOT NULL DEFAULT FALSE
);
CREATE INDEX waiting ON jobs (status, number);
CREATE TABLE totals (name TEXT PRIMARY KEY, value REAL NOT NULL);
"""


class SqliteJobs(Jobs):
    """The queue in a folder: ``jobs.sqlite3`` and ``files/``."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        """Open the queue, or make it. Raises RequestError where something else is there."""
        super().__init__(limits)
        self.folder = folder
        with translate_os_errors(folder):
            (folder / "files").mkdir(parents=True, exist_ok=True)
        self._of_thread = threading.local()
        with self._transaction() as to:
            version = self._rows(to, "PRAGMA user_version")[0][0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    to.execute(statement)
                to.execute(f"PRAGMA user_version = {FORMAT}")
            elif version != FORMAT:
                raise RequestError(
                    f"{folder} holds jobs of another version of Kineograph.",
                    "Choose another folder, or use that version.",
                )

    @contextlib.contextmanager
    def _transaction(self, *, reads: bool = False) -> Iterator[sqlite3.Connection]:
        with _translated(self.folder):
            to = self._connection()
            to.execute("BEGIN" if reads else "BEGIN IMMEDIATE")
            try:
                yield to
            except BaseException:
                to.rollback()
                raise
            to.commit()

    def _connection(self) -> sqlite3.Connection:
        """One for each thread, for as long as that lives."""
        known: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if known is None:
            file = self.folder / "jobs.sqlite3"
            known = sqlite3.connect(file, timeout=_WAIT, isolation_level=None)
            known.execute("PRAGMA journal_mode = WAL")
            known.execute("PRAGMA synchronous = FULL")  # what was accepted outlives the power
            self._of_thread.connection = known
        return known

    def _rows(self, to: sqlite3.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return to.execute(sql, values).fetchall()

    def put_file(self, job: str, name: str, data: bytes) -> None:
        """Keep a file of a job."""
        folder = self.folder / "files" / job
        with translate_os_errors(folder):
            folder.mkdir(exist_ok=True)
        write_atomically(folder / name, data)

    def file(self, job: str, name: str) -> bytes | None:
        """A file of a job, or None."""
        with translate_os_errors(self.folder):
            try:
                return (self.folder / "files" / job / name).read_bytes()
            except FileNotFoundError:
                return None

    def close(self) -> None:
        """Let go of this thread's connection; those of others end with them."""
        self._connection().close()
        del self._of_thread.connection

    def _remove_files(self, to: sqlite3.Connection, jobs: Sequence[str]) -> None:
        for job in jobs:
            shutil.rmtree(self.folder / "files" / job, ignore_errors=True)


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise DiskFullError(f"The disk of {folder} is full.", "Make room on it.") from error
        raise MachineError(f"The jobs in {folder} cannot be used: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise RequestError(
            f"{folder}/jobs.sqlite3 is damaged or something else: {error}.",
            "Move it away, or choose another folder.",
        ) from error
