"""Run the course's notebooks from top to bottom, and keep what they say, in both languages.

    python docs/notebooks.py                    # all five: about 40 minutes on two cores
    python docs/notebooks.py 03-what-it-lacked

They run in order in an empty folder. The code in both languages is the same, and so what stands
below it is, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = [path.stem for path in sorted(EXAMPLES.glob("*.ipynb"))]


def run(name: str, folder: str) -> None:
    """Run one in a folder, and write it and its translation with the outputs."""
    path = EXAMPLES / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    metadata, where = dict(notebook.metadata), {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=None, record_timing=False, resources=where).execute()
    translation = EXAMPLES / "zh-TW" / path.name
    translated = nbformat.read(translation, as_version=4)
    for cell, ran in zip(translated.cells, notebook.cells, strict=True):
        if ran.cell_type == "code":
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    notebook.metadata = nbformat.from_dict(metadata)  # without which Python it was
    for each, to in ((notebook, path), (translated, translation)):
        text = nbformat.writes(each).replace(folder, ".")  # where on this computer it was made
        to.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Run those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=", ".join(NAMES))
    asked = parser.parse_args()
    if unknown := {*asked.names} - {*NAMES}:
        parser.error(f"not there: {', '.join(unknown)}")
    commands = Path(sys.executable).parent  # for lines that begin with "!"
    os.environ["PATH"] = f"{commands}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.names:
            begun = time.monotonic()
            run(name, folder)
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
