"""Seasons as a person meets them: a bad title stops nobody, and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import draw

from pipelines.cli import run
from pipelines.storage import Store
from pipelines.work import lock_work, open_work

pytestmark = pytest.mark.usefixtures("prefect_api")
NAMES = [f"e{number:02d}.mp4" for number in range(1, 7)]
CORRUPT = NAMES[3]


@pytest.fixture(params=[pytest.param(place, marks=pytest.mark.long) for place in ("s3", "local")])
def place(request, tmp_path):
    """Where a season's films, work, deliveries and catalogue are."""
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}" if request.param == "s3" else str(tmp_path)


def season(capsys, file, *options):
    """Exit code, facts and talk of the command."""
    capsys.readouterr()
    code = run(["season", str(file), "--json", *options])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_five_are_delivered_one_failure_is_named_and_nothing_is_done_twice(place, tmp_path, capsys):
    films = [draw(tmp_path / f"film{n}.mp4", shots=(12 + n,), sound=False).read_bytes() for n in range(6)]
    store = Store(place)
    for name, film in zip(NAMES, films, strict=True):
        store.write(f"eps/{name}", film if name != CORRUPT else film[:900])
    file = tmp_path / "one.yaml"
    file.write_text(
        f"titles: [{place}/eps/]\noutput: {place}/out/{{stem}}.mp4\nwork: {place}/kept/{{stem}}\n"
        "style: identity\npreset: ultrafast\ndevice: cpu\nprice_per_hour: 3600\n"
    )
    code, facts, err = season(capsys, file, "--dry-run")
    assert code == 0 and [title["due"] for title in facts["titles"]] == ["new"] * 6 and not facts["runs"]

    code, facts, err = season(capsys, file)
    states = {title["title"]: title["last"]["state"] for title in facts["titles"]}
    failure = facts["titles"][3]["last"]
    assert code == 1 and states == {name: "failed" if name == CORRUPT else "delivered" for name in NAMES}
    assert failure["error_class"] == "InputError" and CORRUPT in failure["error_text"] and CORRUPT in err
    assert [run["frames"] for run in facts["runs"]] == [12, 13, 14, 0, 16, 17]
    assert all(run["cost"] == pytest.approx(run["wall_seconds"]) for run in facts["runs"])

    began = time.monotonic()
    code, facts, _ = season(capsys, file)
    assert code == 1 and facts["runs"] == [] and time.monotonic() - began < 5

    store.write(f"eps/{CORRUPT}", films[3])
    code, facts, _ = season(capsys, file)
    assert code == 0 and [run["source"].rpartition("/")[2] for run in facts["runs"]] == [CORRUPT]
    assert facts["runs"][0]["run"] == 2
    sizes = [store.size(f"out/{name}") for name in NAMES]
    assert sizes == [title["last"]["bytes"] for title in facts["titles"]]

    assert run(["status", str(file)]) == 0 and capsys.readouterr().out.count(": delivered") == 6
    assert run(["clean", str(file), "--older-than", "1d"]) == 0
    assert capsys.readouterr().out.count("kept, it was delivered") == 6
    assert run(["clean", str(file)]) == 0 and store.names("kept/e01/parts") == []


def test_a_title_that_another_run_is_at_is_left_to_it(tmp_path, capsys):
    """A refusal that counted as its failure would win over the other's delivery."""
    draw(tmp_path / "e01.mp4", size="64x48", shots=(12,), sound=False)
    file = tmp_path / "one.yaml"
    file.write_text(
        f"titles: [{tmp_path}/e01.mp4]\noutput: {tmp_path}/out/{{stem}}.mp4\nstyle: identity\ndevice: cpu\n"
    )
    with lock_work(open_work(f"{tmp_path}/out/e01.mp4.stylereel")):
        code, facts, err = season(capsys, file)
    assert code == 1 and "another stylereel is at work here; left to that one" in err
    assert facts["runs"] == [] and [title["due"] for title in facts["titles"]] == ["new"]
    code, facts, _ = season(capsys, file)
    assert code == 0 and [(run["run"], run["state"]) for run in facts["runs"]] == [(1, "delivered")]


def test_shots_done_anew_outlive_the_cleaning_of_their_season(tmp_path, capsys):
    draw(tmp_path / "e01.mp4", size="64x48", shots=(10, 12), sound=False)
    file, output = tmp_path / "one.yaml", tmp_path / "out" / "e01.mp4"
    file.write_text(
        f"titles: [{tmp_path}/e01.mp4]\noutput: {tmp_path}/out/{{stem}}.mp4\nstyle: identity\ndevice: cpu\n"
    )
    assert season(capsys, file)[0] == 0
    assert run(["retry", f"{output}.stylereel", "--shots", "2", "--style", "noir"]) == 0
    made = output.read_bytes()
    for _ in range(2):
        assert run(["clean", str(file), "--all"]) == 0
        assert [path.name for path in (tmp_path / "out" / "e01.mp4.stylereel").iterdir()] == ["delivery.json"]
        code, facts, _ = season(capsys, file)
        assert code == 0 and facts["runs"] == [] and output.read_bytes() == made
    file.write_text(file.read_text().replace("identity", "ink"))
    code, facts, _ = season(capsys, file)
    assert code == 0 and len(facts["runs"]) == 1 and output.read_bytes() != made


def test_an_empty_season_is_one_clear_line(tmp_path, capsys):
    file = tmp_path / "none.yaml"
    file.write_text(f"titles: ['{tmp_path}/*.mp4']\noutput: {tmp_path}/out/{{stem}}.mp4\n")
    assert run(["season", str(file)]) == 2 and "no films fit" in capsys.readouterr().err


@pytest.mark.long
def test_a_watcher_takes_up_a_new_episode_when_it_has_stopped_growing(tmp_path):
    film = draw(tmp_path / "film.mp4", shots=(12,), sound=False).read_bytes()
    file, inbox, output = tmp_path / "one.yaml", tmp_path / "inbox", tmp_path / "out" / "new.mp4"
    inbox.mkdir()
    file.write_text(
        f"titles: ['{tmp_path}/none/*.mp4']\noutput: {tmp_path}/out/{{stem}}.mp4\nstyle: identity\n"
    )
    command = [sys.executable, "-m", "pipelines", "season", str(file), "--watch", f"{inbox}/"]
    watcher = subprocess.Popen(
        [*command, "--every", "3s"], env=dict(os.environ), stderr=subprocess.PIPE, text=True
    )
    with (inbox / "new.mp4").open("wb") as growing:
        for start in range(0, len(film), len(film) // 8 + 1):
            growing.write(film[start : start + len(film) // 8 + 1])
            growing.flush()
            assert not output.exists()
            time.sleep(1)
    try:
        deadline = time.monotonic() + 120
        while not output.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert output.exists()
    finally:
        watcher.send_signal(signal.SIGINT)
    told = watcher.communicate(timeout=30)[1]
    assert watcher.returncode == 130 and "failed" not in told and "1 waiting" in told
