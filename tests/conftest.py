"""What every test stands on: nothing is written into the repository, nothing is left to chance."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

os.environ.setdefault("MPLBACKEND", "Agg")  # and so in processes that tests start
# What tests train is tiny. More threads gain it little, add up in another order on every machine,
# and wait for each other, spinning, where another process has one of their cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# In the background of a shell Ctrl-C is ignored, and what tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A failure must come again in the next run, so examples are not random and none are remembered.
# What Hypothesis caches all the same belongs elsewhere, too.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "kineograph-hypothesis")
settings.register_profile("kineograph", derandomize=True, database=None, deadline=None)
settings.load_profile("kineograph")


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the repository."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(autouse=True)
def _work_elsewhere(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths, such as a run's default folder, lead out of the repository."""
    monkeypatch.chdir(elsewhere)


_BESIDE = Path(__file__).parents[2] / "shared/datasets"
DATASETS = Path(os.environ.get("KINEOGRAPH_DATASETS", _BESIDE))
"""Real data that tests may use and the repository does not hold (see CONTRIBUTING)."""


@pytest.fixture(scope="session")
def dataset() -> Callable[[str], Path]:
    """The folder of a real data set by its name; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        if not (DATASETS / name).is_dir():
            pytest.skip(f"the real data set {name!r} is not at {DATASETS}")
        return DATASETS / name

    return find
