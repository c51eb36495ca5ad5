"""What a loss network sees, as pictures: feature maps by channel, and Gram matrices by layer."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stylecore.encoders import Encoder
from stylecore.images import to_image
from stylecore.losses import gram

MAPS = 16
_MAP_PX, _GAP_PX = 160, 4
_GRAM_PX = 512
_COLD, _WARM = (0.97, 0.96, 0.92), (0.45, 0.08, 0.12)


@torch.inference_mode()
def explain(
    picture: Tensor, encoder: Encoder, layers: Sequence[str]
) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """For each layer: its name, the maps of the channels that vary most, and the Gram matrix."""
    found = encoder(picture[None], layers)
    for name in layers:
        yield name, draw_maps(found[name]), draw_gram(found[name])


def draw_maps(features: Tensor) -> Image.Image:
    """A square of the `MAPS` channels of (1,C,H,W) that vary most, each from its least to its most."""
    chosen = features[0].flatten(1).std(1).topk(min(MAPS, features.shape[1])).indices
    maps = features[:, chosen]
    height, width = maps.shape[-2:]
    scale = _MAP_PX / max(height, width)
    maps = F.interpolate(maps, (max(1, round(height * scale)), max(1, round(width * scale))), mode="bilinear")
    least, most = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    maps = F.pad((maps - least) / (most - least).clamp(min=1e-9), (_GAP_PX,) * 4, value=1.0)[0]
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    maps = F.pad(maps, (0, 0, 0, 0, 0, rows * columns - len(maps)), value=1.0)
    grid = maps.unflatten(0, (rows, columns)).permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    return to_image(grid.expand(3, -1, -1))


def draw_gram(features: Tensor) -> Image.Image:
    """Which channels fire together: the Gram matrix of (1,C,H,W), its root's size as warmth.

    Roots, because a few strong channels would otherwise leave all else blank.
    """
    strength = gram(features)[0].abs().sqrt()
    strength = strength / strength.max().clamp(min=1e-9)
    ends = torch.tensor([_COLD, _WARM])
    tinted = ends[0, :, None, None] + (ends[1] - ends[0])[:, None, None] * strength
    picture = to_image(tinted)
    zoom = max(1, _GRAM_PX // picture.width)
    return picture.resize((zoom * picture.width, zoom * picture.height), Image.Resampling.NEAREST)
