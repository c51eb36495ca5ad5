"""What is known of a delivery on its way: whatever kills the run, and whatever happens to its source."""

from hashlib import sha256

import pytest

from pipelines import publications
from pipelines.config import make_job
from pipelines.flows import title
from pipelines.indexed import source_key
from pipelines.storage import Store


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
    for content, known in {b"PAINTED": True, b"PAI": False, b"painted over": False}.items():
        Store("memory://publications").write("out.mp4", content)
        assert publications.is_noted(job) is known


def test_what_else_lies_in_its_folder_is_let_be(tmp_path):
    job = job_in(tmp_path)
    (tmp_path / "out.mp4").write_bytes(b"painted")
    Store(job.work).write("publishing/schedule.json", b'{"mine": 1}')
    Store(job.work).write("publishing/takes/1.mov", b"mine")
    publications.note(job, sha256(b"painted").hexdigest(), 7)
    assert publications.is_noted(job)
    publications.forget(job)
    left = Store(job.work).names("publishing")
    assert left == ["publishing/schedule.json", "publishing/takes"]


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
