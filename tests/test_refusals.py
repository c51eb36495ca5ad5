"""What cannot be done is refused in one clear line, and harms nothing."""

from pathlib import Path

import httpx
import pytest
from conftest import ffmpeg, result
from PIL import Image

from pipelines.config import make_job
from pipelines.errors import EngineError, UsageError
from pipelines.storage import Store
from pipelines.work import lock_work, open_work
from stylecore.pack import blank_pack, save_pack

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("styles", "show", "stary-night"), "did you mean starry-night"),
        (("styles", "import", "none.pth", "--out", "x.safetensors"), "none.pth"),
        (("styles", "export", "noir", "--out", "x.onnx", "--size", "big"), "--size"),
        (("look", "none.mp4"), "none.mp4"),
        (("look", "none.mp4", "--styles", "nior"), "did you mean noir"),
        (("look", "a.png", "--styles", "noir", "--out", "x.txt"), "x.txt: a picture is called"),
        (("look", "a.png", "--styles", "noir", "--out", "x.jpg", "--strength", "nan"), "--strength nan"),
        (("look", "a.png", "--styles", "noir", "--out", "x.jpg", "--height", "0"), "--height"),
        (
            ("image", "a.png", "x.png", "--style", "noir", "--loss-plot", "l.svg"),
            "l.svg: a picture is called",
        ),
        (("image", "a.png", "x.png", "--style", "noir", "--snapshots", "-1"), "--snapshots"),
        (("image", "a.png", "x.png", "--style", f"noir:{'9' * 400}+ink:1"), "and to a number"),
        (("styles", "export", "noir", "--out", "x.onnx", "--size", "²x²"), "--size"),
        (("train", "none.jpg", "--out", "x.safetensors"), "none.jpg"),
        (("train", "a.png", "--out", "x.safetensors", "--style-weight", "nan"), "style weight must be"),
        (("train", "a.png", "--out", "x.safetensors", "--layer", "relu1_1=0"), "one must weigh more than 0"),
        (("train", "a.png", "--out", "x.safetensors", "--crop", "0"), "crop must be a multiple of 32 px"),
        (("train", "a.png", "--out", "x.safetensors", "--gallery", "-1"), "--gallery"),
        (("train", "a.png", "--out", "x.pack"), "x.pack: a style pack is called NAME.safetensors"),
        (("train", "a.png", "--out", "s3://b/x.safetensors"), "packs are written to a disk of this machine"),
        (("styles", "average", "none.safetensors", "--out", "x"), "a style pack is called"),
        (("styles", "import", "a.pth", "--out", "x.pth"), "a style pack is called"),
        (("distill", "--teacher", "none", "--out", "x.safetensors", "--crops", "0"), "--crops"),
    ],
)
def test_a_wrong_word_about_styles_is_one_line(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((64, 64), 60).save("a.png")
    code, _, err = result(capsys, *arguments)
    assert code == 2 and says in err and "Traceback" not in err
    assert not any(tmp_path.glob("x.*"))


OPTIMIZED = ("--method", "optimize", "--size", "64", "--smallest", "64", "--steps", "1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "a.png", "a.png", "--style", "noir"),
        ("image", "a.png", "b.png", "--style", "b.png"),
        ("image", "a.png", "c.png", "--style", "b.png", *OPTIMIZED, "--loss-plot", "c.png"),
        ("image", "a.png", "c.gif.png", "--style", "b.png", *OPTIMIZED, "--loss-plot", "./a.png"),
        ("image", "a.png", "c.png", "--style", "b.png", *OPTIMIZED, "--region", "m.png=d.png:1+b.png:1"),
        ("look", "a.png", "--styles", "noir", "--out", "a.png"),
        ("look", "a.png", "--styles", "noir,b.png", "--out", "link.png"),
        ("styles", "import", "n.safetensors", "--out", "n.safetensors"),
        ("styles", "average", "n.safetensors", "n.safetensors", "--out", "n.safetensors"),
        ("styles", "export", "b.png", "--out", "b.png"),
        ("styles", "previews", "--picture", "noir.jpg", "--out", "."),
        ("train", "b.png", "--start", "n.safetensors", "--out", "n.safetensors"),
        ("distill", "--teacher", "compact=n.safetensors", "--out", "n.safetensors"),
    ],
)
def test_what_is_read_is_never_written(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture = Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    for name in ("a.png", "b.png", "m.png", "noir.jpg"):
        picture.save(name)
    Path("link.png").symlink_to("b.png")
    Path("c.png").symlink_to("m.png")
    save_pack(blank_pack("johnson", ["a"], 1, width=4), Path("n.safetensors"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = result(capsys, *arguments)
    assert code == 2 and out == "" and "itself, which this command reads or writes too" in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [("train", "a.png"), ("distill", "--teacher", "bundled"), ("styles", "average", "a.safetensors")],
)
def test_a_place_that_cannot_be_written_is_told_before_hours_of_work(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    code, _, err = result(capsys, *arguments, "--out", "file/x.safetensors")
    assert code == 1 and "choose another place" in err


def test_a_work_folder_of_somebody_else_is_left_alone(film, tmp_path, capsys):
    """A folder of ours may be called like one of theirs."""
    (tmp_path / "show" / "plan").mkdir(parents=True)
    (tmp_path / "show" / "plan" / "budget.txt").write_text("theirs")
    asked = (tmp_path / "none.mp4", tmp_path / "out.mp4", "--work", tmp_path / "show")
    assert result(capsys, "render", *asked)[0] == 2
    assert (tmp_path / "show" / "plan" / "budget.txt").exists()
    (tmp_path / "fast" / "scratch" / "cut").mkdir(parents=True)
    asked = (film, tmp_path / "out.mp4", "--style", "identity", "--work", tmp_path / "fast")
    code, _, err = result(capsys, "render", *asked)
    assert code == 2 and "holds cut, which is not stylereel's" in err
    assert (tmp_path / "fast" / "scratch" / "cut").exists()


@pytest.mark.parametrize("command", ["render", "plan"])
@pytest.mark.parametrize(
    "theirs", ["parts/o.mp4", "results/shots.csv", "plan/budget.txt", "index/a.mp4", "report.html"]
)
def test_what_is_called_like_ours_where_no_job_is_stays_theirs(command, theirs, film, tmp_path, capsys):
    held = tmp_path / "proj" / theirs
    held.parent.mkdir(parents=True)
    held.write_text("theirs")
    places = (film, tmp_path / "out.mp4", "--work", tmp_path / "proj")
    code, out, err = result(capsys, command, *places, "--style", "identity")
    assert code == 2 and out == "" and f"holds {theirs}, which is not stylereel's" in err
    assert [path for path in (tmp_path / "proj").rglob("*") if path.is_file()] == [held]
    assert result(capsys, "clean", tmp_path / "proj", "--all", "--force")[0] == 2 and held.exists()


@pytest.mark.parametrize("name", ["index/0123456789abcdef/frames.parquet", "parts/.DS_Store", "scratch/lock"])
def test_a_work_that_was_killed_before_its_job_goes_on(name, tmp_path):
    """So does one in which only a `plan` was, or a Finder."""
    for url in (f"{tmp_path}/work", f"memory://{tmp_path.name}/work"):
        store = Store(url)
        store.write(name, b"half")
        lock_work(open_work(url)).release()
        store.write("parts/theirs.mp4", b"theirs")
        with pytest.raises(UsageError, match="holds parts/theirs.mp4"):
            lock_work(open_work(url))


# Arguments of `render`, exit code, what the one line says.
FAULTS = {
    "empty": (["empty.mp4", "out.mp4"], 2, "empty"),
    "text": (["text.mp4", "out.mp4"], 2, "not a film"),
    "picture": (["picture.mp4", "out.mp4"], 2, "a picture"),
    "missing": (["missing.mp4", "out.mp4"], 2, "not found"),
    "folder": ([".", "out.mp4"], 2, "a folder"),
    "unknown style": (["film.mp4", "out.mp4", "--style", "nosuch"], 2, "nosuch"),
    "the source by another way": (["film.mp4", "sub/../film.mp4"], 2, "itself, which this command reads"),
    "the source by another name": (["film.mp4", "link.mp4"], 2, "itself, which this command reads"),
    "the matte": (["film.mp4", "text.mp4", "--matte", "text.mp4"], 2, "text.mp4 itself"),
    "into a folder of the work": (["film.mp4", "wk/parts/o.mp4", "--work", "wk"], 2, "removed by `clean`"),
    "a work around the source": (["wk/scratch/film.mp4", "out.mp4", "--work", "wk"], 2, "lies in"),
    "a folder": (["film.mp4", "sub.mp4"], 2, "sub.mp4: is a folder; name the film"),
    "the work itself": (["film.mp4", "wo.mp4", "--work", "wo.mp4"], 2, "in the place of the film"),
    "a work below the film": (["film.mp4", "wo.mp4", "--work", "wo.mp4/w"], 2, "in the place of the film"),
    "pictures into a file": (["film.mp4", "text.mp4/f_%04d.png"], 2, "is a file, and pictures need a folder"),
    "unknown container": (["film.mp4", "out.avi"], 2, ".avi"),
    "no output": (["film.mp4"], 2, "SOURCE OUTPUT"),
    "unwritable": (["film.mp4", "text.mp4/out.mp4"], 1, "choose another place"),
    "bad strength": (["film.mp4", "out.mp4", "--strength", "7"], 2, "strength"),
    "bad tile": (["film.mp4", "out.mp4", "--tile", "32"], 2, "at least 64 px"),
    "bad preset": (["film.mp4", "out.mp4", "--preset", "swift"], 2, "preset 'swift' is not known"),
    "bad device": (["film.mp4", "out.mp4", "--device", "tpu"], 2, "tpu"),
    "bad pack": (["film.mp4", "out.mp4", "--style", "text.safetensors"], 2, "text.safetensors"),
    "no such server": (["film.mp4", "out.mp4"], 1, "PREFECT_API_URL"),
    "no such job": (["job.yaml"], 2, "job.yaml"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_clear_line_and_harms_nothing(film, tmp_path, monkeypatch, capsys, fault):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").write_bytes(film.read_bytes())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film at all\n")
    (tmp_path / "text.safetensors").write_text("not a pack\n")
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.mp4", "PNG")
    (tmp_path / "link.mp4").symlink_to("film.mp4")
    if fault == "no such server":
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    (tmp_path / "sub.mp4").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    arguments, code, says = FAULTS[fault]
    found, out, err = result(
        capsys, "render", *arguments, *([] if "--style" in arguments else ["--style", "identity"])
    )
    lines = [line for line in err.splitlines() if line.startswith("stylereel:")]
    assert found == code and out == "" and len(lines) == 1 and says in lines[0] and "Traceback" not in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["sub.mp4"]


def test_a_worker_that_does_not_see_the_work_paints_nothing(film, tmp_path, pack):
    """A path of the sender's own disk is a path here too; what is painted there nobody would look for."""
    from pipelines.flows.batch import stylize_batch  # late: Prefect reads its settings as it is loaded

    job = make_job(
        {
            "source": str(film),
            "output": f"{tmp_path}/there/out.mp4",
            "style": f"{pack}#plain",
            "device": "cpu",
        }
    )
    with pytest.raises(EngineError, match="does not see the work .*/there/out.mp4.stylereel: no plan cafe"):
        stylize_batch(job, "cafe", [1, 2, 3], 60.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("out.mp4", "--codec", "prores"), "PRORES does not go into .mp4"),
        (("out.mp4", "--codec", "ffv1"), "FFV1 does not go into .mp4"),
        (("out.mov",), "--allow-drop"),
    ],
)
def test_what_a_films_head_tells_is_refused_before_the_film_is_indexed(
    film, tmp_path, monkeypatch, capsys, arguments, says
):
    monkeypatch.chdir(tmp_path)
    ffmpeg("-i", str(film), "-map", "0", "-c:v", "copy", "-c:a", "libvorbis", "film.mkv")
    code, _, err = result(capsys, "render", "film.mkv", *arguments, "--style", "identity")
    assert code == 2 and says in err and "index:" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]


@pytest.mark.parametrize("delivers", [True, False])
def test_a_server_that_is_lost_is_told_apart_from_a_lost_delivery(
    delivers, film, tmp_path, pack, monkeypatch, capsys
):
    from pipelines.flows import run

    flow = run._run_flow

    def unheard(*arguments):
        if delivers:
            flow(*arguments)
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(run, "_run_flow", unheard)
    code, _, err = result(capsys, "render", film, tmp_path / "out.mp4", "--style", f"{pack}#plain")
    assert code == (0 if delivers else 1) and "Prefect's server does not answer any more" in err
    assert (tmp_path / "out.mp4").exists() == delivers and "fault of stylereel" not in err


def test_a_server_that_a_season_loses_is_one_line_too(film, tmp_path, monkeypatch, capsys):
    from pipelines.flows import season

    def unheard(*_):
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(season, "stylize_season", unheard)
    file = tmp_path / "one.yaml"
    file.write_text(f"titles: [{film}]\noutput: {tmp_path}/out/{{stem}}.mp4\nstyle: identity\n")
    code, _, err = result(capsys, "season", file)
    assert code == 1 and "Prefect's server does not answer any more; what is delivered stands" in err
    assert "fault of stylereel" not in err and len(err.strip().splitlines()) == 1


def test_a_fault_of_our_own_is_one_line_too(film, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pipelines.commands.plan.load_film", lambda *_: 1 / 0)
    code, _, err = result(capsys, "plan", film, tmp_path / "out.mp4", "--style", "identity")
    assert code == 1 and "ZeroDivisionError" in err and "Traceback" not in err
    (trace,) = (tmp_path / "cache").rglob("last-error.txt")
    assert "1 / 0" in trace.read_text() and str(trace) in err
