"""Faults: whatever happens to the runs before, the last one delivers the same file, to the byte.

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
import uuid
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import draw
from harms import MOMENTS, damage
from proxy import Proxy

from pipelines import attempts
from pipelines.attempts import FAILED, OK
from pipelines.config import make_job
from pipelines.jobs import TitleJob
from pipelines.storage import Store
from pipelines.work import open_work

pytestmark = pytest.mark.faults
SHARDS = 4
KILLED = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM)
"""How a run ends that was killed; early on nobody listens to SIGTERM yet."""
ROOT = Path(__file__).parents[2]
AWS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


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
    happened, kills, damaged, unwritten = [], 0, 0, 0
    for _ in range(chance.randint(1, 3)):
        harm = some_harm(chance)
        (answer,) = launchpad((job, harm))
        happened.append((harm, answer["status"], answer.get("error")))
        assert answer["status"] in (0, 1, 2, *KILLED), happened
        kills += answer["status"] in KILLED
        # On a full disk not even a shard's failure may find room.
        unwritten += SHARDS * (harm["kind"] == "full")
        if chance.random() < 0.3:
            happened.append(damage(Path(job.work), chance))
            damaged += 1
    (answer,) = launchpad((job, None))
    assert answer == {"status": 0, "sha256": undisturbed, "error": None}, happened
    assert hashlib.sha256(Path(job.output).read_bytes()).hexdigest() == undisturbed, happened
    _explained(job, kills + unwritten, damaged, happened)
    print(f"seed {seed}: {kills} kills, {damaged} damaged, {len(happened)} events", file=sys.stderr)


def _explained(job, unended: int, damaged: int, happened: list) -> None:
    """The manifest tells of every attempt, and no kill cost more than the shard that was under way."""
    store = open_work(job.work).store
    rows, cut_off = attempts.ended(store), attempts.cut_off(store)
    states = Counter(row.state for row in rows)
    assert states[OK] >= SHARDS - damaged and len(cut_off) <= unended + damaged, (happened, rows, cut_off)
    assert states[OK] <= SHARDS + damaged, (happened, rows)
    assert all(row.fault and row.error_class and row.worker for row in rows if row.state == FAILED), rows
    assert all(row.worker and row.started_utc for row in cut_off)


@pytest.fixture
def bucket(s3, tiny):
    """A film in object storage; the environment that reaches it."""
    store = Store(f"{s3}/{uuid.uuid4().hex[:8]}")
    store.write("film.mp4", tiny.read_bytes())
    return store, {name: os.environ[name] for name in AWS}


def in_bucket(tiny_job, store):
    return tiny_job(f"{store.url}/out.mp4", source=f"{store.url}/film.mp4", work=f"{store.url}/work")


@pytest.mark.parametrize(
    ("cut_rate", "away_seconds"), [(0.05, 0), (0, 30), (0, 600)], ids=["errors", "outage", "ten minutes"]
)
def test_a_store_that_fails_costs_no_attempt(
    cut_rate, away_seconds, bucket, launchpad, tiny_job, undisturbed, tmp_path
):
    store, environment = bucket
    proxy = Proxy(urlsplit(environment["AWS_ENDPOINT_URL"]).port, cut_rate)
    proxy.out_from(25, away_seconds)
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}", "STYLEREEL_CACHE": str(tmp_path)}
    (answer,) = launchpad((in_bucket(tiny_job, store), None), at0=environment | endpoint)
    proxy.close()
    assert answer == {"status": 0, "sha256": undisturbed, "error": None} and proxy.cut > 0
    work = Store(f"{store.url}/work")
    rows = attempts.ended(work)
    assert [(row.state, row.attempt) for row in rows] == [(OK, 1)] * SHARDS and attempts.cut_off(work) == []
    print(f"{proxy.cut} of {proxy.asked} requests cut", file=sys.stderr)


def test_two_planners_on_one_work_do_no_harm(bucket, launchpad, tiny_job, undisturbed, tmp_path):
    """On two machines: each has its own scratch and sees nothing of the other but the store."""
    store, environment = bucket
    job = in_bucket(tiny_job, store)
    homes = [{**environment, "STYLEREEL_CACHE": str(tmp_path / name)} for name in "ab"]
    answers = launchpad((job, None), (job, None), at0=homes[0], at1=homes[1])
    assert [(answer["status"], answer["sha256"]) for answer in answers] == [(0, undisturbed)] * 2, answers
    work = Store(f"{store.url}/work")
    rows = attempts.ended(work)
    assert {row.state for row in rows} == {OK} and attempts.cut_off(work) == []
    assert len({(row.key, row.attempt) for row in rows}) == len(rows) >= SHARDS


KILL_SERVER = """
import json, sys
from pipelines.jobs import TitleJob
from pipelines.flows import run
import pipelines.render
from tests.kill_at import at_call
at_call("pipelines.media.parts:_frame", 20, "", lambda: run._servers[0].child.kill())
run.run_title(TitleJob(**json.loads(sys.argv[1])), page=False)
"""


def test_a_server_that_dies_takes_no_work_along(launchpad, tiny_job, undisturbed, tmp_path):
    job = tiny_job(tmp_path / "out.mp4")
    without = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    ended = subprocess.run(
        [sys.executable, "-c", KILL_SERVER, job.model_dump_json()],
        env={**without, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "STYLEREEL_CACHE": str(tmp_path / "cache")},
        timeout=400, capture_output=True, check=False, start_new_session=True,
    )  # fmt: skip
    assert attempts.ended(Store(job.work)), ended.stderr.decode()[-2000:]
    (answer,) = launchpad((job, None))
    assert answer == {"status": 0, "sha256": undisturbed, "error": None}
    assert len(attempts.ended(Store(job.work))) <= SHARDS + 1
