"""What containers hold of a film beside its picture: known before work, and proved after it."""

from fractions import Fraction

import av
import pytest
from conftest import draw, ffmpeg, index_film
from drawn import rendered

from pipelines.errors import UsageError
from pipelines.excerpt import WHOLE
from pipelines.media.conform import conform
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.probe import probe
from pipelines.media.tracks import DROPPED, KEPT, decide
from pipelines.timecode import counted_at


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return tmp_path_factory.mktemp("containers")


def delivered(films, name, suffix, folder, **spec):
    """The delivery, proved."""
    made = rendered(films, name, suffix, folder, EncodeSpec(preset="ultrafast", **spec))
    target, source, info, index, crcs, fates, _ = made
    return target, conform(target, source, info, index.timeline, crcs, fates, WHOLE)


CHAPTERS = {
    "with gaps": (
        [(500, 900, "One"), (1500, 2000, "Two")],
        [(0, 0.5, ""), (0.5, 1.5, "One"), (1.5, 2, "Two")],
    ),
    "without names": ([(0, 1000, ""), (1000, 2000, "")], [(0, 1, ""), (1, 2, "")]),
    "as mp4 has them": ([(0, 1000, "One"), (1000, 2000, "Two")], [(0, 1, "One"), (1, 2, "Two")]),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("how", CHAPTERS)
def test_chapters_go_into_any_container(films, tmp_path, how, suffix):
    """mp4 lets each last to the next: a chapter keeps its beginning and its name."""
    given, held = CHAPTERS[how]
    draw(tmp_path / "plain.mp4", size="64x48", shots=(48,), sound=False)
    told = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\n" + f"title={t}\n" * bool(t) for a, b, t in given
    ]
    (tmp_path / "c.txt").write_text(";FFMETADATA1\n" + "".join(told))
    maps = ["-map", "0", "-map_chapters", "1", "-c", "copy"]
    ffmpeg(
        "-i", str(tmp_path / "plain.mp4"), "-i", str(tmp_path / "c.txt"), *maps, str(tmp_path / "film.mkv")
    )
    target, report = delivered(tmp_path, "film.mkv", suffix, tmp_path)
    wanted = held if suffix == ".mp4" else [(a / 1000, b / 1000, t) for a, b, t in given]
    with av.open(str(target)) as made:
        found = [
            (
                *(float(each[key] * each["time_base"]) for key in ("start", "end")),
                each["metadata"].get("title", ""),
            )
            for each in made.chapters()
        ]
    assert [(a, t) for a, _, t in found] == [(a, t) for a, _, t in wanted] and report.chapters == len(wanted)
    assert [b for _, b, _ in found] == pytest.approx([b for _, b, _ in wanted], abs=0.05)


@pytest.mark.parametrize(
    ("sound", "suffix", "action"),
    [
        (["-c:a", "libmp3lame"], ".m4v", KEPT),
        (["-c:a", "pcm_bluray"], ".mkv", DROPPED),
        (["-c:a", "pcm_dvd"], ".mkv", DROPPED),
        (["-c:a", "ac3"], ".mkv", KEPT),
    ],
)
def test_sound_that_a_container_cannot_hold_is_known_before_work(films, sound, suffix, action):
    form = {"pcm_bluray": ".m2ts", "pcm_dvd": ".vob"}.get(sound[1], ".mp4")
    tone = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"]
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-c:v", "mpeg2video"]
    file = films / f"{sound[1]}{form}"
    ffmpeg(*picture[:4], *tone, *picture[4:], *sound, "-ac", "2", "-shortest", str(file))
    (fate,) = decide(probe(file), suffix)
    assert fate.action == action
    if action == DROPPED:
        assert fate.reason == f"mkv cannot hold {sound[1]}"


@pytest.mark.parametrize("codec", ["h265", "prores"])
def test_a_timecode_track_is_kept_whatever_the_codec(tmp_path, codec):
    """A stream of ProRes does not tell its rate, and the muxer left the track out without a word."""
    draw(tmp_path / "plain.mp4", size="64x48", rate="30000/1001", shots=(40,), sound=False)
    start = ["-c", "copy", "-timecode", "01:00:00;00"]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), *start, str(tmp_path / "film.mov"))
    target, report = delivered(tmp_path, "film.mov", ".mov", tmp_path, codec=codec)
    assert [proof.action for proof in report.tracks] == [KEPT]
    with av.open(str(target)) as made:
        assert [each.metadata.get("timecode") for each in made.streams] == ["01:00:00;00"] * 2


NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)


@pytest.mark.parametrize(
    ("text", "source_rate", "rate", "told"),
    [
        ("01:00:00;10", NTSC, NTSC, "01:00:00;10"),
        ("01:00:00;50", 2 * NTSC, 2 * NTSC, "01:00:00;50"),
        ("01:00:00;20", NTSC, FILM, "01:00:00:16"),
        ("01:00:00:28", NTSC, FILM, "01:00:00:22"),
        ("01:00:00:20", FILM, FILM, "01:00:00:20"),
        ("00:01:00;02", NTSC, 2 * NTSC, "00:01:00;04"),
        ("01:00:00:119", Fraction(120), Fraction(120), "01:00:00:119"),
        ("01:00:00:20", Fraction(50), Fraction(25), "01:00:00:20"),
        ("nothing of the kind", NTSC, FILM, "nothing of the kind"),
    ],
)
def test_a_first_timecode_is_counted_as_the_film_is(text, source_rate, rate, told):
    assert counted_at(text, source_rate, rate) == told


CAPTION = bytes.fromhex("000001b2") + b"GA94" + bytes.fromhex("03c1fffc9420ff")
"""User data of an MPEG-2 picture (ATSC A/53): one pair of CEA-608, which begins a caption."""


def test_captions_inside_the_picture_are_not_lost_without_a_word(tmp_path):
    draw(tmp_path / "plain.m2v", size="64x48", shots=(6,), sound=False, video=["-c:v", "mpeg2video"])
    stream, slice_start = (tmp_path / "plain.m2v").read_bytes(), bytes.fromhex("00000101")
    (tmp_path / "said.m2v").write_bytes(stream.replace(slice_start, CAPTION + slice_start))
    timed = ["-c", "copy", "-bsf:v", "setts=ts=N*50000"]
    ffmpeg("-i", str(tmp_path / "said.m2v"), *timed, str(tmp_path / "film.ts"))
    info, index, _ = index_film(tmp_path / "film.ts")
    assert info.captions and not probe(draw(tmp_path / "none.mp4", size="64x48", shots=(6,))).captions
    with pytest.raises(UsageError, match="closed captions .* --allow-drop"):
        make_encoding(EncodeSpec(), info, index.timeline, ".mp4")
    made = make_encoding(EncodeSpec(allow_drop=True), info, index.timeline, ".mp4")
    assert "the closed captions inside the picture are dropped" in made.notes
