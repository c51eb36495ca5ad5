"""What containers hold of a film beside its picture: known before work, and proved after it."""

import struct
import zlib
from fractions import Fraction

import av
import pytest
from conftest import draw, ffmpeg, index_film
from drawn import delivered, rendered
from PIL import Image

from pipelines.config import make_job
from pipelines.device import resolve_device
from pipelines.errors import ConformError, UsageError
from pipelines.media.assemble import assemble
from pipelines.media.conform import conform
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.original import Original
from pipelines.media.probe import probe
from pipelines.media.proofs import read_streams
from pipelines.media.tracks import DROPPED, KEPT, decide
from pipelines.prepare import plan_film


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return tmp_path_factory.mktemp("containers")


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


def test_samples_that_a_muxer_divides_anew_are_the_same_sound(tmp_path):
    """A chunk of half a second comes out of mov in packets of 1024 samples, which go in as other chunks."""
    picture = ["-f", "lavfi", "-i", "color=size=64x48:rate=25:duration=3"]
    tone = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=3,asetnsamples=24000:p=0"]
    ffmpeg(*picture, *tone, "-c:v", "mpeg4", "-bf", "2", "-c:a", "pcm_s24le", str(tmp_path / "film.mov"))
    target, report = delivered(tmp_path, "film.mov", ".mov", tmp_path)
    (proof,) = report.tracks
    assert proof.action == KEPT and proof.payload_equal and proof.worst_error_seconds == 0
    data = bytearray(target.read_bytes())
    start, length = data.find(b"mdat"), len(data)
    with av.open(str(target)) as made:
        place = next(packet.pos for packet in made.demux(audio=0) if packet.pts == 1024)
    assert start < place < length
    data[place + 100] ^= 1
    target.write_bytes(data)
    source, (info, index, _) = tmp_path / "film.mov", index_film(tmp_path / "film.mov")
    with av.open(str(target)) as made:
        crcs = [zlib.crc32(bytes(packet)) for packet in made.demux(video=0) if packet.pts is not None]
    with pytest.raises(ConformError, match="packets are not the source's"):
        conform(target, Original(source, info, index.timeline, decide(info, ".mov")), crcs)


@pytest.mark.parametrize("source", [".mkv", ".avi"])
def test_samples_of_any_container_go_into_mov(tmp_path, source):
    uncompressed = ["-c:v", "mpeg4", "-c:a", "pcm_s16le"]
    draw(tmp_path / f"film{source}", size="64x48", shots=(12,), video=uncompressed)
    _, report = delivered(tmp_path, f"film{source}", ".mov", tmp_path)
    assert [(proof.action, proof.payload_equal) for proof in report.tracks] == [(KEPT, True)]
    (fate,) = decide(probe(tmp_path / f"film{source}"), ".mp4")
    assert (fate.action, fate.reason) == (DROPPED, "mp4 cannot hold pcm_s16le")


def test_a_clock_that_is_not_the_sounds_rate_is_rounded_to_it(tmp_path):
    """ffmpeg's mp4 counts sound by its sampling rate, whatever the source counted by."""
    picture = ["-f", "lavfi", "-i", "color=size=64x48:rate=25:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=sample_rate=44100:duration=1"]
    ffmpeg(*picture, *tone, "-c:v", "mpeg4", "-c:a", "aac", str(tmp_path / "film.mp4"))
    data = bytearray((tmp_path / "film.mp4").read_bytes())
    head, table = data.rfind(b"mdhd"), data.rfind(b"stts")
    rate, length = struct.unpack_from(">II", data, head + 16)
    struct.pack_into(">II", data, head + 16, 90_000, round(length * 90_000 / rate))
    for row in range(struct.unpack_from(">I", data, table + 8)[0]):
        place = table + 16 + 8 * row
        struct.pack_into(">I", data, place, round(struct.unpack_from(">I", data, place)[0] * 90_000 / rate))
    (tmp_path / "film.mp4").write_bytes(data)
    (proof,) = delivered(tmp_path, "film.mp4", ".mp4", tmp_path)[1].tracks
    assert rate == 44_100 and 0 < proof.worst_error_seconds <= Fraction(1, 2 * rate)


def test_what_an_edit_list_hides_at_the_end_is_not_missing(tmp_path):
    draw(tmp_path / "long.mov", size="64x48", shots=(75,), sound=False)
    data = bytearray((tmp_path / "long.mov").read_bytes())
    shown = data.find(b"elst") + 12
    assert struct.unpack_from(">I", data, shown)[0] > 3000
    struct.pack_into(">I", data, shown, 1000)
    (tmp_path / "trim.mov").write_bytes(data)
    _, index, _ = index_film(tmp_path / "trim.mov")
    assert len(index.frames) < 30 and not index.damage_note and not index.single_threaded


def edited(path, begins):
    """Of a film's last track, its sound of 48 kHz, the edit list shows a second from each of these on."""
    data = bytearray(path.read_bytes())
    track, place = data.rfind(b"trak"), data.rfind(b"elst")
    first = struct.unpack_from(">i", data, place + 16)[0]
    rows = [struct.pack(">IiI", 48_000, first + 48_000 * begin, 1 << 16) for begin in begins]
    data[place + 8 : place + 24] = struct.pack(">I", len(rows)) + b"".join(rows)
    for box in (data.rfind(b"moov"), track, data.find(b"edts", track), place):
        size = struct.unpack_from(">I", data, box - 4)[0]
        struct.pack_into(">I", data, box - 4, size + 12 * (len(rows) - 1))
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_cut_out_of_the_middle_stays_out(tmp_path, suffix):
    """libavformat hands the hidden packets out with times that fall, which no muxer takes."""
    edited(draw(tmp_path / "film.mp4", size="64x48", shots=(96,)), (0, 3))
    (proof,) = delivered(tmp_path, "film.mp4", suffix, tmp_path)[1].tracks
    assert proof.action == KEPT and proof.reason.endswith("packets that an edit list hides left out")
    assert proof.packets == pytest.approx(2 * 48_000 / 1024, abs=4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_broadcasters_clock_is_not_a_films(tmp_path, suffix):
    """A capture that begins at ten hours would begin with ten hours of nothing."""
    draw(tmp_path / "plain.mp4", size="64x48", shots=(48,))
    late = ["-c", "copy", "-output_ts_offset", "36000"]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), *late, str(tmp_path / "film.ts"))
    _, source, info, index, crcs, fates, parts = rendered(
        tmp_path, "film.ts", suffix, tmp_path, EncodeSpec(preset="ultrafast")
    )
    wish = {"source": str(source), "output": str(tmp_path / f"film{suffix}"), "style": "identity"}
    timeline, window = plan_film(resolve_device(make_job(wish)), info, index).excerpt
    target = tmp_path / f"moved{suffix}"
    assemble(parts, Original(source, info, timeline, fates, window), target)
    report = conform(target, Original(source, info, timeline, fates, window), crcs)
    assert [(proof.action, proof.payload_equal) for proof in report.tracks] == [(KEPT, True)]
    with av.open(str(source)) as given, av.open(str(target)) as made:
        lead, kept = (
            Fraction(film.streams.video[0].start_time * film.streams.video[0].time_base)
            - Fraction(film.streams.audio[0].start_time * film.streams.audio[0].time_base)
            for film in (given, made)
        )
        assert given.start_time > 36_000 * av.time_base and 0 <= made.start_time < av.time_base // 10
    assert abs(lead - kept) < Fraction(1, 500)


def test_a_picture_for_two_eyes_is_told_of(tmp_path):
    draw(tmp_path / "plain.mp4", size="64x48", shots=(12,), sound=False)
    eyes = ["-c", "copy", "-metadata:s:v", "stereo_mode=left_right"]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), *eyes, str(tmp_path / "film.mkv"))
    info, index, _ = index_film(tmp_path / "film.mkv")
    assert info.projection == "stereo 3d, side by side"
    encoding = make_encoding(EncodeSpec(), info, index.timeline, ".mkv")
    assert "the picture is marked stereo 3d, side by side: delivered whole, unmarked" in encoding.notes


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_names_of_tracks_are_kept(tmp_path, suffix):
    draw(tmp_path / "plain.mp4", size="64x48", shots=(12,))
    named = ["-c", "copy", "-metadata:s:v", "title=Picture", "-metadata:s:a", "title=Commentary"]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), *named, str(tmp_path / f"film{suffix}"))
    for again, kept in ((suffix, "name"), (".mkv", "title")):
        target, _ = delivered(tmp_path, f"film{suffix}", again, tmp_path)
        with av.open(str(target)) as made:
            assert [each.metadata[kept] for each in made.streams] == ["Picture", "Commentary"]
        assert [track.title for track in probe(target).tracks] == ["Picture", "Commentary"]


def test_what_was_counted_of_the_sources_picture_is_not_said_of_the_painted(tmp_path):
    draw(tmp_path / "plain.mp4", size="64x48", shots=(3,), sound=False)
    counted = ("BPS-eng=9", "NUMBER_OF_FRAMES=9", "DURATION-eng=9", "_STATISTICS_TAGS-eng=BPS", "LOOK-eng=9")
    said = [word for each in counted for word in ("-metadata:s:v", each)]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), "-c", "copy", *said, str(tmp_path / "film.mkv"))
    target, _ = delivered(tmp_path, "film.mkv", ".mkv", tmp_path)
    with av.open(str(target)) as made:
        assert [key for key, value in made.streams[0].metadata.items() if value == "9"] == ["LOOK-eng"]


def test_what_is_attached_keeps_its_title_and_a_cover_its_form(tmp_path):
    draw(tmp_path / "plain.mp4", size="64x48", shots=(3,), sound=False)
    (tmp_path / "note.txt").write_text("hello")
    Image.new("RGB", (32, 32)).save(tmp_path / "front.bmp")
    plain, note, front = (str(tmp_path / name) for name in ("plain.mp4", "note.txt", "front.bmp"))
    titled = ["-metadata:s:t", "mimetype=text/plain", "-metadata:s:t", "title=A note"]
    ffmpeg("-i", plain, "-attach", note, *titled, "-c", "copy", str(tmp_path / "note.mkv"))
    cover = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic"]
    ffmpeg("-i", plain, "-i", front, *cover, str(tmp_path / "cover.mp4"))
    wanted = {
        "note.mkv": ("note.txt", "text/plain", "A note"),
        "cover.mp4": ("cover.bmp", "image/bmp", None),
    }
    for name, told in wanted.items():
        target, _ = delivered(tmp_path, name, ".mkv", tmp_path)
        with av.open(str(target)) as made:
            tags = made.streams[1].metadata
            assert tuple(tags.get(key) for key in ("filename", "mimetype", "title")) == told


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
    late = stream.replace(slice_start, CAPTION + slice_start).replace(CAPTION, b"", 3)
    (tmp_path / "said.m2v").write_bytes(late)
    ffmpeg("-i", str(tmp_path / "said.m2v"), *timed, str(tmp_path / "late.ts"))
    info, index, _ = index_film(tmp_path / "late.ts")
    assert index.captions and not info.captions, "they begin after the first picture"
    wish = {"source": str(tmp_path / "late.ts"), "output": str(tmp_path / "o.mp4"), "style": "identity"}
    with pytest.raises(UsageError, match="closed captions .* --allow-drop"):
        plan_film(resolve_device(make_job(wish)), info, index)


@pytest.mark.parametrize("head", [b"\xff\xf1", b"\xff\xf0", b"data"])
def test_data_that_looks_like_sound_is_taken_as_it_is(tmp_path, head):
    """Nothing decodes it, so PyAV has no codec for it."""
    content = head + bytes(200)
    with av.open(str(tmp_path / "data.ts"), "w") as made:
        track = made.add_data_stream()
        packet = av.Packet(content)
        packet.stream, packet.pts, packet.dts, packet.time_base = track, 0, 0, Fraction(1, 90000)
        made.mux(packet)
    assert [each.crcs for each in read_streams(tmp_path / "data.ts")] == [[zlib.crc32(content)]]
