"""What may be lying about under the name of a film: scripts, bombs, and names that tools take for orders."""

from pathlib import Path

import av
import pytest
from conftest import draw, ffmpeg, index_film

from pipelines.config import make_job
from pipelines.errors import InputError, UnreadError
from pipelines.flows.run import run_title
from pipelines.media import indexing
from pipelines.media.decoding import checksum
from pipelines.media.probe import probe

SCRIPTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:4,\n{film}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {film}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="0" bandwidth="1"><BaseURL>{film}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "lavfi": "testsrc2=size=64x64:duration=1",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{film}"/></svg>',
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", "its own"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_that_lead_to_other_files_are_refused(film, tmp_path, script, suffix):
    path = tmp_path / f"x{f'.{script}' if suffix == 'its own' else suffix}"
    path.write_text(SCRIPTS[script].format(film=film))
    with pytest.raises(InputError, match="not a film"):
        probe(path)


def test_what_is_not_there_now_may_be_there_later(tmp_path):
    with pytest.raises(UnreadError, match="not found"):
        probe(tmp_path / "away.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", "its own"])
@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp"])
def test_pictures_are_refused_whatever_they_are_called(film, tmp_path, kind, suffix):
    from PIL import Image

    path = tmp_path / f"x{f'.{kind}' if suffix == 'its own' else suffix}"
    Image.new("RGB", (64, 64)).save(path, {"jpg": "JPEG"}.get(kind, kind.upper()))
    with pytest.raises(InputError, match="a picture"):
        probe(path)


def test_too_many_streams_are_refused(film, tmp_path):
    ffmpeg("-i", str(film), *["-map", "0:v", *["-map", "0:a"] * 64], "-c", "copy", str(tmp_path / "x.mkv"))
    with pytest.raises(InputError, match="x.mkv: has 65 streams; at most 64 are handled"):
        probe(tmp_path / "x.mkv")


def test_too_many_frames_are_refused(film, monkeypatch):
    monkeypatch.setattr(indexing, "MAX_FRAMES", 20)
    with pytest.raises(InputError, match="film.mp4: has over 20 frames; split the film"):
        index_film(film)


def test_a_picture_over_the_limit_is_refused(tmp_path):
    black = ["-f", "lavfi", "-i", "color=size=8208x8208", "-frames:v", "1"]
    ffmpeg(*black, "-c:v", "libx264", "-preset", "ultrafast", str(tmp_path / "x.mp4"))
    with pytest.raises(InputError, match="x.mp4: 8208x8208 is over the limit of 67108864 pixels"):
        probe(tmp_path / "x.mp4")


@pytest.mark.parametrize("size", [b"\x3f\xff", b"\xff\xff"])
def test_a_head_that_promises_a_picture_of_gigabytes_is_refused(tmp_path, size):
    path = tmp_path / "x.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=300x300:rate=24:duration=0.2", "-c:v", "ffv1", str(path))
    data = path.read_bytes()
    for mark in (b"\xb0\x82", b"\xba\x82"):
        assert data.count(mark + b"\x01\x2c") == 1
        data = data.replace(mark + b"\x01\x2c", mark + size)
    path.write_bytes(data)
    with pytest.raises(InputError, match="x.mkv: "):
        probe(path)


NAMES = {
    "newline": "a\nb\r",
    "quotes": 'it\'s "so" `x`',
    "dash": "-i",
    "percent": "%03d %s%%",
    "colon": "co:lon::x",
    "protocol": "http:x",
    "brackets": "[0:v]{a,b}(c)*?",
    "shell": "$(x);&|<>",
    "letters": "ü 日本 \N{SNOWMAN}",
    "url": "a#b?c=d&e@f",
    "terminal": "\x1b[31mred",
}


@pytest.fixture(scope="module")
def subtitled(media: Path) -> bytes:
    """Six frames with a subtitle that has to be converted by the command line of ffmpeg."""
    path, srt = media / "subtitled.mkv", media / "names.srt"
    srt.write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n")
    draw(media / "six.mp4", size="64x48", shots=(6,), sound=False)
    ffmpeg("-i", str(media / "six.mp4"), "-i", str(srt), "-c:v", "copy", "-c:s", "srt", str(path))
    return path.read_bytes()


QUICK = {"newline", "dash", "percent", "quotes"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_a_name_is_a_name(subtitled, tmp_path, monkeypatch, prefect_api, name):
    """From the source to the delivery, its report and back, given as a relative path."""
    monkeypatch.chdir(tmp_path)
    source, output = Path(f"{NAMES[name]}.mkv"), f"{NAMES[name]} out.mp4"
    source.write_bytes(subtitled)
    options = {"style": "identity", "device": "cpu", "lossless": True}
    facts = run_title(make_job({"source": str(source), "output": output, **options}))
    assert [track["action"] for track in facts["tracks"]] == ["converted"] and Path(facts["report"]).exists()
    with av.open(str(tmp_path / output)) as made, av.open(str(tmp_path / source)) as before:
        assert [checksum(frame) for frame in made.decode(video=0)] == [
            checksum(frame) for frame in before.decode(video=0)
        ]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {str(source), output, f"{output}.stylereel"}


@pytest.mark.parametrize("name", ["newline", "terminal", "quotes", "percent"])
def test_an_error_about_a_name_is_one_printable_line(tmp_path, capsys, name):
    from pipelines.cli import run

    path = tmp_path / f"{NAMES[name]}.mkv"
    path.write_bytes(b"no film")
    capsys.readouterr()
    assert run(["render", str(path), str(tmp_path / "out.mkv"), "--style", "identity"]) == 2
    line = capsys.readouterr().err
    assert line.endswith("\n") and line[:-1].isprintable() and "not a film" in line
