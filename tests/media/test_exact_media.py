"""Exact media on real files: index, ranges, parts, assembly, conform; and refusals that say why."""

import random
import zlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
from conftest import ffmpeg, index_film
from drawn import ALL, X264, draw_films, rendered

from pipelines.errors import AssemblyError, ConformError, EngineError, InputError, UsageError
from pipelines.media.assemble import assemble
from pipelines.media.conform import conform
from pipelines.media.decoding import checksum
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.layouts import plane_arrays
from pipelines.media.original import Original
from pipelines.media.parts import prove_decodable, write_part
from pipelines.media.probe import probe
from pipelines.media.rates import nominal_rate
from pipelines.media.shots import cut_scores, find_cuts
from pipelines.media.tracks import KEPT
from pipelines.planes import frame_planes, yuv_format
from pipelines.timeline import FrameRange
from stylecore.pixels import to_rgb


@pytest.fixture(scope="module")
def films(media: Path) -> Path:
    return draw_films(media / "exact")


@pytest.mark.parametrize("name", ALL)
def test_any_range_is_the_frames_of_a_whole_decode(films, name):
    info, index, reader = index_film(films / name)
    with av.open(str(films / name)) as container:
        whole = [checksum(frame) for frame in container.decode(container.streams[info.video_index])]
    assert [facts.crc for facts in index.frames] == whole
    generator = random.Random(name)
    for _ in range(6):
        start = generator.randrange(len(whole))
        frames = FrameRange(start, min(len(whole), start + generator.randint(1, 30)))
        assert [(frame.pts, checksum(frame)) for frame in reader.read(frames)] == [
            (n, whole[n]) for n in frames
        ]
    some = sorted(generator.sample(range(len(whole)), 4))
    assert [frame.pts for frame in reader.pick(some)] == some


@pytest.mark.parametrize("name", ALL)
def test_a_lossless_identity_film_is_the_source_frame_for_frame(films, name, tmp_path):
    suffix = {".webm": ".mkv", ".ts": ".mp4", ".avi": ".mp4", ".mpg": ".mkv"}.get(
        Path(name).suffix, Path(name).suffix
    )
    target, source, info, index, crcs, fates, _ = rendered(
        films, name, suffix, tmp_path, EncodeSpec(lossless=True)
    )
    grey = info.layout.gray  # H.264 has no grey of its own for decoders: it comes back with neutral chroma
    report = conform(target, Original(source, info, index.timeline, fates), crcs)
    assert report.frames == len(index.frames) and report.shift_seconds == 0
    assert report.worst_error_seconds <= (0 if suffix != ".mkv" else Fraction(1, 2000))
    assert all(proof.action == KEPT and proof.payload_equal for proof in report.tracks)
    with av.open(str(target)) as made, av.open(str(source)) as original:
        frames = list(made.decode(video=0))
        found = [
            zlib.crc32(plane_arrays(frame)[0].tobytes()) if grey else checksum(frame) for frame in frames
        ]
        assert found == [facts.crc for facts in index.frames]
        tags = [
            (frame.colorspace, frame.color_primaries, frame.color_trc)
            for frame in (frames[0], next(original.decode(video=0)))
        ]
        assert tags[0] == tags[1]
    assert probe(target).turn == info.turn


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_same_packets_come_from_any_number_of_shards(films, tmp_path, codec, suffix):
    spec, deliveries = EncodeSpec(codec, preset="ultrafast"), []
    for shard_frames in (9999, 50, 1):
        folder = tmp_path / str(shard_frames)
        folder.mkdir()
        target, source, info, index, crcs, fates, parts = rendered(
            films, "film.mp4", suffix, folder, spec, shard_frames
        )
        conform(target, Original(source, info, index.timeline, fates), crcs)
        deliveries.append(target.read_bytes())
    assert len(parts) > 2 and deliveries[0] == deliveries[1] == deliveries[2]


DELIVERIES = {
    "h264 in ten bits": ("film.mp4", ".mp4", EncodeSpec("h264", 1, "ultrafast", depth=10), "yuv420p10le"),
    "h265 from twelve": ("twelve.mkv", ".mkv", EncodeSpec("h264", 1, "ultrafast"), "yuv422p12le"),
    "av1 in ten bits": ("film.mp4", ".mkv", EncodeSpec("av1", 12, "fast", depth=10), "yuv420p10le"),
    "prores 422 HQ": ("film.mp4", ".mov", EncodeSpec("prores"), "yuv422p10le"),
    "prores 4444": ("full444.mkv", ".mov", EncodeSpec("prores"), "yuv444p12le"),
    "prores of grey": ("greyten.mkv", ".mov", EncodeSpec("prores"), "yuv422p10le"),
    "prores of odd size": ("odd.webm", ".mkv", EncodeSpec("prores"), "yuv422p10le"),
    "ffv1 in twelve": ("422.mov", ".mkv", EncodeSpec("ffv1", depth=12), "yuv422p12le"),
    "odd in ten bits": ("odd.webm", ".mkv", EncodeSpec("h264", 1, "ultrafast", depth=10), "yuv444p10le"),
    "eight of ten": ("ten.mkv", ".mp4", EncodeSpec("h264", 1, "ultrafast", depth=8), "yuv420p"),
}


@pytest.mark.parametrize("name", DELIVERIES)
def test_deliveries_are_the_film_in_another_coat(films, name, tmp_path):
    source, suffix, spec, pixels = DELIVERIES[name]
    target, source, info, index, crcs, fates, _ = rendered(films, source, suffix, tmp_path, spec)
    report = conform(target, Original(source, info, index.timeline, fates), crcs)
    made = probe(target)
    assert report.frames == len(index.frames) and made.pixel_format == pixels
    with av.open(str(target)) as after, av.open(str(source)) as before:
        for new, old in zip(after.decode(video=0), before.decode(video=0), strict=True):
            seen = to_rgb(frame_planes(new), yuv_format(made))
            wanted = to_rgb(frame_planes(old), yuv_format(info))
            assert (seen - wanted).square().mean() < 10**-3  # a wrong range alone would be twice that


@pytest.mark.parametrize(
    ("spec", "suffix", "reason"),
    [
        ({"codec": "prores"}, ".mp4", "PRORES does not go into .mp4 .*; name the output .mov or .mkv"),
        ({"codec": "av1"}, ".mov", "AV1 does not go into .mov"),
        ({"codec": "av1", "lossless": True}, ".mkv", "no lossless mode"),
        ({"depth": 9}, ".mkv", "depth must be"),
    ],
)
def test_what_a_codec_cannot_do_is_said(films, spec, suffix, reason):
    info, index, _ = index_film(films / "film.mp4")
    with pytest.raises(UsageError, match=reason):
        make_encoding(EncodeSpec(**spec), info, index.timeline, suffix)


def test_an_encoder_that_writes_rubbish_is_found_out(films, tmp_path):
    *_, parts = rendered(films, "film.mp4", ".mkv", tmp_path, EncodeSpec("av1", 30, "ultrafast"))
    prove_decodable(parts[0].path, len(parts[0].frames))
    with pytest.raises(EngineError, match="of 31"):
        prove_decodable(parts[0].path, 31)
    data = bytearray(parts[0].path.read_bytes())
    place = data.index(b"mdat") + 40
    data[place : place + 200] = bytes(200)
    parts[0].path.write_bytes(data)
    with pytest.raises(EngineError, match="no decoder takes|wrote"):
        prove_decodable(parts[0].path, len(parts[0].frames))


@pytest.mark.parametrize("frames", [1, 2])
def test_parts_of_a_frame_or_two_are_written_every_time(films, tmp_path, frames):
    """x265 then tells no order of decoding: the muxer would take what it tells some of the time only."""
    info, index, reader = index_film(films / "film.mp4")
    encoding = make_encoding(EncodeSpec("h265", preset="ultrafast"), info, index.timeline, ".mp4")
    segments = [FrameRange(0, frames), FrameRange(frames, 2 * frames)]
    planes = [list(plane_arrays(frame)) for frame in reader.read(FrameRange(0, 2 * frames))]
    for attempt in range(6):
        made = write_part(tmp_path / f"{attempt}.mp4", segments, planes, encoding)
        assert (made.frames, len(made.packet_crcs), made.reorder) == (2 * frames, 2 * frames, 0)


def test_parts_of_other_settings_do_not_join(films, tmp_path):
    _, source, info, index, _, fates, parts = rendered(films, "film.mp4", ".mp4", tmp_path, EncodeSpec())
    other = make_encoding(EncodeSpec(lossless=True), info, index.timeline, ".mp4")
    reader = index_film(source)[2]
    frames = (plane_arrays(frame) for frame in reader.read(parts[0].frames))
    write_part(parts[0].path, [parts[0].frames], frames, other)
    with pytest.raises(AssemblyError, match="different settings"):
        assemble(parts, Original(source, info, index.timeline, fates), tmp_path / "bad.mp4")


def test_a_delivery_with_a_packet_changed_does_not_conform(films, tmp_path):
    target, source, info, index, crcs, fates, _ = rendered(films, "film.mp4", ".mp4", tmp_path, EncodeSpec())
    with pytest.raises(ConformError, match="not the"):
        conform(target, Original(source, info, index.timeline, fates), [crcs[0] ^ 1, *crcs[1:]])
    later = [*index.timeline.pts[:-1], index.timeline.pts[-1] + 1]
    moved = type(index.timeline)(index.timeline.time_base, later, 1)
    with pytest.raises(ConformError, match="ms from its time"):
        conform(target, Original(source, info, moved, fates), crcs)


@pytest.mark.parametrize(
    ("changes", "cuts"),
    [
        ([0, 2, 3, 30, 2, 3], [3]),  # a cut
        ([0, 2, 3, 30, 30, 2], []),  # a flash
        ([0] + 20 * [10], []),  # fast motion
        ([0] + 10 * [10, 0] + 10 * [10], []),  # the same in drawings that stand for two frames
        ([0] + 10 * [10, 0] + [60] + 5 * [0, 10] + 10 * [10], [21]),  # and a cut among them
        ([0] + 6 * [6, 0, 12, 0, 9, 0, 15, 0], []),  # unevenly, to the film's end
        ([0] + 6 * [6, 1, 0, 15, 0, 1] + [70] + 6 * [1, 0, 12, 0, 1, 9], [37]),  # for three, and a cut
        ([0] + 4 * [40, 0, 0, 0, 0], [1, 6, 11, 16]),  # stills
        ([0] + 9 * [0] + [40, 0, 40] + 9 * [0], []),  # a flash of two frames
    ],
)
def test_a_cut_changes_more_than_what_is_around_it(changes, cuts):
    assert find_cuts(cut_scores(changes)) == cuts


def test_cuts_are_found_and_flashes_are_not(films, media):
    assert find_cuts(index_film(films / "film.mp4")[1].cut_scores) == [30, 56]
    flash = media / "flash.mp4"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=160x96:rate=24:duration=2",
        "-vf",
        "drawbox=c=white:t=fill:enable='eq(n,20)'",
        *X264,
        str(flash),
    )
    assert find_cuts(index_film(flash)[1].cut_scores) == []


REFUSED = {
    "sixteen.mkv": (["-pix_fmt", "yuv420p16le", "-c:v", "ffv1"], "yuv420p16le"),
    "film.flv": (["-c", "copy"], "handled are mp4"),
    "film.nut": (["-c", "copy"], "handled are mp4"),
    "tiny.mkv": (["-vf", "scale=8:8", "-c:v", "ffv1"], "under 16 pixels"),
    "sound.m4a": (["-vn", "-c:a", "copy"], "no video track"),
    "still.png": (["-frames:v", "1"], "a picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_handled_is_refused_with_its_reason(film, tmp_path, name):
    options, reason = REFUSED[name]
    ffmpeg("-i", str(film), *options, str(tmp_path / name))
    with pytest.raises(InputError, match=reason):
        probe(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "not a film"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "not a film"),
        (bytes(5000), "not a film"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, content, reason):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        probe(tmp_path / "x.mp4")


def test_a_copy_of_the_head_alone_is_refused(films, tmp_path):
    whole = tmp_path / "faststart.mp4"
    ffmpeg("-i", str(films / "film.mp4"), "-c", "copy", "-movflags", "faststart", str(whole))
    data = whole.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 100])
    with pytest.raises(InputError, match="cut short|not a film|damaged"):
        index_film(tmp_path / "cut.mp4")


@pytest.mark.parametrize(
    ("mean", "nominal"),
    [
        ("24.002", 24),
        ("23.976", Fraction(24000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("25", 25),
        ("17/3", Fraction(17, 3)),
        ("1/2400", Fraction(1, 1001)),
    ],
)
def test_nominal_rates(mean, nominal):
    assert nominal_rate(Fraction(mean)) == nominal


def test_odd_sizes_in_h264_are_told(films):
    info, index, _ = index_film(films / "odd.webm")
    encoding = make_encoding(EncodeSpec(), info, index.timeline, ".mkv")
    assert encoding.pixel_format == "yuv444p" and "121x81" in encoding.notes[0]
    with pytest.raises(UsageError, match="FFV1"):
        make_encoding(EncodeSpec(lossless=True), info, index.timeline, ".mp4")
