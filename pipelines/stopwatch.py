"""Where the time of a shard goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pipelines.media.layouts import PlaneArray

Item = TypeVar("Item")


@dataclass
class Clock:
    """Seconds spent in each stage; stages run at the same time, so they may add up to more than the wall."""

    decode: float = 0.0
    network: float = 0.0
    encode: float = 0.0


class Waits:
    """The same items, and the seconds that were spent waiting for them."""

    def __init__(self, items: Iterator[list[PlaneArray]]) -> None:
        self.items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[list[PlaneArray]]:
        while True:
            asked = time.perf_counter()
            item = next(self.items, None)
            self.seconds += time.perf_counter() - asked
            if item is None:
                return
            yield item


@contextmanager
def painting(clock: Clock) -> Iterator[None]:
    """Count the time spent in the block as painting, but for the wait for frames."""
    waited, began = clock.decode, time.perf_counter()
    try:
        yield
    finally:
        clock.network += time.perf_counter() - began - (clock.decode - waited)


def painted(items: Iterator[Item], clock: Clock) -> Iterator[Item]:
    """Pass the items on; time spent waiting for them counts as painting, but for their wait for frames."""
    while True:
        with painting(clock):
            item = next(items, None)
        if item is None:
            return
        yield item


def timed(frames: Iterator[Item], clock: Clock) -> Iterator[Item]:
    """Pass the frames on; time spent waiting for them counts as decoding."""
    while True:
        began = time.perf_counter()
        frame = next(frames, None)
        clock.decode += time.perf_counter() - began
        if frame is None:
            return
        yield frame
