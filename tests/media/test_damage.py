"""Damaged films: what can be decoded is kept at its time, the rest is counted and told, or refused."""

import random
import re
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import pytest
from conftest import draw, ffmpeg, index_film
from hypothesis import given
from hypothesis import strategies as st

from pipelines.commands.render import delivery_lines
from pipelines.config import make_job
from pipelines.errors import InputError
from pipelines.flows.run import run_title
from pipelines.media.assemble import PartFile, assemble
from pipelines.media.conform import conform
from pipelines.media.damage import describe, in_order, lost_before
from pipelines.media.decoding import checksum
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.layouts import plane_arrays
from pipelines.media.original import Original
from pipelines.media.parts import write_part
from pipelines.media.probe import probe
from pipelines.media.shots import find_cuts
from pipelines.media.tracks import decide
from pipelines.plan import plan_segments, plan_shards
from pipelines.prepare import plan_film
from pipelines.timeline import FrameRange, shots_from_cuts

COPY = ["-c", "copy"]
WHOLE = {
    "film.mp4": [*COPY, "-movflags", "faststart"],
    "film.mkv": COPY,
    "film.ts": COPY,
    "mpeg2.ts": ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-c:a", "mp2"],
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "keyint=24:log-level=none", "-c:a", "copy"],
    "vp8.webm": ["-c:v", "libvpx", "-deadline", "good", "-cpu-used", "5", "-threads", "1", "-c:a", "libopus"],
}


def overwritten(data: bytes, seed: int, places: int, length: int) -> bytes:
    """Random bytes over runs of a film, its head and its end left alone."""
    chance, made = random.Random(seed), bytearray(data)
    for _ in range(places):
        place = chance.randrange(len(made) // 10, len(made) * 9 // 10)
        made[place : place + length] = chance.randbytes(length)
    return bytes(made)


def packets_from(share: float):
    """A transport stream from some packet on."""
    return lambda data: data[188 * int(len(data) // 188 * share) :]


# name -> the whole film, and what is done to its bytes.
DAMAGE = {
    "mdat.mp4": ("film.mp4", lambda data: overwritten(data, 1, 6, 40)),
    "more.mp4": ("film.mp4", lambda data: overwritten(data, 11, 8, 300)),
    "clusters.mkv": ("film.mkv", lambda data: overwritten(data, 10, 8, 300)),
    "packets.ts": ("film.ts", lambda data: overwritten(data, 10, 8, 300)),
    "stamps.ts": ("mpeg2.ts", lambda data: overwritten(data, 12, 8, 300)),
    "lost.mp4": ("hevc.mp4", lambda data: overwritten(data, 12, 8, 300)),
    "cut.mp4": ("film.mp4", lambda data: data[: len(data) * 6 // 10]),
    "cut.mkv": ("film.mkv", lambda data: data[: len(data) * 6 // 10]),
    "cut.webm": ("vp8.webm", lambda data: overwritten(data, 10, 8, 300)),
    "midway.ts": ("mpeg2.ts", packets_from(0.3)),
}


@pytest.fixture(scope="module")
def damaged(film: Path, media: Path) -> Path:
    folder = media / "damaged"
    folder.mkdir(exist_ok=True)
    for name, how in WHOLE.items():
        ffmpeg("-i", str(film), *how, str(folder / f"whole-{name}"))
    for name, (whole, harm) in DAMAGE.items():
        (folder / name).write_bytes(harm((folder / f"whole-{whole}").read_bytes()))
    return folder


def decoded(path: Path) -> list[tuple[int, int]]:
    """Time in ticks and checksum of every frame that one thread can decode, in the order it gives them."""
    found, stamps = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.flags |= av.codec.context.Flags.unaligned | av.codec.context.Flags.bitexact
        for packet in container.demux(stream):
            if packet.size:
                stamps.append(packet.pts)
                packet.pts = len(stamps) - 1
            try:
                found += [(stamps[frame.pts], checksum(frame)) for frame in packet.decode()]
            except av.FFmpegError:
                continue
    return found


# What the report says; every word of it is also proved below against a decode of the test's own.
SAID = {
    "mdat.mp4": "damaged: 1 frame concealed (16), 1 frame lost after frame 44 at 00:00:01.833",
    "cut.mp4": "the file ends at 42 of 96 declared frames",
    "cut.mkv": "the file ends at 1.749 s of 4.021 s",
    "midway.ts": "damaged: 2 frames lost before frame 0",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_can_be_decoded_is_kept_at_its_time(damaged, name):
    info, index, reader = index_film(damaged / name)
    alone = decoded(damaged / name)
    found = [(facts.pts, facts.crc) for facts in index.frames]
    backward = sum(after[0] <= before[0] for before, after in zip(alone, alone[1:], strict=False))
    assert set(found) <= set(alone) and len(alone) - len(found) == backward
    assert backward == (1 if name == "stamps.ts" else 0)
    assert index.single_threaded and index.damage_note
    if name in SAID:
        assert index.damage_note == SAID[name]
    generator = random.Random(name)
    for _ in range(4):
        start = generator.randrange(len(found))
        frames = FrameRange(start, min(len(found), start + generator.randint(1, 20)))
        assert [(frame.pts, checksum(frame)) for frame in reader.read(frames)] == [
            (number, found[number][1]) for number in frames
        ]
    some = sorted(generator.sample(range(len(found)), 4))
    assert [(frame.pts, checksum(frame)) for frame in reader.pick(some)] == [(n, found[n][1]) for n in some]


@pytest.mark.parametrize("name", ["more.mp4", "clusters.mkv", "packets.ts", "lost.mp4"])
def test_nothing_that_follows_a_hole_shifts(damaged, name):
    """Every time is one of the whole film's, and frames kept and lost together are as many as it has."""
    whole = index_film(damaged / f"whole-{DAMAGE[name][0]}")[1]
    index = index_film(damaged / name)[1]
    assert set(index.timeline.pts) < set(whole.timeline.pts)
    lost = [facts.lost_before for facts in index.frames]
    first = whole.timeline.pts.index(index.timeline.pts[0])
    last = whole.timeline.pts.index(index.timeline.pts[-1])
    assert sum(lost[1:]) == last - first + 1 - len(index.frames) and sum(lost) > 0
    for frame in (frame for frame, count in enumerate(lost) if count and frame):
        before, after = (whole.timeline.pts.index(index.timeline.pts[n]) for n in (frame - 1, frame))
        assert after - before - 1 == lost[frame]


def delivered(source: Path, suffix: str, folder: Path, shard_frames: int) -> Path:
    """The identity delivery of a film, proved; lossless."""
    folder.mkdir()
    info, index, reader = index_film(source)
    encoding = make_encoding(EncodeSpec(lossless=True), info, index.timeline, suffix)
    shots = shots_from_cuts(find_cuts(index.cut_scores), len(index.frames))
    parts, crcs = [], []
    for shard in plan_shards(plan_segments(shots), shard_frames):
        path = folder / f"{shard.number}{encoding.part_suffix}"
        planes = ([view.copy() for view in plane_arrays(frame)] for frame in reader.read(shard.frames))
        facts = write_part(path, shard.segments, planes, encoding)
        parts.append(PartFile(path, shard.frames, facts.reorder))
        crcs += facts.packet_crcs
    target, fates = folder / f"out{suffix}", decide(info, suffix)
    assemble(parts, Original(source, info, index.timeline, fates), target)
    report = conform(target, Original(source, info, index.timeline, fates), crcs)
    assert report.shift_seconds == 0
    assert all(proof.payload_equal or "damaged packets left out" in proof.reason for proof in report.tracks)
    return target


@pytest.mark.parametrize("name", ["more.mp4", "clusters.mkv", "lost.mp4", "cut.mp4", "midway.ts"])
def test_a_delivery_is_the_frames_that_can_be_decoded_whatever_the_shards(damaged, name, tmp_path):
    suffix = ".mkv" if name.endswith(".mkv") else ".mp4"
    one, two = (delivered(damaged / name, suffix, tmp_path / str(n), n) for n in (999, 17))
    assert one.read_bytes() == two.read_bytes()
    made, alone = decoded(one), decoded(damaged / name)
    assert [crc for _, crc in made] == [crc for _, crc in alone]
    bases = [av.open(str(path)).streams.video[0].time_base for path in (one, damaged / name)]
    for (new, _), (old, _) in zip(made, alone, strict=True):
        assert abs(new * bases[0] - old * bases[1]) <= (Fraction(1, 2000) if suffix == ".mkv" else 0)


@pytest.mark.parametrize("name", ["mdat.mp4", "cut.mkv"])
def test_damage_is_told_in_the_plan_and_refused_on_demand(damaged, tmp_path, name):
    facts = index_film(damaged / name)[:2]
    places = {"source": str(damaged / name), "output": str(tmp_path / "out.mkv"), "style": "identity"}
    job = make_job({**places, "device": "cpu"})
    assert SAID[name] in plan_film(job, *facts).notes
    with pytest.raises(InputError) as refusal:
        plan_film(make_job({**places, "device": "cpu", "strict": True}), *facts)
    assert SAID[name] in str(refusal.value) and "--strict" in str(refusal.value)


@pytest.mark.parametrize("name", ["packets.ts", "stamps.ts"])
def test_sound_that_no_container_takes_is_left_out_and_told(damaged, tmp_path, name):
    made = delivered(damaged / name, ".mkv", tmp_path / "made", 999)
    with av.open(str(made)) as after, av.open(str(damaged / name)) as before:
        kept, there = (
            [packet.size for packet in film.demux(audio=0) if packet.size] for film in (after, before)
        )
    assert 0 < len(kept) < len(there)


@pytest.mark.parametrize("style", ["identity", pytest.param("painter", marks=pytest.mark.long)])
def test_a_damaged_film_comes_out_the_same_by_any_shards(damaged, pack, tmp_path, prefect_api, style):
    """Through the whole flow, surveys and all; and the delivery, its page and the plan tell the damage."""
    style = f"{pack}#plain" if style == "painter" else style
    made = []
    for shard_frames in (999, 17):
        output = tmp_path / f"{shard_frames}.mp4"
        places = {"source": str(damaged / "lost.mp4"), "output": str(output), "style": style}
        facts = run_title(make_job({**places, "device": "cpu", "shard_frames": shard_frames}))
        note = index_film(damaged / "lost.mp4")[1].damage_note
        assert note in facts["notes"] and note in Path(facts["report"]).read_text()
        assert any(note in line for line in delivery_lines(facts))
        made.append(output.read_bytes())
    assert made[0] == made[1]


def test_a_whole_film_is_not_called_damaged(damaged, tmp_path):
    for name in WHOLE:
        index = index_film(damaged / f"whole-{name}")[1]
        assert (index.damage_note, index.single_threaded) == ("", False)
        assert not any(facts.concealed or facts.lost_before for facts in index.frames)


def test_a_protected_film_is_refused(film, tmp_path):
    key = [
        "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb",
        "-encryption_kid",
        "a7e61c373e219033c21091fa607bf3b8",
    ]
    ffmpeg("-i", str(film), *COPY, "-encryption_scheme", "cenc-aes-ctr", *key, str(tmp_path / "x.mp4"))
    with pytest.raises(InputError, match="protected against copying"):
        probe(tmp_path / "x.mp4")


def test_a_film_without_a_frame_that_decodes_is_refused(tmp_path):
    path = draw(tmp_path / "x.mp4", shots=(6,), sound=False)
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat") + 4
    size = int.from_bytes(data[place - 8 : place - 4], "big") - 8
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(InputError, match="no frame that can be decoded"):
        index_film(path)


def test_a_picture_that_changes_size_is_still_refused(tmp_path):
    for name, size in (("a.ts", "160x96"), ("b.ts", "128x72")):
        draw(tmp_path / name, size=size, shots=(12,), sound=False)
    (tmp_path / "x.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with pytest.raises(InputError, match="changes to 128x72 yuv420p at frame 12"):
        index_film(tmp_path / "x.ts")


@pytest.mark.parametrize(
    ("codec", "shapes", "gone"),
    [
        ("libx264", ("16/11", "12/11"), "from 16/11 to 12/11 near frame 24"),
        ("mpeg2video", ("1", "663/500", "1"), "from 1 to 663/500 near frame 2[2-4]"),
        ("libx264", ("0", "12/11"), ""),
        ("libx264", ("16/11", "16/11"), ""),
    ],
)
def test_pixels_that_change_their_shape_are_refused(tmp_path, codec, shapes, gone):
    """A film whose stream does not say the shape everywhere is taken as before."""
    film = tmp_path / "x.ts"
    for place, shape in enumerate(shapes):
        picture = f"testsrc=size=160x96:rate=25:duration=0.96,setsar={shape}"
        late = ["-bf", "0", "-output_ts_offset", str(place * 0.96)]
        ffmpeg("-f", "lavfi", "-i", picture, "-c:v", codec, *late, str(tmp_path / f"{place}.ts"))
    film.write_bytes(b"".join((tmp_path / f"{place}.ts").read_bytes() for place in range(len(shapes))))
    says = f"the shape of pixels changes {gone}; split"
    with pytest.raises(InputError, match=says) if gone else nullcontext():
        assert len(index_film(film)[1].frames) == 24 * len(shapes)


@pytest.mark.parametrize("name", ["again.ts", "still.mkv"])
def test_the_advice_on_a_clock_that_no_rule_mends_is_good(tmp_path, name):
    draw(tmp_path / "a.ts", size="64x48", shots=(24,), sound=False, video=["-c:v", "mpeg2video"])
    (tmp_path / "again.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    held = ["-c", "copy", "-bsf:v", "setts=ts=TS-eq(N\\,5)*DURATION"]
    ffmpeg("-i", str(tmp_path / "a.ts"), *held, str(tmp_path / "still.mkv"))
    with pytest.raises(InputError, match="write it anew") as refusal:
        index_film(tmp_path / name)
    places = {"FILM": str(tmp_path / name), "NEW.mkv": str(tmp_path / "new.mkv")}
    words = re.findall(r"\(ffmpeg (.*)\)", str(refusal.value))[0].split()
    ffmpeg(*(places.get(word, word) for word in words))
    assert len(index_film(tmp_path / "new.mkv")[1].frames) >= 23


def test_light_that_changes_within_a_film_is_refused(tmp_path):
    for name, matrix in (("a.ts", "bt709"), ("b.ts", "bt2020nc")):
        tags = ["-colorspace", matrix, "-color_primaries", matrix[:6], "-color_trc", "bt709"]
        draw(tmp_path / name, size="160x96", shots=(12,), sound=False, video=["-c:v", "libx264", *tags])
    (tmp_path / "x.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with pytest.raises(InputError, match="changes to 160x96 yuv420p in bt2020 at frame 12"):
        index_film(tmp_path / "x.ts")
    assert len(index_film(tmp_path / "a.ts")[1].frames) == 12


@given(st.sets(st.integers(1, 50)), st.integers(20, 2000), st.integers(-500, 500))
def test_the_clock_tells_what_is_lost(gone, step, start):
    kept = [place for place in range(120) if place not in gone or place in (0, 119)]
    lost = lost_before([start + step * place for place in kept], [])
    assert lost[0] == lost[-1] == 0
    assert [after - before - 1 for before, after in zip(kept, kept[1:], strict=False)] == lost[1:-1]


@given(st.lists(st.none() | st.integers(0, 30), max_size=14))
def test_what_is_kept_rises_and_is_the_most_that_can(ticks):
    kept = in_order(ticks)
    known = [ticks[place] for place in kept if ticks[place] is not None]
    assert kept == sorted(kept) and known == sorted(set(known))
    lengths: list[tuple[int, int]] = []
    for tick in ticks:
        if tick is not None:
            lengths.append((tick, 1 + max((length for other, length in lengths if other < tick), default=0)))
    assert len(known) == max((length for _, length in lengths), default=0)


def test_many_places_are_summed_up():
    text = describe(list(range(0, 40, 2)), [0] * 41, [Fraction(0)] * 40, "")
    assert text == "damaged: 20 frames concealed (0, 2, 4, 6, 8, 10, and 14 more places)"
