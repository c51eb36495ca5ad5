"""The codecs a delivery may have: their encoders, what these hold, and the options that make them exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import av
import torch

from pipelines.media.colour import CHROMA_SITES, CHROMATICITY, LUMINANCE, Colour, Mastering

PRESETS = (
    *("placebo", "veryslow", "slower", "slow", "medium"),
    *("fast", "faster", "veryfast", "superfast", "ultrafast"),
)
"""x264's names, from the slowest; the encoders that number their presets get the place in this list."""
_SVT_SLOWEST = 2
"""SVT-AV1's preset for `placebo`; `medium` is 6."""


@dataclass(frozen=True)
class Codec:
    """One codec: its encoder, default quality (0: has none), file for parts, containers it goes into."""

    encoder: str
    quality: int
    part_suffix: str
    suffixes: tuple[str, ...]
    hdr: bool = True
    """Whether players expect high dynamic range in it."""
    hdr_metadata: bool = False
    """Whether it carries mastering display and light levels itself."""

    def form(self, pixel_format: str) -> str:
        """The pixel format in which the encoder takes these samples, planar or packed; empty if none."""
        forms = {form.name for form in av.Codec(self.encoder, "w").video_formats or []}
        if self.encoder == "libx265":
            # Its alpha is a second picture that hardly any decoder puts together again.
            forms = {name for name in forms if not name.startswith("yuva")}
        return next((name for name in (pixel_format, _PACKED.get(pixel_format)) if name in forms), "") or ""


_PACKED = {"gbrp": "bgr0", "gbrap": "bgra"}


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "h264": Codec("libx264", 18, ".mp4", (".mp4", ".m4v", ".mov", ".mkv"), hdr=False),
        "h265": Codec("libx265", 20, ".mp4", (".mp4", ".m4v", ".mov", ".mkv"), hdr_metadata=True),
        "av1": Codec("libsvtav1", 26, ".mp4", (".mp4", ".mkv"), hdr_metadata=True),
        "prores": Codec("prores_ks", 0, ".mov", (".mov", ".mkv")),
        "ffv1": Codec("ffv1", 0, ".mkv", (".mkv",)),
    }
)


def encoder_options(
    codec: str,
    pixel_format: str,
    colour: Colour,
    quality: int,
    preset: str,
    threads: int,
    lossless: bool,
    field_order: str,
) -> dict[str, str]:
    """Options under which the same pictures give the same packets, whatever else runs.

    `field_order` is `tff` or `bff` where frames hold two fields; only H.264 takes them.
    """
    made = {
        "h264": lambda: _x264(colour, quality, preset, lossless, field_order),
        "h265": lambda: _x265(colour, quality, preset, threads, lossless),
        "av1": lambda: _svt(colour, quality, preset, threads),
        "prores": lambda: _prores(pixel_format),
        # Slices are left to the encoder: not every count divides an odd size.
        "ffv1": lambda: {"level": "3", "g": "1", "slicecrc": "1"},
    }[codec]()
    return made | {"threads": str(threads)}


def _x264(colour: Colour, quality: int, preset: str, lossless: bool, field_order: str) -> dict[str, str]:
    # stitchable keeps CRF and content out of the parameter sets, so that all parts share them.
    fields = f":{field_order}=1" if field_order else ""
    params = f"open-gop=0:keyint=240:stitchable=1{fields}{_x264_cpu()}{_chroma(colour)}"
    rate = {"qp": "0", "preset": "ultrafast"} if lossless else {"crf": str(quality), "preset": preset}
    return {**rate, "x264-params": params}


def _x265(colour: Colour, quality: int, preset: str, threads: int, lossless: bool) -> dict[str, str]:
    params = f"no-open-gop=1:keyint=240:no-info=1:pools={threads}:frame-threads=1:log-level=none"
    params += _chroma(colour)
    if colour.curve and colour.mastering:
        params += f":master-display={_display(colour.mastering, 1, 1)}"
    if colour.curve and any(colour.light_levels):
        params += ":max-cll={},{}".format(*colour.light_levels)
    speed = "ultrafast" if lossless else preset
    return {"crf": str(quality), "preset": speed, "x265-params": params + ":lossless=1" * lossless}


def _svt(colour: Colour, quality: int, preset: str, threads: int) -> dict[str, str]:
    speed = str(_SVT_SLOWEST + PRESETS.index(preset)) if preset in PRESETS else preset
    params = f"lp={threads}:keyint=240:scd=0"
    if colour.curve and colour.mastering:
        params += f":mastering-display={_display(colour.mastering, CHROMATICITY, LUMINANCE)}"
    if colour.curve and any(colour.light_levels):
        params += ":content-light={},{}".format(*colour.light_levels)
    return {"crf": str(quality), "preset": speed, "svtav1-params": params}


def _chroma(colour: Colour) -> str:
    return f":chromaloc={CHROMA_SITES[colour.chroma_site]}" if colour.chroma_site else ""


def _prores(pixel_format: str) -> dict[str, str]:
    """422 HQ or 4444, and Apple's mark, without which some editors take it for something else."""
    alpha = {"alpha_bits": "16"} if "yuva" in pixel_format else {}
    return {"profile": "4" if "444" in pixel_format else "3", "vendor": "apl0", **alpha}


def _display(mastering: Mastering, chromaticity: int, luminance: int) -> str:
    """The way both encoders write a display, in units of their own."""
    places = [("G", mastering.green), ("B", mastering.blue), ("R", mastering.red), ("WP", mastering.white)]
    written = "".join(f"{name}({x / chromaticity:.9g},{y / chromaticity:.9g})" for name, (x, y) in places)
    return f"{written}L({mastering.brightest / luminance:.9g},{mastering.darkest / luminance:.9g})"


def _x264_cpu() -> str:
    """x264's AVX-512 macroblock tree reads past its row where width / 16 is uneven: two runs, two files."""
    return ":asm=avx2" if torch.backends.cpu.get_cpu_capability() == "AVX512" else ""
