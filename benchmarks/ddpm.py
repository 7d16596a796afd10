"""The plain recipe, a racer of `time_to_accuracy.py`: an ε-prediction DDPM with a 3D U-Net.

    python benchmarks/time_to_accuracy.py --ddpm 1    # and judge one of its clips a prompt

It is Video Diffusion Models (Ho et al. 2022) as in video-diffusion-pytorch
(https://github.com/lucidrains/video-diffusion-pytorch), which runs here as it is published, in a
process of its own, with the running torch. Sizes, loss (L1), learning rate, guidance, EMA and
mixed precision on a GPU are those of its README and its ``Trainer``; three things had to be chosen:

- Its ``Trainer`` reads GIFs and knows no text, so the loop below is that one's, with text, without
  accumulation of gradients, and without mixed precision on a CPU, as there.
- Text is BERT's there, which would be downloaded. Here it is vectors of our own `BagOfWords`, which
  go in the same way (``cond``); they are left out for a tenth of the clips in training, as
  classifier-free guidance wants (Ho and Salimans 2022).
- The package samples in as many steps as it was trained with, a thousand, each of two passes for
  guidance: 310 TFLOP a clip. With fewer ``timesteps`` both are fewer, and the results say so.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kineograph.data.clip import Clip
from kineograph.data.loader import Loader
from kineograph.data.sources.tutorial import CAPTIONS, UNSEEN_PROMPTS, Config, Source
from kineograph.text.encoders import BagOfWords, Signs
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training.environment import choose_device

PACKAGES = (
    "video-diffusion-pytorch==0.7.0",
    "einops==0.8.2",
    "einops-exts==0.0.4",
    "rotary-embedding-torch==0.9.1",
    "tqdm==4.70.1",
)
"""All that it needs besides torch; its other requirements are for BERT and for GIFs."""
# The package imports torchvision, which we do without, for its reader of GIFs.
STAND_IN = "class transforms:\n    ToTensor = object\n\n\nutils = None\n"
PROMPTS = (*CAPTIONS, *UNSEEN_PROMPTS)
MULTIPLES = (1, 2, 4, 8)  # of `dim`, from the finest level to the coarsest
FEATURES = 64  # of a caption
LEARNING_RATE = 1e-4
LEFT_OUT = 0.1  # share of captions
GUIDANCE = 2.0
EMA_DECAY, EMA_START, EMA_EVERY = 0.995, 2000, 10
Text = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True)
class Settings:
    """What a race asks of it."""

    minutes: float
    seed: int
    clips: int
    """Clips a prompt."""
    timesteps: int
    batch: int
    dim: int = 64


def install(place: Path) -> None:
    """The package into a folder that only `run` shows to Python.

    Without a network: ``PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER``, with their wheels in that folder.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(place), *PACKAGES], check=True)
    (place / "torchvision.py").write_text(STAND_IN, encoding="utf-8")


def run(settings: Settings, place: Path) -> tuple[dict[str, Any], dict[str, list[Clip]]]:
    """Train and sample with what `install` put into ``place`` => figures, and clips by prompt."""
    output, paths = place / "frames.npy", [str(place), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(asdict(settings)), str(output)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    frames = np.load(output)
    by_prompt = zip(PROMPTS, np.split(frames, len(PROMPTS)), strict=True)
    clips = {prompt: [Clip(each, prompt) for each in own] for prompt, own in by_prompt}
    figures = json.loads(done.stdout.splitlines()[-1])
    return {"package": PACKAGES[0], "clips_judged": len(frames), **figures}, clips


def train(settings: Settings, device: torch.device, text: Text) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged diffusion after so many minutes, and the figures of its training.

    The average begins at step 2,000, as in the package's ``Trainer``: before, the model is its own.
    """
    from video_diffusion_pytorch import GaussianDiffusion, Unet3D
    from video_diffusion_pytorch.video_diffusion_pytorch import EMA

    config = Config()
    loader = Loader(Source(config), settings.batch, settings.seed)
    unet = Unet3D(dim=settings.dim, cond_dim=FEATURES, dim_mults=MULTIPLES)
    diffusion = GaussianDiffusion(
        unet,
        image_size=config.height,
        num_frames=config.num_frames,
        timesteps=settings.timesteps,
        loss_type="l1",
    ).to(device)
    averaged, average = diffusion, EMA(EMA_DECAY)
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=LEARNING_RATE)
    amp = device.type == "cuda"
    scaler = torch.amp.GradScaler(enabled=amp)
    step, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < 60 * settings.minutes:
        batch = loader.batch(step)
        # uint8 (B, T, H, W, C) => [0, 1] (B, C, T, H, W), which the package makes [−1, 1]
        videos = torch.from_numpy(batch.frames).to(device).permute(0, 4, 1, 2, 3) / 255
        with torch.autocast(device.type, torch.float16, enabled=amp):
            loss = diffusion(videos, cond=text(batch.captions), null_cond_prob=LEFT_OUT)
        scaler.scale(loss).backward()
        scaler.step(optimizer)  # waits for the GPU
        scaler.update()
        optimizer.zero_grad()
        step += 1
        if step == EMA_START:
            averaged = copy.deepcopy(diffusion)
        elif step > EMA_START and step % EMA_EVERY == 0:
            average.update_model_average(averaged, diffusion)
    return averaged, {
        "steps": step,
        "seconds": round(seconds, 1),
        "clips_per_second": round(step * settings.batch / seconds, 3),
        "parameters": sum(p.numel() for p in unet.parameters()),
        "last_loss": loss.item(),
    }


def sample(diffusion: Any, captions: Tensor, size: int) -> np.ndarray:
    """Captions (N, D) => clips (N, T, H, W, 3) uint8, ``size`` at a time."""
    parts = [diffusion.sample(cond=some, cond_scale=GUIDANCE) for some in captions.split(size)]
    videos = torch.cat(parts).clamp(0, 1)  # (N, C, T, H, W)
    frames: np.ndarray = (255 * videos).round().byte().permute(0, 2, 3, 4, 1).cpu().numpy()
    return frames


def reader(device: torch.device) -> Text:
    """Captions => vectors (N, 64), bags of fixed words, as the flow's."""
    tokenizer = CaptionTokenizer.train(CAPTIONS)
    encoder = BagOfWords(Signs(tokenizer.vocabulary_size, FEATURES)).to(device)

    def text(captions: Sequence[str]) -> Tensor:
        vectors: Tensor = encoder(torch.from_numpy(tokenizer.encode(captions)).to(device))
        return vectors

    return text


def main() -> None:
    """What `run` starts: train, sample, write the clips, print the figures."""
    settings, output = Settings(**json.loads(sys.argv[1])), Path(sys.argv[2])
    device = choose_device("auto")
    torch.manual_seed(settings.seed)
    text = reader(device)
    diffusion, figures = train(settings, device, text)
    started = time.perf_counter()
    asked = [prompt for prompt in PROMPTS for _ in range(settings.clips)]
    np.save(output, sample(diffusion, text(asked), settings.batch))
    figures["sampling_seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(asdict(settings) | figures))


if __name__ == "__main__":
    main()
