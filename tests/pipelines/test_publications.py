"""What is known of a delivery on its way: whatever kills the run, and whatever happens to its source."""

from hashlib import sha256

import pytest

from pipelines import publications
from pipelines.config import make_job
from pipelines.flows import title
from pipelines.indexed import source_key
from pipelines.storage import Store
from pipelines.work import lock_work, open_work


def job_in(folder, output="out.mp4"):
    return make_job({"source": str(folder / "a.mp4"), "output": str(folder / output), "style": "identity"})


@pytest.mark.parametrize(
    ("moved", "known"),
    [(b"painted", True), (b"another, killed before it", True), (b"PAINTED", False), (None, False)],
)
def test_a_film_in_its_place_is_known_by_its_bytes(tmp_path, moved, known):
    job = job_in(tmp_path)
    for film in (b"another, killed before it", b"painted"):
        publications.note(job, sha256(film).hexdigest(), len(film))
    if moved:
        (tmp_path / "out.mp4").write_bytes(moved)
    assert publications.is_noted(job) is known
    assert not publications.is_noted(job_in(tmp_path, "other.mp4"))
    publications.forget(job)
    assert not publications.is_noted(job) and Store(job.work).names("publishing") == []


def test_elsewhere_it_is_known_by_its_size(tmp_path):
    job = job_in(tmp_path).model_copy(update={"output": "memory://publications/out.mp4"})
    publications.note(job, sha256(b"painted").hexdigest(), 7)
    assert not publications.is_noted(job)
    Store("memory://publications").write("out.mp4", b"PAINTED")
    assert publications.is_noted(job)


def test_a_source_replaced_during_the_delivery_is_not_the_one_delivered(tmp_path, monkeypatch):
    """Its sound may be another: the delivery is due again."""
    job, source = job_in(tmp_path), tmp_path / "a.mp4"
    source.write_bytes(b"first cut")
    before = source_key(source)
    steps = {name: lambda *given, **named: {} for name in ("load_film", "conform_title", "publish_title")}
    steps |= {"describe_delivery": steps["load_film"]}
    steps["assemble_title"] = lambda *given: source.write_bytes(b"new sound")
    for name, step in steps.items():
        monkeypatch.setattr(title, name, step)
    assert title._delivered(job, source, 0)["source_key"] == before != source_key(source)


def test_a_scratch_folder_that_lost_its_lock_is_still_ours(tmp_path):
    """Deleting a folder may begin with the lock, and be killed."""
    work = open_work(str(tmp_path / "work"))
    work.store.write("job.json", b"{}")
    (work.scratch / "delivery").mkdir(parents=True)
    lock_work(work).release()
