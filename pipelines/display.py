"""Progress for people: a live bar on a terminal, plain lines when piped. Always on standard error."""

import logging
import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from pipelines.progress import LOGGER, Advance, Note, Stage

_LINE_SECONDS = 5.0


class _Counter:
    """Counts of the running stage; the rate leaves out what was there already."""

    def __init__(self) -> None:
        self.stage = Stage("start", 0, 0, "")
        self.done = self.shots_done = 0
        self.began = time.monotonic()

    def begin(self, stage: Stage) -> None:
        self.stage, self.done, self.began = stage, stage.done, time.monotonic()
        self.shots_done = stage.shots_done

    @property
    def rate(self) -> float:
        """Units per second of this run."""
        return (self.done - self.stage.done) / max(time.monotonic() - self.began, 1e-6)

    @property
    def shots(self) -> str:
        """Shots done, for people; empty where a stage has none."""
        return f"{self.shots_done}/{self.stage.shots} shots" if self.stage.shots else ""

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None when it cannot be said."""
        if not self.stage.total or self.rate <= 0:
            return None
        return max(0, self.stage.total - self.done) / self.rate


class Display(logging.Handler, AbstractContextManager["Display"]):
    """Shows the events of `progress` while it is open."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console, self.live = console, console.is_terminal
        self.counter, self.last_line = _Counter(), 0.0
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shots]} {task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=console, transient=True)
        self.task = self.bar.add_task("start", total=None, rate="", shots="")

    def __enter__(self) -> "Display":
        LOGGER.addHandler(self)
        if self.live:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        LOGGER.removeHandler(self)
        if self.live:
            self.bar.stop()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if isinstance(event, Stage):
            self._begin(event)
        elif isinstance(event, Advance):
            self.counter.done += event.count
            self.counter.shots_done += event.shots
            self._show()
        elif isinstance(event, Note):
            self.console.print(event.text, highlight=False, markup=False)

    def _begin(self, stage: Stage) -> None:
        self.counter.begin(stage)
        if self.live:
            self.bar.remove_task(self.task)
            total = stage.total or None
            self.task = self.bar.add_task(stage.name, total=total, completed=stage.done, rate="", shots="")
            return
        kept = f", {stage.done} done before" if stage.done else ""
        counts = f": {stage.total} {stage.unit}{kept}" if stage.total else ""
        self._line(f"{stage.name}{counts}")

    def _show(self) -> None:
        counter = self.counter
        if self.live:
            rate = f"{counter.rate:.1f} {'fps' if counter.stage.unit == 'frames' else counter.stage.unit}"
            self.bar.update(self.task, completed=counter.done, rate=rate, shots=counter.shots)
        elif time.monotonic() - self.last_line >= _LINE_SECONDS:
            left = counter.seconds_left
            ending = f", {left:.0f} s left" if left is not None else ""
            total = f"/{counter.stage.total}" if counter.stage.total else ""
            counts = ", ".join(filter(None, [f"{counter.done}{total} {counter.stage.unit}", counter.shots]))
            self._line(f"{counter.stage.name}: {counts}, {counter.rate:.1f}/s{ending}")

    def _line(self, text: str) -> None:
        self.last_line = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
