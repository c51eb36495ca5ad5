"""`stylereel image` as a person meets it, by every method; and a film painted by optimization."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw, index_film
from PIL import Image

from pipelines.cli import run
from pipelines.config import make_job
from pipelines.prepare import plan_film
from pipelines.render import render_shard
from stylecore.runtime import computing_with

OPTIMIZED = ("--method", "optimize", "--size", "64", "--smallest", "64", "--steps", "4")
SMALL = ("--size", "64", "--smallest", "64", "--steps", "2")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A photo, two paintings and a matte."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("photo", (96, 64)), ("one", (90, 70)), ("two", (70, 90))):
        Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 20 + size[0]).convert("RGB").save(f"{name}.png")
    matte = np.zeros((64, 96), np.uint8)
    matte[20:44, 30:60] = 255
    Image.fromarray(matte).save("matte.png")
    return tmp_path


def test_every_method_paints_a_picture(desk, capsys):
    for method, style, more in (
        ("network", "starry-night", ()),
        ("optimize", "one.png:0.7+two.png:0.3", SMALL),
        ("harmonize", "one.png", ("--matte", "matte.png", "--size", "64", "--steps", "2")),
    ):
        assert run(["image", "photo.png", f"{method}.png", "--style", style, "--method", method, *more]) == 0
        with Image.open(f"{method}.png") as made:
            assert min(made.size) >= 43 and made.mode == "RGB"
    assert "style relu4_1" in capsys.readouterr().out


def test_a_large_still_keeps_its_size_or_says_why_not(desk, capsys):
    Image.new("RGB", (8200, 48), "tan").save("wide.png")
    for longest, said in (
        (8200, ""),
        (4100, "wide.png: painted at 4100x24, stills go up to 4100 px a side\n"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipelines.commands.image._LONGEST_PX", longest)
            assert run(["image", "wide.png", "a.png", "--style", "identity"]) == 0
        assert capsys.readouterr().err == said
        with Image.open("a.png") as made:
            assert made.width == longest


def test_the_way_to_a_painting_is_shown(desk, capsys):
    shown = ("--snapshots", "2", "--loss-plot", "plot.png", "--show-features", "seen", "--animation")
    for kind in ("gif", "webp", "mp4"):
        asked = ["image", "photo.png", "a.png", "--style", "one.png", "--method", "optimize", "--json"]
        steps = ("--size", "64", "--smallest", "64", "--steps", "4", "--start", "noise")
        assert run([*asked, *steps, *shown, f"way.{kind}"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["losses"]["content relu4_2"] > 0 and facts["method"] == "optimize"
    assert [path.name for path in sorted(desk.glob("a-*.png"))] == ["a-0002.png", "a-0004.png"]
    for kind in ("gif", "webp"):
        with Image.open(f"way.{kind}") as moving:
            assert moving.n_frames == 4
    with av.open("way.mp4") as film:
        assert sum(1 for _ in film.decode(video=0)) == 4 + 24
    assert {path.name for path in (desk / "seen").iterdir()} == {
        f"relu{stage}_1-{kind}.png" for stage in range(1, 6) for kind in ("maps", "gram")
    }
    assert Image.open("plot.png").width > 500


def test_regions_starts_and_layers_are_heeded(desk, capsys):
    asked = ["image", "photo.png", "b.png", "--style", "one.png", "--method", "optimize", "--json", *SMALL]
    more = ["--region", "matte.png=two.png", "--start", "two.png", "--color", "source"]
    losses = ["--style-layer", "relu2_1=2", "--content-layer", "relu3_1=1", "--pooling", "average"]
    painted = {}
    for wish in ((), more, losses, (*more, *losses, "--optimizer", "adam")):
        assert run([*asked, *wish]) == 0
        facts = json.loads(capsys.readouterr().out)
        painted[Path("b.png").read_bytes()] = {
            name for name in facts["losses"] if name.startswith(("s", "c"))
        }
    usual, *_, heeded = painted.values()
    assert len(painted) == 4 and {"style relu2_1", "content relu3_1"} <= heeded != usual


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["b.gif", "--style", "one.png"], "a picture is called"),
        (["b.png", "--style", "one.png", "--animation", "c.avi"], "an animation is called"),
        (["b.png", "--style", "starry-night", "--method", "optimize"], "optimization looks at pictures"),
        (["b.png", "--style", "one.png", "--method", "harmonize"], "needs --matte"),
        (["b.png", "--style", "one.png", "--color", "source"], "--color means nothing to --method network"),
        (["b.png", "--style", "one.png", "--animation", "a.gif"], "--animation means nothing"),
        (["b.png", "--style", "one.png", "--loss-network", "vgg16"], "--loss-network means nothing"),
        (["b.png", "--style", "one.png", "--sha256", "0"], "--sha256 means nothing to --method network"),
        (
            [
                *["b.png", "--style", "one.png:1+two.png:1", "--method", "harmonize"],
                *["--matte", "matte.png"],
            ],
            "harmonize takes one painting",
        ),
        (
            ["b.png", "--style", "one.png", "--method", "optimize", "--matte", "matte.png"],
            "--matte means nothing to --method optimize",
        ),
        (
            ["b.png", "--style", "one.png", "--method", "harmonize", "--seed", "3"],
            "--seed means nothing to --method harmonize",
        ),
        (["b.png", "--style", "none.png", "--method", "optimize"], "none.png: not found"),
        (
            ["b.png", "--style", "one.png", *OPTIMIZED, "--style-weight", "nan"],
            "style weight must be a number",
        ),
        (["b.png", "--style", "one.png", *OPTIMIZED, "--content-weight", "-1"], "content weight must be"),
        (["b.png", "--style", "one.png", *OPTIMIZED, "--style-layer", "relu1_1=nan"], "style layers must be"),
        (["b.png", "--style", "one.png", *OPTIMIZED, "--learning-rate", "0"], "learning rate must be more"),
        (
            ["b.png", "--style", "one.png", *OPTIMIZED, "--optimizer", "adam", "--learning-rate", "1e30"],
            "optimization broke at step",
        ),
        (["b.png", "--style", "one.png", "--method", "optimize", "--steps", "0"], "steps must be at least 1"),
        (
            ["b.png", "--style", "one.png", "--method", "optimize", "--style-layer", "relu1_1=x"],
            "NAME=WEIGHT",
        ),
        (
            ["b.png", "--style", "one.png", "--method", "optimize", "--style-layer", "relu9_1=1"],
            "has relu1_1",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(desk, capsys, arguments, said):
    assert run(["image", "photo.png", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not (desk / "b.png").exists()


def frames_of(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray() for frame in film.decode(video=0)]


def rendered(source, folder, **options):
    """The frames of every part of a film painted by optimization, in order."""
    folder.mkdir()
    asked = {"style": "one.png", "method": "optimize", "lossless": True, "device": "cpu", **options}
    job = make_job({"source": str(source), "output": str(folder / "out.mkv"), **asked})
    film, frames = plan_film(job, *index_film(source)[:2]), []
    for shard in film.shards:
        part = folder / f"{shard.number}.mkv"
        render_shard(film, shard, source, job.engine_spec, part)
        frames += frames_of(part)
    return frames


@pytest.mark.long
def test_a_film_by_optimization_is_the_same_whole_or_in_part(desk):
    """A part that begins within a shot paints the shot from its first frame, with as many threads as ever."""
    source = draw(desk / "film.mp4", size="64x48", shots=(3, 3), sound=False)
    with computing_with(1):
        whole = rendered(source, desk / "whole")
    with computing_with(3):
        part = rendered(source, desk / "part", range="1-5")
    assert len(whole) == 6 and len(part) == 4
    assert all(np.array_equal(a, b) for a, b in zip(whole[1:5], part, strict=True))
    assert not np.array_equal(whole[0], frames_of(source)[0])


def luma_codes(picture):
    """Limited-range BT.601 luma of an RGB picture."""
    return 16 + np.asarray(picture, float) @ (0.299, 0.587, 0.114) * 219 / 255


@pytest.mark.long
def test_a_shot_is_laid_into_a_painting(desk):
    """Around the element there is nothing but the painting; the element holds still where the film does."""
    source = draw(desk / "film.mp4", size="64x48", shots=(3,), sound=False)
    ground = Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 90).convert("RGB")
    ground.save(desk / "ground.png")
    matte = Image.new("L", (64, 48), 0)
    matte.paste(255, (20, 12, 44, 36))
    matte.save(desk / "element.png")
    asked = {"style": "ground.png", "method": "harmonize", "matte": "element.png"}
    frames = rendered(source, desk / "whole", **asked)
    changed = [np.abs(frame[:48] - luma_codes(ground)) for frame in frames]
    assert all(each[:8].max() <= 2 and each[14:34, 22:42].mean() > 12 for each in changed)
    assert np.abs(frames[2][:48] - frames[1][:48].astype(float)).mean() < 6
    part = rendered(source, desk / "part", range="1-3", **asked)
    assert all(np.array_equal(a, b) for a, b in zip(frames[1:], part, strict=True))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("style: starry-night\nmethod: optimize", "its method looks at pictures"),
        (
            "style: one.png\nmethod: optimize\nkey_frames: [{frame: 0, strength: 0}]",
            "method optimize has none",
        ),
        ("style: one.png\nmethod: magic", "method"),
        ("style: one.png\nmethod: harmonize", "needs `matte:`, white where the element is"),
        ("style: one.png:0.5+two.png:0.5\nmethod: harmonize\nmatte: one.png", "takes one painting as it is"),
    ],
)
def test_a_film_that_cannot_be_optimized_is_refused_before_work(desk, capsys, lines, said, film):
    (desk / "job.yaml").write_text(f"source: {film}\noutput: x.mkv\n{lines}\n")
    assert run(["plan", "job.yaml"]) == 2
    assert said in capsys.readouterr().err


def test_long_shots_are_refused_before_work(desk, capsys):
    draw(desk / "film.mp4", size="32x32", shots=(260,), sound=False)
    (desk / "job.yaml").write_text("source: film.mp4\noutput: x.mkv\nstyle: one.png\nmethod: optimize\n")
    assert run(["plan", "job.yaml"]) == 2
    assert "shot 1 has 260 frames; method optimize is for shots of 240 at most" in capsys.readouterr().err
