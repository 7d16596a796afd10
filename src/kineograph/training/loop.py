"""The loop over a model's phases. It knows `Phase`, never a family."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kineograph.core.errors import MachineError, RequestError
from kineograph.core.machine import processors
from kineograph.data.clip import Source
from kineograph.data.loader import Loader
from kineograph.models.base import VideoModel
from kineograph.text.tokenizer import CaptionTokenizer
from kineograph.training import resume, sharding
from kineograph.training.compiling import compile_networks
from kineograph.training.distributed import World, check_batch
from kineograph.training.ema import EMA
from kineograph.training.environment import choose_device, with_precision
from kineograph.training.feed import Feed
from kineograph.training.metrics_log import MetricsLog
from kineograph.training.muon import Muon
from kineograph.training.settings import TrainingConfig
from kineograph.training.step import Place, Stepper
from kineograph.training.stopping import Signals, Stopping
from kineograph.training.trackers import Trackers
from kineograph.training.trouble import NotFiniteError

_MOST_WORKERS = 8
_LONG = 0.5  # seconds of a step; one that takes longer is left at once when it is to end
_SLOWER = 0.5  # times the learning rate, after it went back

Ended = Literal["finished", "stop_at", "interrupted"]


@dataclass(frozen=True)
class Status:
    """Where a training stands, for whoever shows it."""

    step: int
    steps: int
    progress: float
    elapsed: float
    clips_per_second: float
    eta_seconds: float
    losses: dict[str, float]
    accuracy: float | None = None
    accuracy_per_prompt: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Hooks:
    """What the loop calls: ``progress`` after every step; ``check`` with the averaged model and the
    step, => verified accuracy by prompt (empty where nobody can judge); ``say`` with what a person
    should know of."""

    progress: Callable[[Status], None] = lambda status: None
    check: Callable[[VideoModel, int], dict[str, float]] = lambda model, step: {}
    say: Callable[[str], None] = lambda note: None


class Trainer:
    """Trains one model on one source, in one run folder.

    ``signals`` are those that somebody takes already; by default the training takes them itself.
    ``world`` are the processes that train together, of which the first alone writes.
    """

    def __init__(
        self,
        model: VideoModel,
        source: Source,
        tokenizer: CaptionTokenizer,
        config: TrainingConfig,
        *,
        seed: int,
        folder: Path,
        hooks: Hooks | None = None,
        signals: Signals | None = None,
        world: World | None = None,
    ) -> None:
        config.check()
        self.world = world or World()
        check_batch(config.batch_size, self.world)
        config = self.world.of_first(with_precision(config))
        self.config, self.seed, self.folder = config, seed, folder
        self.hooks, self.signals = hooks or Hooks(), signals or Signals()
        self._takes_signals = signals is None
        self.device = choose_device(config.device)
        workers = config.loader_workers
        if workers is None:
            workers = min(_MOST_WORKERS, processors()) if self.device.type == "cuda" else 0
        rows = self.world.rows(config.batch_size)
        self.feed = Feed(Loader(source, config.batch_size, seed), tokenizer, workers, rows)
        self.model = model.to(self.device).train()
        # What a language model tells of itself is on the processor, which NCCL does not reach.
        tensors = self.model.state_dict().values()
        self.world.take_first([each for each in tensors if each.device.type == self.device.type])
        self.ema = EMA(self.model, config.ema)
        if config.compile:
            compile_networks(self.model)
        self._whole: VideoModel | None = None
        if config.weights == "shard" and self.world.size > 1:
            self._whole = copy.deepcopy(self.ema.model).cpu()
            sharding.shard(self.model)
            sharding.shard(self.ema.model)
        optimizers = {phase.name: Muon(phase, config.precision) for phase in model.phases}
        self.state = resume.State(self.model, self.ema, optimizers)
        self.stepper = Stepper(
            self.state,
            self.feed,
            config,
            seed=seed,
            device=self.device,
            world=self.world,
            say=self.hooks.say,
        )
        self.checkpoints = folder / "checkpoints"
        self.place = Place()
        self.notes: list[str] = []
        self._log: MetricsLog | None = None
        self._trackers: Trackers | None = None
        self._saver: resume.Saver | None = None
        self._pace = math.inf  # seconds of the last step
        self._kept: resume.Snapshot | None = None  # from before a long step
        self._progress = 0.0

    def resume(self) -> None:
        """Go on from the newest whole checkpoint; ``notes`` says what was passed over."""
        found: Any = None
        if self.world.leads:
            resume.clear_up(self.checkpoints)
            found = resume.load_newest(self.checkpoints)
        snapshot, told, self.notes = self.world.of_first(found)
        self.state.restore(snapshot)
        self.place = Place.of(told)

    def run(self) -> Ended:
        """Train to the end, the time limit, the wanted accuracy or a signal; then save.

        Raises MachineError where the numbers break down twice, or memory does not do for one clip.
        """
        with contextlib.ExitStack() as stack:
            if self._takes_signals:
                stack.enter_context(self.signals)
            if self.world.leads:
                names, start = self.config.trackers, self.place.step
                trackers = Trackers(names, self.folder, start, self.hooks.say)
                self._trackers = stack.enter_context(trackers)
                log = MetricsLog(self.folder / "metrics.jsonl", start)
                self._log = stack.enter_context(log)
                saver = resume.Saver(self.checkpoints, self.config.keep_checkpoints)
                self._saver = stack.enter_context(saver)
            self.started, self.earlier_seconds = time.monotonic(), self.place.seconds
            if not self.place.step:
                self.save()
            self._agree()
            ended = self._ended()
            while ended is None:
                try:
                    ended = self._next()
                except NotFiniteError as error:
                    self._go_back(error)
        return ended

    def _next(self) -> Ended | None:
        """One step, with what is due after it."""
        place = self.place
        try:
            if place.row is None:
                place.row = self._train_one_step()
            if self._due(self.config.evaluate_every):
                with self._left_at_once():
                    self._check()
                place.row |= {"accuracy": mean(place.accuracy), "accuracies": place.accuracy}
            if self._log:
                self._log.write(place.row, self.elapsed)
            if self._trackers:
                self._trackers.log(place.row)
            place.row = None
        except Stopping:
            pass  # a step that was under way never was; a check is still to come
        self._agree()
        ended = self._ended()
        if ended or self._save_is_due():
            self.save()
        return ended

    def _agree(self) -> None:
        """All processes go by the clock of the first, and heed what any of them is told."""
        mine = self._done() if self.world.leads else 0.0
        self._progress, stop, save = self.world.largest(mine, self.signals.stop, self.signals.save)
        self.signals.stop, self.signals.save = bool(stop), bool(save)

    def _done(self) -> float:
        """The progress by steps or by time, whichever is further."""
        by_steps = self.step / self.config.steps
        by_time = self.elapsed / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(max(by_steps, by_time), 1.0)

    def _left_at_once(self) -> contextlib.AbstractContextManager[None]:
        """Within, a signal to end is heeded at once, unless other processes would wait."""
        return self.signals.at_once() if self.world.size == 1 else contextlib.nullcontext()

    def _ended(self) -> Ended | None:
        if self.signals.stop:
            return "interrupted"
        if self.place.row is not None:  # its check is still to come
            return None
        if self._good_enough():
            return "stop_at"
        return "finished" if self._progress >= 1 else None

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self.place.step

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return self.earlier_seconds + time.monotonic() - self.started

    def result(self) -> tuple[VideoModel, float | None]:
        """The model that the training ends with, and its accuracy at the last check or the best."""
        if self._whole:
            self._whole.load_state_dict(self.state.snapshot()[resume.AVERAGE])
        last = self._whole or self.ema.model
        if self.config.keep == "last" or not self.place.best_accuracy:
            return last, mean(self.place.accuracy)
        try:
            best = resume.average_of(self.checkpoints, self.place.best_step)
        except RequestError as error:
            self.hooks.say(f"The best model is lost, and the last one stands in. {error.cause}")
            return last, mean(self.place.accuracy)
        model = copy.deepcopy(last)
        model.load_state_dict(best)
        return model, mean(self.place.best_accuracy)

    def _check(self) -> None:
        accuracy = self.hooks.check(self.ema.model, self.step)
        found, before = mean(accuracy), mean(self.place.best_accuracy)
        self.place.accuracy = accuracy
        if found is not None and found >= (before or 0) and not self.place.bad_steps:
            self.place.best_accuracy, self.place.best_step = accuracy, self.step

    def save(self) -> None:
        """Begin to write a checkpoint of this step. Raises NotFiniteError where it is not worth it,
        and what the last one met, such as a full disk."""
        self.place.seconds, self.signals.save = self.elapsed, False
        if bad := self.state.not_finite():
            raise NotFiniteError(bad)
        if not self._saver and not self._whole:
            return
        snapshot = self.state.snapshot()  # all have to ask for weights that are held in parts
        if self._saver:
            self._saver.save(self.step, snapshot, asdict(self.place), self.place.best_step)

    def _save_is_due(self) -> bool:
        if self.place.bad_steps:  # what it may go back to is from before
            return False
        best = self.step == self.place.best_step and self._due(self.config.evaluate_every)
        return best or self.signals.save or self._due(self.config.checkpoint_every)

    def _go_back(self, error: NotFiniteError) -> None:
        """To the last good checkpoint, with a smaller learning rate, once."""
        if self.place.rate < 1:
            raise MachineError(
                f"The training broke down twice. First to be no finite number: {error}.",
                "Lower training.learning_rate, set training.precision to fp32, or look at the data "
                f"of step {self.step + 1}.",
            ) from error
        if self._saver:
            self._saver.wait()
        self.resume()
        self.place.rate = _SLOWER
        if self._log:
            self._log.back_to(self.step)
        if self._trackers:
            self._trackers.back_to(self.step)
        self._agree()
        self.hooks.say(
            f"Not a finite number: {error}. Back to step {self.step}, with the learning rate "
            f"times {_SLOWER}."
        )

    def _train_one_step(self) -> dict[str, Any]:
        """=> what is to be logged. Raises Stopping, with all as before, where it takes long."""
        before = time.monotonic()
        if self._pace < _LONG or self.world.size > 1:
            row = self.stepper(self.place, self._progress)
        else:
            self._kept = self.state.snapshot(self._kept)
            try:
                with self.signals.at_once():
                    row = self.stepper(self.place, self._progress)
            except Stopping:
                self.state.restore(self._kept)
                raise
        self.place.step += 1
        self.place.bad_steps = self.place.bad_steps + 1 if "skipped" in row else 0
        self._pace = time.monotonic() - before
        self._report(row)
        return {"step": self.step, **row}

    def _report(self, losses: dict[str, float]) -> None:
        done = self._done()
        self.hooks.progress(
            Status(
                step=self.step,
                steps=self.config.steps,
                progress=done,
                elapsed=self.elapsed,
                clips_per_second=self.config.batch_size / max(self._pace, 1e-9),
                eta_seconds=self.elapsed * (1 - done) / max(done, 1e-9),
                losses=losses,
                accuracy=mean(self.place.accuracy),
                accuracy_per_prompt=self.place.accuracy,
            )
        )

    def _due(self, every: int) -> bool:
        return every > 0 and self.step > 0 and self.step % every == 0

    def _good_enough(self) -> bool:
        wanted, reached = self.config.stop_at, mean(self.place.accuracy)
        return wanted is not None and reached is not None and reached >= wanted


def mean(accuracy: dict[str, float]) -> float | None:
    """Of a check, over all prompts alike."""
    return sum(accuracy.values()) / len(accuracy) if accuracy else None
