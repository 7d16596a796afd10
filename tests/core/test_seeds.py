"""One random stream per (seed, item)."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from kineograph.core import seeds


def test_an_item_does_not_depend_on_its_batch() -> None:
    together = seeds.uniform(7, np.arange(100), 5)
    alone = np.concatenate([seeds.uniform(7, np.array([i]), 5) for i in range(100)])
    assert np.array_equal(together, alone)


def test_a_longer_stream_begins_with_the_shorter() -> None:
    items = np.array([3, 10**12, 0])
    assert np.array_equal(seeds.uniform(1, items, 8)[:, :3], seeds.uniform(1, items, 3))


def test_another_process_draws_the_same_numbers() -> None:
    code = (
        "import numpy as np; from kineograph.core import seeds;"
        "print(repr(seeds.uniform(5, np.array([2]), 3).tolist()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert other.strip() == repr(seeds.uniform(5, np.array([2]), 3).tolist())


def test_numbers_are_uniform_and_unlike_across_seeds_items_and_positions() -> None:
    drawn = seeds.uniform(0, np.arange(20_000), 2)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.03
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.03
    other = seeds.uniform(1, np.arange(20_000), 2)
    assert abs(np.corrcoef(drawn[:, 0], other[:, 0])[0, 1]) < 0.03
    assert len(np.unique(drawn)) == drawn.size


def test_fold_minds_the_order_of_its_parts() -> None:
    assert seeds.fold(1, 2) != seeds.fold(2, 1)
    assert seeds.fold(0) != seeds.fold(0, 0)


def test_a_seed_is_a_positive_63_bit_number() -> None:
    drawn = [seeds.seed_for(s, i) for s in (-1, 0, 2**62) for i in range(50)]
    assert all(0 <= seed < 2**63 for seed in drawn)
    assert len(set(drawn)) == len(drawn)
