"""Frames of a shard from a device that is late: all of them, whole, in order, whatever the batch."""

from collections import deque
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from conftest import ffmpeg, index_film

from pipelines import painting
from pipelines.config import make_job
from pipelines.looks import USUAL_STEADY
from pipelines.media.frames import FrameReader
from pipelines.painting import painted_frames
from pipelines.plan import Shard
from pipelines.prepare import plan_film
from pipelines.stopwatch import Clock
from pipelines.timeline import FrameRange
from stylecore import stylize
from stylecore.bus import NoBus
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer

SHARD = Shard(1, (FrameRange(26, 30), FrameRange(30, 37)))
"""The end of a shot and the beginning of the next."""


@dataclass
class Landing:
    """A frame that nobody can see before it is waited for."""

    bus: "LateBus"
    planes: list[torch.Tensor]

    def take(self):
        assert self.bus.under_way.popleft() is self, "frames land in the order in which they set out"
        return self.planes


class LateBus(NoBus):
    """Of a device that others do not wait for at once."""

    late = 2

    def __init__(self):
        self.under_way, self.most = deque(), 0

    def bring(self, planes):
        self.under_way.append(Landing(self, planes))
        self.most = max(self.most, len(self.under_way))
        return self.under_way[-1]


@pytest.fixture(scope="module")
def asked(film, pack, tmp_path_factory):
    return planned(film, pack, tmp_path_factory.mktemp("late"), [30, 56])


def planned(film, pack, folder, cuts):
    places = {"source": str(film), "output": str(folder / "out.mp4")}
    job = make_job({**places, "style": f"{pack}#plain", "device": "cpu", "cuts": cuts})
    info, index, reader = index_film(film)
    return plan_film(job, info, index), reader


def painted(asked, batch, shard=SHARD):
    film, reader = asked
    frames = painted_frames(film, shard, reader, EngineSpec(batch=batch), Clock())
    return [[plane.tobytes() for plane in planes] for planes in frames]


def test_a_late_device_gives_every_frame_whatever_the_batch(asked, monkeypatch):
    expected, buses = painted(asked, 1), []
    monkeypatch.setattr(stylize, "open_bus", lambda device: buses.append(LateBus()) or buses[-1])
    monkeypatch.setattr(painting, "_stylizer", painting._stylizer.__wrapped__)
    assert len(expected) == 11 and len(set(map(tuple, expected))) > 1
    for batch, most in ((1, [3, 3]), (2, [4, 5])):
        buses.clear()
        assert painted(asked, batch) == expected
        assert [bus.most for bus in buses] == most, "two batches on their way, and one more frame"
        assert not any(bus.under_way for bus in buses)


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 9), (4, [4, 4, 1]), (8, [8, 1]), (16, [9])])
def test_batches_are_full_but_for_the_last(asked, monkeypatch, batch, sizes):
    film, reader = asked
    alone = replace(film, styles=tuple(replace(style, steady=0) for style in film.styles)), reader
    made, strokes = [], Stylizer.strokes
    monkeypatch.setattr(EngineSpec, "together", property(lambda engine: engine.batch))
    monkeypatch.setattr(Stylizer, "strokes", lambda *given: made.append(len(given[1])) or strokes(*given))
    assert len(painted(alone, batch, Shard(1, (FrameRange(0, 9),)))) == 9
    assert made == sizes


def test_a_shard_from_the_middle_of_a_long_shot_is_painted_as_in_the_whole(film, pack, tmp_path):
    """The canvas comes along the film from farther back than strokes are shared."""
    asked = planned(film, pack, tmp_path, [56])
    whole = painted(asked, 1, Shard(1, (FrameRange(0, 56),)))
    for start in (3, 17, 28, 29, 53):
        assert painted(asked, 1, Shard(1, (FrameRange(start, start + 2),))) == whole[start : start + 2]


def test_frames_share_strokes_and_not_over_cuts(asked):
    film, reader = asked
    alone = replace(film, styles=tuple(replace(style, steady=0) for style in film.styles))
    whole = painted(asked, 1, Shard(1, (FrameRange(20, 34),)))
    assert painted(asked, 1, Shard(1, (FrameRange(30, 34),))) == whole[10:]
    assert all(style.steady == USUAL_STEADY for style in film.styles)
    assert painted((alone, reader), 1, Shard(1, (FrameRange(20, 34),)))[9] != whole[9]


def test_a_shot_that_begins_in_black_is_surveyed_where_there_is_a_picture(asked, monkeypatch):
    film, reader = asked
    black = [
        replace(facts, contrast=0.0) if place < 20 else facts for place, facts in enumerate(film.index.frames)
    ]
    dark = replace(film, index=replace(film.index, frames=tuple(black)))
    monkeypatch.setattr(painting, "planes_of", lambda film, frame: frame)
    surveyor, picked = SimpleNamespace(survey=list), SimpleNamespace(pick=iter)
    seen, usual = (
        painting.survey_shot(each, film.shots[0], picked, surveyor, Clock()) for each in (dark, film)
    )
    assert min(seen) >= 20 > min(usual) and len(seen) > 1


class Backwards:
    """Paints a shot only when it has seen all that it gets: the last frame first."""

    def __init__(self, look, form, engine):
        pass

    def paint(self, frames, mattes):
        return iter(list(frames)[::-1])


def test_a_shot_that_is_painted_to_and_fro_is_seen_to_its_end(asked, monkeypatch):
    """The border of shards shows nowhere in it."""
    film, reader = asked
    monkeypatch.setitem(painting.PAINTERS, "optimize", Backwards)
    look = replace(film.styles[1], method="optimize", passes=2, steady=0)
    asked = replace(film, styles=(film.styles[0], look, film.styles[2])), reader
    whole, first, last = (
        painted(asked, 1, Shard(1, (FrameRange(*frames),))) for frames in ((30, 56), (30, 39), (39, 56))
    )
    assert first + last == whole and len(set(map(tuple, whole))) > 1


FIELDS = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-c:v", "libx264", "-x264-params", "tff=1"]
KEYS = [{"frame": 0, "strength": 0.2}, {"frame": 40, "strength": 1.0}]


@pytest.mark.parametrize("cut", [21, 27, 29])
@pytest.mark.parametrize("kind", ["plain", "matte", "keys", "fields"])
def test_the_border_of_shards_shows_nowhere(film, pack, tmp_path, kind, cut):
    """Whole frames, under a matte that moves, on the way between key frames, and frames of two moments."""
    source, options = film, {"matte": {"matte": str(film)}, "keys": {"key_frames": KEYS}}.get(kind, {})
    if kind == "fields":
        source, options = tmp_path / "fields.mkv", {"scan": "fields"}
        ffmpeg("-i", str(film), "-an", *FIELDS, str(source))
    style = {"style": f"{pack}#plain", "device": "cpu", "cuts": [30]}
    job = make_job({"source": str(source), "output": str(tmp_path / "out.mkv"), **style, **options})
    plan = plan_film(job, *index_film(source)[:2])
    asked = plan, FrameReader(source, plan.info, plan.index)
    whole = painted(asked, 1, Shard(1, (FrameRange(20, 34),)))
    pieces = [Shard(1, (FrameRange(20, cut),)), Shard(2, (FrameRange(cut, 34),))]
    for batch in (1, 2):
        assert [frame for piece in pieces for frame in painted(asked, batch, piece)] == whole
