"""Plans and jobs as a person asks for them."""

import json

import pytest
from conftest import result

pytestmark = pytest.mark.usefixtures("prefect_api")


def test_plan_renders_nothing(film, tmp_path, capsys):
    code, out, _ = result(capsys, "plan", film, tmp_path / "out.mkv", "--style", "identity")
    assert (
        code == 0 and "3 shots" in out and "shot 2: frames 30:56" in out and "track 1 audio aac: kept" in out
    )
    assert "container mov/mp4 -> matroska/webm" in out and not (tmp_path / "out.mkv").exists()
    arguments = (
        "plan",
        film,
        tmp_path / "out.mkv",
        "--style",
        "identity",
        "--price-per-hour",
        3600,
        "--json",
    )
    code, out, err = result(capsys, *arguments)
    (told,), (disk,) = (json.loads(out)[name] for name in ("forecasts", "disks"))
    assert code == 0 and told["device_class"].startswith("cpu of ")
    assert told["cost"] == pytest.approx(told["seconds"])
    assert disk["needed_bytes"] > 0 and "calibrate" not in err, "what was learnt is kept with the work"


def test_plan_refuses_what_will_not_fit(film, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pipelines.room.SPARE_BYTES", 1 << 60)
    code, out, err = result(capsys, "plan", film, tmp_path / "out.mkv", "--style", "identity")
    assert code == 1 and out == "" and "are free; free some space" in err


def test_plan_of_a_source_alone_leaves_nothing_beside_it(film, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "films").mkdir()
    source = tmp_path / "films" / "a.mp4"
    source.write_bytes(film.read_bytes())
    assert result(capsys, "plan", source, "--style", "identity")[0] == 0
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["a.mp4"]


def test_a_job_file_may_style_shots_apart(film, pack, tmp_path, capsys):
    job = tmp_path / "job.yaml"
    looks = f"looks:\n  - shots: 1-2\n    style: {pack}#plain\n"
    job.write_text(f"source: {film}\noutput: {tmp_path}/out.mp4\nstyle: identity\npreset: ultrafast\n{looks}")
    code, out, _ = result(capsys, "render", job, "--json")
    assert code == 0 and len(json.loads(out)["styles"]) == 2
