"""A film's shards spread over a pool: its batches are submitted, watched, and submitted again.

The manifest says what is done; Prefect only says which runs are over. A run whose worker is lost goes back
into the queue by itself (see `pool`), one that crashed is replaced. Whoever starts anew finds the batches
that are under way and waits for them as well.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.runtime import flow_run as this_run
from prefect.states import Cancelled, Cancelling, Pending

from pipelines import attempts, progress
from pipelines.attempts import FAILED, OK, ShardResult
from pipelines.batches import Pool, plan_batches, seconds_per_frame
from pipelines.errors import OutageError, UsageError
from pipelines.faults import Fault, patient, wait_out
from pipelines.flows.artifacts import tags_of
from pipelines.jobs import TitleJob
from pipelines.prepare import FilmPlan
from pipelines.work import Work, load_film, open_work, withdraw

LOST = "Lost"
"""Name of the state of a run that nothing is heard of: not over, its turn comes again."""
POLL_SECONDS = 5.0
_LATER_SECONDS = (0, 0, 300)
"""Before a batch is submitted again, by its fruitless runs: a worker that cannot paint soon asks for more."""
FRUITLESS_RUNS = len(_LATER_SECONDS)
"""Runs of a batch in a row that may end without a finished shard; runs that finish some cost nothing."""
_PAGE = 200
"""Runs that Prefect's server tells of at a time."""
_OVERTIME = 1.5
_LOOK_SECONDS = 15.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Batch:
    """Shards that one run is to render.

    `done` were finished of the film when it was submitted; `fruitless` runs in a row changed nothing of that:
    a worker that cannot paint may take batch after batch while those who can are busy.
    """

    shards: tuple[int, ...]
    done: int
    fruitless: int = 0


def render_on_pool(job: TitleJob, source: Path, left: Sequence[int], pool: Pool) -> dict[int, str]:
    """Render shards on a pool; what became of those that are not done, by number."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    with get_client(sync_client=True) as client, patient():
        _check_pool(client, pool)
        spread = Spread(client, job, work, film, pool)
        spread.start(left)
        while spread.running:
            time.sleep(POLL_SECONDS)
            spread.look()
        return {number: fault for number, fault in spread.faults.items() if number not in spread.done}


def _check_pool(client: SyncPrefectClient, pool: Pool) -> None:
    try:
        client.read_deployment_by_name(f"stylize-batch/{pool.name}")
    except ObjectNotFound:
        raise UsageError(
            f"pool {pool.name!r}: Prefect's server does not know it; run `stylereel pool setup {pool.name}`"
        ) from None


def stop_batches(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Cancel what a cancelled run has under way; Prefect's server would, a level at a time and late."""
    with get_client(sync_client=True) as client:
        above = [flow_run.id]
        while above:
            below = _alive(client, parent_flow_run_id={"any_": above})
            for run in below:
                if run.deployment_id:
                    client.set_flow_run_state(run.id, Cancelling(message="its title was cancelled"))
            above = [run.id for run in below]


def _alive(client: SyncPrefectClient, **wanted: Any) -> list[FlowRun]:
    """Runs that are not over, by Prefect's filter."""
    kinds = [kind.value for kind in StateType if not State(type=kind).is_final()]
    chosen = FlowRunFilter.model_validate({**wanted, "state": {"type": {"any_": kinds}}})
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_run_filter=chosen, limit=_PAGE, offset=len(found)):
        found += page
    return found


def _ask(question: Callable[[], Answer]) -> Answer:
    """The server's answer; while it is away, it is waited for."""

    def once() -> Answer:
        try:
            return question()
        except httpx.HTTPError as err:
            if isinstance(err, httpx.HTTPStatusError) and not err.response.is_server_error:
                raise
            raise OutageError("Prefect's server does not answer") from err

    return wait_out(once, "Prefect's server")


def _is_over(state: State) -> bool:
    return state.is_final() and state.name != LOST


class Spread:
    """The batches of one film that are under way."""

    def __init__(
        self, client: SyncPrefectClient, job: TitleJob, work: Work, film: FilmPlan, pool: Pool
    ) -> None:
        self.client, self.job, self.work, self.film, self.pool = client, job, work, film, pool
        self.running: dict[UUID, Batch] = {}
        self.faults: dict[int, str] = {}
        self._serial = count(1)
        self._tag = f"plan:{hashlib.sha256(f'{job.work} {film.key}'.encode()).hexdigest()[:16]}"
        self._rows = self._read()
        self._before = {key: row.attempt for key, row in self._rows.items()}
        self.done = self._standing_ok()
        self._look_again = 0.0

    def start(self, left: Sequence[int]) -> None:
        """Find the batches that are under way, and submit what else is to be done."""
        damaged = sorted(self.done & set(left))
        withdraw(self.work, self.film, damaged)
        self.done -= set(damaged)
        self.running = self._under_way()
        covered = {number for batch in self.running.values() for number in batch.shards}
        shards = [self.film.shards[number - 1] for number in left if number not in covered]
        cost = seconds_per_frame(self._rows.values(), self.job.device, self.job.shards_at_once)
        for numbers in plan_batches(shards, cost, self.pool.batch_seconds):
            self._submit(Batch(numbers, len(self.done)))

    def look(self) -> None:
        """Tell what has been finished, and see to the runs that are over."""
        states = {run: self._state(run) for run in self.running}
        over = {run: state for run, state in states.items() if _is_over(state)}
        began = time.monotonic()
        if not over and began < self._look_again:
            return
        self._rows = self._read()
        # Reading everything may cost much where the work is far away: a twentieth of the time at most.
        self._look_again = time.monotonic() + max(_LOOK_SECONDS, 20 * (time.monotonic() - began))
        done = self._standing_ok()
        progress.advance(sum(len(self.film.shards[number - 1].frames) for number in done - self.done))
        self.done |= done
        for run, state in over.items():
            self._see_to(self.running.pop(run), state)

    def _see_to(self, batch: Batch, state: State) -> None:
        """Submit again what a run has left, unless it failed by itself or nothing comes of it."""
        left = [number for number in batch.shards if number not in self.done]
        failed = {number: row.error_text for number in left if (row := self._failure(number))}
        again = tuple(number for number in left if number not in failed)
        fruitless = batch.fruitless + 1 if len(self.done) == batch.done else 0
        self.faults |= failed
        if again and (state.is_cancelled() or fruitless == FRUITLESS_RUNS):
            self.faults |= {number: f"its batch {state.name}: {state.message}" for number in again}
        elif again:
            progress.note(f"shards {again[0]} to {again[-1]}: their batch {state.name}; submitted again")
            self._submit(Batch(again, len(self.done), fruitless), _LATER_SECONDS[fruitless])

    def _failure(self, number: int) -> ShardResult | None:
        """The attempt at a shard that failed since we began, for the shard's sake."""
        key = self.film.shard_keys[number - 1]
        row = self._rows.get(key)
        new = row and row.state == FAILED and row.attempt > self._before.get(key, 0)
        return row if row and new and row.fault != Fault.ENVIRONMENT else None

    def _submit(self, batch: Batch, later_seconds: float = 0) -> None:
        # The key makes a request that the client repeats one and the same run.
        key = f"{this_run.id}-{this_run.run_count}-{next(self._serial)}"
        facts = {
            "job": self.job.model_dump(mode="json"),
            "plan": self.film.key,
            "shards": list(batch.shards),
            "seconds": self.pool.batch_seconds * _OVERTIME,
        }
        tags = [self._tag, *tags_of(self.job)]

        def submit() -> FlowRun:
            name = f"stylize-batch/{self.pool.name}"
            begin = datetime.now(UTC) + timedelta(seconds=later_seconds) if later_seconds else None
            return run_deployment(  # type: ignore[return-value]
                name, parameters=facts, tags=tags, idempotency_key=key, timeout=0, scheduled_time=begin
            )

        self.running[_ask(submit).id] = batch

    def _under_way(self) -> dict[UUID, Batch]:
        """Of this film. One that is being cancelled finishes nothing more: somebody else has to."""
        found = _alive(self.client, tags={"all_": [self._tag]})
        return {
            run.id: Batch(tuple(run.parameters["shards"]), len(self.done))
            for run in found
            if run.state_type != StateType.CANCELLING
        }

    def _state(self, run: UUID) -> State:
        try:
            return _ask(lambda: self.client.read_flow_run(run)).state or Pending()
        except ObjectNotFound:
            return Cancelled(message="somebody deleted it")

    def _read(self) -> dict[str, ShardResult]:
        return attempts.standing(attempts.ended(self.work.store))

    def _standing_ok(self) -> set[int]:
        return {
            shard.number
            for shard, key in zip(self.film.shards, self.film.shard_keys, strict=True)
            if key in self._rows and self._rows[key].state == OK
        }
