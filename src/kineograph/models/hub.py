"""Model folders on the Hugging Face Hub: fetched by name, and pushed.

Nothing of a repository is fetched but what a model folder has: safetensors, JSON, and the card.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kineograph.core.errors import MachineError, RequestError, in_short
from kineograph.core.files import MANIFEST, read_small
from kineograph.models import bundled
from kineograph.models.checkpoint import (
    CARD,
    CONFIG,
    LANGUAGE_MODEL,
    TOKENIZER,
    WEIGHTS,
    find,
    sealed,
)

_PART = r"[A-Za-z0-9][\w.-]{0,95}"
_NAME = re.compile(rf"({_PART})/{_PART}(@[\w./-]{{1,96}})?")
_FILES = (CONFIG, WEIGHTS, TOKENIZER, CARD, MANIFEST)
_README = "README.md"
_ABOUT = """---
library_name: kineograph
pipeline_tag: text-to-video
---
"""


def local(model: str | Path) -> Path:
    """The folder of a model: the one given, one that comes with the package, or what the Hub has
    under this name.

    A name on the Hub is "somebody/something", and may end in "@" and a branch, tag or commit. It is
    only taken for one where there is no folder "somebody" here. What was fetched before is not
    fetched again. Raises RequestError where there is no such model, MachineError where the Hub does
    not answer.
    """
    folder, name = bundled.place(model), str(model)
    found = _NAME.fullmatch(name)
    if folder.exists() or not found or Path(found[1]).exists():
        return folder
    repository, _, revision = name.partition("@")
    hub = _hub(f"There is no folder {name}, and for a model of that name on the Hub")
    wanted = [*_FILES, f"{LANGUAGE_MODEL}/*.safetensors", f"{LANGUAGE_MODEL}/*.json"]
    with _translated(name):
        place = Path(
            hub.snapshot_download(repository, revision=revision or None, allow_patterns=wanted)
        )
    if not (place / MANIFEST).is_file():
        raise RequestError(f"{name} on the Hub is no model of Kineograph.", "Name one that is.")
    return place


def push(model: str | Path, name: str, *, private: bool = False) -> str:
    """Copy a model, or that of a run, to the Hub under ``name``; => its address.

    What is there under that name stays in its history. Needs a token (`hf auth login`, or
    HF_TOKEN). Raises RequestError where the model is damaged or the Hub refuses, MachineError
    where it does not answer.
    """
    if not _NAME.fullmatch(name) or "@" in name:
        raise RequestError(
            f'"{in_short(name)}" is no name on the Hub.', 'It is like "somebody/something".'
        )
    place = find(Path(model))
    files = [*sealed(place), MANIFEST]
    hub = _hub("To push a model")
    card = read_small(place / CARD).decode("utf-8", "replace").replace("PATH/OF/THIS/FOLDER", name)
    adding = [hub.CommitOperationAdd(_README, (_ABOUT + card).encode())]
    adding += [hub.CommitOperationAdd(each, place / each) for each in files]
    with _translated(name):
        api = hub.HfApi(library_name="kineograph")
        address = str(api.create_repo(name, private=private, exist_ok=True))
        api.create_commit(name, adding, commit_message="A model of Kineograph")
    return address


def _hub(why: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise RequestError(
            f"{why} huggingface_hub is needed.", "Install it: pip install 'kineograph[hub]'."
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    """What the Hub, or the way to it, says no with."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RepositoryNotFoundError as error:  # it says the same of what one may not see
        raise RequestError(
            f"The Hub has no {name}, or it is not yours to see.",
            "See to its spelling, or log in: hf auth login.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise RequestError(
            f"The Hub has {name.partition('@')[0]}, but not that version of it.",
            "Name a branch, tag or commit after the @.",
        ) from error
    except errors.HFValidationError as error:
        raise RequestError(
            f"{name} is no name on the Hub: {in_short(error)}", "See to its spelling."
        ) from error
    except (errors.LocalTokenNotFoundError, errors.HfHubHTTPError) as error:
        response = getattr(error, "response", None)
        if response is not None and response.status_code >= 500:
            raise MachineError(f"The Hub fails: {in_short(error)}", "Try again later.") from error
        raise RequestError(
            f"The Hub refuses {name}: {in_short(error)}", "Log in: hf auth login."
        ) from error
    # of the disk, or of the library by which it asks
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # not re-exported
        raise MachineError(
            f"{name} cannot be had from the Hub: {in_short(error)}",
            "Look at the network, or name a folder.",
        ) from error
