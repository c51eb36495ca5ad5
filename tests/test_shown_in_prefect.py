"""What a run leaves on the server for people who look there."""

import json
import shutil
import urllib.request
from itertools import count

import pytest
from test_end_to_end import job_for

from pipelines.batches import Pool
from pipelines.errors import EngineError, UsageError
from pipelines.flows.run import run_title
from pipelines.media import parts


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
