"""Picture files to and from sRGB tensors (3,H,W) in 0..1."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from stylecore.color import luma
from stylecore.errors import PictureError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_SMALLEST_SIDE_PX = 32
_LONGEST_PX = 4096
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
"""What a colour profile is for, by mode."""


def load_picture(path: Path, at_most_px: int = _LONGEST_PX) -> Tensor:
    """Upright sRGB (3,H,W) in 0..1, as a viewer would show it on white paper.

    EXIF rotation is applied, an embedded profile (CMYK too) converted, 16 bit scaled, transparency laid on
    white; a picture longer than `at_most_px` is scaled down.
    """
    return _load(path, at_most_px, lambda shown: _to_srgb(_on_paper(shown)))


def longest_side_px(path: Path) -> int:
    """Of a picture that can be read, as its file says."""
    with Image.open(path) as opened:
        return max(opened.size)


def load_matte(path: Path) -> Tensor:
    """A file's matte (H,W) in 0..1: its opacity if that varies, as in a cut-out, else its lightness."""
    return luma(_load(path, _LONGEST_PX, _to_grey)[None])[0, 0]


def _load(path: Path, at_most_px: int, make: Callable[[Image.Image], Image.Image]) -> Tensor:
    """What `make` makes of the upright picture in 8 bit, as (3,H,W) in 0..1."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (at_most_px, at_most_px))
            picture = make(_to_eight_bit(ImageOps.exif_transpose(opened)))
            picture.thumbnail((at_most_px, at_most_px), Image.Resampling.LANCZOS)
    except MemoryError:
        raise
    except Exception as err:  # a damaged file, or odd metadata in it, can raise almost anything
        raise PictureError(f"{path}: not a picture that can be read ({err})") from err
    pixels = torch.from_numpy(np.array(picture))
    return pixels.permute(2, 0, 1).float().div_(255)


def _to_eight_bit(picture: Image.Image) -> Image.Image:
    """Pillow clips deep greys where it should scale them."""
    if picture.mode not in _DEEP:
        return picture
    deep, white = np.asarray(picture).astype(np.float64), 1.0 if picture.mode == "F" else 65535.0
    return Image.fromarray((deep / white * 255).round().clip(0, 255).astype(np.uint8), "L")


def _on_paper(picture: Image.Image) -> Image.Image:
    """Numbers of a palette become its colours, and what is transparent white."""
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    elif picture.mode == "P":
        flat = picture.convert("RGB")
    else:
        return picture
    flat.info = {key: value for key, value in picture.info.items() if key == "icc_profile"}
    return flat


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        opacity = picture.convert("RGBA").getchannel("A")
        least, most = opacity.getextrema()
        if least != most:
            return opacity.convert("RGB")
    return _to_srgb(_on_paper(picture))


def _to_srgb(picture: Image.Image) -> Image.Image:
    profile = picture.info.get("icc_profile")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
    # A picture made grey may have kept the profile of its colours, which says nothing of it any more.
    if source and source.profile.xcolor_space.strip() == _SPACES.get(picture.mode):
        wanted = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, source, wanted, outputMode="RGB") or picture
    return picture.convert("RGB")


def to_image(rgb: Tensor) -> Image.Image:
    """A Pillow picture of (3,H,W) in 0..1."""
    pixels = rgb.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()
    return Image.fromarray(pixels.cpu().numpy(), "RGB")


def resize_short_side(rgb: Tensor, short_side_px: int) -> Tensor:
    """(3,H,W) scaled, antialiased, so that its short side is `short_side_px`."""
    height, width = rgb.shape[-2:]
    scale = short_side_px / min(height, width)
    return _resize(rgb, (round(height * scale), round(width * scale)))


def resize_long_side(rgb: Tensor, long_side_px: int) -> Tensor:
    """(C,H,W) scaled, antialiased, so that its long side is `long_side_px`; no side falls below 32."""
    height, width = rgb.shape[-2:]
    scale = long_side_px / max(height, width)
    size = [max(_SMALLEST_SIDE_PX, round(side * scale)) for side in (height, width)]
    return _resize(rgb, size)


def fit(picture: Tensor, like: Tensor) -> Tensor:
    """(C,H,W) at the size of another."""
    return _resize(picture, like.shape[-2:])


def cover(picture: Tensor, like: Tensor) -> Tensor:
    """The middle of (C,H,W) in the shape of another, at its size."""
    height, width = like.shape[-2:]
    rows = min(picture.shape[1], round(picture.shape[2] * height / width))
    columns = min(picture.shape[2], round(picture.shape[1] * width / height))
    top, left = (picture.shape[1] - rows) // 2, (picture.shape[2] - columns) // 2
    return fit(picture[:, top : top + rows, left : left + columns], like)


def _resize(picture: Tensor, size: Sequence[int]) -> Tensor:
    if picture.shape[-2:] == tuple(size):
        return picture
    return F.interpolate(picture[None], tuple(size), mode="bicubic", antialias=True)[0].clamp(0, 1)
