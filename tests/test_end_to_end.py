"""The whole pipeline on drawn films through the real flow: exact, decomposable, resumable, unkillable."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import av
import pytest
from conftest import ffmpeg

from pipelines import attempts
from pipelines.config import make_job
from pipelines.errors import EngineError
from pipelines.flows import run
from pipelines.flows.run import run_title
from pipelines.media.decoding import checksum
from pipelines.storage import Store
from pipelines.work import load_film, open_work, pending

pytestmark = pytest.mark.usefixtures("prefect_api")
HERE = Path(__file__).parent


def job_for(film, output, pack, **options):
    places = {"source": str(film), "output": str(output), "style": f"{pack}#plain"}
    defaults = {"device": "cpu", "shard_frames": 40, "at_once": 1, "preset": "ultrafast"}
    return make_job({**places, **defaults, **options})


def decoded(path):
    with av.open(str(path)) as container:
        return [checksum(frame) for frame in container.decode(video=0)]


def test_a_film_goes_in_and_a_painted_film_comes_out(film, tmp_path, pack):
    facts = run_title(job_for(film, tmp_path / "out.mp4", pack))
    assert facts["frames"] == 96 and facts["frames_lost"] == 0 and facts["worst_frame_error_ms"] == 0
    assert facts["shards"] == facts["shards_rendered"] == 3
    assert [track["action"] for track in facts["tracks"]] == ["kept"] and facts["tracks"][0]["payload_equal"]
    assert Path(facts["report"]).read_text().count("<figure>") == 3
    assert decoded(tmp_path / "out.mp4") != decoded(film)
    rows = attempts.ended(Store(facts["work"]))
    assert {(row.state, row.attempt, row.error_text) for row in rows} == {("ok", 1, "")}
    assert all(row.network_seconds > 0 and row.worker and row.device == "cpu" for row in rows)


def test_identity_and_lossless_is_the_source_bit_for_bit(film, tmp_path, pack):
    run_title(job_for(film, tmp_path / "out.mkv", pack, style="identity", lossless=True), page=False)
    assert decoded(tmp_path / "out.mkv") == decoded(film)


def test_shards_batches_and_tiles_change_nothing(film, tmp_path, pack):
    """One, three and two shards, one or two at once, a batch (which no CPU paints), tiles of 64: one file."""
    made = []
    for number, options in enumerate(
        [
            {"shard_frames": 999},
            {"shard_frames": 1, "batch": 4, "at_once": 2},
            {"shard_frames": 60, "tile": 64},
        ]
    ):
        output = tmp_path / f"{number}.mp4"
        run_title(job_for(film, output, pack, **options), page=False)
        made.append(output.read_bytes())
    assert made[0] == made[1] == made[2]


def test_everything_may_live_in_another_store(film, tmp_path, pack):
    source, output, work = (f"memory://{tmp_path.name}/{name}" for name in ("film.mp4", "out.mp4", "work"))
    Store(f"memory://{tmp_path.name}").write("film.mp4", film.read_bytes())
    facts = run_title(job_for(source, output, pack, work=work), page=False)
    local = run_title(job_for(film, tmp_path / "out.mp4", pack), page=False)
    assert facts["sha256"] == local["sha256"]
    assert len(Store(f"memory://{tmp_path.name}").read("out.mp4")) == facts["bytes"]
    again = run_title(job_for(source, output, pack, work=work), page=False)
    assert again["shards_rendered"] == 0


def test_a_film_lives_in_object_storage(film, tmp_path, pack, s3):
    """Source, work and delivery in a bucket: the same file, and nothing of it left half there."""
    place = f"{s3}/{tmp_path.name}"
    bucket = Store(place)
    bucket.write("film.mp4", film.read_bytes())
    job = job_for(f"{place}/film.mp4", f"{place}/out.mp4", pack, work=f"{place}/work", style="identity")
    facts = run_title(job, page=False)
    local = run_title(job_for(film, tmp_path / "out.mp4", pack, style="identity"), page=False)
    assert facts["sha256"] == local["sha256"] == hashlib.sha256(bucket.read("out.mp4")).hexdigest()
    assert sorted(bucket.sizes("")) == ["/film.mp4", "/out.mp4", "/work"]


def test_a_delivery_in_object_storage_is_left_alone_unless_it_is_another(
    film, tmp_path, pack, s3, monkeypatch
):
    done = []
    for step in (run._run_flow, run.publish_page):
        monkeypatch.setattr(run, step.__name__, partial(_noted, done, step))
    bucket = Store(f"{s3}/{tmp_path.name}")
    job = job_for(film, f"{bucket.url}/out.mp4", pack, work=f"{bucket.url}/work", style="identity")
    facts = run_title(job)
    made = bucket.read("out.mp4")
    assert run_title(job) == {**facts, "shards_rendered": 0} and done == ["_run_flow", "publish_page"]
    for spoil in (lambda: bucket.write("out.mp4", made[::-1]), lambda: bucket.remove("out.mp4")):
        spoil()
        assert run_title(job)["shards_rendered"] == 0 and bucket.read("out.mp4") == made
    assert run_title(job)["mark"] == facts["mark"] and done[2:] == ["_run_flow"] * 2


def test_kill_nine_while_two_shards_are_painted(film, tmp_path, pack, uninterrupted):
    job = job_for(film, tmp_path / "out.mp4", pack, at_once=2)
    place, argument = "pipelines.storage:Store.publish", "parts/"
    killed = subprocess.run(
        [sys.executable, str(HERE / "kill_at.py"), json.dumps(job.model_dump()), place, "2", argument],
        start_new_session=True,
        capture_output=True,
        timeout=600,
    )
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    facts = run_title(job, page=False)
    assert 2 <= facts["shards_rendered"] <= 3 and facts["sha256"] == uninterrupted["sha256"]


def _noted(done, step, *given):
    done.append(step.__name__)
    return step(*given)


@pytest.fixture
def finished(film, tmp_path, pack):
    job = job_for(film, tmp_path / "out.mp4", pack)
    return job, run_title(job, page=False), open_work(job.work)


def test_a_second_run_finds_nothing_to_do(finished):
    job, facts, _ = finished
    assert run_title(job, page=False) == {**facts, "shards_rendered": 0}


def part_of(work, facts, shard):
    return next(row for row in attempts.ended(work.store) if row.shard == shard)


DAMAGE = {
    "missing": lambda path, other: path.unlink(),
    "truncated": lambda path, other: path.write_bytes(path.read_bytes()[:-100]),
    "bit-flipped": lambda path, other: path.write_bytes(
        bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]
    ),
    "of another film": lambda path, other: shutil.copyfile(other, path),
}


@pytest.mark.parametrize(
    "how",
    [
        how if how in ("missing", "bit-flipped") else pytest.param(how, marks=pytest.mark.long)
        for how in DAMAGE
    ],
)
def test_a_damaged_part_is_found_and_it_alone_is_redone(finished, film, how):
    job, facts, work = finished
    row = part_of(work, facts, 2)
    DAMAGE[how](Path(job.work) / row.part, film)
    Path(job.output).unlink()
    again = run_title(job, page=False)
    assert again["shards_rendered"] == 1 and again["sha256"] == facts["sha256"]
    assert {r.shard for r in attempts.ended(work.store) if r.attempt > 1} == {2}


def test_a_lost_record_costs_that_shard(finished):
    job, facts, work = finished
    name = next(n for n in work.store.names("results") if part_of(work, facts, 3).key in n)
    work.store.write(name, b"torn")
    Path(job.output).unlink()
    assert run_title(job, page=False)["shards_rendered"] == 1


def test_results_of_other_settings_do_not_count(finished, film, tmp_path, pack):
    job, facts, work = finished
    other = job_for(film, tmp_path / "out.mp4", pack, strength=0.5, work=job.work)
    assert run_title(other, page=False)["shards_rendered"] == 3
    back = run_title(job, page=False)
    assert back["shards_rendered"] == 0 and back["sha256"] == facts["sha256"]


def test_a_changed_source_is_another_film(finished, media, tmp_path):
    from conftest import draw

    job, facts, work = finished
    other = draw(tmp_path / "other.mp4", shots=(40, 26, 30))
    again = run_title(job.model_copy(update={"source": str(other)}), page=False)
    assert again["shards_rendered"] == 3 and again["sha256"] != facts["sha256"]


def test_another_sound_is_delivered_without_painting_anything_anew(finished, film, tmp_path):
    """The plan is about pictures: the old film must not pass for the new mix."""
    job, facts, work = finished
    remixed = tmp_path / "remixed.mp4"
    with_codecs = ["-c:v", "copy", "-c:a", "aac", "-b:a", "64k"]
    ffmpeg("-i", str(film), "-map", "0", *with_codecs, "-c:s", "copy", str(remixed))
    again = run_title(job.model_copy(update={"source": str(remixed)}), page=False)
    assert again["shards_rendered"] == 0 and again["sha256"] != facts["sha256"]
    assert run_title(job.model_copy(update={"source": str(remixed)}), page=False)["sha256"] == again["sha256"]


def test_a_shard_that_fails_does_not_stop_the_others(film, tmp_path, pack, monkeypatch):
    """One shard's encoder breaks: the other two are rendered and kept, the failure is told and recorded."""
    from pipelines.media import parts

    original, calls = parts._frame, [0]

    def breaking(planes, encoding):
        calls[0] += 1
        if calls[0] == 40:
            raise RuntimeError("out of memory")
        return original(planes, encoding)

    monkeypatch.setattr(parts, "_frame", breaking)
    job = job_for(film, tmp_path / "out.mp4", pack)
    with pytest.raises(EngineError, match="1 of 3 shards failed.*shard 2: RuntimeError: out of memory"):
        run_title(job, page=False)
    states = {row.shard: (row.state, row.error_class) for row in attempts.ended(Store(job.work))}
    assert states == {1: ("ok", ""), 2: ("failed", "RuntimeError"), 3: ("ok", "")}
    assert not (tmp_path / "out.mp4").exists()
    assert run_title(job, page=False)["shards_rendered"] == 1


# Where to pull the plug: function, at which call, for which argument; and how many shards are then left.
MOMENTS = {
    "indexing": ("pipelines.media.indexing:Indexing._note_frame", 20, "", 3),
    "index half stored": ("pipelines.storage:Store.write", 1, "frames.parquet", 3),
    "planning": ("pipelines.storage:Store.write", 1, "shots.parquet", 3),
    "first shard": ("pipelines.media.parts:_frame", 25, "", 3),
    "part encoded": ("pipelines.storage:Store.publish", 1, "parts/", 3),
    "published, not recorded": ("pipelines.attempts:record", 1, "", 3),
    "half a record": ("pipelines.disk:os.link", 1, "results/", 3),
    "second shard": ("pipelines.media.parts:_frame", 45, "", 2),
    "third shard recorded": ("pipelines.attempts:record", 3, "", 1),
    "assembling": ("pipelines.media.assemble:read_part", 2, "", 0),
    "conforming": ("pipelines.media.conform:prove_head", 1, "", 0),
    "publishing": ("pipelines.disk:move", 1, "out.mp4'", 0),
    "published, not noted": ("pipelines.storage:Store.write", 1, "delivery.json", 0),
}


@pytest.fixture(scope="module")
def uninterrupted(film, pack, media, prefect_api):
    return run_title(job_for(film, media / "uninterrupted.mp4", pack), page=False)


QUICK = {"part encoded", "half a record", "conforming"}


@pytest.mark.parametrize(
    "moment", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in MOMENTS]
)
def test_kill_nine_at_any_moment_costs_at_most_one_shard(film, tmp_path, pack, uninterrupted, moment):
    place, calls, argument, left = MOMENTS[moment]
    job = job_for(film, tmp_path / "out.mp4", pack)
    killed = subprocess.run(
        [sys.executable, str(HERE / "kill_at.py"), json.dumps(job.model_dump()), place, str(calls), argument],
        start_new_session=True,
        env=dict(os.environ),
        capture_output=True,
        timeout=600,
    )
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    output = Path(job.output)
    assert not output.exists() or moment == "published, not noted"
    if left < 3:
        work = open_work(job.work)
        assert len(pending(work, load_film(job, work, film))) == left
    facts = run_title(job, page=False)
    assert facts["shards_rendered"] == left and facts["sha256"] == uninterrupted["sha256"]
    leftovers = [
        path for path in tmp_path.rglob("*") if "partial" in path.name and "scratch" not in path.parts
    ]
    assert all("results" in path.parts for path in leftovers), leftovers
