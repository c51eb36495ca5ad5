"""What a container refuses is known before anything is painted, whatever its table of codecs says."""

import re

import pytest
from conftest import ffmpeg
from drawn import delivered

from pipelines.config import make_job
from pipelines.errors import InputError
from pipelines.media import rehearsal
from pipelines.media.probe import probe
from pipelines.media.rehearsal import refused_tracks
from pipelines.media.tracks import DROPPED, KEPT, decide, decide_for_pictures
from pipelines.work import load_film, open_work

SMALL = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1"]


def film_with(folder, kind, codec, form):
    """A second of film and one more track: sound (a), picture (v) or subtitles (s)."""
    (folder / "cue.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nHello\n")
    tone = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"]
    other = {"a": tone, "v": SMALL, "s": ["-i", str(folder / "cue.srt")]}[kind]
    coded = ["-map", "0", "-map", "1", "-c:v:0", "mpeg2video", f"-c:{kind}:{int(kind == 'v')}", codec]
    ffmpeg(*SMALL, *other, *coded, "-strict", "-2", "-shortest", str(folder / f"film{form}"))
    return folder / f"film{form}"


@pytest.mark.parametrize(
    ("kind", "codec", "form", "suffix"),
    [
        ("a", "truehd", ".mp4", ".mp4"),
        ("a", "truehd", ".mp4", ".mkv"),
        ("a", "aac", ".ts", ".mp4"),
        ("v", "libvpx-vp9", ".mp4", ".mp4"),
        ("s", "srt", ".mkv", ".mkv"),
    ],
)
def test_what_it_takes_arrives(tmp_path, kind, codec, form, suffix):
    file = film_with(tmp_path, kind, codec, form)
    info = probe(file)
    assert refused_tracks(file, info, decide(info, suffix), suffix) == {}
    _, report = delivered(tmp_path, file.name, suffix, tmp_path)
    assert [(proof.action, proof.payload_equal) for proof in report.tracks] == [(KEPT, True)]


@pytest.mark.parametrize(
    ("kind", "codec", "form", "suffix", "reason"),
    [
        ("a", "truehd", ".mp4", ".mov", "mov does not take this truehd (Invalid argument)"),
        ("v", "libvpx-vp9", ".mp4", ".mov", "mov does not take this vp9 (Invalid argument)"),
        ("v", "rawvideo", ".mkv", ".mkv", "mkv does not take this rawvideo (Invalid argument)"),
    ],
)
def test_what_it_refuses_is_dropped_with_its_reason(tmp_path, kind, codec, form, suffix, reason):
    file = film_with(tmp_path, kind, codec, form)
    info = probe(file)
    assert decide(info, suffix)[0].action == KEPT, "the table knows it"
    refused = refused_tracks(file, info, decide(info, suffix), suffix)
    (fate,) = decide(info, suffix, refused)
    assert (fate.action, fate.reason) == (DROPPED, reason)
    wish = {"source": str(file), "output": str(tmp_path / f"out{suffix}"), "style": "identity"}
    job, work = make_job({**wish, "work": str(tmp_path / "work")}), open_work(str(tmp_path / "work"))
    with pytest.raises(InputError, match=re.escape(reason)):
        load_film(job, work, file)
    assert not list(tmp_path.glob("work/index/*")), "before all of it is decoded"
    assert load_film(job.model_copy(update={"allow_drop": True}), work, file).fates == (fate,)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("broken", "offset", "value"), [((0, 1), 0, 0), ((0, 1), 4, 0xFF), ((1, 3, 4), 0, 0)]
)
def test_a_recording_whose_sound_begins_broken_is_taken(tmp_path, suffix, broken, offset, value):
    """What is left out of the delivery is no reason to refuse its track."""
    file = film_with(tmp_path, "a", "aac", ".ts")
    data = bytearray(file.read_bytes())
    heads = [found.start() for found in re.finditer(rb"\xff\xf1[\x40-\x5f]", bytes(data))]
    for head in broken:
        data[heads[head] + offset] = value
    file.write_bytes(data)
    info = probe(file)
    assert refused_tracks(file, info, decide(info, suffix), suffix) == {}
    _, report = delivered(tmp_path, file.name, suffix, tmp_path)
    assert [proof.action for proof in report.tracks] == [KEPT]


def test_it_is_held_in_a_child(tmp_path, monkeypatch):
    """A file that crashes its demuxer after the head would else take the whole season along."""
    file = film_with(tmp_path, "a", "aac", ".mp4")
    info = probe(file)
    monkeypatch.setattr(rehearsal, "open_source", None)
    assert refused_tracks(file, info, decide(info, ".mp4"), ".mp4") == {}


def test_beside_pictures_what_is_refused_is_no_reason_for_a_file(tmp_path):
    file = film_with(tmp_path, "a", "aac", ".mp4")
    info = probe(file)
    assert [fate.action for fate in decide_for_pictures(info)] == [KEPT]
    assert [fate.reason for fate in decide_for_pictures(info, {1: "no"})] == [
        "there is no sound or subtitle beside which it could be put"
    ]
