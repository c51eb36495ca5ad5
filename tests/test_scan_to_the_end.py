"""Interlaced films through the real flow: film won back, fields kept, to the byte whatever the shard plan."""

import av
import pytest
from conftest import ffmpeg

from pipelines.config import make_job
from pipelines.errors import UsageError
from pipelines.flows.run import run_title
from pipelines.media.decoding import checksum

pytestmark = pytest.mark.usefixtures("prefect_api")
WAVES = "color=size=96x64:rate={rate},geq=lum='128+90*sin((X+Y+7*N)/9)':cb=128:cr=128"
# name -> how it is drawn, the flags its frames must carry, and the words of the plan.
WOVEN = {
    "top.mkv": ("50", "tinterlace=interleave_top,setfield=tff", "tff=1", "top field first"),
    "bottom.mp4": ("50", "tinterlace=interleave_bottom,setfield=bff", "bff=1", "bottom field first"),
}


def order(frame):
    """`tff`, `bff` or `prog`, told by filters that let only one of them pass."""
    for name, kind in (("TOPFIRST", "tff"), ("BOTTOMFIRST", "bff")):
        graph = av.filter.Graph()
        entry = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        picker, leaving = graph.add("select", rf"eq(interlace_type\,{name})"), graph.add("buffersink")
        entry.link_to(picker)
        picker.link_to(leaving)
        graph.configure()
        graph.push(frame)
        try:
            graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            continue
        return kind
    return "prog"


def decoded(path):
    with av.open(str(path)) as container:
        return [(frame.time, order(frame), checksum(frame)) for frame in container.decode(video=0)]


def woven(folder, name):
    rate, how, field_order, _ = WOVEN[name]
    options = ["-frames:v", "30", "-c:v", "libx264", "-x264-params", field_order, "-crf", "16"]
    ffmpeg("-f", "lavfi", "-i", WAVES.format(rate=rate), "-vf", how, *options, str(folder / name))
    return folder / name


def job_for(source, output, **options):
    settings = {"device": "cpu", "preset": "ultrafast", "cuts": [10, 20], "scan": "fields"}
    return make_job({"source": str(source), "output": str(output), **settings, **options})


@pytest.mark.parametrize("name", ["bottom.mp4", pytest.param("top.mkv", marks=pytest.mark.long)])
def test_fields_kept_and_unpainted_are_the_source_with_its_flags(tmp_path, name):
    source = woven(tmp_path, name)
    output = tmp_path / f"out{source.suffix}"
    facts = run_title(job_for(source, output, style="identity", lossless=True), page=False)
    assert decoded(output) == decoded(source) and len(decoded(output)) == 30
    assert {kind for _, kind, _ in decoded(output)} == {WOVEN[name][2][:3]}
    assert WOVEN[name][3] in " ".join(facts["notes"])
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec_context.field_order > 1, "the container says interlaced too"


@pytest.mark.parametrize("scan", ["fields", pytest.param("auto", marks=pytest.mark.long)])
def test_painted_fields_do_not_depend_on_the_shards(tmp_path, pack, scan):
    source = woven(tmp_path, "top.mkv")
    made = []
    for shard_frames in (999, 1):
        output = tmp_path / f"{shard_frames}.mkv"
        options = {"style": f"{pack}#plain", "shard_frames": shard_frames, "scan": scan}
        assert run_title(job_for(source, output, **options), page=False)["frames"] == 30
        made.append(output.read_bytes())
    assert made[0] == made[1]
    assert {kind for _, kind, _ in decoded(output)} == {"tff" if scan == "fields" else "prog"}
    assert [crc for *_, crc in decoded(output)] != [crc for *_, crc in decoded(source)]


def test_film_won_back_is_the_film_with_its_times(tmp_path):
    film, carried = tmp_path / "film.mkv", tmp_path / "carried.mp4"
    scene = ["-f", "lavfi", "-i", WAVES.format(rate="24000/1001"), "-frames:v", "40"]
    ffmpeg(*scene, "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(film))
    lossless = ["-c:v", "libx264", "-qp", "0", "-x264-params", "tff=1"]
    ffmpeg("-i", str(film), "-vf", "telecine=pattern=23,setfield=tff", *lossless, str(carried))
    made = []
    for shard_frames in (999, 1):
        output = tmp_path / f"{shard_frames}.mp4"
        options = {"style": "identity", "lossless": True, "scan": "auto", "shard_frames": shard_frames}
        facts = run_title(job_for(carried, output, **options))
        made.append(output.read_bytes())
    assert "telecined 2:3: 50 frames -> 40 film frames of 24000/1001" in " ".join(facts["notes"])
    assert facts["worst_frame_error_ms"] == 0 and facts["frames"] == 40 and made[0] == made[1]
    times = [time for time, *_ in decoded(output)]
    assert times == pytest.approx([number * 1001 / 24000 for number in range(40)], abs=1e-9)
    assert [crc for *_, crc in decoded(output)] == [crc for *_, crc in decoded(film)]
    assert {kind for _, kind, _ in decoded(output)} == {"prog"}


@pytest.mark.parametrize(
    ("options", "why"),
    [({"codec": "h265"}, "h265 keeps no fields"), ({"source": "film"}, "no frame is flagged interlaced")],
)
def test_fields_that_cannot_be_kept_are_refused(tmp_path, film, options, why):
    source = film if "source" in options else woven(tmp_path, "top.mkv")
    wish = {key: value for key, value in options.items() if key != "source"}
    with pytest.raises(UsageError, match=why):
        run_title(job_for(source, tmp_path / "out.mkv", style="identity", **wish), page=False)
