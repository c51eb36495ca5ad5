"""Drawing for the demo's film: skies, ridges, glows and figures on (H,W,3) float pictures in 0..1."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE = (640, 360)
"""Width and height of the film."""
WIDTH, HEIGHT = SIZE
Picture = NDArray[np.float32]
Color = tuple[float, float, float]
_OVERSAMPLE = 2

_ROWS = np.arange(HEIGHT, dtype=np.float32)[:, None]
_COLUMNS = np.arange(WIDTH, dtype=np.float32)[None]


@lru_cache(maxsize=32)
def noise(seed: int, cell: int) -> Picture:
    """Smooth noise in 0..1, as high as the film and wider: four octaves, the coarsest `cell` pixels wide."""
    generator = np.random.default_rng(seed)
    height, width = HEIGHT, 3 * WIDTH
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        step = max(2, cell >> octave)
        grid = generator.random((height // step + 3, width // step + 3), np.float32)
        smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(smooth) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


def window(texture: Picture, shift: float) -> Picture:
    """The WIDTH columns of a wide texture from `shift` on, between whole pixels too."""
    whole = int(np.floor(shift))
    part = np.float32(shift - whole)
    columns = (np.arange(WIDTH + 1) + whole) % texture.shape[1]
    taken = texture[:, columns]
    return taken[:, :-1] * (1 - part) + taken[:, 1:] * part


def color(value: Color) -> Picture:
    """A colour as an array that broadcasts over pictures."""
    return np.array(value, np.float32)


def mix(low: Picture, high: Picture, weight: Picture) -> Picture:
    """`low` where weight (H,W) is 0, `high` where it is 1."""
    return low + (high - low) * weight[..., None]


def sky(top: Color, bottom: Color, cloud: Color, shift: float, cover: float, seed: int) -> Picture:
    """A gradient with drifting clouds; `cover` 0 is clear, 1 is overcast."""
    picture = mix(color(top), color(bottom), np.broadcast_to((_ROWS / HEIGHT) ** 0.8, (HEIGHT, WIDTH)))
    shape = window(noise(seed, 160), shift) * 0.7 + window(noise(seed + 1, 48), shift * 1.4) * 0.3
    density = np.clip((shape - (0.72 - 0.5 * cover)) * 3.2, 0, 1) * (0.35 + 0.65 * (1 - _ROWS / HEIGHT))
    return mix(picture, color(cloud), density.astype(np.float32))


def ridge(
    picture: Picture, base: float, height: float, shift: float, near: Color, far: Color, seed: int, grain: int
) -> Picture:
    """A range of hills whose crest waves about `base`; grain is the size of its ground's texture."""
    generator = np.random.default_rng(seed)
    x = _COLUMNS + shift
    crest = np.full((1, WIDTH), base, np.float32)
    for wave in (420, 190, 83, 31):
        crest += (
            height * (wave / 420) ** 1.1 * np.sin(x / wave * 2 * np.pi * 0.5 + generator.random() * 6.3) / 2
        )
    below = _ROWS - crest
    texture = window(noise(seed, grain), shift)
    shade = np.clip(below / (HEIGHT - base + 30), 0, 1) * 0.55 + texture * 0.75 - 0.2
    ground = mix(color(far), color(near), np.clip(shade, 0, 1).astype(np.float32))
    return mix(picture, ground, np.clip(below + 0.5, 0, 1).astype(np.float32))


def glow(picture: Picture, x: float, y: float, radius: float, light: Color, strength: float) -> Picture:
    """Light added around a point, with a disc at its heart."""
    distance = np.sqrt((_COLUMNS - x) ** 2 + (_ROWS - y) ** 2)
    halo = strength * 0.6 * np.exp(-((distance / (radius * 3.2)) ** 2))
    disc = np.clip(radius - distance + 0.5, 0, 1)
    return mix(picture, color(light), np.clip(np.maximum(halo, disc * strength), 0, 1).astype(np.float32))


def water(picture: Picture, level: float, shift: float, deep: Color, light: Color, seed: int) -> Picture:
    """A sea from `level` down, waves longer as they come near."""
    depth = np.clip((_ROWS - level) / (HEIGHT - level), 0, 1)
    phase = 26 / (depth + 0.07) + 2.2 * window(noise(seed, 90), shift) + _COLUMNS * 0.006
    crests = (0.5 + 0.5 * np.sin(phase * 2.6 - shift * 0.09)) ** 3 * window(noise(seed + 1, 40), shift * 1.7)
    sea = mix(color(deep), color(light), np.clip(crests * 1.5 + 0.12, 0, 1).astype(np.float32))
    return mix(picture, sea, np.broadcast_to(np.clip(_ROWS - level + 0.5, 0, 1), (HEIGHT, WIDTH)))


class Ink:
    """Flat shapes over a picture, drawn at twice the size and laid on smoothly; pixel coordinates."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (WIDTH * _OVERSAMPLE, HEIGHT * _OVERSAMPLE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def shape(self, points: Sequence[tuple[float, float]], fill: Color) -> None:
        """A filled polygon."""
        self.draw.polygon([(x * _OVERSAMPLE, y * _OVERSAMPLE) for x, y in points], _rgba(fill))

    def disc(self, x: float, y: float, radius: float, fill: Color) -> None:
        """A filled circle."""
        box = [(x - radius), (y - radius), (x + radius), (y + radius)]
        self.draw.ellipse([edge * _OVERSAMPLE for edge in box], _rgba(fill))

    def stroke(
        self, points: Sequence[tuple[float, float]], width: float, fill: Color, alpha: float = 1
    ) -> None:
        """A line through the points."""
        path = [(x * _OVERSAMPLE, y * _OVERSAMPLE) for x, y in points]
        self.draw.line(path, _rgba(fill, alpha), round(width * _OVERSAMPLE), joint="curve")

    def over(self, picture: Picture) -> Picture:
        """The picture with the shapes on it."""
        small = self.image.resize(SIZE, Image.Resampling.BOX)
        layer = np.asarray(small, np.float32) / 255
        return mix(picture, layer[..., :3].astype(np.float32), layer[..., 3].astype(np.float32))


def _rgba(fill: Color, alpha: float = 1) -> tuple[int, int, int, int]:
    red, green, blue = (round(255 * part) for part in fill)
    return red, green, blue, round(255 * alpha)
