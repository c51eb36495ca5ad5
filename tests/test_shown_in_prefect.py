"""What runs and pools leave on the server for people who look there, and what these have said there."""

import json
import shutil
import urllib.request
from itertools import count

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Cancelling, Pending, Running
from test_end_to_end import job_for

from pipelines.batches import Pool
from pipelines.errors import EngineError, UsageError
from pipelines.flows.pool import set_up_pool
from pipelines.flows.run import run_title
from pipelines.flows.spread import Spread
from pipelines.media import parts
from pipelines.work import load_film, open_work


def asked(api, kind, **wanted):
    request = urllib.request.Request(
        f"{api}/{kind}/filter", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def shown(api, film):
    """The run of a film, and its artifacts by key."""
    (run,) = asked(api, "flow_runs", flow_runs={"tags": {"all_": [f"film:{film}"]}})
    made = asked(api, "artifacts", flow_runs={"id": {"any_": [run["id"]]}}, limit=50)
    return run, {one["key"]: one for one in made}


def test_a_title_shows_its_tags_progress_and_summary(film, tmp_path, pack, prefect_api):
    job = job_for(shutil.copy(film, tmp_path / "shown film.mp4"), tmp_path / "out.mp4", pack)
    facts = run_title(job, page=False)
    run, made = shown(prefect_api, "shown film")
    assert run["name"] == job.name and set(run["tags"]) == {"film:shown film", "style:small"}
    assert set(made) == {"progress-shown-film-small", "delivery-shown-film-small"}
    assert made["progress-shown-film-small"]["data"] == 100
    summary = made["delivery-shown-film-small"]["data"]
    assert facts["sha256"] in summary and "96, 0 lost" in summary and facts["work"] in summary


def test_a_shard_that_fails_is_named_in_a_table(film, tmp_path, pack, prefect_api, monkeypatch):
    encode, calls = parts._frame, count(1)

    def poisoned(planes, encoding):
        if next(calls) == 40:
            raise ValueError("a frame too many")
        return encode(planes, encoding)

    monkeypatch.setattr(parts, "_frame", poisoned)
    source = shutil.copy(film, tmp_path / "poisoned film.mp4")
    with pytest.raises(EngineError, match="1 of 3 shards failed"):
        run_title(job_for(source, tmp_path / "out.mp4", pack), page=False)
    run, made = shown(prefect_api, "poisoned film")
    assert run["state_type"] == "FAILED" and "delivery-poisoned-film-small" not in made
    table = json.loads(made["failed-poisoned-film-small"]["data"])
    assert table == [{"shard": 2, "error": "ValueError: a frame too many"}]


def test_a_pool_that_is_not_there_is_one_line(film, tmp_path, pack, prefect_api):
    with pytest.raises(UsageError, match="pool 'nowhere'.*stylereel pool setup nowhere"):
        run_title(job_for(film, tmp_path / "out.mp4", pack), page=False, pool=Pool("nowhere"))


def test_a_pool_set_up_again_has_what_people_have_said_and_heartbeats(prefect_api):
    """A pool made by hand has no heartbeats of ours; deployments bring them, and change nothing else."""
    said = {"parameters": {"pool": "by-hand", "season": {"name": "episodes"}}, "paused": True}
    given = {"gpus": 1, "env": {"AWS_REGION": "eu"}}
    nightly = DeploymentScheduleUpdate(schedule=CronSchedule(cron="0 2 * * *"))
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="by-hand", type="process"))
        set_up_pool("by-hand")
        made = client.read_deployment_by_name("season/by-hand")
        change = DeploymentUpdate(
            **said,
            schedules=[nightly],
            concurrency_limit=1,
            job_variables=given,
            enforce_parameter_schema=False,
        )
        client.update_deployment(made.id, change)
        set_up_pool("by-hand")
        again = client.read_deployment_by_name("season/by-hand")
    assert again.id == made.id and {name: getattr(again, name) for name in said} == said
    assert [one.schedule.cron for one in again.schedules] == ["0 2 * * *"]
    assert again.global_concurrency_limit.limit == 1 and again.job_variables["gpus"] == 1
    assert again.job_variables["env"] == {"AWS_REGION": "eu", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}


def test_batches_that_are_being_cancelled_are_not_waited_for(film, tmp_path, pack, prefect_api):
    """Their title is run again at once: its shards are in new batches, those under way are found."""
    set_up_pool("waiting")
    job = job_for(film, tmp_path / "out.mp4", pack)
    plan = load_film(job, open_work(job.work), film)

    @flow
    def title():
        with get_client(sync_client=True) as client:
            spread = Spread(client, job, open_work(job.work), plan, Pool("waiting"))
            spread.start([1, 2, 3])
            return {run: batch.shards for run, batch in spread.running.items()}

    first = title()
    assert title() == first and list(first.values()) == [(1, 2, 3)]
    with get_client(sync_client=True) as client:
        (run,) = first
        client.update_flow_run(run, infrastructure_pid="elsewhere:1")
        for state in (Pending(), Running(), Cancelling()):
            client.set_flow_run_state(run, state, force=True)
        assert client.read_flow_run(run).state.is_cancelling()
    again = title()
    assert list(again.values()) == [(1, 2, 3)] and not again.keys() & first.keys()
