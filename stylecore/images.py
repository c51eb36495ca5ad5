"""Picture files to and from sRGB tensors (3,H,W) in 0..1."""

import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from stylecore.errors import PictureError


def load_picture(path: Path) -> Tensor:
    """Upright sRGB (3,H,W) in 0..1: EXIF rotation applied, an embedded colour profile converted."""
    try:
        with Image.open(path) as opened:
            picture = _to_srgb(ImageOps.exif_transpose(opened))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as err:
        raise PictureError(f"{path}: not a picture that can be read ({err})") from err
    pixels = torch.from_numpy(np.array(picture))
    return pixels.permute(2, 0, 1).float().div(255)


def _to_srgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    if profile and picture.mode == "RGB":
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        picture = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB")) or picture
    return picture.convert("RGB")


def to_image(rgb: Tensor) -> Image.Image:
    """A Pillow picture of (3,H,W) in 0..1."""
    pixels = rgb.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()
    return Image.fromarray(pixels.cpu().numpy(), "RGB")


def resize_short_side(rgb: Tensor, short_side_px: int) -> Tensor:
    """(3,H,W) scaled, antialiased, so that its short side is `short_side_px`."""
    height, width = rgb.shape[-2:]
    scale = short_side_px / min(height, width)
    size = (round(height * scale), round(width * scale))
    return F.interpolate(rgb[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)
