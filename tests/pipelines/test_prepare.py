"""Jobs and plans: what changes which shard's identity, and what is refused before work begins."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import index_film

from pipelines.config import load_job_file, make_job
from pipelines.errors import InputError, UsageError
from pipelines.indexed import source_key
from pipelines.prepare import plan_film
from stylecore.images import to_image


@pytest.fixture(scope="module")
def facts(film):
    return index_film(film)[:2]


def job_for(film, tmp_path, pack, **options):
    defaults = {"style": f"{pack}#plain", "device": "cpu", "shard_frames": 40}
    return make_job({"source": str(film), "output": str(tmp_path / "out.mp4"), **defaults, **options})


def keys(film, tmp_path, pack, facts, **options):
    return plan_film(job_for(film, tmp_path, pack, **options), *facts).shard_keys


def test_the_same_wish_is_the_same_plan(film, tmp_path, pack, facts):
    one, two = (plan_film(job_for(film, tmp_path, pack), *facts) for _ in range(2))
    assert one.key == two.key and one.shard_keys == two.shard_keys and len(one.shards) == 3


@pytest.mark.parametrize(
    "option",
    [
        {"strength": 0.5},
        {"color": "source"},
        {"brush": 2},
        {"key_frames": [{"frame": 0}, {"frame": 95, "strength": 0.5}]},
        {"quality": 30},
        {"codec": "h265"},
        {"preset": "fast"},
        {"lossless": True},
        {"tile": 64},
        {"steady": 1},
        {"precision": "bf16"},
        {"memory": "1GiB"},
        {"device": "cuda:0", "preset": "faster"},
    ],
)
def test_every_setting_that_moves_a_pixel_moves_the_keys(film, tmp_path, pack, facts, option):
    assert not set(keys(film, tmp_path, pack, facts)) & set(keys(film, tmp_path, pack, facts, **option))


@pytest.mark.parametrize(
    ("beside", "option"),
    [
        ({"device": "cuda:0"}, {"batch": 4}),
        ({"matte": "m.png"}, {"paint": "outside"}),
        ({"matte": "m.png"}, {"matte": "other.png"}),
        ({"style": "m.png", "method": "optimize"}, {"passes": 2}),
        ({"style": "m.png", "method": "optimize", "matte": "m.png"}, {"method": "harmonize"}),
        ({"range": "0-9"}, {"range": "10-19"}),
        ({"cuts": [4]}, {"cuts": [5]}),
    ],
)
def test_what_moves_a_pixel_only_beside_another_setting_moves_the_keys_there(
    film, tmp_path, pack, facts, beside, option, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("m.png", "other.png"):
        to_image(torch.rand(3, 48, 80)).save(name)
    told = [keys(film, tmp_path, pack, facts, **{**beside, **more}) for more in ({}, option)]
    assert not set(told[0]) & set(told[1])


@pytest.mark.parametrize("option", [{"batch": 4}, {"allow_drop": True}, {"work": "memory://elsewhere"}])
def test_what_moves_no_pixel_moves_no_key(film, tmp_path, pack, facts, option):
    assert keys(film, tmp_path, pack, facts) == keys(film, tmp_path, pack, facts, **option)


def test_where_a_look_s_files_lie_moves_no_key(film, tmp_path, pack, facts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    to_image(torch.rand(3, 48, 80)).save("m.png")
    for file, copy in ((Path("m.png"), "n.png"), (pack, "copy.safetensors")):
        Path(copy).write_bytes(file.read_bytes())
    ramp = [{"frame": 0}, {"frame": 95, "strength": 0.5}]
    here, there = (
        keys(film, tmp_path, pack, facts, style=f"{file}#plain", matte=matte, key_frames=ramp)
        for file, matte in ((pack, "m.png"), ("copy.safetensors", "n.png"))
    )
    assert here == there


def test_a_frame_that_differs_touches_its_shot_s_shard_alone(film, tmp_path, pack, facts):
    info, index = facts
    frames = list(index.frames)
    frames[40] = replace(frames[40], crc=frames[40].crc ^ 1)
    first, second = (
        keys(film, tmp_path, pack, (info, each)) for each in (index, replace(index, frames=frames))
    )
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True]


def test_a_retimed_film_is_another_plan_of_the_same_shards(film, tmp_path, pack, facts):
    info, index = facts
    later = replace(index.timeline, last_duration=index.timeline.last_duration + 1)
    first, second = (
        plan_film(job_for(film, tmp_path, pack), info, each)
        for each in (index, replace(index, timeline=later))
    )
    assert first.shard_keys == second.shard_keys and first.key != second.key


def test_another_engine_paints_everything_anew(film, tmp_path, pack, facts, monkeypatch):
    before = keys(film, tmp_path, pack, facts)
    monkeypatch.setattr("pipelines.prepare.ENGINE_VERSION", 0)
    assert not set(before) & set(keys(film, tmp_path, pack, facts))


def test_another_style_for_one_shot_touches_its_shard_alone(film, tmp_path, pack, facts):
    plain = keys(film, tmp_path, pack, facts)
    mixed = keys(film, tmp_path, pack, facts, looks=[{"shots": "2", "style": f"{pack}#other"}])
    assert [a == b for a, b in zip(plain, mixed, strict=True)] == [True, False, True]


def test_a_user_may_know_the_cuts_better(film, tmp_path, pack, facts):
    plan = plan_film(job_for(film, tmp_path, pack, cuts=[10, 50]), *facts)
    assert [shot.frames.start for shot in plan.shots] == [0, 10, 50]
    part = plan_film(job_for(film, tmp_path, pack, cuts=[0, 10, 50], range="0-20"), *facts)
    assert [shot.frames.start for shot in part.shots] == [0, 10], "a cut may lie outside of what is delivered"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"style": "nosuch"}, "nosuch"),
        ({"looks": [{"shots": "x", "style": "identity"}]}, "looks"),
        ({"cuts": [10, 96]}, "no frame 96; choose among frames 0-95"),
        ({"cuts": [-5]}, "no frame -5; .* 0-95"),
        ({"output": "a.webm"}, "webm"),
        ({"codec": "ffv1"}, "FFV1"),
    ],
)
def test_what_cannot_be_is_refused(film, tmp_path, pack, facts, option, says):
    with pytest.raises(UsageError, match=says):
        plan_film(job_for(film, tmp_path, pack, **option), *facts)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"strength": 2}, "strength"),
        ({"nonsense": 1}, "nonsense"),
        ({"quality": 70}, "quality"),
        ({"codec": "divx"}, "divx"),
    ],
)
def test_bad_options_are_named(option, says):
    with pytest.raises(UsageError, match=says):
        make_job({"source": "a", "output": "b.mp4", **option})


def test_a_job_file_gives_the_same_job_and_options_win(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(
        "source: a.mp4\noutput: b.mp4\nquality: 20\nlooks:\n  - {shots: '2-3', style: identity}\n"
    )
    job = load_job_file(file, {"quality": 25, "codec": None})
    assert job.quality == 25 and job.looks[0].shots == "2-3" and job.work.endswith("b.mp4.stylereel")
    file.write_text("just words")
    with pytest.raises(UsageError, match="job file"):
        load_job_file(file, {})


def test_a_source_is_known_by_its_bytes(film, tmp_path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    assert source_key(copy) == source_key(film)
    data, keys = bytearray(film.read_bytes()), set()
    for place in range(0, len(data), len(data) // 7):
        data[place] ^= 1
        copy.write_bytes(data)
        os.utime(copy, (1, 1))  # a copy may keep the time of what it is a copy of
        keys |= {source_key(copy), source_key(copy)}
    assert len(keys) == len(range(0, len(data), len(data) // 7)) and source_key(film) not in keys


def test_losing_a_track_needs_consent(media, film, tmp_path, pack):
    from conftest import ffmpeg

    font, sink = media / "f.ttf", media / "attached.mkv"
    font.write_bytes(bytes(50))
    ffmpeg(
        "-i", str(film), "-attach", str(font), "-metadata:s:t", "mimetype=font/ttf", "-c", "copy", str(sink)
    )
    facts = index_film(sink)[:2]
    with pytest.raises(InputError, match="--allow-drop"):
        plan_film(job_for(sink, tmp_path, pack), *facts)
    assert plan_film(job_for(sink, tmp_path, pack, allow_drop=True), *facts).shards
