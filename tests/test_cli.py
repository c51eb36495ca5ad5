"""The command line as a person meets it: results and exit codes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import draw, result
from PIL import Image

from pipelines import attempts
from pipelines.attempts import WITHDRAWN, finished
from pipelines.catalogue import FAILED, TitleRun, record
from pipelines.cli import run
from pipelines.commands.work import open_latest
from pipelines.config import load_season_file
from pipelines.manifest import load_json, save_json
from pipelines.storage import Store

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture(scope="module")
def rendered(film, pack, tmp_path_factory, prefect_api):
    """A delivery made by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    output = folder / "out.mp4"
    code = run(
        [
            "render",
            str(film),
            str(output),
            "--style",
            f"{pack}#plain",
            "--shard-frames",
            "40",
            "--preset",
            "ultrafast",
            "--device",
            "cpu",
        ]
    )
    assert code == 0 and output.exists()
    return output, f"{output}.stylereel"


def test_render_again_says_that_nothing_is_to_do(rendered, film, pack, capsys):
    output, _ = rendered
    code, out, err = result(
        capsys,
        "render",
        film,
        output,
        "--style",
        f"{pack}#plain",
        "--shard-frames",
        40,
        "--preset",
        "ultrafast",
        "--device",
        "cpu",
        "--json",
    )
    facts = json.loads(out)
    assert code == 0 and facts["shards_rendered"] == 0 and "nothing to do" in err


def test_status_tells_what_is_done(rendered, capsys):
    code, out, _ = result(capsys, "status", rendered[1], "--json")
    facts = json.loads(out)
    assert code == 0 and facts["delivered"] and [shard["state"] for shard in facts["shards"]] == ["ok"] * 3
    assert "3 ok; delivered: yes" in result(capsys, "status", rendered[1])[1]


def test_retry_redoes_the_chosen_shots_and_only_them(rendered, capsys):
    before = rendered[0].read_bytes()
    code, out, _ = result(capsys, "retry", rendered[1], "--shots", "2", "--json")
    assert code == 0 and json.loads(out)["shards_rendered"] == 1
    assert rendered[0].read_bytes() == before, "the same settings give the same bytes"
    states = json.loads(result(capsys, "status", rendered[1], "--json")[1])["shards"]
    assert [shard["attempts"] for shard in states] == [1, 3, 1]  # first, withdrawn, anew


def test_retry_can_give_one_shot_another_style(film, pack, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    result(
        capsys, "render", film, output, "--style", "identity", "--shard-frames", 40, "--preset", "ultrafast"
    )
    before = output.read_bytes()
    code, out, _ = result(
        capsys, "retry", f"{output}.stylereel", "--shots", "3", "--style", f"{pack}#other", "--json"
    )
    facts = json.loads(out)
    assert (
        code == 0
        and facts["shards_rendered"] == 1
        and len(facts["styles"]) == 2
        and output.read_bytes() != before
    )


def test_shots_of_a_film_cut_anew_are_not_chosen_by_their_old_numbers(pack, tmp_path, capsys):
    source, output = tmp_path / "film.mp4", tmp_path / "out.mp4"
    draw(source, size="64x48", shots=(10, 12, 9))
    result(capsys, "render", source, output, "--style", "identity", "--shard-frames", 1, "--device", "cpu")
    before = output.read_bytes()
    draw(source, size="64x48", shots=(4, 10, 12, 9))
    for more in ((), ("--style", f"{pack}#other")):
        code, out, err = result(capsys, "retry", f"{output}.stylereel", "--shots", 2, *more)
        assert code == 2 and out == "" and "has changed since it was planned" in err
    assert output.read_bytes() == before


def test_a_dry_run_tells_what_a_condition_chooses_and_renders_nothing(rendered, capsys):
    work = Path(rendered[1])
    before = sorted(path for path in work.rglob("*") if path.is_file())
    code, out, _ = result(capsys, "retry", work, "--where", "frames > 28", "--dry-run", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["shards"] == [1, 3]
    assert [(shot["start"], shot["stop"], shot["state"]) for shot in facts["shots"]] == [
        (0, 30, "ok"),
        (56, 96, "ok"),
    ]
    assert sorted(path for path in work.rglob("*") if path.is_file()) == before
    assert "no shots fit" in result(capsys, "retry", work, "--where", "frames > 99")[1]
    assert "no shots fit" in result(capsys, "retry", work, "--failed", "--dry-run")[1]


def test_steadiness_is_measured_when_a_condition_asks_for_it(rendered, capsys):
    code, out, _ = result(capsys, "retry", rendered[1], "--where", "warp_ratio > 0", "--dry-run", "--json")
    shots = json.loads(out)["shots"]
    assert code == 0 and [shot["shot"] for shot in shots] == [1, 2, 3]
    assert all(shot["warp_ratio"] > 0.5 and shot["flicker"] >= 0 for shot in shots)
    assert len(list(Path(rendered[1], "steadiness").iterdir())) == 3
    steadiest = min(shots, key=lambda shot: shot["warp_ratio"])
    condition = f"warp_ratio <= {steadiest['warp_ratio']!r}"
    assert str(result(capsys, "retry", rendered[1], "--where", condition)[0]) == "0"
    states = json.loads(result(capsys, "status", rendered[1], "--json")[1])["shards"]
    again = [shard["shard"] for shard in states if shard["attempts"] > 1]
    assert steadiest["shard"] in again and set(again) <= {2, steadiest["shard"]}, "2 was redone before"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--where", "steady > 1"), "no such column: steady"),
        (("--shots", "9"), "it has shots 1-3"),
        (("--shots", "2", "--failed"), "choose one"),
        (("--style", "noir"), "--shots or --where"),
        (("--shots", ""), "--shots: is empty"),
        (("--where", " "), "--where: is empty"),
        (("--shots", "2", "--style", ""), "--style: is empty"),
    ],
)
def test_a_choice_that_cannot_be_is_one_clear_line(rendered, capsys, options, says):
    code, out, err = result(capsys, "retry", rendered[1], *options)
    assert code == 2 and out == "" and says in err and len(err.strip().splitlines()) == 1


def test_a_work_that_was_moved_goes_on_where_it_lies(tmp_path):
    save_json(Store(f"{tmp_path}/old"), "job.json", {"source": "a.mp4", "output": "b.mp4", "plan": "p"})
    (tmp_path / "old").rename(tmp_path / "new")
    work, job, plan = open_latest(f"{tmp_path}/new")
    assert (job.work, plan) == (f"{tmp_path}/new", "p") and work.store.url == job.work


def test_a_work_that_never_began_is_nothing_to_clean(tmp_path, monkeypatch, capsys):
    """One title of a season that failed at its first word must not keep the others' disk."""
    monkeypatch.chdir(tmp_path)
    Path("season.yaml").write_text("titles: [eps/]\noutput: out/{stem}.mp4\n")
    run_of = TitleRun("a.mp4", 1, FAILED, "", "", "", output="o", work=f"{tmp_path}/out/a.mp4.stylereel")
    record(Store(load_season_file(Path("season.yaml")).catalogue), run_of)
    code, out, _ = result(capsys, "clean", "season.yaml")
    assert code == 0 and "kept; " in out and "a.mp4.stylereel: no work of stylereel here" in out


@pytest.mark.parametrize("arguments", [("status",), ("retry",), ("clean",), ("clean", "--all", "--force")])
def test_where_no_work_is_every_command_says_so(arguments, tmp_path, capsys):
    command, *options = arguments
    code, out, err = result(capsys, command, tmp_path / "nowork", *options)
    assert code == 2 and out == "" and "nowork: no work of stylereel here" in err
    assert not (tmp_path / "nowork").exists()


def test_report_and_clean(film, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    work = Path(f"{output}.stylereel")
    result(capsys, "render", film, output, "--style", "identity", "--preset", "ultrafast")
    code, out, _ = result(capsys, "report", work)
    assert code == 0 and Path(out.strip()).exists()
    assert "0 parts removed, 1 kept" in result(capsys, "clean", work, "--keep-parts")[1]
    assert len(list((work / "parts").iterdir())) == 1, "what the delivery is made of is kept"
    code, out, _ = result(capsys, "clean", work, "--older-than", "2d")
    assert code == 0 and "kept, it was delivered less long ago" in out and (work / "parts").exists()
    assert result(capsys, "clean", work, "--older-than", "soon")[0] == 2
    store = Store(str(work))
    (done,) = finished(store).values()
    attempts.record(store, attempts.claim(store, replace(done, state=WITHDRAWN)))
    code, _, err = result(capsys, "clean", work)
    assert code == 2 and "is not delivered yet" in err, "a shot that is to be redone needs the others' parts"
    attempts.record(store, attempts.claim(store, done))
    assert (
        result(capsys, "clean", work)[0] == 0
        and not (work / "parts").exists()
        and (work / "job.json").exists()
    )
    output.rename(tmp_path / "archived.mp4")
    code, _, err = result(capsys, "report", work)
    assert code == 2 and "out.mp4: is not there as it was delivered" in err
    (tmp_path / "archived.mp4").rename(output)
    save_json(Store(str(work)), "job.json", load_json(Store(str(work)), "job.json") | {"plan": "another"})
    code, _, err = result(capsys, "clean", work, "--all")
    assert code == 2 and "is not delivered yet" in err, "a film delivered once, and being made anew"
    assert result(capsys, "clean", work, "--all", "--force")[0] == 0 and not work.exists() and output.exists()


@pytest.mark.parametrize("changed", ["source", "style", "matte"])
def test_the_page_of_another_film_than_was_delivered_is_refused(changed, tmp_path, capsys):
    files = {"source": tmp_path / "film.mp4", "style": tmp_path / "s.png", "matte": tmp_path / "m.png"}
    draw(files["source"], size="64x48", shots=(10, 12), sound=False)
    picture = Image.effect_noise((64, 48), 60)
    for name in ("style", "matte"):
        picture.save(files[name])
    work = tmp_path / "out.mp4.stylereel"
    looks = ("--style", files["style"], "--matte", files["matte"], "--device", "cpu")
    assert result(capsys, "render", files["source"], tmp_path / "out.mp4", *looks)[0] == 0
    page = (work / "report.html").read_bytes()
    if changed == "source":
        draw(files["source"], size="64x48", shots=(4, 10, 12), sound=False)
    else:
        Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 50).save(files[changed])
    code, out, err = result(capsys, "report", work)
    assert code == 2 and out == "" and "a file that its looks name" in err and "has changed since" in err
    assert (work / "report.html").read_bytes() == page


def test_two_at_one_work_is_refused(rendered, film, pack, capsys):
    from pipelines.work import lock_work, open_work

    output, work = rendered
    with lock_work(open_work(work)):
        code, _, err = result(capsys, "render", film, output, "--style", "identity")
    assert code == 2 and "another stylereel" in err
