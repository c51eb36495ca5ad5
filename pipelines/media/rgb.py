"""What a film's planes mean as RGB, told by matrix inversion and interpolation: the proof's own way there."""

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.media.colour import Colour
from pipelines.media.layouts import PlaneArray, known_layout, planar_name, plane_arrays
from pipelines.media.source_info import Turn

# Kr and Kb of ITU-R BT.709, BT.601 and BT.2020 (H.273, 8.3).
_WEIGHTS = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}

Picture = NDArray[np.float32]


def rgb_of(frame: av.VideoFrame, colour: Colour, turn: Turn) -> Picture:
    """A frame as coded RGB in 0..1, (H,W,3), held upright."""
    layout, planes = known_layout(planar_name(frame.format.name)), plane_arrays(frame)
    unit, highest = np.float32(2 ** (layout.bits - 8)), np.float32(2**layout.bits - 1)
    low, swing, wide = (0, highest, highest) if colour.full_range else (16 * unit, 219 * unit, 224 * unit)
    if layout.rgb:
        green, blue, red = ((plane - low) / swing for plane in planes[:3])
        return _held(np.stack([red, green, blue], 2).clip(0, 1), turn)
    luma = (planes[0] - low) / swing
    parts = [luma, *(np.zeros_like(luma) for _ in range(2))]
    if not layout.gray:
        parts[1:] = [(_at_luma(plane, luma.shape) - 128 * unit) / wide for plane in planes[1:3]]
    coded = np.stack(parts, 2) @ _to_rgb(colour.meant_matrix).T
    return _held(coded.clip(0, 1), turn)


def _to_rgb(matrix: str) -> NDArray[np.float32]:
    red, blue = _WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    to_blue, to_red = (np.eye(3)[2] - luma) / (2 * (1 - blue)), (np.eye(3)[0] - luma) / (2 * (1 - red))
    return np.linalg.inv(np.stack([luma, to_blue, to_red])).astype(np.float32)


def _at_luma(plane: PlaneArray, shape: tuple[int, ...]) -> Picture:
    """Chroma at every pixel: sited left across and between two lines down, and linear in between."""
    (height, width), chroma = shape, plane.astype(np.float32)
    if chroma.shape[0] < height:
        chroma = _between(chroma, (np.arange(height) - 0.5) / 2)
    if chroma.shape[1] < width:
        chroma = _between(chroma.T, np.arange(width) / 2).T
    return chroma


def _between(rows: Picture, places: NDArray[np.float64]) -> Picture:
    before = np.floor(places)
    part = (places - before).astype(np.float32)[:, None]
    low, high = (np.clip(place, 0, len(rows) - 1).astype(int) for place in (before, before + 1))
    return rows[low] * (1 - part) + rows[high] * part


def _held(picture: Picture, turn: Turn) -> Picture:
    transposed, mirrored_x, mirrored_y = turn
    picture = picture.transpose(1, 0, 2) if transposed else picture
    picture = picture[:, ::-1] if mirrored_x else picture
    return picture[::-1] if mirrored_y else picture


def coded_light(light: Picture, curve: str) -> Picture:
    """Linear light as the film codes it (H.273, 8.2; IEC 61966-2-1)."""
    light = light.clip(0, None)
    if curve == "bt709":
        return np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    if curve == "srgb":
        return np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return light ** {"gamma22": 1 / 2.2, "gamma28": 1 / 2.8, "linear": 1.0}[curve]
