"""Style pictures by the thousand: recoloured paintings, and photographs painted by a simple brush of ours.

A reader that has seen a dozen paintings knows a dozen styles. These pictures vary what a style is made of:
palette, and the size, direction, curl and opacity of marks (painterly rendering, Hertzmann 1998, reduced
to layers of strokes from large to small along a smooth random field).
"""

import math
import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from stylecore.images import resize_short_side, to_image
from stylecore.palette import Tint

_DARK, _FLAT = 0.18, 0.12


class StylePictures:
    """Endless style pictures (3,P,P) made of paintings and photographs."""

    def __init__(
        self, paintings: Sequence[Tensor], photos: Sequence[Tensor], side_px: int, seed: int
    ) -> None:
        self.paintings, self.photos = paintings, photos
        self.side_px = side_px
        self.random = random.Random(seed)

    def draw(self) -> Tensor:
        """The next that has something to teach: a dark or flat one has no style to speak of."""
        while True:
            picture = self._candidate().clamp(0, 1)
            if picture.mean() > _DARK and picture.std() > _FLAT:
                return picture

    def _candidate(self) -> Tensor:
        kind = self.random.random()
        if kind < 0.35:
            return self._crop(self.paintings)
        if kind < 0.62:
            return self._recolored(self._crop(self.paintings))
        if kind < 0.90:
            return self._brushed(self._crop(self.photos))
        return self._crop(self.photos)

    def _crop(self, pictures: Sequence[Tensor]) -> Tensor:
        side = self.side_px
        short = round(self.random.uniform(1.0, 1.8) * side)
        picture = resize_short_side(self.random.choice(pictures), short)
        top = self.random.randint(0, picture.shape[-2] - side)
        left = self.random.randint(0, picture.shape[-1] - side)
        crop = picture[:, top : top + side, left : left + side]
        return crop.flip(-1) if self.random.random() < 0.5 else crop

    def _recolored(self, picture: Tensor) -> Tensor:
        if self.random.random() < 0.3:
            order = self.random.sample(range(3), 3)
            return picture[order] if self.random.random() < 0.7 else 1 - picture[order]
        palette = self._crop(self.photos if self.random.random() < 0.6 else self.paintings)
        return Tint.between(picture[None], palette[None])(picture[None])[0]

    def _brushed(self, picture: Tensor) -> Tensor:
        if self.random.random() < 0.5:
            picture = self._recolored(picture)
        return paint_strokes(picture, self.random)


def paint_strokes(picture: Tensor, chance: random.Random) -> Tensor:
    """A photograph (3,P,P) painted in layers of strokes that follow a smooth field."""
    side = picture.shape[-1]
    colors = np.asarray(to_image(picture)).astype(int)
    ground = tuple(int(value) for value in colors.reshape(-1, 3).mean(0))
    canvas = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(canvas)
    field = _smooth_field(side, chance)
    size, jitter = chance.uniform(3, 14), chance.choice([0, 12, 30])
    slender, curl = chance.uniform(1, 9), chance.uniform(0, 0.25)
    for scale in (2.0, 1.0, 0.6):
        width = max(1.0, size * scale)
        for _ in range(int(1.8 * side * side / (width * width * (1 + slender)))):
            x, y = chance.uniform(0, side - 1), chance.uniform(0, side - 1)
            base = colors[int(y), int(x)]
            shade = chance.randint(-jitter, jitter)
            color = tuple(int(min(255, max(0, value + shade))) for value in base)
            _stroke(draw, field, (x, y), width, slender, curl, color)
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1).float().div(255)


def _smooth_field(side: int, chance: random.Random) -> np.ndarray:
    """Angles (side,side) that turn slowly; sometimes all the same."""
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    coarse = torch.randn(1, 1, chance.choice([2, 3, 5]), chance.choice([2, 3, 5]), generator=generator)
    smooth = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=True)[0, 0]
    return (chance.uniform(0, math.pi) + chance.choice([0.0, 1.0, 2.5]) * smooth).numpy()


def _stroke(
    draw: ImageDraw.ImageDraw,
    field: np.ndarray,
    start: tuple[float, float],
    width: float,
    slender: float,
    curl: float,
    color: tuple[int, ...],
) -> None:
    side = field.shape[0]
    angle = float(field[int(start[1]), int(start[0])])
    points = [start]
    step = width * slender / 4
    for _ in range(4):
        x, y = points[-1]
        points.append((x + step * math.cos(angle), y + step * math.sin(angle)))
        angle += curl
    draw.line(points, fill=color, width=max(1, round(width)), joint="curve")
    radius = width / 2
    for x, y in (points[0], points[-1]):
        if 0 <= x < side and 0 <= y < side:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
