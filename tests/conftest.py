"""What every test stands on: nothing is written into the repository, nothing is left to chance."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the folder of a tiny language model with random weights; skips without the extra.

    Its padding is token 7, and token 0 a word like any other.
    """
    transformers = pytest.importorskip("transformers", reason="the extra is not installed")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[UNK]", "[CLS]", "[SEP]", "circle", "moving", "up", "right", "[PAD]"]
    words += ["-", "left", "down", "disc", "drifts"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, ends)
    tokenizer.enable_padding(length=20)  # which the folders of some models ask for
    ids = {"vocab_size": len(words), "pad_token_id": 7, "bos_token_id": 1, "eos_token_id": 2}
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = {**ids, **size, "intermediate_size": 32, "max_position_embeddings": 64}
    t5 = {**ids, "d_model": 12, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    pictures = {**size, "intermediate_size": 32, "image_size": 16, "patch_size": 8}

    def make(kind: str = "bert", seed: int = 0) -> Path:
        torch.manual_seed(seed)
        if kind == "bert":  # which has no pooler, as those trained to fill gaps have none
            model = transformers.BertForMaskedLM(transformers.BertConfig(**bert))
        elif kind == "t5":
            settings = transformers.T5Config(**t5, decoder_start_token_id=7)
            model = transformers.T5ForConditionalGeneration(settings)
        elif kind == "bart":
            layers = {"encoder_layers": 1, "decoder_layers": 1, "max_position_embeddings": 64}
            model = transformers.BartModel(transformers.BartConfig(**ids, d_model=16, **layers))
        else:
            settings = transformers.CLIPConfig(text_config=bert, vision_config=pictures)
            model = transformers.CLIPModel(settings)
        folder = tmp_path_factory.mktemp("language-models") / f"{kind}-{seed}"
        model.save_pretrained(folder)
        special = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
        fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
        fast.save_pretrained(folder)
        return folder

    return make


# ---- pages, as a person sees them --------------------------------------------------------------

SIZES = {"narrow": (360, 780), "wide": (1360, 900)}


@pytest.fixture(scope="module")  # while it is there, asyncio can run nothing else
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page, on which nothing may go wrong; in a size and a colour scheme."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def visit(address: str, size: str = "wide", **told: Any) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **told
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.wait_for_selector("main form, main .run, main select")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong
