"""Turns of several kinds of work, measured side by side: a noisy machine is noisy for all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil
import torch

from pipelines import progress

Work = Callable[[], "Timing"]


@dataclass(frozen=True)
class Timing:
    """Seconds one frame took: on the clock, and of processors."""

    wall_seconds: float
    cpu_seconds: float


def finish(device: str) -> None:
    """Wait until a GPU has done all that it was asked; a CPU has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(work: Callable[[], object], frames: int = 1) -> Timing:
    """How long a frame takes of work that does so many, whatever process does it."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return Timing((time.perf_counter() - wall) / frames, (_cpu_seconds() - cpu) / frames)


def take_turns(works: Mapping[str, Work], rounds: int) -> dict[str, Timing]:
    """The median of each, after a first turn that does not count."""
    found: dict[str, list[Timing]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            with progress.silent():
                timing = work()
            progress.advance()
            if number:
                found[name].append(timing)
    return {name: _median(timings) for name, timings in found.items()}


def _median(timings: list[Timing]) -> Timing:
    return Timing(
        statistics.median(timing.wall_seconds for timing in timings),
        statistics.median(timing.cpu_seconds for timing in timings),
    )


def _cpu_seconds() -> float:
    """Of this process and all that come from it: children decode for us, and theirs is half of a shard."""
    ours, seconds = psutil.Process(), time.process_time()
    ended = ours.cpu_times()
    seconds += ended.children_user + ended.children_system
    for process in ours.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile: its parent has its seconds
            seconds += sum(process.cpu_times()[:4])
    return seconds
