"""What MkDocs does to pages before it builds them: they stay as the repository shows them.

A link that leaves ``docs/`` becomes the path of its file, as code. What lies in the repository's
root is a page here, too. Formulas are set in plain letters, since a page loads no script for them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {name: name.lower() for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
"""Pages of the root, and what they are called here."""
_LINKED = PAGES | {"README.md": "index.md"}
_CODE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:#]+)(#[^)\s]*)?\)")
_FORMULA = re.compile(r"\$([^$\n`]+)\$")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links and formulas of a page, but not what stands in frames."""
    name, parts = page.file.src_uri, _CODE.split(markdown)
    parts[::2] = [_FORMULA.sub(lambda found: plain(found[1]), linked(p, name)) for p in parts[::2]]
    return "".join(parts)


def linked(markdown: str, name: str) -> str:
    """Links of the page ``name`` to pages as they are called here, or no links any more."""
    folder = "" if name in PAGES.values() else posixpath.dirname(f"docs/{name}")

    def told(found: re.Match[str]) -> str:
        text, place = found[1], posixpath.normpath(posixpath.join(folder, found[2]))
        if place in _LINKED or place.startswith("docs/"):
            page = _LINKED.get(place, place.removeprefix("docs/"))
            page = posixpath.relpath(page, posixpath.dirname(name) or ".")
            return f"[{text}]({page}{found[3] or ''})"
        if not text.startswith("`"):
            return f"{text} (`{place}`)"
        return f"`{place}`" if place.endswith(text.strip("`/")) else text

    return _LINK.sub(told, markdown)


def plain(formula: str) -> str:
    r"""``2(N-1)\,G`` => "2(<i>N</i> − 1) <i>G</i>"; each capital letter is a quantity."""
    formula = re.sub(r"\\frac\{(.+?)\}\{(.+?)\}", r"(\1 / \2)", formula)
    formula = re.sub(r"\\text\{(.+?)\}", r"\1", formula).replace("\\,", " ")
    return re.sub(r"[A-Z]", r"<i>\g<0></i>", formula.replace("-", " − "))
