"""Attempts are fenced: ten thousand random schedules of workers that hang, die, repeat and finish late.

Each step of a worker is one call on the store, in any order with those of others; a write may succeed and yet
be reported as failed, and is then repeated.
"""

import random
from dataclasses import replace

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines import attempts
from pipelines.attempts import OK, WITHDRAWN, ShardResult
from pipelines.faults import patient
from pipelines.storage import Store

KEYS = ("a", "b")


class Worker:
    """One attempt, step by step: claim, publish the part, record; it may die between any two."""

    def __init__(self, name: str, store: Store, key: str, state: str) -> None:
        self.name, self.store, self.key, self.state = name, store, key, state
        self.steps = iter(self._walk())
        self.attempt = 0
        self.recorded = False

    def _walk(self):
        mine = attempts.claim(self.store, ShardResult(self.key, 1, 0, self.state, worker=self.name))
        self.attempt = mine.attempt
        yield
        if self.state == OK:
            part = f"parts/{self.key}-{mine.attempt:04d}-{self.name}"
            self.store.write(part, self.name.encode())
            mine = replace(mine, part=part, part_sha256=self.name)
            yield
        attempts.record(self.store, mine)
        self.recorded = True


class Forgetful(MemoryFileSystem):
    """Memory that now and then does what it is told and then says that it did not."""

    protocol = "forgetful"
    store, pseudo_dirs = {}, [""]
    chance = random.Random(0)

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        super().pipe_file(path, value, mode=mode, **kwargs)
        if self.chance.random() < 0.1:
            raise ConnectionResetError("lost on the way back")


@pytest.fixture(scope="module", autouse=True)
def _forgetful():
    import fsspec

    fsspec.register_implementation("forgetful", Forgetful, clobber=True)


def play(seed: int) -> tuple[Store, list[Worker]]:
    """A schedule: up to six attempts at two shards, interleaved at random, some never finished."""
    chance = random.Random(seed)
    Forgetful.store.clear()
    Forgetful.pseudo_dirs[:] = [""]  # it looks through all of them at every call
    Forgetful.chance = chance
    store = Store(f"forgetful://w{seed}")
    states = [chance.choice([OK, OK, OK, WITHDRAWN]) for _ in range(chance.randint(2, 6))]
    workers = [Worker(f"w{place}", store, chance.choice(KEYS), state) for place, state in enumerate(states)]
    alive = list(workers)
    while alive:
        worker = chance.choice(alive)
        if chance.random() < 0.1 or next(worker.steps, "ended") == "ended":
            alive.remove(worker)
        if chance.random() < 0.1:
            attempts.compact(store, least=1)
    return store, workers


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(10_000), marks=pytest.mark.faults)], ids=["few", "many"]
)
def test_no_result_is_ever_mixed_or_lost(seeds, monkeypatch):
    monkeypatch.setattr("pipelines.faults.time.sleep", lambda _: None)
    for seed in seeds:
        with patient():
            store, workers = play(seed)
        rows = attempts.ended(store)
        told = {(worker.key, worker.attempt): worker for worker in workers if worker.recorded}
        assert len({(row.key, row.attempt) for row in rows}) == len(rows) == len(told), seed
        for row in rows:
            worker = told[row.key, row.attempt]
            assert (row.worker, row.state) == (worker.name, worker.state), seed
            assert row.state == WITHDRAWN or store.read(row.part) == row.part_sha256.encode(), seed
        _stands(rows, attempts.standing(rows), seed)
        assert attempts.standing(random.Random(seed).sample(rows, len(rows))) == attempts.standing(rows), seed


def _stands(rows: list[ShardResult], standing: dict[str, ShardResult], seed: int) -> None:
    """What counts is the highest attempt, whoever ended last: none comes back from before a withdrawal."""
    for key in KEYS:
        mine = [row for row in rows if row.key == key]
        assert (key in standing) == bool(mine), seed
        assert not mine or standing[key].attempt == max(row.attempt for row in mine), seed
