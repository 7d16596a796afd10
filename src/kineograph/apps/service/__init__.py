"""The HTTP service: a queue of jobs, the process that does them, and the protocol to ask for them.

- `jobs`: what a job is, and what a queue of them promises; `sqlite` and `postgres` keep that.
- `worker`: the process that takes jobs and makes the clips; `workers` keeps it alive.
- `asking`: what may be asked, and what the answers look like; `contents`: files and events.
- `server`: the routes; `guard` stands before them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kineograph.core.errors import RequestError

if TYPE_CHECKING:
    from kineograph.apps.service.jobs import Limits
    from kineograph.apps.service.queue import Jobs

_POSTGRES = ("postgres://", "postgresql://")


def opened(place: str, limits: Limits | None = None) -> Jobs:
    """The queue in a folder, or at the address of a PostgreSQL database.

    Raises KineographError where it cannot be opened.
    """
    if not place.startswith(_POSTGRES):
        from kineograph.apps.service.sqlite import SqliteJobs

        return SqliteJobs(Path(place), limits)
    try:
        from kineograph.apps.service.postgres import PostgresJobs
    except ImportError as error:
        raise RequestError(
            "To keep jobs in PostgreSQL, an extra is needed.",
            "pip install 'kineograph[postgres]'",
        ) from error
    return PostgresJobs(place, limits)
