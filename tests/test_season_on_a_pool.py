"""A season on a real Prefect server, two workers that paint, and everything in object storage.

With `--films FOLDER` it is made of the first five films there, else of five that are drawn.
"""

import hashlib
from pathlib import Path

import pytest
from conftest import draw
from farm import Farm

from pipelines import catalogue
from pipelines.catalogue import DELIVERED, FAILED
from pipelines.storage import Store

pytestmark = pytest.mark.long


@pytest.fixture
def farm(s3, tmp_path):
    made = Farm(tmp_path)
    try:
        made.stylereel("pool", "setup", "p")
        made.worker("p", "titles")
        for _ in range(2):
            made.worker("p", "batches")
        yield made
    finally:
        made.stop()


@pytest.fixture
def films(request, tmp_path):
    """Five films."""
    if folder := request.config.getoption("films"):
        return sorted(Path(folder).iterdir())[:5]
    return [draw(tmp_path / f"e{number}.mp4", shots=(12 + number,)) for number in range(5)]


class Place:
    """A season in a bucket, and what came of it."""

    def __init__(self, farm, url, pack):
        self.farm, self.store = farm, Store(url)
        look = {"style": f"{pack}#plain", "preset": "ultrafast", "device": "cpu"}
        self.season = {
            "name": "six",
            "titles": [{"source": f"{url}/in/"}],
            "output": f"{url}/out/{{stem}}.mkv",
            "work": f"{url}/kept/{{stem}}",
            "catalogue": f"{url}/catalogue",
            **look,
        }

    def submit(self):
        """The season's run once it is over, and the sources that it made new rows of."""
        known = len(self.rows())
        run = self.farm.over(self.farm.submit("season/p", {"season": self.season}), 900)
        with self.farm.client() as client:
            tasks = client.request("POST", "/task_runs/count", json={}).json()
        made = [Path(row.source).name for row in self.rows()[known:]]
        seconds, batches = run.total_run_time.total_seconds(), len(self.batches())
        print(f"{run.state.name} in {seconds:.0f} s: {made}; {batches} batches, {tasks} task runs so far")
        return run, made

    def rows(self):
        return catalogue.runs(Store(self.season["catalogue"]))

    def batches(self):
        return self.farm.runs(name={"like_": "-shards-"})


def test_five_of_six_are_delivered_and_nothing_is_done_twice(farm, films, s3, pack, tmp_path):
    place, bad = Place(farm, f"{s3}/{tmp_path.name}", pack), f"corrupt{films[0].suffix}"
    for film in films:
        place.store.write(f"in/{film.name}", film.read_bytes())
    place.store.write(f"in/{bad}", films[0].read_bytes()[:900])

    run, made = place.submit()
    assert run.state.is_failed() and "1 of 6 titles failed, the others are delivered" in run.state.message
    assert sorted(made) == sorted([bad, *(film.name for film in films)])
    states = {Path(row.source).name: row.state for row in place.rows()}
    assert states == {film.name: DELIVERED for film in films} | {bad: FAILED}
    (fault,) = [row for row in place.rows() if row.state == FAILED]
    assert fault.error_class == "InputError" and bad in fault.error_text and bad in run.state.message
    done = [row for row in place.rows() if row.state == DELIVERED]
    for row in done:
        content = place.store.read(f"out/{Path(row.output).name}")
        assert hashlib.sha256(content).hexdigest() == row.sha256 and row.shards_rendered == row.shards
    batches = place.batches()
    assert len(batches) == 5 and all(one.state.is_completed() and one.run_count == 1 for one in batches)

    run, made = place.submit()
    assert run.state.is_completed() and made == [] and len(place.batches()) == 5
    assert run.total_run_time.total_seconds() < 60

    place.store.write(f"in/{bad}", films[0].read_bytes())
    run, made = place.submit()
    assert run.state.is_completed() and made == [bad] and len(place.batches()) == 6
    last = place.rows()[-1]
    assert (last.run, last.state) == (2, DELIVERED)
    assert last.sha256 == next(row.sha256 for row in done if Path(row.source).name == films[0].name)
