"""What a plan foretells, what is learnt for it, and waiting for room on the disk."""

import os
import threading
import time
from dataclasses import replace

import pytest
from conftest import index_film

from pipelines.calibration import Calibration, calibrate, calibrations
from pipelines.config import make_job
from pipelines.disk import free_bytes
from pipelines.errors import StorageError
from pipelines.forecast import forecast
from pipelines.prepare import plan_film
from pipelines.room import (
    SPARE_BYTES,
    Need,
    await_space,
    likely_bytes,
    needs,
    refuse_what_will_not_fit,
    rendering_bytes,
    size,
)
from pipelines.work import load_film, open_work

PLAIN = Calibration("identity", "cpu", 1, 2, 10.0, 0.1, 500.0, 50.0)
OTHER = replace(PLAIN, look="noir", shot_seconds=20.0, frame_seconds=0.2)


def job_for(film, folder, **options):
    wish = {"source": str(film), "output": str(folder / "out.mp4"), "style": "identity", "shard_frames": 40}
    return make_job({**wish, "device": "cpu", **options})


@pytest.fixture(scope="module")
def facts(film):
    return index_film(film)[:2]


def test_a_forecast_is_the_sum_of_shots_and_frames(film, tmp_path, facts):
    plan = plan_film(job_for(film, tmp_path, looks=[{"shots": "2", "style": "noir"}]), *facts)
    told = forecast(plan, [1, 2, 3], [PLAIN, OTHER], 0, source_bytes=10_000_000)
    assert told.seconds == pytest.approx(10 + 30 * 0.1 + 20 + 26 * 0.2 + 10 + 40 * 0.1)
    assert told.part_bytes == 3 * 500 + (96 - 3) * 50
    pictures = sum(packet.size for packet in plan.index.packets)
    assert told.delivery_bytes == told.part_bytes + 10_000_000 - pictures
    assert told.cost(3600) == pytest.approx(told.seconds) and told.calibrated_frames == 4


def test_what_is_done_takes_no_time(film, tmp_path, facts):
    plan = plan_film(job_for(film, tmp_path), *facts)
    rest = forecast(plan, [2], [PLAIN], finished_bytes=7000, source_bytes=0)
    assert rest.seconds == pytest.approx(10 + 26 * 0.1)
    assert rest.delivery_bytes == rest.part_bytes + 7000
    assert forecast(plan, [], [PLAIN], 9000, 0).seconds == 0


def test_shards_at_once_share_the_wall(film, tmp_path, facts):
    """Three shards of 13, 12.6 and 14 s, two at a time: the third begins when the second ends."""
    plan = plan_film(job_for(film, tmp_path), *facts)
    told = forecast(plan, [1, 2, 3], [replace(PLAIN, at_once=2)], 0, 0)
    assert told.seconds == pytest.approx(12.6 + 14)


@pytest.mark.parametrize(("codec", "at_once"), [("h264", 2), ("h265", 1)])
def test_a_calibration_paints_a_hundredth_and_is_kept(film, tmp_path, codec, at_once):
    job = job_for(film, tmp_path, codec=codec, at_once=at_once)
    work = open_work(job.work)
    plan = load_film(job, work, film)
    (made,) = calibrate(work, plan, job, film)
    assert made.frames == 2 and made.device_class.startswith("cpu of ") and made.frame_seconds > 0
    assert made.at_once == at_once
    assert 0 < made.next_bytes < made.first_bytes
    assert calibrations(work, plan) == [made]
    other = plan_film(job_for(film, tmp_path, quality=30), plan.info, plan.index)
    assert calibrations(work, other) == [], "another encoding costs something else"


def test_what_will_not_fit_is_refused(tmp_path):
    refuse_what_will_not_fit([Need(tmp_path, 10**9, 2 * 10**9)])
    with pytest.raises(StorageError, match=r"needs 1\.0 GB, 1\.0 GB are free.*--work on a larger disk"):
        refuse_what_will_not_fit([Need(tmp_path, 10**9, 10**9)])


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0.0 kB"), (9_400, "9.4 kB"), (218_000, "218 kB"), (5_500_000_000_000, "5500 GB")]
)
def test_sizes_for_people(count, told):
    assert size(count) == told


def test_a_lossless_part_may_be_as_large_as_its_samples(film, tmp_path, facts):
    lossy, lossless = (plan_film(job_for(film, tmp_path, lossless=kind), *facts) for kind in (False, True))
    assert likely_bytes(lossless.encoding, 10) == 10 * 160 * 96 * 3
    assert likely_bytes(lossy.encoding, 10) < likely_bytes(lossless.encoding, 10) / 4


def test_a_plan_needs_what_its_largest_shard_will_wait_for(film, tmp_path, facts):
    job = job_for(film, tmp_path, lossless=True, at_once=2)
    plan = plan_film(job, *facts)
    told = forecast(plan, [1, 2], [PLAIN], 0, 0)
    (need,) = needs(job, open_work(job.work), plan, [1, 2], told)
    assert need.needed_bytes == rendering_bytes(job, plan, 1) == 2 * likely_bytes(plan.encoding, 30)
    assert needs(job, open_work(job.work), plan, [], told)[0].needed_bytes < need.needed_bytes


def test_a_shard_waits_until_there_is_room(tmp_path):
    """A large file fills the disk; when it goes, work goes on."""
    ballast = tmp_path / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 256 << 20)
    try:
        needed = free_bytes(tmp_path) - SPARE_BYTES + (128 << 20)
        with pytest.raises(StorageError, match="waited for 0 s"):
            await_space(tmp_path, needed, every_seconds=0.01, patience_seconds=0)
        waiter = threading.Thread(target=await_space, args=(tmp_path, needed, 0.01))
        waiter.start()
        time.sleep(0.1)
        assert waiter.is_alive()
        ballast.unlink()
        waiter.join(10)
        assert not waiter.is_alive()
    finally:
        ballast.unlink(missing_ok=True)
