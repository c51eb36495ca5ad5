"""Inputs that films are ruined with: every clock, sampling, shape, track and damage we know, drawn small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conftest import draw, ffmpeg

X264 = ["-c:v", "libx264", "-crf", "20", "-bf", "2"]
FFV1 = ["-c:v", "ffv1"]
MPEG2 = ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"]
QUIET265 = ["-c:v", "libx265", "-x265-params", "log-level=none"]
VFR = "settb=1/90000,setpts='if(lt(N,8),N/24,if(lt(N,16),1/3+(N-8)*1001/30000,0.7+(N-16)/60))/TB'"
VFR_TIMES = ["-vf", VFR, "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000"]


@dataclass(frozen=True)
class Row:
    """One input: its file name, how it is drawn, and what is known of its fate before."""

    name: str
    draw: Callable[[Path, Path], None]
    """Makes the file (second) from the base film (first)."""
    expect: str = ""
    """Words of the refusal; none: it must be taken. `?`: either will do if it is explained."""
    output: str = ""
    """Container asked for; by default the one that keeps everything."""
    options: Sequence[str] = ()

    @property
    def suffix(self) -> str:
        """Container of the delivery."""
        same = Path(self.name).suffix
        return self.output or (same if same in (".mp4", ".mov", ".mkv") else ".mkv")


def base_film(folder: Path) -> Path:
    """24 frames in two shots, with sound, that all others are made from."""
    return draw(folder / "base.mp4", size="96x64", shots=(14, 10))


def _made(*options: str, before: Sequence[str] = ()) -> Callable[[Path, Path], None]:
    def make(base: Path, path: Path) -> None:
        ffmpeg(*before, "-i", str(base), *options, str(path))

    return make


def _bytes(change: Callable[[bytes], bytes], *options: str) -> Callable[[Path, Path], None]:
    """A well-formed file, then changed."""

    def make(base: Path, path: Path) -> None:
        whole = path.with_name(f"whole-{path.name}")
        ffmpeg("-i", str(base), *(options or ("-c", "copy", "-movflags", "faststart")), str(whole))
        path.write_bytes(change(whole.read_bytes()))
        whole.unlink()

    return make


def _text(content: bytes) -> Callable[[Path, Path], None]:
    """Anything but media."""

    def make(_: Path, path: Path) -> None:
        path.write_bytes(content)

    return make


def _scene(source: str, *options: str) -> Callable[[Path, Path], None]:
    def make(_: Path, path: Path) -> None:
        ffmpeg("-f", "lavfi", "-i", source, *options, str(path))

    return make


WAVES = "color=size=96x64:rate={},geq=lum='128+90*sin((X+Y+7*N)/9)':cb=128:cr=128"
ATTACHED = ["-disposition:v:1", "attached_pic"]
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,400\nHello\n\n2\n00:00:00,500 --> 00:00:00,900\nWorld\n"
CHAPTERS = (
    ";FFMETADATA1\ntitle=Sink\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n"
)


def _sink(base: Path, path: Path) -> None:
    """Two sounds, SRT and ASS, a font, chapters, tags, languages and dispositions."""
    srt, chapters, font = (path.with_name(name) for name in ("s.srt", "c.txt", "font.ttf"))
    srt.write_text(SUBTITLES)
    chapters.write_text(CHAPTERS)
    font.write_bytes(b"\0\1\0\0" + bytes(200))
    inputs = ["-i", str(base), "-f", "lavfi", "-i", "sine=frequency=220:duration=1", "-i", str(srt)]
    maps = ["-map", "0:v", "-map", "0:a", "-map", "1:a", "-map", "2:s", "-map", "2:s", "-map_metadata", "3"]
    codecs = ["-c", "copy", "-c:a:1", "ac3", "-c:s:0", "srt", "-c:s:1", "ass"]
    tags = [
        "-metadata:s:a:0",
        "language=eng",
        "-metadata:s:a:1",
        "language=fra",
        "-disposition:s:1",
        "forced",
    ]
    font_type = ["-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font"]
    ffmpeg(*inputs, "-i", str(chapters), *font_type, *maps, "-map_chapters", "3", *codecs, *tags, str(path))


def _bitmap_subtitles(base: Path, path: Path) -> None:
    """One PGS picture of 8x2 pixels, written by hand: composition, window, palette, object, end."""

    def segment(kind: int, body: bytes, ticks: int) -> bytes:
        return (
            b"PG" + ticks.to_bytes(4, "big") + bytes(4) + bytes([kind]) + len(body).to_bytes(2, "big") + body
        )

    lines = (b"\x00\x88\x01\x00\x00") * 2
    size, place = b"\x00\x60\x00\x40", b"\x00\x08\x00\x08"
    shown = size + b"\x10\x00\x01\x80\x00\x00\x01" + b"\x00\x00\x00\x00" + place
    window = b"\x01\x00" + place + b"\x00\x08\x00\x02"
    picture = b"\x00\x00\x00\xc0" + (len(lines) + 4).to_bytes(3, "big") + b"\x00\x08\x00\x02" + lines
    bodies = [
        (0x16, shown),
        (0x17, window),
        (0x14, b"\x00\x00\x01\xeb\x80\x80\xff"),
        (0x15, picture),
        (0x80, b""),
    ]
    gone = [(0x16, size + b"\x10\x00\x02\x00\x00\x00\x00"), (0x17, window), (0x80, b"")]
    sup = path.with_suffix(".sup")
    sup.write_bytes(
        b"".join(segment(kind, body, 9000) for kind, body in bodies)
        + b"".join(segment(kind, body, 45000) for kind, body in gone)
    )
    ffmpeg("-i", str(base), "-i", str(sup), "-map", "0", "-map", "1", "-c", "copy", str(path))


def _text_track(base: Path, path: Path) -> None:
    srt = path.with_suffix(".srt")
    srt.write_text(SUBTITLES)
    ffmpeg("-i", str(base), "-i", str(srt), "-c", "copy", "-c:s", "mov_text", str(path))


def _two(second: Sequence[str], *options: str) -> Callable[[Path, Path], None]:
    """The base film beside another input."""

    def make(base: Path, path: Path) -> None:
        ffmpeg("-i", str(base), *second, "-map", "0", "-map", "1", *options, str(path))

    return make


def _cover(base: Path, path: Path) -> None:
    cover = path.with_name("cover.png")
    ffmpeg("-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", str(cover))
    ffmpeg("-i", str(base), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy", *ATTACHED, str(path))


def _jump(base: Path, path: Path) -> None:
    ffmpeg("-i", str(base), "-c", "copy", str(path))
    path.write_bytes(path.read_bytes() * 2)


def _live(base: Path, path: Path) -> None:
    options = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"]
    ffmpeg("-i", str(base), *options, "-f", "webm", "-live", "1", str(path))


VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"]
HDR10 = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:hdr10=1:log-level=none:"
HDR10 += "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
DEPTHS = [f"yuv{sampling}p{bits}" for bits in ("", "10le", "12le") for sampling in ("420", "422", "444")]
TAGGED = {
    "bt601.mkv": "smpte170m:color_primaries=smpte170m:color_trc=smpte170m:range=tv",
    "bt709.mkv": "bt709:color_primaries=bt709:color_trc=bt709:range=tv",
    "bt2020.mkv": "bt2020nc:color_primaries=bt2020:color_trc=bt2020-10:range=tv",
    "full.mkv": "bt709:color_primaries=bt709:color_trc=bt709:range=pc",
}
CROP = "h264_metadata=crop_left=4:crop_top=8"
NOT_FILM = "not a film"

WOVEN = _scene(
    WAVES.format(50),
    "-vf",
    "tinterlace=interleave_top,setfield=tff",
    "-frames:v",
    "20",
    "-c:v",
    "libx264",
    "-x264-params",
    "tff=1",
)

ROWS = [
    # Clocks.
    Row("vfr.mp4", _made(*VFR_TIMES, *X264, "-c:a", "copy")),
    Row("ntsc.mp4", _made("-r", "30000/1001", *X264, "-c:a", "copy")),
    Row("editlist.mp4", _made("-c", "copy", before=["-ss", "0.3"])),
    Row("late.mp4", _made("-c", "copy", "-output_ts_offset", "10")),
    Row("early.mp4", _made("-c", "copy", "-output_ts_offset", "-0.1", "-avoid_negative_ts", "disabled")),
    Row("broadcast.ts", _made(*MPEG2, "-c:a", "mp2")),
    Row("copy.ts", _made("-c", "copy"), output=".mp4"),
    Row("program.mpg", _made(*MPEG2, "-r", "25", "-c:a", "mp2")),
    Row("untimed.avi", _made("-c:v", "mpeg4", "-q:v", "4", "-bf", "2", "-c:a", "mp3")),
    Row("reordered.avi", _made(*X264, "-c:a", "mp3")),
    Row("jump.ts", _jump, expect="jumps|both at tick|corrupt packet"),
    Row("wrap.ts", _made("-c", "copy", "-output_ts_offset", "95443.2"), expect="?"),
    Row("unended.webm", _live),
    # Samples.
    *(Row(f"{pixels}.mkv", _made("-pix_fmt", pixels, *FFV1, "-c:a", "copy")) for pixels in DEPTHS),
    Row("grey.mkv", _made("-pix_fmt", "gray", *FFV1, "-c:a", "copy")),
    *(Row(name, _made("-vf", f"setparams=colorspace={how}", *FFV1)) for name, how in TAGGED.items()),
    Row("hdr10.mp4", _made("-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", HDR10)),
    Row(
        "hlg.mkv",
        _made(
            "-vf", "setparams=color_trc=arib-std-b67:colorspace=bt2020nc", "-pix_fmt", "yuv420p10le", *FFV1
        ),
    ),
    Row("alpha.mov", _made("-pix_fmt", "yuva444p10le", "-c:v", "prores_ks"), output=".mkv"),
    Row("rgb.mkv", _made("-pix_fmt", "gbrp", *FFV1)),
    Row("sixteen.mkv", _made("-pix_fmt", "yuv420p16le", *FFV1), expect="pixel format yuv420p16le"),
    # Shapes.
    Row("portrait.mov", _made("-c", "copy", before=["-display_rotation", "90"])),
    Row("mirrored.mkv", _made("-c", "copy", before=["-display_hflip"])),
    Row("wide.mp4", _made("-vf", "setsar=16/11", *X264)),
    Row("wide-edit.mov", _made("-vf", "setsar=16/11", *X264), options=("--codec", "ffv1"), output=".mkv"),
    Row("odd.webm", _made("-vf", "scale=121:81", *VP9)),
    Row("cropped.mp4", _made("-c", "copy", "-bsf:v", CROP)),
    Row("smallest.mp4", _made("-vf", "scale=16:16", *X264)),
    Row("smaller.mkv", _made("-vf", "scale=8:8", *FFV1), expect="under 16 pixels"),
    Row("8k.mp4", _scene("testsrc2=size=7680x4320:rate=24:duration=0.08", *X264, "-preset", "ultrafast")),
    # Scans.
    Row("video.mkv", WOVEN),
    Row("fields.mkv", WOVEN, options=("--scan", "fields")),
    Row(
        "telecine.ts",
        _scene(
            WAVES.format("24000/1001"),
            "-vf",
            "telecine=pattern=23,setfield=tff",
            "-frames:v",
            "40",
            *MPEG2,
            "-flags",
            "+ilme+ildct",
        ),
    ),
    Row(
        "whole.mkv",
        _scene(
            WAVES.format(24),
            "-vf",
            "setfield=tff",
            "-frames:v",
            "24",
            "-c:v",
            "libx264",
            "-x264-params",
            "tff=1",
        ),
    ),
    # Tracks.
    Row("sink.mkv", _sink),
    Row("sink-into-mp4.mkv", _sink, output=".mp4", options=("--allow-drop",)),
    Row("bitmap.mkv", _bitmap_subtitles),
    Row("bitmap.m2ts", _bitmap_subtitles, output=".mkv", expect="holds it in pieces"),
    Row("text.mp4", _text_track),
    Row("cover.mp4", _cover),
    Row("cover-into-mov.mp4", _cover, output=".mov", expect="mov cannot hold cover"),
    Row("cover-into-mkv.mp4", _cover, output=".mkv"),
    Row(
        "two-pictures.mkv",
        _two(["-f", "lavfi", "-i", "testsrc=size=32x32:duration=1"], "-c", "copy", "-c:v:1", "libx264"),
    ),
    Row(
        "two-pictures.ts",
        _two(["-f", "lavfi", "-i", "testsrc=size=32x32:duration=1"], *X264, "-c:a", "copy"),
        output=".mkv",
        expect="cannot be copied bit for bit",
    ),
    Row(
        "chunks.mov",
        _two(
            ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=1,asetnsamples=24000:p=0"],
            *("-c:v", "copy", "-c:a", "pcm_s24le"),
        ),
    ),
    Row("timecode.mov", _made("-c", "copy", "-timecode", "01:00:00:00")),
    Row("it's 100% [odd] - n\u00e4m\u00e9.mp4", _made("-c", "copy")),
    # Damage, and what is no film.
    Row("cut-off.mp4", _bytes(lambda data: data[: len(data) * 6 // 10]), expect="?"),
    Row("cut-off.mkv", _bytes(lambda data: data[: len(data) * 6 // 10], "-c", "copy"), expect="?"),
    Row(
        "hole.mp4",
        _bytes(lambda data: data[: len(data) // 2] + bytes(300) + data[len(data) // 2 + 300 :]),
        expect="?",
    ),
    Row(
        "middle.ts",
        _bytes(lambda data: data[len(data) * 4 // 10 // 188 * 188 :], *X264, "-g", "10"),
        expect="?",
    ),
    Row("headless.mp4", _bytes(lambda data: data[: data.rindex(b"moov") - 4], "-c", "copy"), expect=NOT_FILM),
    Row("sound.m4a", _made("-vn", "-c:a", "copy"), expect="no video track"),
    Row("picture.png", _made("-frames:v", "1"), expect="a picture"),
    Row("film.flv", _made("-c", "copy"), expect="handled are mp4"),
    Row("playlist.mp4", _text(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"), expect=NOT_FILM),
    Row("list.mp4", _text(b"ffconcat version 1.0\nfile base.mp4\n"), expect=NOT_FILM),
    Row("zero.mp4", _text(b""), expect="empty"),
    Row("noise.mkv", _text(bytes(range(256)) * 40), expect=NOT_FILM),
]
