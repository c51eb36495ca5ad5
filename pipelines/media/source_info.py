"""What is known of a film once it is opened, before its frames are."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipelines.media.colour import Colour
from pipelines.media.containers import Family
from pipelines.media.layouts import PixelLayout, known_layout

WIDEST_PIXEL_BYTES = 8

Turn = tuple[bool, bool, bool]
"""How to hold a stored picture: transposed first, then mirrored across, then down."""


@dataclass(frozen=True)
class Track:
    """One stream of the source. `kind`: video, audio, subtitle, data or attachment."""

    index: int
    kind: str
    codec: str
    language: str
    title: str
    role: str
    """`cover`, `chapters` (the text track behind mp4 chapters), `timecode`, or nothing special."""


@dataclass(frozen=True)
class SourceInfo:
    """What a film is before it is decoded."""

    container: str
    """One of the families in HANDLED_FORMATS."""
    video_index: int
    codec: str
    width: int
    height: int
    pixel_format: str
    """Of the planes that frames are read as; `stored_format` may hold the same samples packed."""
    stored_format: str
    sample_aspect: Fraction
    """Width of a pixel over its height; 0 when the source does not say."""
    time_base: Fraction
    colour: Colour
    frames_declared: int
    """Frames the container claims; 0 when it does not say."""
    duration_declared: Fraction
    """Seconds the container claims; 0 when it does not say."""
    rate_declared: Fraction
    """Frames per second the container claims; 0 when it does not say. Only for films without timestamps."""
    tracks: tuple[Track, ...]
    chapters: int
    display_matrix: tuple[int, ...] = ()
    """Nine numbers that say how the picture is to be held, as ffmpeg stores them; none if upright."""
    unread_alpha: bool = False
    """Whether the film has an alpha channel that is not read: VP8 and VP9 keep it as a picture of its own."""
    captions: bool = False
    """Whether the picture carries closed captions (CEA-608/708), which are no track of their own."""
    clock_start: Fraction = Fraction(0)
    """Seconds at which the container's clock begins, where that is a broadcaster's and means nothing."""
    crop: str = ""
    """Pixels that the container, not the codec, wants cut off: `left/right/top/bottom`; empty if none."""
    projection: str = ""
    """What the container says of a picture around one or for two eyes, in ffmpeg's words; empty if flat."""

    @property
    def turn(self) -> Turn:
        """How a stored frame is to be held."""
        turn = turn_of(self.display_matrix)
        assert turn is not None, "probing refuses other angles"
        return turn

    @property
    def layout(self) -> PixelLayout:
        """What the planes of a frame are."""
        return known_layout(self.pixel_format)

    @property
    def picture_bytes(self) -> int:
        """The most that a frame takes in memory."""
        return self.width * self.height * WIDEST_PIXEL_BYTES

    @property
    def states_duration(self) -> bool:
        """Whether the container has its length in its head; of others it is only guessed."""
        return self.container in (Family.MP4, Family.MKV) and self.duration_declared > 0


def turn_of(matrix: Sequence[int]) -> Turn | None:
    """Quarter turns and mirrors of a display matrix (ISO 14496-12, 8.2.2); None for any other angle.

    A stored pixel (x, y) is seen at (a x + c y, b x + d y), pushed back into the picture.
    """
    a, b, _, c, d = [(value > 0) - (value < 0) for value in matrix[:5]] or (1, 0, 0, 0, 1)
    if abs(a) and abs(d) and not b and not c:
        return False, a < 0, d < 0
    if abs(b) and abs(c) and not a and not d:
        return True, c < 0, b < 0
    return None
