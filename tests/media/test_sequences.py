"""Picture sequences: an RGB file for every frame, whole or not at all, with their times and the sound."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw, ffmpeg, index_film
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from pipelines import transfer
from pipelines.config import make_job
from pipelines.delivery import (
    assemble_delivery,
    conform_delivery,
    fingerprint,
    publish_delivery,
    refuse_occupied,
    stands,
)
from pipelines.errors import ConformError, UsageError
from pipelines.flows.run import run_title
from pipelines.media.assemble import PartFile
from pipelines.media.pictures import index_name, read_picture
from pipelines.prepare import plan_film
from pipelines.render import render_shard
from pipelines.storage import Store
from pipelines.timeline import FrameRange


@pytest.fixture(scope="module")
def clips(media: Path) -> Path:
    """Short films: 8 and 10 bits, other samplings and ranges, upright and not, with and without sound."""
    folder = media / "clips"
    folder.mkdir(exist_ok=True)
    lossless = ["-c:v", "libx264", "-qp", "0", "-g", "12"]
    short = {"size": "64x48", "shots": (12, 14)}
    draw(folder / "plain.mp4", **short, video=[*lossless, "-bf", "2"])
    draw(folder / "ten.mkv", **short, video=["-pix_fmt", "yuv422p10le", *lossless], sound=False)
    draw(folder / "full.mkv", **short, video=["-pix_fmt", "yuvj444p", "-colorspace", "bt709", *lossless])
    draw(folder / "rgb.mkv", **short, video=["-c:v", "libx264rgb", "-qp", "0", "-pix_fmt", "bgr24"])
    draw(folder / "rgb10.mkv", **short, video=["-c:v", "ffv1", "-pix_fmt", "gbrp10le"])
    curve = "setparams=color_primaries=bt2020:colorspace=bt2020nc:color_trc=smpte2084"
    filters = {"alpha.mkv": "format=yuva420p,lutyuv=a=val/2", "pq.mkv": f"format=yuv420p10le,{curve}"}
    for name, filtered in filters.items():
        made_of = ["-i", str(folder / "plain.mp4"), "-vf", filtered]
        ffmpeg(*made_of, "-c:v", "ffv1", "-c:a", "copy", str(folder / name))
    draw(folder / "odd.mkv", size="121x81", shots=(12, 14), video=["-c:v", "ffv1"], sound=False)
    (folder / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,700\nHello\n\n")
    inputs = ["-i", str(folder / "plain.mp4"), "-i", str(folder / "s.srt")]
    ffmpeg("-display_rotation", "90", *inputs, "-c", "copy", "-c:s", "mov_text", str(folder / "held.mp4"))
    return folder


def job_for(source, output, **options):
    defaults = {"style": "identity", "device": "cpu", "shard_frames": 14}
    return make_job({"source": str(source), "output": str(output), **defaults, **options})


def made(job, folder: Path):
    """The delivery and its proof, without a flow: plan, render, assemble, conform."""
    source = Path(job.source)
    film = plan_film(job, *index_film(source)[:2])
    parts = []
    for shard in film.shards:
        path = folder / f"part{shard.number}.mkv"
        facts = render_shard(film, shard, source, job.engine_spec, path).facts
        first = film.frames.start
        shown = FrameRange(shard.frames.start - first, shard.frames.stop - first)
        parts.append(PartFile(path, shown, facts.reorder))
    delivery = Path(job.place)
    assemble_delivery(film, parts, source, delivery)
    return film, parts, conform_delivery(film, parts, [], source, delivery)


def rgb_by_ffmpeg(source: Path, folder: Path) -> list[np.ndarray]:
    """Every frame through swscale at its most exact: another maker's idea of the same conversion."""
    scale = (
        "scale=flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp:in_h_chr_pos=0:in_v_chr_pos=128"
    )
    reference = folder / "reference.nut"
    raw = ["-vf", f"{scale},format=rgb24", "-c:v", "rawvideo", "-an", "-sn"]
    ffmpeg("-i", str(source), *raw, str(reference))
    with av.open(str(reference)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


# source, output, dtype of a file's samples
KINDS = {
    "8 bits": ("plain.mp4", "f_%06d.png", np.uint8),
    "10 bits": ("ten.mkv", "f_%06d.png", np.uint16),
    "full range 4:4:4": ("full.mkv", "f_%06d.png", np.uint8),
    "odd size": ("odd.mkv", "f_%06d.png", np.uint8),
    "tiff": ("plain.mp4", "f%04d.tif", np.uint16),
    "exr": ("plain.mp4", "f.%d.exr", np.float16),
    "RGB": ("rgb.mkv", "f_%06d.png", np.uint8),
    "RGB of 10 bits": ("rgb10.mkv", "f_%06d.png", np.uint16),
    "alpha, which is left out": ("alpha.mkv", "f_%06d.png", np.uint8),
    "high dynamic range": ("pq.mkv", "f_%06d.tif", np.uint16),
    "held sideways": ("held.mp4", "%06d.png", np.uint8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_a_picture(clips, kind, tmp_path):
    source, pattern, dtype = clips / KINDS[kind][0], KINDS[kind][1], KINDS[kind][2]
    *_, report = made(job_for(source, tmp_path / "out" / pattern), tmp_path)
    files = [tmp_path / "out" / (pattern % number) for number in range(26)]
    assert report.frames == 26 and len(list((tmp_path / "out").glob(f"*{files[0].suffix}"))) == 26
    for file, wanted in zip(files, rgb_by_ffmpeg(source, tmp_path), strict=True):
        found = read_picture(file)
        assert found.dtype == dtype and found.shape == wanted.shape
        coded = wanted / 255
        if dtype == np.float16:  # H.273, 8.2, transfer 1
            coded = np.where(coded < 0.081, coded / 4.5, ((coded + 0.099) / 1.099) ** (1 / 0.45))
        else:
            found = found.astype(float) / np.iinfo(dtype).max
        # ffmpeg sites chroma a little otherwise, most where it is turned or odd; a wrong matrix, range or
        # order would be told by the mean all the same.
        assert np.abs(found - coded).mean() < (0.03 if source.stem in ("held", "odd") else 0.006)
    assert dtype == np.uint8 or len(np.unique(found)) > 256
    if dtype != np.float16:
        with Image.open(files[0]) as picture:
            assert picture.size == (found.shape[1], found.shape[0])


def test_a_range_keeps_the_films_numbers_and_the_sound_is_in_sync(clips, tmp_path, prefect_api):
    whole, part = tmp_path / "whole", tmp_path / "part"
    made(job_for(clips / "plain.mp4", whole / "f_%06d.png"), tmp_path)
    job = job_for(clips / "plain.mp4", part / "f_%06d.png", range="10-20")
    facts = run_title(job, page=False)
    names = [f"f_{number:06d}.png" for number in range(10, 20)]
    assert sorted(path.name for path in part.iterdir()) == ["f.json", "f.mka", *names]
    assert all((part / name).read_bytes() == (whole / name).read_bytes() for name in names)
    index = json.loads((part / "f.json").read_text())
    assert (index["first"], index["count"], index["rate"], index["sidecar"]) == (10, 10, "24", "f.mka")
    base, start = Fraction(index["time_base"]), Fraction(10, 24)
    assert [row[1] * base for row in index["frames"]] == [Fraction(place, 24) for place in range(10)]
    with av.open(str(clips / "plain.mp4")) as source, av.open(str(part / "f.mka")) as sidecar:
        times = [(p.pts * p.time_base, bytes(p)) for p in source.demux(audio=0) if p.size]
        inside = [(time - start, data) for time, data in times if start <= time < start + Fraction(10, 24)]
        found = [(p.pts * p.time_base, bytes(p)) for p in sidecar.demux(audio=0) if p.size]
    assert [data for _, data in found] == [data for _, data in inside]
    assert all(abs(a[0] - b[0]) <= Fraction(1, 1000) for a, b in zip(found, inside, strict=True))
    assert facts["tracks"][0]["payload_equal"] and facts["tracks"][0]["worst_error_ms"] <= 1
    again = run_title(job, page=False)
    assert again["shards_rendered"] == 0 and again["sha256"] == facts["sha256"]


@pytest.mark.parametrize(("held", "shape"), [("0", ["4/3", 64, 48]), ("90", ["3/4", 48, 64])])
def test_pixels_are_as_wide_as_they_are_seen(clips, tmp_path, held, shape):
    """Turned with its film, a broad pixel is a tall one."""
    broad = ["-bsf:v", "h264_metadata=sample_aspect_ratio=4/3", "-aspect", "16:9", "-c", "copy", "-an"]
    ffmpeg("-display_rotation", held, "-i", str(clips / "plain.mp4"), *broad, str(tmp_path / "broad.mp4"))
    made(job_for(tmp_path / "broad.mp4", tmp_path / "out" / "f_%06d.png"), tmp_path)
    index = json.loads((tmp_path / "out" / "f.json").read_text())
    assert [index[name] for name in ("pixel_aspect", "width", "height")] == shape


def test_cues_go_into_the_sidecar_too(clips, tmp_path):
    made(job_for(clips / "held.mp4", tmp_path / "out" / "%06d.png"), tmp_path)
    with av.open(str(tmp_path / "out" / "frames.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["audio", "subtitle"]
        cues = [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(subtitles=0) if p.size]
    assert cues == [(0.1, b"Hello")]
    assert not list((tmp_path / "out").glob("*.subtitle*"))


def test_another_delivery_takes_the_place_of_the_first(clips, tmp_path, monkeypatch, prefect_api):
    """Whole or not at all: a failure in the middle leaves the old one, success leaves nothing else."""
    output, folder = tmp_path / "out" / "f_%06d.png", tmp_path / "out"
    run_title(job_for(clips / "plain.mp4", output), page=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("pipelines.sequence.write_sidecar", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_title(job_for(clips / "plain.mp4", output, style="noir"), page=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    (tmp_path / ".out.old.partial").mkdir()  # where an earlier command was killed
    run_title(job_for(clips / "plain.mp4", output, style="noir", range="5-20"), page=False)
    assert len(list(folder.glob("*.png"))) == 15
    assert (folder / "f_000005.png").read_bytes() != before["f_000005.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.stylereel"]


def test_pictures_go_to_another_store(clips, tmp_path, prefect_api):
    place = f"memory://{tmp_path.name}"
    job = job_for(clips / "plain.mp4", f"{place}/out/f_%06d.png", work=str(tmp_path / "work"))
    facts = run_title(job)
    assert len(Store(place).names("out")) == 28 and Path(facts["report"]).exists()
    assert stands(job, facts)
    picture = Store(place).read("out/f_000003.png")
    Store(place).write("out/f_000003.png", picture[::-1])
    assert not stands(job, facts)


def test_pictures_on_their_way_when_a_run_was_killed_are_known_for_ours(tmp_path, monkeypatch):
    """Where folders cannot be moved, files go one by one: the same command goes on."""
    place, made = Store(f"memory://{tmp_path.name}"), tmp_path / "made"
    job = job_for(tmp_path / "a.mp4", f"{place.url}/out/f_%06d.png")
    made.mkdir()
    for name in ("f_000000.png", "f_000001.png", index_name(job.output)):
        (made / name).write_text(name)
    upload, sent = transfer.upload, []

    def killed(*given):
        sent.append(upload(*given))
        if len(sent) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "upload", killed)
    with pytest.raises(KeyboardInterrupt):
        place.publish_folder(made, "out", index_name(job.output))
    refuse_occupied(job)
    place.publish_folder(made, "out", index_name(job.output))
    assert place.names("out") == ["out/f.json", "out/f_000000.png", "out/f_000001.png"]


def test_pictures_that_are_replaced_are_known_for_ours_too(tmp_path, monkeypatch):
    place, made = Store(f"memory://{tmp_path.name}"), tmp_path / "made"
    job = job_for(tmp_path / "a.mp4", f"{place.url}/out/f_%06d.png")
    for kept in (2, 1):
        made.mkdir()
        for name in ("f_000000.png", "f_000001.png")[:kept]:
            (made / name).write_text(name)
        (made / index_name(job.output)).write_text("{}")
        if kept == 1:
            monkeypatch.setattr(MemoryFileSystem, "rm", killed_after_the_index)
            with pytest.raises(KeyboardInterrupt):
                place.publish_folder(made, "out", index_name(job.output))
            monkeypatch.undo()
            assert place.names("out") == ["out/f_000000.png", "out/f_000001.png"]
            refuse_occupied(job)
        place.publish_folder(made, "out", index_name(job.output))
    assert place.names("out") == ["out/f.json", "out/f_000000.png"]


def killed_after_the_index(files, paths):
    files.rm_file(next(path for path in paths if path.endswith(".json")))
    raise KeyboardInterrupt


def test_a_folder_with_other_things_is_not_touched(clips, tmp_path, prefect_api):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds mine.txt, .* name the output .*/frames/f_%06d.png"):
        run_title(job_for(clips / "plain.mp4", tmp_path / "f_%06d.png"), page=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# What lies beside the pictures, and what is said of it.
BESIDE = {
    "comp.nk": "holds comp.nk, ",
    ".git/HEAD": "holds .git, ",
    ".env": "holds .env, ",
    "f_1.png": "holds f_1.png, ",
    ".DS_Store": "",
    "@eaDir/f": "",
    "f.mka": "",
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_was_put_beside_the_pictures_is_not_lost(beside, tmp_path):
    folder = tmp_path / "out"
    job = job_for("film.mp4", folder / "f_%06d.png")
    (folder / beside).parent.mkdir(parents=True)
    for name in ("f.json", "f_000000.png", "f_1000000.png"):
        (folder / name).write_text(name)
    before = fingerprint(folder)
    (folder / beside).write_text("mine")
    if BESIDE[beside]:
        with pytest.raises(UsageError, match=BESIDE[beside]):
            refuse_occupied(job)
    else:
        refuse_occupied(job)
        assert beside == "f.mka" or fingerprint(folder) == before


def test_what_was_put_there_during_the_work_is_not_lost(clips, tmp_path):
    folder = tmp_path / "out"
    job = job_for(clips / "plain.mp4", tmp_path / "made" / "f_%06d.png", range="0-2")
    film, *_ = made(job, tmp_path)
    folder.mkdir()
    (folder / "comp.nk").write_text("mine")
    with pytest.raises(UsageError, match=r"holds comp.nk, "):
        publish_delivery(job_for("film.mp4", folder / "f_%06d.png"), film, tmp_path / "made")
    assert [path.name for path in folder.iterdir()] == ["comp.nk"]


@pytest.mark.parametrize(
    ("folder", "work"),
    [
        ("out", "out"),
        ("out", "out/work"),
        ("out", "link/work"),
        ("memory://x/out", "memory://x/out/work"),
        ("out", "output"),
        ("memory://x/out", "memory://x/output/work"),
    ],
)
def test_a_work_does_not_lie_among_the_pictures(folder, work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("link").symlink_to("out")
    if "output" in work:
        job_for("film.mp4", f"{folder}/f_%06d.png", work=work)
        return
    with pytest.raises(UsageError, match=r"work .*: lies in .*/out, whose content .* choose a place outside"):
        job_for("film.mp4", f"{folder}/f_%06d.png", work=work)


FAULTS = {
    "one picture painted over": lambda folder, name: Image.new("RGB", (64, 48)).save(folder / name),
    "one pixel off by two": lambda folder, name: _nudge(folder / name),
    "two pictures swapped": lambda folder, name: _swap(folder, name),
    "of another size": lambda folder, name: Image.open(folder / name).resize((32, 24)).save(folder / name),
    "cut short": lambda folder, name: (folder / name).write_bytes((folder / name).read_bytes()[:60]),
    "missing": lambda folder, name: (folder / name).unlink(),
    "one too many": lambda folder, name: (folder / "f_000026.png").write_bytes((folder / name).read_bytes()),
    "another clock": lambda folder, name: _retime(folder / "f.json"),
    "another sound": lambda folder, name: ffmpeg(
        *("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", str(folder / "f.mka"))
    ),
}


def _nudge(file):
    pixels = np.asarray(Image.open(file)).astype(int)
    pixels[20, 30, 1] += 2 if pixels[20, 30, 1] < 128 else -2
    Image.fromarray(pixels.astype(np.uint8)).save(file)


def _swap(folder, name):
    other = folder / "f_000020.png"
    kept = other.read_bytes()
    other.write_bytes((folder / name).read_bytes())
    (folder / name).write_bytes(kept)


def _retime(file):
    index = json.loads(file.read_text())
    index["frames"][3][1] += 1
    file.write_text(json.dumps(index))


@pytest.fixture(scope="module")
def proved(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proved")
    film, parts, _ = made(job_for(clips / "plain.mp4", folder / "out" / "f_%06d.png"), folder)
    return film, parts, folder / "out"


@pytest.mark.parametrize("fault", FAULTS)
def test_pictures_that_are_not_the_films_do_not_conform(clips, proved, fault, tmp_path):
    film, parts, folder = proved
    source = clips / "plain.mp4"
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    conform_delivery(film, parts, [], source, copy)
    FAULTS[fault](copy, "f_000007.png")
    with pytest.raises(ConformError):
        conform_delivery(film, parts, [], source, copy)


@pytest.mark.parametrize(
    ("output", "options", "says"),
    [
        ("out/frames.png", {}, "with their number, such as frames/frame_%06d.png"),
        ("out/f_%06d_%d.png", {}, "with their number"),
        ("out/f_%s.png", {}, "with their number"),
        ("out/f_%5d.png", {}, "with their number"),
        ("out/f_%01d.png", {}, "1 digits cannot number frame 25"),
        ("out/f_%06d.png", {"codec": "h264"}, "codec: pictures are delivered without a codec"),
        ("out/f_%06d.png", {"quality": 0}, "quality: pictures"),
        ("out/f_%06d.png", {"preset": "slow"}, "preset: pictures"),
        ("out/f_%06d.png", {"lossless": True}, "lossless: pictures"),
        ("out/f_%06d.jpg", {}, ".jpg"),
    ],
)
def test_what_makes_no_sense_with_pictures_is_refused(clips, output, options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        run_title(job_for(clips / "plain.mp4", tmp_path / output, **options), page=False)
    assert list(tmp_path.iterdir()) == []


def test_deeper_pictures_can_be_asked_for(clips, tmp_path):
    film, *_ = made(job_for(clips / "plain.mp4", tmp_path / "out" / "f_%06d.png", depth=10), tmp_path)
    assert read_picture(tmp_path / "out" / "f_000003.png").dtype == np.uint16
    assert any("samples yuv420p -> yuv420p10le" in note for note in film.notes)
