"""Jobs in PostgreSQL, with their files: several machines serve one queue, behind any load balancer.

Needs `pip install 'kineograph[postgres]'`. Leases go by the clock of the database.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from kineograph.apps.service.jobs import Limits
from kineograph.apps.service.queue import Jobs
from kineograph.core.errors import MachineError, RequestError, in_short

log = logging.getLogger("kineograph.queue")

_WAIT = 10.0  # seconds for a connection
_MOST_CONNECTIONS = 8
_LOCK = 0x6B696E656F  # any number, so that two that start at once do not both make the tables
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    prompt TEXT NOT NULL,
    asked TEXT NOT NULL,
    key TEXT UNIQUE,
    said TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,
    completed_at DOUBLE PRECISION,
    expires_at DOUBLE PRECISION,
    progress INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    outcome TEXT,
    owner TEXT,
    leased_until DOUBLE PRECISION,
    tries INTEGER NOT NULL DEFAULT 0,
    cancelled BOOLEAN NOT NULL DEFAULT FALSE,
    bytes BIGINT NOT NULL DEFAULT 0,
    favourite BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX IF NOT EXISTS waiting ON jobs (status, number);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value DOUBLE PRECISION NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    job TEXT NOT NULL,
    name TEXT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (job, name)
);
"""


class PostgresJobs(Jobs):
    """The queue at an address such as ``postgresql://user:password@host/database``."""

    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, address: str, limits: Limits | None = None) -> None:
        """Open the queue, or make it. Raises MachineError where the database does not answer."""
        super().__init__(limits)
        try:
            self._pool = ConnectionPool(
                address,
                min_size=1,
                max_size=_MOST_CONNECTIONS,
                timeout=_WAIT,
                check=ConnectionPool.check_connection,  # it may have been started anew meanwhile
                open=False,
            )
            with _translated():
                self._pool.open(wait=True, timeout=_WAIT)
        except psycopg.ProgrammingError:  # which repeats a part of the address, maybe the password
            raise RequestError(
                "That is no address of a database.", "Such as postgresql://user@host/database."
            ) from None
        with self._transaction() as to:
            to.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            to.execute(_SCHEMA)

    @contextlib.contextmanager
    def _transaction(self, *, reads: bool = False) -> Iterator[psycopg.Connection[Any]]:
        with _translated(), self._pool.connection() as to:
            yield to

    def _rows(self, to: psycopg.Connection[Any], sql: str, *values: Any) -> list[tuple[Any, ...]]:
        done = to.execute(sql.replace("?", "%s").encode(), values)
        return done.fetchall() if done.description else []

    def now(self) -> float:
        """The clock of the database, which all machines share."""
        with self._transaction(reads=True) as to:
            return float(self._rows(to, "SELECT extract(epoch FROM clock_timestamp())")[0][0])

    def put_file(self, job: str, name: str, data: bytes) -> None:
        """Keep a file of a job."""
        with self._transaction() as to:
            self._rows(
                to,
                "INSERT INTO files (job, name, data) VALUES (?, ?, ?) "
                "ON CONFLICT (job, name) DO UPDATE SET data = excluded.data",
                *(job, name, data),
            )

    def file(self, job: str, name: str) -> bytes | None:
        """A file of a job, or None."""
        with self._transaction(reads=True) as to:
            rows = self._rows(to, "SELECT data FROM files WHERE job = ? AND name = ?", job, name)
        return bytes(rows[0][0]) if rows else None

    def _remove_files(self, to: psycopg.Connection[Any], jobs: Sequence[str]) -> None:
        for job in jobs:
            self._rows(to, "DELETE FROM files WHERE job = ?", job)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InternalError, PoolTimeout) as error:
        log.error("database", extra={"error": in_short(error)})  # which names hosts and users
        raise MachineError(
            "The database of the jobs does not answer.", "See that it runs."
        ) from error
