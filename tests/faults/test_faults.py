"""Randomized faults: whatever happens to the runs before, the last one delivers the same file, to the byte.

make test-faults                     all of the suite, 200 randomized runs
python -m pytest tests/faults -m faults --runs 50 --seed 1000
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import draw
from harms import MOMENTS, damage

from pipelines import manifest
from pipelines.config import TitleJob, make_job
from pipelines.manifest import FAILED, OK
from pipelines.work import open_work

pytestmark = pytest.mark.faults
SHARDS = 4
KILLED = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM)
"""How a run ends that was killed; early on nobody listens to SIGTERM yet."""
ROOT = Path(__file__).parents[2]


class Launchpad:
    """Runs films in processes of their own; what became of each: status, sha256, error."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.launchpad"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip

    def __call__(self, *runs: tuple[TitleJob, dict | None], **environments: dict) -> list[dict]:
        """`environments` are those of the runs, by place: `at0`, `at1`."""
        orders = [
            {"job": job.model_dump(), "harm": harm, "environment": environments.get(f"at{place}", {})}
            for place, (job, harm) in enumerate(runs)
        ]
        self.process.stdin.write(json.dumps({"runs": orders}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="session")
def launchpad(prefect_api):
    pad = Launchpad()
    yield pad
    pad.process.stdin.close()
    pad.process.wait(30)


@pytest.fixture(scope="session")
def tiny(media):
    """Four shots of eight frames, with sound."""
    return draw(media / "tiny.mp4", size="64x48", shots=(8, 8, 8, 8))


@pytest.fixture(scope="session")
def tiny_job(tiny, pack):
    def job(output, **options) -> TitleJob:
        given = {"style": f"{pack}#plain", "device": "cpu", "shard_frames": 8, "preset": "ultrafast"}
        return make_job({"source": str(tiny), "output": str(output), **given, **options})

    return job


@pytest.fixture(scope="session")
def undisturbed(launchpad, tiny_job, media):
    """The sha256 of the delivery when nothing happens."""
    (answer,) = launchpad((tiny_job(media / "undisturbed.mp4"), None))
    assert answer["status"] == 0, answer
    return answer["sha256"]


def some_harm(chance: random.Random) -> dict:
    """A kill at a named or a random point, SIGTERM, a dead reader, a full disk or a jumping clock."""
    kind = chance.choice(["call"] * 5 + ["time"] * 3 + ["reader", "full", "clock"])
    number = chance.choice([signal.SIGKILL] * 3 + [signal.SIGTERM])
    if kind == "call":
        place, calls, argument = MOMENTS[chance.choice(list(MOMENTS))]
        return {"kind": kind, "at": [place, chance.randint(1, calls), argument], "signal": number}
    if kind == "full":
        return {"kind": kind, "bytes": int(10 ** chance.uniform(2.5, 5))}
    return {"kind": kind, "seconds": chance.uniform(0, 3), "signal": number, "seed": chance.random()}


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--seed")
        metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--runs")))


def test_whatever_happens_the_film_is_the_same(
    seed, launchpad, tiny_job, undisturbed, tmp_path, record_property
):
    chance = random.Random(seed)
    job = tiny_job(tmp_path / "out.mp4")
    happened, kills, damaged = [], 0, 0
    for _ in range(chance.randint(1, 3)):
        harm = some_harm(chance)
        (answer,) = launchpad((job, harm))
        happened.append((harm, answer["status"], answer.get("error")))
        assert answer["status"] in (0, 1, 2, *KILLED), happened
        kills += answer["status"] in KILLED
        if chance.random() < 0.3:
            happened.append(damage(Path(job.work), chance))
            damaged += 1
    (answer,) = launchpad((job, None))
    assert answer == {"status": 0, "sha256": undisturbed, "error": None}, happened
    assert hashlib.sha256(Path(job.output).read_bytes()).hexdigest() == undisturbed, happened
    _explained(job, kills, damaged, happened)
    print(f"seed {seed}: {kills} kills, {damaged} damaged, {len(happened)} events", file=sys.stderr)


def _explained(job, kills: int, damaged: int, happened: list) -> None:
    """The manifest tells of every attempt, and no kill cost more than the shard that was under way."""
    store = open_work(job.work).store
    rows, cut_off = manifest.attempts(store), manifest.cut_off(store)
    states = Counter(row.state for row in rows)
    assert states[OK] >= SHARDS - damaged and len(cut_off) <= kills + damaged, (happened, rows, cut_off)
    assert states[OK] <= SHARDS + damaged, (happened, rows)
    assert all(row.fault and row.error_class and row.worker for row in rows if row.state == FAILED), rows
    assert all(row.worker and row.started_utc for row in cut_off)
