"""What a run leaves on the server for people who look there."""

import json
import urllib.request

import pytest
from test_end_to_end import job_for

from pipelines.batches import Pool
from pipelines.errors import UsageError
from pipelines.flows.run import run_title


def asked(api, kind, **wanted):
    request = urllib.request.Request(
        f"{api}/{kind}/filter", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_a_title_shows_its_tags_progress_and_summary(film, tmp_path, pack, prefect_api):
    source = tmp_path / "shown film.mp4"
    source.write_bytes(film.read_bytes())
    job = job_for(source, tmp_path / "out.mp4", pack)
    facts = run_title(job, page=False)
    (run,) = asked(prefect_api, "flow_runs", flow_runs={"tags": {"all_": ["film:shown film"]}})
    assert run["name"] == job.name and set(run["tags"]) == {"film:shown film", "style:small"}
    made = {
        one["key"]: one
        for one in asked(prefect_api, "artifacts", flow_runs={"id": {"any_": [run["id"]]}}, limit=50)
    }
    assert set(made) == {"progress-shown-film-small", "delivery-shown-film-small"}
    assert made["progress-shown-film-small"]["data"] == 100
    summary = made["delivery-shown-film-small"]["data"]
    assert facts["sha256"] in summary and "96, 0 lost" in summary and facts["work"] in summary


def test_a_pool_that_is_not_there_is_one_line(film, tmp_path, pack, prefect_api):
    with pytest.raises(UsageError, match="pool 'nowhere'.*stylereel pool setup nowhere"):
        run_title(job_for(film, tmp_path / "out.mp4", pack), page=False, pool=Pool("nowhere"))
