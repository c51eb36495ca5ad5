"""What a run shows in Prefect: tags, log lines, progress, failed shards, a summary, frames."""

import base64
import contextvars
import logging
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger
from prefect.runtime import flow_run as this_run

from pipelines import progress
from pipelines.belongings import SHEET
from pipelines.credentials import hide_secrets, scrub
from pipelines.jobs import TitleJob
from pipelines.progress import Advance, Note, Stage
from pipelines.work import open_work
from stylecore.catalog import called

UPDATE_SECONDS = 2.0
"""An artifact is updated at most this often."""
_LAST_WORD_SECONDS = 30.0
"""No film waits longer for a server that has gone away."""


def _scrubbed(record: logging.LogRecord) -> bool:
    """Without credentials: a traceback of a store's client may hold a whole URL."""
    record.msg, record.args = scrub(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = scrub("".join(traceback.format_exception(*record.exc_info)))
    return True


for _runs in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_runs).addFilter(_scrubbed)


def tags_of(job: TitleJob) -> list[str]:
    """The film and the look, as tags of its runs."""
    return [f"film:{Path(hide_secrets(job.source)).stem}", f"style:{called(job.style)}"]


def tag_run(job: TitleJob) -> None:
    """Tag this flow run with its film and look."""
    with _never_in_the_way(), get_client(sync_client=True) as client:
        client.update_flow_run(UUID(this_run.id), tags={*this_run.tags, *tags_of(job)})


@contextmanager
def shown_progress(job: TitleJob) -> Iterator[None]:
    """While open, stages and notes are log lines of this run, and one artifact says how far it is."""
    listener = _Listener(job)
    progress.LOGGER.addHandler(listener)
    try:
        yield
    finally:
        progress.LOGGER.removeHandler(listener)
        listener.stop()


def show_failed(job: TitleJob, faults: Mapping[int, str]) -> None:
    """A table of the shards that could not be rendered."""
    rows = [{"shard": number, "error": fault} for number, fault in sorted(faults.items())]
    with _never_in_the_way():
        create_table_artifact(key=_key("failed", job), table=rows, description=f"Failed shards of {job.name}")


def show_delivery(job: TitleJob, facts: Mapping[str, Any], seconds: float) -> None:
    """What was made, in numbers and links."""
    lines = {
        "delivery": facts["output"],
        "frames": f"{facts['frames']}, {facts['frames_lost']} lost",
        "worst frame time error": f"{facts['worst_frame_error_ms']:.3f} ms",
        "shots": facts["shots"],
        "shards": f"{facts['shards']}, {facts['shards_rendered']} rendered now",
        "this run": f"{seconds:.0f} s, {facts['frames'] / max(seconds, 1e-6):.1f} frames a second",
        "size": f"{facts['bytes'] / 1e6:.1f} MB",
        "sha256": f"`{facts['sha256']}`",
        "manifest": facts["work"],
        "page": f"{facts['work']}/report.html",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in lines.items())
    notes = "".join(f"\n- {note}" for note in facts["notes"])
    with _never_in_the_way():
        create_markdown_artifact(
            key=_key("delivery", job),
            markdown=f"# {job.name}\n\n| | |\n|---|---|\n{table}\n{notes}\n",
            description=f"Delivery of {job.name}",
        )


def show_contact_sheet(job: TitleJob) -> None:
    """Frames before and after; the picture itself is put there, as a browser may not reach the work."""
    picture = open_work(job.work).store.read(SHEET)
    if picture is None:
        return
    address = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
    with _never_in_the_way():
        create_image_artifact(
            key=_key("frames", job), image_url=address, description=f"{job.name}, before and after"
        )


@contextmanager
def _never_in_the_way() -> Iterator[None]:
    """A film is not lost because a server is away that only shows it."""
    try:
        yield
    except httpx.HTTPError as err:
        get_run_logger().warning("not shown: %s", err)


def _key(kind: str, job: TitleJob) -> str:
    """One artifact of a kind for each title; a later run's is its next version."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', job.name.lower()).strip('-')}"


class _Listener(logging.Handler):
    """Counts what `progress` tells; a thread of its own talks to the server, so that painting never waits."""

    def __init__(self, job: TitleJob) -> None:
        super().__init__()
        self.stage, self.done, self.job = Stage("start", 0, 0, ""), 0, job
        self.logger = get_run_logger()
        self.over = threading.Event()
        self.thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._tell,), name="artifact", daemon=True
        )
        self.thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if isinstance(event, Stage):
            self.stage, self.done = event, event.done
            self.logger.info("%s", event.name)
        elif isinstance(event, Advance):
            self.done += event.count
        elif isinstance(event, Note):
            self.logger.info("%s", event.text)

    def stop(self) -> None:
        """Say the last word and end the thread."""
        self.over.set()
        self.thread.join(_LAST_WORD_SECONDS)

    @property
    def _percent(self) -> float:
        """Of the rendering, which is nearly all of it."""
        if self.stage.name in ("assemble", "conform", "publish"):
            return 100.0
        return min(100.0, 100 * self.done / self.stage.total) if self.stage.total else 0.0

    def _tell(self) -> None:
        try:
            self._keep_telling()
        except RuntimeError:  # of a client that was closed
            if not self.over.is_set():
                raise

    def _keep_telling(self) -> None:
        artifact, told, last = None, 0.0, False
        key, what = _key("progress", self.job), f"Frames of {self.job.name}"
        while not last:
            last = self.over.wait(UPDATE_SECONDS)
            with suppress(httpx.HTTPError):
                artifact = artifact or create_progress_artifact(0.0, key=key, description=what)
                if (percent := self._percent) != told:
                    update_progress_artifact(artifact, percent)  # type: ignore[arg-type]
                    told = percent
