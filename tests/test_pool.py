"""Titles on a real Prefect server with real process workers: spread, killed, terminated, scheduled."""

import os
import shutil
import signal
import time
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from conftest import draw
from farm import Farm, family, kill_family
from test_end_to_end import job_for

from pipelines import attempts
from pipelines.storage import Store

pytestmark = pytest.mark.long
DEPLOY = Path(__file__).parents[1] / "deploy" / "prefect.yaml"
SHOTS = (30, 26, 40, 24, 36, 28, 32, 24)


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    made = Farm(tmp_path_factory.mktemp("farm"))
    try:
        made.stylereel("pool", "setup", "p")
        made.worker("p", "titles", limit=4)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def reel(media):
    """Drawn once: an encoder need not draw the same film twice."""
    return draw(media / "reel.mp4", size="320x192", shots=SHOTS)


@pytest.fixture(scope="module")
def alone(farm, reel, media, pack):
    """The film as one machine makes it, at the precision that all workers have."""
    output = media / "alone.mp4"
    look = ["--style", f"{pack}#plain", "--shard-frames", "1", "--preset", "ultrafast", "--device", "cpu"]
    look += ["--precision", "fp32"]
    assert farm.stylereel("render", str(reel), str(output), *look)["shards_rendered"] == len(SHOTS)
    return output.read_bytes()


class Run:
    """A title given to the farm."""

    def __init__(self, farm, job, **options):
        self.farm, self.job = farm, job
        self.id = farm.submit("render/p", {"job": job.model_dump(mode="json"), **options})

    def rows(self):
        return attempts.ended(Store(self.job.work))

    def await_shards(self, count):
        """Return once so many shards are done."""
        self.farm.until(lambda: len(attempts.standing(self.rows())) >= count)

    def end(self):
        """Its last state."""
        return self.farm.over(self.id).state

    def state(self):
        return self.farm.runs(id={"any_": [self.id]})[0].state

    def batches(self):
        """All runs of batches of this title."""
        return self.farm.runs(
            tags={"all_": [f"film:{Path(self.job.source).stem}"]}, name={"like_": "-shards-"}
        )


@pytest.fixture
def start(farm, reel, pack, tmp_path):
    """Begin to paint a film of this test's own name on two workers."""
    made = []

    def begin(name, batch_seconds=60, **look):
        made.extend(farm.worker("p", "batches") for _ in range(2))
        film = shutil.copy(reel, tmp_path / f"{name}.mp4")
        job = job_for(film, tmp_path / "out.mp4", pack, shard_frames=1, **look)
        return Run(farm, job, batch_seconds=batch_seconds), made

    yield begin
    for worker in made:
        kill_family(worker.pid)


def same_film(run, alone):
    """Whether a title is what one machine made of it, to the byte."""
    return run.end().is_completed() and Path(run.job.output).read_bytes() == alone


def test_two_workers_paint_the_same_film(start, alone):
    run, _ = start("both")
    assert same_film(run, alone), run.state().message
    assert [row.attempt for row in run.rows()] == [1] * len(SHOTS)
    assert sorted(len(one.parameters["shards"]) for one in run.batches()) == [4, 4]


def test_chosen_shots_are_redone_and_no_others(start, farm, alone):
    run, _ = start("chosen")
    assert same_film(run, alone), run.state().message
    first = Path(run.job.output).stat().st_mtime_ns
    again = farm.over(farm.submit("retry/p", {"work": run.job.work, "shots": "2,5"}))
    assert again.state.is_completed(), again.state.message
    states = defaultdict(list)
    for row in run.rows():
        states[row.shard].append(row.state)
    twice = [attempts.OK, attempts.WITHDRAWN, attempts.OK]
    assert states == {shard: twice if shard in (2, 5) else [attempts.OK] for shard in states}
    assert len(states) == len(SHOTS)
    assert sorted(one.parameters["shards"] for one in run.batches())[1:] == [[2, 5], [5, 6, 7, 8]]
    assert same_film(run, alone) and Path(run.job.output).stat().st_mtime_ns > first


def test_a_cancelled_title_stops_its_batches_and_goes_on_later(start, farm, alone):
    """Nothing of a shard that was under way counts, and no try at it is spent."""
    run, workers = start("cancelled", batch_seconds=119, tile=64)
    work = Store(run.job.work)
    farm.until(lambda: attempts.cut_off(work))
    farm.prefect("flow-run", "cancel", str(run.id))
    farm.until(lambda: all(one.state.is_final() for one in run.batches()))
    farm.until(lambda: not any(engines_of(worker) for worker in workers), 60)
    assert {one.state.name for one in run.batches()} == {"Cancelled"} and run.end().is_cancelled()
    kept, lost = run.rows(), attempts.cut_off(work)
    assert {row.state for row in kept} <= {attempts.OK} and len(kept) + len(lost) < len(SHOTS)
    assert work.names("parts") == sorted(row.part for row in kept)
    again = Run(farm, run.job, batch_seconds=60)
    assert same_film(again, alone), again.state().message
    assert [row.state for row in run.rows()] == [attempts.OK] * len(SHOTS)
    assert [row for row in run.rows() if row in kept] == kept and attempts.cut_off(work) == lost


def test_a_machine_that_goes_down_costs_one_shard_at_most(start, alone):
    """kill -9 of a worker and its child: its run goes back into the queue, the other worker takes it."""
    run, workers = start("killed")
    run.await_shards(2)
    kill_family(workers[0].pid)
    assert same_film(run, alone), run.state().message
    assert [row.state for row in run.rows()] == [attempts.OK] * len(SHOTS)
    assert len(run.batches()) == 2 and max(one.run_count for one in run.batches()) == 2
    assert len(attempts.cut_off(Store(run.job.work))) <= 1


def test_a_crashed_child_is_replaced(start, farm, alone):
    run, workers = start("crashed")
    run.await_shards(1)
    os.kill(engines_of(workers[0])[0], signal.SIGKILL)
    assert same_film(run, alone), run.state().message
    assert {one.state.name for one in run.batches()} == {"Completed", "Crashed"}


def test_a_preempted_worker_is_gone_in_seconds_and_spends_no_try(start, farm, alone):
    run, workers = start("preempted")
    run.await_shards(1)
    members, began = family(workers[0].pid), time.monotonic()
    workers[0].send_signal(signal.SIGTERM)
    farm.until(lambda: workers[0].poll() is not None and not any(map(alive, members)), 30)
    print(f"SIGTERM: {len(members)} processes gone after {time.monotonic() - began:.1f} s")
    assert same_film(run, alone), run.state().message
    assert len(run.batches()) == 2 and {row.state for row in run.rows()} == {attempts.OK}


def test_a_run_whose_worker_goes_before_it_begins_has_its_turn_again(farm, film, tmp_path, pack):
    """It has no heartbeat yet that could fall silent; its ten minutes are made ten seconds."""
    farm.python("-c", "import pipelines.flows.pool as p; p.START_SECONDS = 10; p.set_up_pool('nobody')")
    try:
        job = job_for(film, tmp_path / "out.mp4", pack)
        run = farm.submit("render/nobody", {"job": job.model_dump(mode="json")})
        with farm.client() as client:
            from prefect.states import Pending, Submitting

            for state in (Pending(), Submitting()):
                client.set_flow_run_state(run, state)
        farm.until(lambda: farm.runs(id={"any_": [run]})[0].state.name == "Rescheduled", 120)
    finally:
        farm.stylereel("pool", "setup", "nobody")


def engines_of(worker):
    """The processes of runs that a worker has begun."""
    return [pid for pid in family(worker.pid) if b"prefect.engine" in command_of(pid)]


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_deployments_under_version_control_are_those_of_the_setup(farm):
    """`prefect deploy --all` after `stylereel pool setup` changes nothing that counts."""
    farm.stylereel("pool", "setup", "gpu")
    made = deployments(farm)
    with farm.client() as client:
        from prefect.client.schemas.actions import DeploymentUpdate

        batches = client.read_deployment_by_name("stylize-batch/gpu")
        client.update_deployment(batches.id, DeploymentUpdate(job_variables={"gpus": 1}))
    farm.stylereel("pool", "setup", "gpu")
    with farm.client() as client:
        kept = client.read_deployment_by_name("stylize-batch/gpu").job_variables
    beats = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    assert kept == {"gpus": 1, "env": beats}, (
        "setting up again, after a release, leaves what people have said"
    )
    farm.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOY))
    assert deployments(farm) == made and set(made) == {"render", "retry", "season", "stylize-batch"}


def deployments(farm):
    with farm.client() as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        return {
            flows[one.flow_id]: (
                one.entrypoint,
                one.work_pool_name,
                one.work_queue_name,
                one.tags,
                one.parameters,
                one.job_variables,
            )
            for one in client.read_deployments()
            if one.name == "gpu"
        }


def test_the_schedule_fires_with_nobody_there(farm, film, tmp_path, pack):
    """A deployment with a cron line, a worker, and no person: the film appears."""
    job = job_for(film, tmp_path / "nightly.mp4", pack)
    document = yaml.safe_load(DEPLOY.read_text())
    nightly = {
        **document["deployments"][0],
        "name": "nightly",
        "parameters": {"job": job.model_dump(mode="json")},
        "schedules": [{"cron": "* * * * *", "timezone": "Europe/Berlin"}],
        "work_pool": {"name": "p", "work_queue_name": "titles"},
    }
    place = tmp_path / "prefect.yaml"
    place.write_text(yaml.safe_dump({**document, "deployments": [nightly]}))
    farm.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(place))
    farm.until(lambda: Path(job.output).exists())
    farm.prefect("deployment", "delete", "render/nightly")
    first = min(farm.runs(tags={"all_": ["auto-scheduled"]}), key=lambda run: run.expected_start_time)
    print(
        f"due {first.expected_start_time:%H:%M:%S}, begun {first.start_time:%H:%M:%S}, by {first.created_by}"
    )
    assert first.auto_scheduled
