"""Links in a folder of clips that lead out of it.

Who unpacks or clones a stranger's folder has not said that other files of the computer may be
learnt from, so a link that leads out is refused, as a metadata file is that names such a path. Two
are fine: one that stays inside, and one into the blobs of a Hugging Face cache, which keeps every
file that way. Whoever made the links can say so with ``follow_links``.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

LEADS_OUT = "a link that leads outside the folder (--data.follow-links true reads it)"


class Borders:
    """Where the files of a folder may lie; ``chosen`` is one that the user named."""

    def __init__(self, root: Path, chosen: Path | None = None) -> None:
        self._root, home = root, Path(os.path.realpath(root))
        self._within = [home, Path(os.path.realpath(chosen or root))]
        for folder in (home, *home.parents):
            if folder.parent.name == "snapshots":  # .../datasets--NAME/snapshots/COMMIT
                self._within.append(folder.parent.parent / "blobs")
        self._folder_is_out = functools.cache(self._is_out)

    def crossed(self, path: Path) -> bool:
        """Whether a file or folder, by its path within the root, lies elsewhere in truth."""
        if path.is_symlink():
            return self._is_out(path)
        return path != self._root and self._folder_is_out(path.parent)

    def _is_out(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return not any(real.is_relative_to(place) for place in self._within)
