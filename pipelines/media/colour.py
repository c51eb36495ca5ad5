"""What a film's code values mean as colour and light: its tags, and guesses for what it does not say."""

import struct
from dataclasses import dataclass

import av
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext

# Codes of ITU-T H.273, as ffmpeg numbers them.
BT709, UNSPECIFIED, LIMITED, FULL = 1, 2, 1, 2
_RESERVED = 3
_MATRIX = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
# H.273's chroma_sample_loc_type; what is not said is 0.
CHROMA_SITES = {"": 0, "left": 0, "center": 1, "topleft": 2, "top": 3, "bottomleft": 4, "bottom": 5}
_CURVES = {16: "pq", 18: "hlg"}
_UNSAID = {0, UNSPECIFIED, _RESERVED}
CHROMATICITY, LUMINANCE = 50_000, 10_000
"""SMPTE ST 2086 counts chromaticity in 0.00002 and luminance in 0.0001 nits."""
PQ_NITS = 10_000.0
"""The brightest light that PQ can say: more than that is a mistake of who wrote it."""
DOLBY_VISION = "Dolby Vision"
_DYNAMIC_METADATA = {
    Type.DOVI_RPU_BUFFER: DOLBY_VISION,
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid",
}


@dataclass(frozen=True)
class Mastering:
    """The display a film was graded on, in the units of SMPTE ST 2086; 0 where the source does not say."""

    red: tuple[int, int]
    green: tuple[int, int]
    blue: tuple[int, int]
    white: tuple[int, int]
    darkest: int
    brightest: int


@dataclass(frozen=True)
class Colour:
    """Colour tags as the source has them (H.273 codes), and what they are taken to mean."""

    range: int
    matrix: int
    primaries: int
    transfer: int
    meant_matrix: str
    """Matrix used for conversion; a guess from the size when the source does not say. `gbr` for RGB."""
    full_range: bool
    mastering: Mastering | None = None
    light_levels: tuple[int, int] = (0, 0)
    """MaxCLL and MaxFALL in nits; 0 where the source does not say."""
    chroma_site: str = ""
    """Where chroma samples lie, as ffmpeg names it; empty for the usual: left, between lines."""
    dynamic_metadata: tuple[str, ...] = ()
    """Names of scene-by-scene metadata, which describe the source's light alone."""

    @property
    def written_range(self) -> int:
        """The range tag of a delivery: the source's, or full where the source is full without saying so."""
        return self.range or (FULL if self.full_range else 0)

    @property
    def curve(self) -> str:
        """`pq` or `hlg` for high dynamic range, empty for a standard picture."""
        return _CURVES.get(self.transfer, "")

    @property
    def static_metadata(self) -> bool:
        """Whether the source says what display it was graded on, or how bright it gets."""
        return self.mastering is not None or any(self.light_levels)

    @property
    def peak_nits(self) -> float:
        """The brightest light: HLG's nominal 1000; in PQ the film's, else that of its display, else 1000."""
        if self.curve == "hlg":
            return 1000.0
        brightest = self.mastering.brightest / LUMINANCE if self.mastering else 0.0
        return min(float(self.light_levels[0] or brightest or 1000), PQ_NITS)


STANDARD = Colour(LIMITED, BT709, BT709, BT709, "bt709", False)
"""What high dynamic range becomes when a standard delivery is asked for."""


def read_colour(context: VideoCodecContext, frame: av.VideoFrame) -> Colour:
    """The colour of a film from its decoder and first frame; `meant_matrix` is empty if it is not known."""
    matrix, side = int(context.colorspace), {data.type: bytes(data) for data in frame.side_data}
    mastering = side.get(Type.MASTERING_DISPLAY_METADATA)
    light = side.get(Type.CONTENT_LIGHT_LEVEL)
    return Colour(
        range=int(context.color_range),
        matrix=matrix,
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
        meant_matrix=_meant_matrix(matrix, frame),
        full_range=_is_full(context, frame),
        mastering=_mastering(mastering) if mastering else None,
        light_levels=struct.unpack("II", light[:8]) if light else (0, 0),
        dynamic_metadata=tuple(name for kind, name in _DYNAMIC_METADATA.items() if kind in side),
    )


def other_light(colour: Colour, frame: av.VideoFrame) -> str:
    """A frame's matrix and curve where they contradict the film's; empty if they agree or one is untagged."""
    if frame.format.is_rgb:
        return ""
    matrix = _MATRIX.get(int(frame.colorspace), "")
    said = bool(matrix) and colour.matrix in _MATRIX
    transfer = int(frame.color_trc)
    bent = _UNSAID.isdisjoint((transfer, colour.transfer)) and _CURVES.get(transfer, "") != colour.curve
    if not bent and (not said or matrix == colour.meant_matrix):
        return ""
    return " ".join(filter(None, [matrix, _CURVES.get(transfer, "standard range") if bent else ""]))


def _meant_matrix(matrix: int, frame: av.VideoFrame) -> str:
    if frame.format.is_rgb:
        return "gbr"
    guess = "bt709" if frame.width >= 1280 or frame.height > 576 else "bt601"
    return guess if matrix in (UNSPECIFIED, _RESERVED) else _MATRIX.get(matrix, "")


def _is_full(context: VideoCodecContext, frame: av.VideoFrame) -> bool:
    if frame.format.is_rgb:
        return int(context.color_range) != LIMITED
    return frame.format.name.startswith("yuvj") or int(context.color_range) == FULL


def _mastering(data: bytes) -> Mastering | None:
    """libavutil's AVMasteringDisplayMetadata: ten rationals, then whether either half is there."""
    *numbers, has_places, has_luminance = struct.unpack("20i2i", data[:88])
    if not has_places and not has_luminance:
        return None
    exact = list(zip(numbers[::2], numbers[1::2], strict=True))
    places = [round(top * CHROMATICITY / bottom) if has_places else 0 for top, bottom in exact[:8]]
    darkest, brightest = (
        round(top * LUMINANCE / bottom) if has_luminance else 0 for top, bottom in exact[8:]
    )
    red, green, blue, white = zip(places[::2], places[1::2], strict=True)
    return Mastering(red, green, blue, white, darkest, brightest)
