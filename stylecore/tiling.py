"""Tiles with a halo as wide as the network sees: painting them apart equals painting the whole frame."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """Rows and columns to keep, and the wider ones to compute; all half-open, in frame pixels."""

    keep: tuple[int, int, int, int]
    compute: tuple[int, int, int, int]
    """top, bottom, left, right."""


def plan_tiles(height: int, width: int, tile_px: int, halo_px: int, stride_px: int) -> list[Tile]:
    """Tiles that cover the frame once; every computed box starts on a multiple of `stride_px`."""
    step = -(-tile_px // stride_px) * stride_px
    halo = -(-halo_px // stride_px) * stride_px
    tiles = []
    for top in range(0, height, step):
        for left in range(0, width, step):
            bottom, right = min(top + step, height), min(left + step, width)
            box = (
                max(0, top - halo),
                min(height, bottom + halo),
                max(0, left - halo),
                min(width, right + halo),
            )
            tiles.append(Tile((top, bottom, left, right), box))
    return tiles


def paint_tiled(
    paint: Callable[[Tensor], Tensor], rgb: Tensor, tile_px: int, halo_px: int, stride_px: int
) -> Tensor:
    """`paint` applied tile by tile to prepared frames (N,C,H,W): RGB of the same size comes back."""
    height, width = rgb.shape[-2:]
    out = rgb.new_empty(len(rgb), 3, height, width)
    for tile in plan_tiles(height, width, tile_px, halo_px, stride_px):
        top, bottom, left, right = tile.keep
        up, down, west, east = tile.compute
        painted = paint(rgb[..., up:down, west:east])
        out[..., top:bottom, left:right] = painted[..., top - up : bottom - up, left - west : right - west]
    return out
