"""Run a film from the command line: check, index while the server starts, then the flow; clean up always.

The flow runs in a thread of its own; the main thread waits for signals, so that Ctrl-C or SIGTERM ends the
process at once. Nothing is lost by that: all work is recorded shard by shard, and a rerun continues.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import httpx

from pipelines import progress
from pipelines.batches import Pool
from pipelines.belongings import PAGE
from pipelines.catalogue import TitleRun
from pipelines.delivery import refuse_unwritable, standing
from pipelines.environment import cache_folder, prefect_server_given
from pipelines.errors import OutageError, StylereelError
from pipelines.faults import patient
from pipelines.flows.server import EmbeddedServer, answers, given_server, pointed_at
from pipelines.jobs import Season, TitleJob
from pipelines.looks import check_styles
from pipelines.mattes import fetch_mattes
from pipelines.media.containers import container_of
from pipelines.media.pictures import is_sequence
from pipelines.media.probe import probe
from pipelines.page import page_of, publish_page
from pipelines.sources import check_source
from pipelines.work import (
    clear_scratch,
    erase,
    find_source,
    forget_others,
    load_film,
    lock_work,
    open_work,
)

Result = TypeVar("Result")
_LOST = "Prefect's server does not answer any more"


def run_title(job: TitleJob, page: bool = True, pool: Pool | None = None) -> dict[str, Any]:
    """Render a film, or what of it is missing; the delivery's facts, with the path of its page."""
    if not is_sequence(job.output):
        container_of(Path(job.output).suffix)
    check_styles(job)
    work = open_work(job.work)
    refuse_unwritable(job)
    forget_others(work)
    fresh = not work.store.names("")
    lock = lock_work(work)
    try:
        if pool is None:  # workers that share this folder may be at work in it
            clear_scratch(work)
        for url in (job.source, *(look.matte for look in (job, *job.looks) if look.matte)):
            check_source(url)
        # All of it was in reach a moment ago: what fails from here on is waited for.
        with _signals_stop(), _server() as api_url, patient():
            source = find_source(job, work)
            probe(source)
            fetch_mattes(look.matte for look in (job, *job.looks))
            film = load_film(job, work, source)
            known = partial(standing, job, work, film, source)
            facts = _unchanged(known()) or _rendered(api_url, job, pool, known)
            if page and facts["sha256"].encode() not in (work.store.read(PAGE) or b""):
                publish_page(job, work, source, film, facts)
        return {**facts, "report": page_of(job)} if page else facts
    except StylereelError:
        if fresh and work.store.size("job.json") is None:
            erase(work)
        raise
    finally:
        lock.release()


def run_season(season: Season, sources: list[str], again: bool) -> list[TitleRun]:
    """Work on what is due among some sources, all under one server; see `flows.season.stylize_season`."""

    def work() -> list[TitleRun]:
        _await_servers()
        from pipelines.flows.season import stylize_season

        return stylize_season(season, sources, again)

    with _signals_stop(), _server() as api_url:
        try:
            return _in_thread(api_url, work)
        except httpx.TransportError as err:
            raise OutageError(f"{_LOST}; what is delivered stands: start it and run again") from err


def _run_flow(job: TitleJob, pool: Pool | None) -> dict[str, Any]:
    _await_servers()
    from pipelines.flows.title import stylize_title

    return stylize_title(job, pool)


def _await_servers() -> None:
    for server in _servers:
        if not answers(server.url):
            progress.begin("prefect", unit="")
            server.wait()


@contextmanager
def _server() -> Iterator[str]:
    """The URL of Prefect's API: the user's, or that of a child of ours, which is still starting."""
    if prefect_server_given():
        yield given_server()
        return
    server = EmbeddedServer(cache_folder() / "prefect")
    try:
        _servers.append(server)
        yield server.url
    finally:
        _servers.remove(server)
        server.stop()


_servers: list[EmbeddedServer] = []
"""Children to end when a signal ends us."""


def _in_thread(api_url: str, work: Callable[[], Result]) -> Result:
    """Run in a thread while this one listens to signals; a flow in it is part of this one's flow, if any."""
    outcome: dict[str, Any] = {}

    def target() -> None:
        try:
            outcome["value"] = work()
        except BaseException as error:
            outcome["error"] = error

    within = copy_context()
    thread = threading.Thread(target=within.run, args=(target,), name="flow", daemon=True)
    with pointed_at(api_url):
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once; outside the main thread they are somebody else's."""

    def handle(number: int, _frame: FrameType | None) -> None:
        _leave(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int) -> NoReturn:
    """End at once: threads in the middle of a shard would hold an ordinary exit for minutes."""
    for server in _servers:
        server.stop()
    os.write(2, b"stylereel: stopped; finished shards are kept, the same command continues\n")
    os._exit(128 + number)


def _unchanged(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """The facts of an earlier run, if there are any: nothing is left to do."""
    if facts is None:
        return None
    progress.note("nothing to do: the delivery is there and whole")
    return {**facts, "shards_rendered": 0}


def _rendered(
    api_url: str, job: TitleJob, pool: Pool | None, known: Callable[[], dict[str, Any] | None]
) -> dict[str, Any]:
    """The facts of a new run; what it delivered stands, whether or not the server could be told of it."""
    try:
        return _in_thread(api_url, lambda: _run_flow(job, pool))
    except httpx.TransportError as err:
        facts = known()
        if facts is None:
            raise OutageError(f"{_LOST}; finished shards are kept: start it and run again") from err
        progress.note(f"{_LOST}; the delivery stands all the same")
        return facts
