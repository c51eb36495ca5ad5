"""Contact sheets: rows of pictures with a caption each, on paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stylecore.images import resize_short_side, to_image

_GAP_PX = 8
_CAPTION_PX = 22
_PAPER, _INK = "#faf8f3", "#222222"


@dataclass(frozen=True)
class Row:
    """One line of a sheet: pictures (3,H,W) of equal height."""

    caption: str
    pictures: Sequence[Tensor]


def draw_sheet(rows: Sequence[Row], cell_height_px: int) -> Image.Image:
    """The sheet; every picture is scaled to the cell's height."""
    cells = [[to_image(_fit(picture, cell_height_px)) for picture in row.pictures] for row in rows]
    width = max(sum(cell.width + _GAP_PX for cell in line) for line in cells) + _GAP_PX
    height = len(rows) * (cell_height_px + _CAPTION_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_CAPTION_PX - 6)
    for number, (row, line) in enumerate(zip(rows, cells, strict=True)):
        top = _GAP_PX + number * (cell_height_px + _CAPTION_PX + _GAP_PX)
        draw.text((_GAP_PX, top), row.caption, _INK, font)
        left = _GAP_PX
        for cell in line:
            sheet.paste(cell, (left, top + _CAPTION_PX))
            left += cell.width + _GAP_PX
    return sheet


def _fit(picture: Tensor, height_px: int) -> Tensor:
    height, width = picture.shape[-2:]
    return resize_short_side(picture, round(height_px * min(height, width) / height))
