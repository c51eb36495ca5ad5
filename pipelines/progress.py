"""How work tells how far it is: log records with a value attached, so that nothing calls upward.

Whoever shows progress adds a handler to `LOGGER`; where nobody listens, nothing happens.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOGGER = logging.getLogger("stylereel.progress")
LOGGER.setLevel(logging.INFO)
LOGGER.propagate = False
LOGGER.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Stage:
    """A stage begins; `total` counts `unit`s, 0 when unknown; `done` of them were there already.

    The same for shots, where the stage goes through shots.
    """

    name: str
    total: int
    done: int
    unit: str
    shots: int = 0
    shots_done: int = 0


@dataclass(frozen=True)
class Advance:
    """`count` more units, and `shots` more shots, of the current stage are done."""

    count: int
    shots: int = 0


@dataclass(frozen=True)
class Note:
    """One line worth telling."""

    text: str


def begin(
    name: str, total: int = 0, done: int = 0, unit: str = "frames", shots: int = 0, shots_done: int = 0
) -> None:
    """Say that a stage begins."""
    LOGGER.info("%s", name, extra={"event": Stage(name, total, done, unit, shots, shots_done)})


def advance(count: int = 1, shots: int = 0) -> None:
    """Say that some units are done."""
    LOGGER.info("+%d", count, extra={"event": Advance(count, shots)})


def note(text: str) -> None:
    """Say one thing."""
    LOGGER.info("%s", text, extra={"event": Note(text)})


@contextmanager
def silent() -> Iterator[None]:
    """Nothing is told of what is done inside, for it is one step of something larger."""
    LOGGER.disabled = True
    try:
        yield
    finally:
        LOGGER.disabled = False
