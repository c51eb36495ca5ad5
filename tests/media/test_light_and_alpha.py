"""High dynamic range, RGB and alpha: kept bit for bit, shown to networks as standard pictures."""

import subprocess
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.sidedata.sidedata import Type
from conftest import draw, ffmpeg, index_film
from drawn import rendered
from hypothesis import given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe

from pipelines.errors import UsageError
from pipelines.media.colour import CHROMA_SITES, LUMINANCE, Colour, Mastering
from pipelines.media.conform import conform
from pipelines.media.encoding import make_encoding
from pipelines.media.ffmpeg import described
from pipelines.media.fitting import EncodeSpec
from pipelines.media.layouts import plane_arrays
from pipelines.media.original import Original
from pipelines.media.probe import probe
from pipelines.planes import frame_planes, yuv_format
from stylecore.light import Dynamic
from stylecore.parts import apply_change
from stylecore.pixels import YuvFormat, to_rgb
from stylecore.refit import refit

X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"]
DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
PQ, HLG = (
    ["-vf", f"setparams=color_primaries=bt2020:colorspace=bt2020nc:color_trc={curve}", *X265, "-x265-params"]
    for curve in ("smpte2084", "arib-std-b67")
)
FILMS = {
    "hdr10.mp4": [*PQ, f"log-level=none:{DISPLAY}:max-cll=1000,400"],
    "untold.mkv": [*PQ, "log-level=none"],
    "hlg.mov": [*HLG, "log-level=none"],
    "prores4444.mov": ["-vf", "format=yuva444p10le,geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='4*X'"]
    + ["-c:v", "prores_ks", "-profile:v", "4", "-alpha_bits", "16"],
    "alpha.mkv": ["-vf", "format=yuva420p,lutyuv=a=val/2", "-c:v", "ffv1"],
    "argb.mov": ["-vf", "format=argb,colorchannelmixer=aa=0.5", "-c:v", "qtrle"],
    "rgb.mkv": ["-c:v", "libx264rgb", "-crf", "0", "-pix_fmt", "bgr24"],
    "rgb10.mkv": ["-c:v", "ffv1", "-pix_fmt", "gbrp10le"],
    "packed.mov": ["-c:v", "rawvideo", "-pix_fmt", "uyvy422"],
}
# What a lossless delivery is named, encoded with, and holds.
KEPT = {
    "hdr10.mp4": (".mp4", "hevc", "yuv420p10le"),
    "untold.mkv": (".mkv", "hevc", "yuv420p10le"),
    "hlg.mov": (".mov", "hevc", "yuv420p10le"),
    "prores4444.mov": (".mkv", "ffv1", "yuva444p12le"),
    "alpha.mkv": (".mkv", "ffv1", "yuva420p"),
    "argb.mov": (".mkv", "ffv1", "gbrap"),
    "rgb.mkv": (".mkv", "hevc", "gbrp"),
    "rgb10.mkv": (".mp4", "hevc", "gbrp10le"),
    "packed.mov": (".mp4", "h264", "yuv422p"),
}


@pytest.fixture(scope="module")
def films(media: Path) -> Path:
    folder = media / "light"
    folder.mkdir(exist_ok=True)
    base = draw(folder / "base.mkv", video=["-c:v", "ffv1"], sound=False, shots=(10, 8))
    for name, video in FILMS.items():
        ffmpeg("-i", str(base), *video, str(folder / name))
    return folder


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def frame_md5(path: Path, pixel_format: str) -> list[str]:
    """A checksum for each frame, by ffmpeg's own command line."""
    arguments = f"-v error -nostdin -i {path} -map 0:v -fps_mode passthrough -pix_fmt {pixel_format}"
    command = [get_ffmpeg_exe(), *arguments.split(), "-f", "framemd5", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


def side_data(path: Path) -> dict[Type, bytes]:
    return {
        data.type: bytes(data)
        for data in first_frame(path).side_data
        if data.type in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
    }


@pytest.mark.parametrize("name", FILMS)
def test_light_colour_and_alpha_come_through_bit_for_bit(films, name, tmp_path):
    suffix, codec, pixels = KEPT[name]
    target, source, info, index, crcs, fates, _ = rendered(
        films, name, suffix, tmp_path, EncodeSpec(lossless=True)
    )
    conform(target, Original(source, info, index.timeline, fates), crcs)
    made = probe(target)
    assert (made.codec, made.pixel_format) == (codec, pixels)
    assert frame_md5(target, pixels) == frame_md5(source, pixels)
    for tag in ("color_primaries", "color_trc", "colorspace"):
        assert getattr(first_frame(target), tag) == getattr(first_frame(source), tag)
    assert side_data(target) == side_data(source)


@pytest.mark.parametrize("pixels", ["uyvy422", "nv12", "bgr0"])
def test_a_film_of_packed_pixels_may_be_long(tmp_path, pixels):
    """Taking a frame's samples apart leaves nothing behind: no threads, no memory."""
    film = tmp_path / "long.mkv"
    drawn = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=10"]
    ffmpeg(*drawn, "-c:v", "rawvideo" if pixels != "bgr0" else "ffv1", "-pix_fmt", pixels, str(film))
    assert len(index_film(film)[1].frames) == 250


@pytest.mark.parametrize("site", ["topleft", "center"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_where_chroma_lies_is_said_again(films, codec, site, tmp_path):
    told = ["-c:v", "libx265", "-x265-params", f"chromaloc={CHROMA_SITES[site]}:log-level=none"]
    ffmpeg("-i", str(films / "base.mkv"), *told, str(tmp_path / "told.mp4"))
    target, *_ = rendered(tmp_path, "told.mp4", ".mp4", tmp_path, EncodeSpec(codec, 30, "ultrafast"))
    assert probe(tmp_path / "told.mp4").colour.chroma_site == site
    assert f", {site})" in described(target)


@pytest.mark.parametrize(("codec", "decoder"), [("h264", "h264"), ("av1", "libdav1d"), ("ffv1", "ffv1")])
def test_full_range_is_no_reason_for_another_codec(films, codec, decoder, tmp_path):
    full = ["-frames:v", "3", "-vf", "scale=out_range=pc,format=yuvj420p", "-c:v", "libx264"]
    ffmpeg("-i", str(films / "base.mkv"), *full, str(tmp_path / "full.mp4"))
    target, source, info, index, *_ = rendered(
        tmp_path, "full.mp4", ".mkv", tmp_path, EncodeSpec(codec, 10, "ultrafast")
    )
    made = probe(target)
    assert info.pixel_format == "yuvj420p" and (made.codec, made.colour.full_range) == (decoder, True)
    seen, wanted = (
        to_rgb(frame_planes(first_frame(path)), yuv_format(probe(path))) for path in (target, source)
    )
    assert (seen - wanted).square().mean() < 10**-3
    notes = make_encoding(EncodeSpec(codec), info, index.timeline, ".mkv").notes
    assert not [note for note in notes if "cannot hold" in note or note.startswith("samples")]


@pytest.mark.parametrize("codec", ["h265", "av1"])
def test_mastering_metadata_is_in_every_codec_that_holds_it(films, codec, tmp_path):
    spec = EncodeSpec(codec, 30, "ultrafast")
    target, *_ = rendered(films, "hdr10.mp4", ".mp4", tmp_path, spec)
    wanted, found = probe(films / "hdr10.mp4").colour, probe(target).colour
    assert wanted.mastering.brightest == 10_000_000 and wanted.light_levels == (1000, 400)
    assert found.light_levels == wanted.light_levels and found.transfer == 16
    assert abs(found.mastering.red[0] - wanted.mastering.red[0]) <= 1  # AV1 counts in 1/65536
    assert found.mastering.brightest == wanted.mastering.brightest


@pytest.mark.parametrize(
    ("name", "spec", "suffix", "says"),
    [
        ("hdr10.mp4", {}, ".mp4", ["h264 cannot hold high dynamic range; encoded as h265"]),
        ("hdr10.mp4", {"hdr": "sdr"}, ".mp4", ["PQ high dynamic range -> BT.709, tone mapped", "-> yuv420p"]),
        ("hlg.mov", {"hdr": "sdr", "depth": 10}, ".mp4", ["HLG high dynamic range -> BT.709"]),
        ("hdr10.mp4", {"codec": "ffv1"}, ".mkv", ["mastering and light level metadata are dropped"]),
        ("alpha.mkv", {"allow_drop": True}, ".mp4", ["the alpha channel is dropped"]),
        ("alpha.mkv", {}, ".mkv", ["h264 cannot hold 160x96 in yuva420p; encoded as ffv1"]),
        ("rgb.mkv", {"codec": "prores"}, ".mov", ["samples gbrp -> yuv444p10le"]),
    ],
)
def test_what_is_converted_is_told(films, name, spec, suffix, says):
    info, index, _ = index_film(films / name)
    notes = " | ".join(make_encoding(EncodeSpec(**spec), info, index.timeline, suffix).notes)
    assert all(text in notes for text in says), notes


@pytest.mark.parametrize(
    ("name", "spec", "suffix", "says"),
    [
        ("hdr10.mp4", {"depth": 8}, ".mp4", "needs 10 bits: --depth 10, or --hdr sdr"),
        ("alpha.mkv", {}, ".mp4", "FFV1 does not go into .mp4 .*yuva420p.*; name the output .mkv$"),
        ("alpha.mkv", {}, ".mov", "name the output .mkv, or ask for --codec prores"),
        ("alpha.mkv", {"lossless": True}, ".mov", "FFV1 does not go into .mov .*name the output .mkv$"),
    ],
)
def test_what_cannot_be_kept_is_refused(films, name, spec, suffix, says):
    info, index, _ = index_film(films / name)
    with pytest.raises(UsageError, match=says):
        make_encoding(EncodeSpec(**spec), info, index.timeline, suffix)


def test_prores_keeps_alpha(films, tmp_path):
    target, *_ = rendered(films, "prores4444.mov", ".mov", tmp_path, EncodeSpec("prores"))
    before, after = (
        plane_arrays(first_frame(path))[3].astype(int) for path in (films / "prores4444.mov", target)
    )
    assert before.std() > 100 and np.abs(before - after).max() <= 4  # twelve bits, by way of ten


def pq(nits: float) -> float:
    """SMPTE ST 2084, written down a second time."""
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@pytest.mark.parametrize(
    ("nits", "peak", "standard"),
    [(0, 1000, 0.0), (203, 1000, 0.7494), (1000, 1000, 1.0), (4000, 1000, 1.0), (100, 100, 0.7302)],
)
def test_greys_are_where_reinhards_curve_puts_them(nits, peak, standard):
    """A film darker than diffuse white is not lifted to it."""
    grey = torch.full((1, 3, 1, 1), pq(nits))
    assert Dynamic("pq", peak).standard(grey).flatten().tolist() == pytest.approx([standard] * 3, abs=2e-3)


@pytest.mark.parametrize(
    ("coded", "standard"),
    [
        ((0.75, 0.75, 0.75), (0.7494, 0.7494, 0.7494)),  # diffuse white of ITU-R BT.2408: 203 nits
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
        ((0.75, 0.0, 0.0), (0.877, 0.0, 0.0)),  # 156 nits, and blue 115: luminance bends both
        ((0.0, 0.0, 0.75), (0.0, 0.0, 0.677)),
    ],
)
def test_hlg_is_what_a_display_of_1000_nits_shows(coded, standard):
    seen = Dynamic("hlg").standard(torch.tensor(coded).view(1, 3, 1, 1))
    assert seen.flatten().tolist() == pytest.approx(standard, abs=2e-3)


@pytest.mark.parametrize("peak", [1000.0, 4000.0, 10000.0])
def test_paint_in_the_dark_of_a_bright_film_is_coded_exactly(peak):
    """To a quarter of a code value of ten bits."""
    paint = torch.linspace(0.002, 1, 500).expand(1, 3, 1, -1)
    coded, exact = Dynamic("pq", peak).coded(paint), Dynamic("pq", peak).coded(paint.double())
    assert (coded - exact).abs().max() < 0.25 / 1023


@pytest.mark.parametrize(
    ("light_levels", "mastering", "peak"),
    [((1500, 0), 4000, 1500), ((0, 0), 4000, 4000), ((0, 0), 0, 1000), ((60000, 400), 4000, 10000)],
)
def test_a_peak_is_what_the_film_says_within_what_pq_can(light_levels, mastering, peak):
    display = Mastering((0, 0), (0, 0), (0, 0), (0, 0), 0, LUMINANCE * mastering)
    told = Colour(1, 9, 9, 16, "bt2020", False, mastering=display, light_levels=light_levels)
    assert told.peak_nits == peak
    assert replace(told, transfer=18).peak_nits == 1000


@settings(max_examples=60)
@given(
    curve=st.sampled_from(["pq", "hlg"]),
    peak=st.sampled_from([203.0, 1000.0, 4000.0]),
    rgb=st.tuples(*[st.floats(0.02, 0.9)] * 3),
)
def test_a_standard_picture_has_light_and_comes_back(curve, peak, rgb):
    picture = torch.tensor(rgb).view(1, 3, 1, 1)
    range_of_light = Dynamic(curve, peak)
    back = range_of_light.standard(range_of_light.coded(picture))
    assert torch.allclose(back, picture, atol=2e-3)


@pytest.mark.parametrize("name", ["hdr10.mp4", "hlg.mov", "rgb10.mkv", "alpha.mkv"])
def test_paint_arrives_as_the_picture_it_makes(films, name):
    """Grey paint over any light: what a network would see of the delivery is grey."""
    form = replace(yuv_format(probe(films / name)), chroma_step_x=1, chroma_step_y=1)
    planes = frame_planes(first_frame(films / name))
    planes = [plane if plane.shape == planes[0].shape else planes[0] // 2 + 64 for plane in planes]
    planes[0] = planes[0] // 2 + 64
    before = to_rgb(planes, form)
    inside = ((before > 0.02) & (before < 0.98)).all(1)
    grey = torch.full_like(before, 0.25)
    after = apply_change(planes, grey - before, form, keep_color=False)
    error = (to_rgb(after, form) - grey).abs().amax(1)[inside]
    assert inside.float().mean() > 0.05 and error.median() < 0.01
    assert not form.alpha or torch.equal(after[3], planes[3])


def test_a_standard_delivery_of_light_is_the_picture_networks_see(films, tmp_path):
    spec = EncodeSpec("h264", 1, "ultrafast", hdr="sdr")
    target, source, *_ = rendered(films, "hdr10.mp4", ".mp4", tmp_path, spec)
    made = probe(target)
    assert (made.pixel_format, made.colour.transfer, made.colour.matrix) == ("yuv420p", 1, 1)
    assert made.colour.mastering is None and made.colour.light_levels == (0, 0)
    seen = to_rgb(frame_planes(first_frame(target)), yuv_format(made))
    wanted = to_rgb(frame_planes(first_frame(source)), yuv_format(probe(source)))
    assert (seen - wanted).abs().median() < 0.01


def test_depth_is_taken_away_with_dither(films):
    """A slow ramp of ten bits keeps its mean in eight: no bands."""
    ten, eight = YuvFormat("bt709", False, gray=True, bits=10), YuvFormat("bt709", False, gray=True)
    ramp = (torch.arange(256).float() / 8 + 400).round().to(torch.int16).expand(64, 256)
    made = refit([ramp], ten, eight)[0].float()
    columns = made.view(64, 32, 8).mean((0, 2)) * 4
    assert (columns - ramp[0].float().view(32, 8).mean(1)).abs().max() < 0.6


def test_alpha_that_is_not_read_needs_consent(films, tmp_path):
    clear = ["-vf", "format=yuva420p", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]
    ffmpeg("-i", str(films / "base.mkv"), *clear, str(tmp_path / "clear.webm"))
    info, index, _ = index_film(tmp_path / "clear.webm")
    with pytest.raises(UsageError, match="alpha channel of .*vp9 is not read here; --allow-drop"):
        make_encoding(EncodeSpec(), info, index.timeline, ".mkv")
    made = make_encoding(EncodeSpec(allow_drop=True), info, index.timeline, ".mkv")
    assert "the alpha channel is dropped" in made.notes
