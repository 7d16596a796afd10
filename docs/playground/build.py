"""Build the playground: a static page on which the models in the box run in the visitor's browser.

    python docs/playground/build.py site/playground      # then serve that folder, from anywhere

Exports the models to ONNX, and takes onnxruntime-web from npm, of which the page serves its own
copy. Needs `pip install 'kineograph[onnx]'` and npm.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import kineograph
from kineograph import api
from kineograph.models import bundled
from kineograph.sampling.onnx_export import export

RUNTIME = "onnxruntime-web@1.30.0"
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
HERE = Path(__file__).resolve().parent
STUDIO = Path(kineograph.__file__).parent / "apps" / "studio"


def build(out: Path) -> None:
    """Write the page into ``out``, which is made or replaced file by file."""
    out.mkdir(parents=True, exist_ok=True)
    beside = [STUDIO / "icon.svg", STUDIO / "studio.css"]
    for file in [*HERE.glob("*.js"), HERE / "index.html", *beside]:
        shutil.copy(file, out)
    for name in bundled.NAMES:
        export(api.load(name), out / "models" / name, force=True)
    runtime(out / "vendor")


def runtime(out: Path) -> None:
    """The files of onnxruntime-web that the page needs, and whose they are."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "The playground's runtime is fetched by npm, which is not here: install it."
        )
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [npm, "pack", "--silent", RUNTIME], cwd=folder, check=True, capture_output=True
        )
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as packed:
            for name in FILES:
                member = packed.extractfile(f"package/dist/{name}")
                assert member
                (out / name).write_bytes(member.read())
    (out / "README").write_text(f"{RUNTIME}, by Microsoft, under the MIT licence.\n")


def main() -> None:
    """Build, say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    build(out)
    print(f"The playground is in {out}. See it: python -m http.server -d {out}")


if __name__ == "__main__":
    main()
