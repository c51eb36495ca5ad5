"""A plot of losses by name over steps, on a logarithmic scale, drawn with what is there already."""

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _GRID = "#faf8f3", "#222222", "#dcd7cb"
_COLORS = ("#b5482f", "#2f6db5", "#3c8d40", "#8a4fa3", "#c08a1e", "#2a9d9d", "#777777", "#d0679d")
_WIDTH_PX, _HEIGHT_PX = 960, 540
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 64, 20, 210, 40
_FLOOR = 1e-8


def draw_losses(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """One line for each name that is ever more than 0; a loss need not be there at every step."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for step, losses in enumerate(history):
        for name, value in losses.items():
            if value > _FLOOR:
                lines.setdefault(name, []).append((step, math.log10(value)))
    values = [value for line in lines.values() for _, value in line] or [0.0]
    low, high = math.floor(min(values)), math.ceil(max(values) + 1e-9)
    plot = Image.new("RGB", (_WIDTH_PX, _HEIGHT_PX), _PAPER)
    draw, font = ImageDraw.Draw(plot), ImageFont.load_default(14)

    def place(step: int, value: float) -> tuple[float, float]:
        across = (_WIDTH_PX - _LEFT_PX - _RIGHT_PX) * step / max(len(history) - 1, 1)
        down = (_HEIGHT_PX - _TOP_PX - _BOTTOM_PX) * (high - value) / max(high - low, 1)
        return _LEFT_PX + across, _TOP_PX + down

    for power in range(low, high + 1):
        (left, height), (right, _) = place(0, power), place(len(history) - 1, power)
        draw.line((left, height, right, height), _GRID)
        draw.text((left - 8, height), f"1e{power}", _INK, font, anchor="rm")
    for number, (name, line) in enumerate(lines.items()):
        color = _COLORS[number % len(_COLORS)]
        draw.line([place(*point) for point in line], color, 2)
        draw.text((_WIDTH_PX - _RIGHT_PX + 14, _TOP_PX + 22 * number), name, color, font)
    draw.text((_LEFT_PX, _HEIGHT_PX - 26), f"{len(history)} steps", _INK, font)
    return plot
