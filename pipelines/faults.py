"""What may fail, in four classes, and what is done about each.

transient    nobody's fault: tried again after a while, a few times
poison       the shard's: recorded and left, the film's other shards go on
environment  the worker's: recorded; after three different shards it takes no more
outage       everybody's: waited for, at no attempt's expense; after an hour one clear line
"""

import errno
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from pipelines import progress
from pipelines.errors import DiskFullError, InputError, OutageError, StylereelError

OUTAGE_SECONDS = 3600.0
"""How long unattended work waits for a place that does not answer."""
BRIEF_SECONDS = 3.0
"""The same for somebody who waits for an answer."""
TRANSIENT_TRIES = 4
WORKER_FAULTS = 3
"""Different shards that fail for a worker's sake before it takes no more."""
_NOTED_AFTER_SECONDS = 5.0
_AT_WORK_SECONDS = 900.0
"""A call that failed only after this long was at work until then: its place has been away for a moment."""
_LONG_TRIES = 8
"""Of such calls; what is cut off every time is not waited for without end."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WORKER_ERRNOS = {*_FULL, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EACCES}
_WORKER_NAMES = {"OutOfMemoryError", "AcceleratorError", "MemoryError", "ImportError"}
"""By name, so that nothing of torch is loaded to tell."""
_WORKER_TEXTS = ("cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS", "unable to find an engine")
"""Of a GPU's libraries, whose failures have no name of their own."""

Value = TypeVar("Value")


class Fault(StrEnum):
    """Whose fault a failure is."""

    TRANSIENT = "transient"
    POISON = "poison"
    ENVIRONMENT = "environment"
    OUTAGE = "outage"


def fault_of(err: BaseException) -> Fault:
    """The class of a failure, told by the error and by those that it came of."""
    if isinstance(err, OutageError):
        return Fault.OUTAGE
    if isinstance(err, DiskFullError) or _of_worker(err):
        return Fault.ENVIRONMENT
    if isinstance(err, (InputError, ConnectionError, TimeoutError)):
        # The film was read to its end before: what fails now may have been a reader that was killed.
        return Fault.TRANSIENT
    return fault_of(err.__cause__) if err.__cause__ is not None else Fault.POISON


def _of_worker(err: BaseException) -> bool:
    if isinstance(err, OSError) and err.errno in _WORKER_ERRNOS:
        return True
    if isinstance(err, RuntimeError) and any(text in str(err) for text in _WORKER_TEXTS):
        return True
    return any(kind.__name__ in _WORKER_NAMES for kind in type(err).__mro__)


def is_full(err: OSError) -> bool:
    """Whether there was no room for a file."""
    return err.errno in _FULL


def message(err: BaseException) -> str:
    """One line; errors that are not ours begin with their kind."""
    return str(err) if isinstance(err, StylereelError) else f"{type(err).__name__}: {err}"


def backoff(
    first_seconds: float = 0.5, longest_seconds: float = 30.0, chance: random.Random | None = None
) -> Iterator[float]:
    """Pauses that double up to a longest one, give or take half, so that many workers spread out."""
    chance, seconds = chance or random.Random(), first_seconds
    while True:
        yield seconds * chance.uniform(0.5, 1.5)
        seconds = min(2 * seconds, longest_seconds)


def transient_pauses() -> Iterator[float]:
    """The pauses between tries of what failed for nobody's fault."""
    return islice(backoff(), TRANSIENT_TRIES - 1)


_limit_seconds: ContextVar[float] = ContextVar("limit_seconds", default=BRIEF_SECONDS)


@contextmanager
def patient(limit_seconds: float = OUTAGE_SECONDS) -> Iterator[None]:
    """Work that nobody waits for: outages inside are waited out up to a limit."""
    token = _limit_seconds.set(limit_seconds)
    try:
        yield
    finally:
        _limit_seconds.reset(token)


def wait_out(call: Callable[[], Value], place: str) -> Value:
    """What `call` gives, called again while it raises OutageError; it must be safe to repeat."""
    limit, away_since, noted = _limit_seconds.get(), 0.0, False
    long_tries = 0
    for pause in backoff():
        began = time.monotonic()
        try:
            return call()
        except OutageError as err:
            now = time.monotonic()
            worked = now - began > _AT_WORK_SECONDS
            long_tries += worked
            if not away_since or worked and long_tries <= _LONG_TRIES:
                away_since = now
            waited = now - away_since
            if waited + pause > limit:
                raise OutageError(f"{err}; gave up after {_duration(waited)}, run again later") from err
            if not noted and waited > _NOTED_AFTER_SECONDS:
                noted = True
                progress.note(f"{place} does not answer; waiting for it, up to {_duration(limit)}")
        time.sleep(pause)
    raise AssertionError("pauses never end")


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


class Trust:
    """How a worker fares in one run: why it takes no more shards, if it does not."""

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self.refusal = ""

    def note(self, shard_key: str, fault: Fault, text: str) -> None:
        """A shard failed here."""
        if fault is Fault.OUTAGE:
            self.refusal = text
        elif fault is Fault.ENVIRONMENT:
            self._failed.add(shard_key)
            if len(self._failed) >= WORKER_FAULTS:
                self.refusal = f"this worker failed {len(self._failed)} shards and takes no more; {text}"


@lru_cache(maxsize=64)
def trust_in(run: str) -> Trust:
    """How this process fares in a run; another run is another chance."""
    return Trust()
