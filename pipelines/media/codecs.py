"""The codecs a delivery may have: their encoders, what these hold, and the options that make them exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import av
import torch

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

    def holds(self, pixel_format: str) -> bool:
        """Whether the encoder takes pictures in this form."""
        forms = av.Codec(self.encoder, "w").video_formats or []
        return pixel_format in {form.name for form in forms}


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "h264": Codec("libx264", 18, ".mp4", (".mp4", ".m4v", ".mov", ".mkv")),
        "h265": Codec("libx265", 20, ".mp4", (".mp4", ".m4v", ".mov", ".mkv")),
        "av1": Codec("libsvtav1", 26, ".mp4", (".mp4", ".mkv")),
        "prores": Codec("prores_ks", 0, ".mov", (".mov", ".mkv")),
        "ffv1": Codec("ffv1", 0, ".mkv", (".mkv", ".mov")),
    }
)


def encoder_options(
    codec: str,
    pixel_format: str,
    quality: int,
    preset: str,
    threads: int,
    lossless: bool,
    field_order: str = "",
) -> dict[str, str]:
    """Options under which the same pictures give the same packets, whatever else runs.

    `field_order` is `tff` or `bff` where frames hold two fields; only H.264 takes them.
    """
    made = {
        "h264": lambda: _x264(quality, preset, threads, lossless, field_order),
        "h265": lambda: _x265(quality, preset, threads, lossless),
        "av1": lambda: _svt(quality, preset, threads),
        # 422 HQ or 4444, and Apple's mark, without which some editors take it for something else.
        "prores": lambda: {"profile": "4" if "444" in pixel_format else "3", "vendor": "apl0"},
        "ffv1": lambda: {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"},
    }[codec]()
    return made | {"threads": str(threads)}


def _x264(quality: int, preset: str, threads: int, lossless: bool, field_order: str) -> dict[str, str]:
    # stitchable keeps CRF and content out of the parameter sets, so that all parts share them.
    fields = f":{field_order}=1" if field_order else ""
    params = f"open-gop=0:keyint=240:stitchable=1{fields}{_x264_cpu()}"
    rate = {"qp": "0", "preset": "ultrafast"} if lossless else {"crf": str(quality), "preset": preset}
    return {**rate, "x264-params": params}


def _x265(quality: int, preset: str, threads: int, lossless: bool) -> dict[str, str]:
    params = f"no-open-gop=1:keyint=240:no-info=1:pools={threads}:frame-threads=1:log-level=none"
    return {"crf": str(quality), "preset": preset, "x265-params": params + ":lossless=1" * lossless}


def _svt(quality: int, preset: str, threads: int) -> dict[str, str]:
    speed = str(_SVT_SLOWEST + PRESETS.index(preset)) if preset in PRESETS else preset
    return {"crf": str(quality), "preset": speed, "svtav1-params": f"lp={threads}:keyint=240:scd=0"}


def _x264_cpu() -> str:
    """x264's AVX-512 macroblock tree reads past its row where width / 16 is uneven: two runs, two files."""
    return ":asm=avx2" if torch.backends.cpu.get_cpu_capability() == "AVX512" else ""
