# SPDX-License-Identifier: Apache-2.0
"""The loop of train.py: steps of AdamW until the budget is spent, with checkpoints on the way."""
import collections
import dataclasses
import math
import pathlib
import signal
import sys
import time

import numpy
import torch

import vocabulary
from gguf_writer import LearnerShape, write_gguf
from learner import Learner
from texts import Texts

FINAL_SHARE = 0.1  # of the peak rate, at the end
REPORT_SECONDS = 30
LOSS_STEPS = 100  # the loss that is told is that of the last steps
BETAS = (0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class Options:
    """Of a training. One of minutes and tokens is the budget."""
    out: pathlib.Path
    shape: LearnerShape
    name: str
    kind: torch.dtype
    seed: int
    minutes: float | None
    tokens: int | None
    step_tokens: int
    batch_tokens: int
    rate: float
    warm_up: float  # share of the budget
    decay: float
    clip: float
    checkpoint_minutes: float

    @property
    def checkpoint(self) -> pathlib.Path:
        return self.out.with_name(self.out.name + ".checkpoint")


@dataclasses.dataclass
class Progress:
    seconds: float = 0
    tokens: int = 0  # that went in, prompts among them
    steps: int = 0
    epoch: int = 0
    steps_of_epoch: int = 0


class Training:
    def __init__(self, options: Options, texts: Texts):
        self.options, self.texts = options, texts
        self.learner = Learner(options.shape, options.seed, options.kind)
        self.parameters = list(self.learner.parameters())  # matrices, all of them
        self.optimizer = torch.optim.AdamW(self.parameters, lr=0, betas=BETAS, weight_decay=options.decay)
        self.progress = Progress()
        self.losses = collections.deque(maxlen=LOSS_STEPS)  # of steps: sum over places, places
        self.stopped = False

    def resume(self) -> None:
        """Goes on from the checkpoint. Raises FileNotFoundError, or ValueError where it is of another model."""
        state = torch.load(self.options.checkpoint)
        if state["shape"] != dataclasses.asdict(self.options.shape):
            raise ValueError(f"{self.options.checkpoint} is of another model: {state['shape']}")
        if len(state["learner"]["output"]) != vocabulary.SIZE:
            raise ValueError(f"{self.options.checkpoint} is of another vocabulary")
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self.losses.extend(state.get("losses", []))  # which earlier checkpoints lack

    def save(self) -> None:
        unfinished = self.options.checkpoint.with_name(self.options.checkpoint.name + ".part")
        state = {"shape": dataclasses.asdict(self.options.shape), "progress": dataclasses.asdict(self.progress),
                 "losses": list(self.losses), "learner": self.learner.state_dict(),
                 "optimizer": self.optimizer.state_dict()}
        torch.save(state, unfinished)
        unfinished.replace(self.options.checkpoint)

    def export(self) -> None:
        write_gguf(self.options.out, self.options.shape, self.learner.exported(), self.options.name)

    def spent(self) -> float:
        """The share of the budget."""
        if self.options.minutes is not None:
            return self.progress.seconds / (60 * self.options.minutes)
        return self.progress.tokens / self.options.tokens

    def run(self) -> None:
        """Trains, and leaves a checkpoint. SIGINT and SIGTERM end it after the step, as if the budget were spent."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self.save()

    def _stop(self, *_) -> None:
        self.stopped = True

    def _run(self) -> None:
        options, progress = self.options, self.progress
        clock = time.monotonic() - progress.seconds
        reported, saved = progress.seconds, progress.seconds
        tokens_then = progress.tokens
        for step in self._steps():
            if self.stopped or self.spent() >= 1:
                return
            self._step(step)
            progress.seconds = time.monotonic() - clock
            if progress.seconds - reported >= REPORT_SECONDS:
                rate = (progress.tokens - tokens_then) / (progress.seconds - reported)
                print(f"{progress.seconds / 60:.1f} min, {progress.tokens:,} tokens, {rate:,.0f} tokens/s, epoch "
                      f"{progress.epoch}, loss {self.loss():.4f}", file=sys.stderr, flush=True)
                reported, tokens_then = progress.seconds, progress.tokens
            if progress.seconds - saved >= 60 * options.checkpoint_minutes:
                self.save()
                saved = progress.seconds

    def _steps(self):
        """Epoch after epoch, from where the progress is."""
        while True:
            skipped = self.progress.steps_of_epoch
            for place, step in enumerate(self.texts.steps(self.options.seed, self.progress.epoch,
                                                          self.options.step_tokens, self.options.batch_tokens)):
                if place >= skipped:
                    yield step
            self.progress.epoch += 1
            self.progress.steps_of_epoch = 0

    def _step(self, step: list[numpy.ndarray]) -> None:
        batches = [self.texts.batch(picks) for picks in step]
        places = sum(len(batch.places) for batch in batches)
        total = 0.0
        for batch in batches:
            loss = self.learner.loss(*map(torch.from_numpy, batch.arrays()))
            (loss / places).backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses.append((total, places))
        self.progress.tokens += sum(batch.inputs for batch in batches)
        self.progress.steps += 1
        self.progress.steps_of_epoch += 1

    def _rate(self) -> float:
        """Up in a line, then down along a cosine."""
        spent = min(self.spent(), 1)
        cosine = FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * spent)) / 2
        warm = (spent + 1e-3) / (self.options.warm_up + 1e-3)  # the first step is to do something as well
        return self.options.rate * min(warm, 1) * cosine

    def loss(self) -> float:
        """For each token that is learned, in nats, over the last steps."""
        places = sum(places for _, places in self.losses)
        return sum(total for total, _ in self.losses) / places if places else math.nan

    @torch.no_grad()
    def validation_loss(self, texts: Texts) -> float:
        total, places = 0.0, 0
        for picks in texts.batches(numpy.arange(len(texts)), self.options.batch_tokens):
            batch = texts.batch(picks)
            total += self.learner.loss(*map(torch.from_numpy, batch.arrays())).item()
            places += len(batch.places)
        return total / places
