"""Pictures of every make come in upright, in sRGB, on white paper, or are refused by name."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from stylecore.errors import PictureError
from stylecore.images import cover, load_matte, load_picture, resize_short_side, to_image

RED = (200, 40, 30)


def corner(rgb):
    return [round(float(value) * 255) for value in rgb[:, 2, 2]]


def half_red(mode="RGB"):
    """Red on the left, grey on the right, 40x20."""
    picture = Image.new("RGB", (40, 20), (128, 128, 128))
    picture.paste(RED, (0, 0, 20, 20))
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "RGB"), ("a.jpg", "RGB"), ("a.tif", "CMYK"), ("a.webp", "RGB"), ("a.png", "P")],
)
def test_ordinary_makes_show_their_colours(tmp_path, name, mode):
    path = tmp_path / name
    half_red(mode).save(path)
    rgb = load_picture(path)
    assert rgb.shape == (3, 20, 40) and rgb.min() >= 0 and rgb.max() <= 1
    assert corner(rgb) == pytest.approx(RED, abs=24)


def test_deep_greys_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    rgb = load_picture(tmp_path / "deep.png")
    assert rgb[0].flatten().tolist() == pytest.approx(list(np.linspace(0, 1, 64)), abs=0.01)


def test_float_pictures_are_from_black_to_white(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5], [1.0, 0.25]], np.float32), "F").save(tmp_path / "matte.tif")
    codes = load_picture(tmp_path / "matte.tif")[0] * 255
    assert codes.round().tolist() == [[0, 128], [255, 64]]


def test_a_grey_picture_with_a_profile_of_colours_is_read(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("L", (4, 4), 100).save(tmp_path / "grey.png", icc_profile=srgb)
    assert (load_picture(tmp_path / "grey.png") * 255).round().unique().tolist() == [100]


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert load_picture(tmp_path / "clear.png").min() == 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_cut_out_is_a_matte_by_its_opacity(tmp_path, mode):
    """Black on nothing: by its light on white paper it would be its own background."""
    cut = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    cut.paste((0, 0, 0, 255), (10, 0, 20, 10))
    cut.convert(mode).save(tmp_path / "cut.png")
    matte = load_matte(tmp_path / "cut.png")
    assert matte.shape == (10, 20) and matte[:, :10].max() == 0 and matte[:, 10:].min() > 0.999


def test_a_grey_picture_that_is_opaque_all_over_is_a_matte_by_its_light(tmp_path):
    half = Image.new("RGBA", (20, 10), (0, 0, 0, 255))
    half.paste((255, 255, 255, 255), (10, 0, 20, 10))
    half.save(tmp_path / "half.png")
    matte = load_matte(tmp_path / "half.png")
    assert matte[:, :10].max() == 0 and matte[:, 10:].min() > 0.999


def test_a_rotated_photo_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    half_red().save(tmp_path / "turned.jpg", exif=exif, quality=95)
    rgb = load_picture(tmp_path / "turned.jpg")
    assert rgb.shape == (3, 40, 20) and corner(rgb) == pytest.approx(RED, abs=10)


def test_an_embedded_profile_is_read(tmp_path):
    """An sRGB tag changes nothing; a broken one is a fault of the file, not a guess of ours."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    half_red().save(tmp_path / "tagged.png", icc_profile=srgb)
    assert corner(load_picture(tmp_path / "tagged.png")) == pytest.approx(RED, abs=2)
    half_red().save(tmp_path / "odd.png", icc_profile=b"no profile at all")
    with pytest.raises(PictureError, match="odd.png"):
        load_picture(tmp_path / "odd.png")


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_a_profile_holds_for_a_palette_and_for_a_cut_out(tmp_path, mode):
    """Green and red change places in it."""
    swapped = _swapped_profile()
    for name in ("RGB", mode):
        made = half_red().quantize(8) if name == "P" else half_red(name)
        made.save(tmp_path / f"{name}.png", icc_profile=swapped)
    plain, other = (load_picture(tmp_path / f"{name}.png") for name in ("RGB", mode))
    assert corner(plain) != pytest.approx(RED, abs=60)
    assert corner(other) == pytest.approx(corner(plain), abs=3)


def _swapped_profile():
    """sRGB whose red and green primaries have each other's place."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(content[at : at + 4]): at for at in range(132, 132 + 12 * content[131], 12)}
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4
    content[red : red + 8], content[green : green + 8] = content[green : green + 8], content[red : red + 8]
    return bytes(content)


@pytest.mark.parametrize("fault", [struct.error, OverflowError, TypeError, ZeroDivisionError])
def test_whatever_a_decoder_raises_is_of_its_picture(tmp_path, monkeypatch, fault):
    half_red().save(tmp_path / "odd.tif")
    monkeypatch.setattr("stylecore.images.ImageOps.exif_transpose", lambda *_: _raise(fault("odd")))
    with pytest.raises(PictureError, match="odd.tif: not a picture that can be read"):
        load_picture(tmp_path / "odd.tif")


def _raise(err):
    raise err


def test_forty_megapixels_are_scaled_down(tmp_path):
    Image.new("RGB", (8000, 5000), RED).save(tmp_path / "large.jpg")
    rgb = load_picture(tmp_path / "large.jpg", at_most_px=1000)
    assert max(rgb.shape) <= 1000 and corner(rgb) == pytest.approx(RED, abs=3)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\nbroken", b"%PDF-1.4"])
def test_what_is_no_picture_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match="a.png"):
        load_picture(tmp_path / "a.png")


def test_a_torn_picture_is_refused(tmp_path):
    whole = io.BytesIO()
    half_red().resize((400, 400)).save(whole, "PNG")
    (tmp_path / "torn.png").write_bytes(whole.getvalue()[:200])
    with pytest.raises(PictureError, match="torn.png"):
        load_picture(tmp_path / "torn.png")


def test_a_picture_goes_out_as_it_came_in():
    torch.manual_seed(0)
    codes = torch.randint(0, 256, (3, 5, 7)).float() / 255
    assert torch.equal(torch.from_numpy(np.array(to_image(codes))).permute(2, 0, 1) / 255, codes)
    assert resize_short_side(codes, 10).shape == (3, 10, 14)


@pytest.mark.parametrize(
    ("size", "wanted", "rows", "columns"),
    [
        ((40, 80), (40, 40), (0, 40), (20, 60)),
        ((80, 40), (40, 40), (20, 60), (0, 40)),
        ((40, 80), (40, 80), (0, 40), (0, 80)),
    ],
)
def test_a_painting_of_another_shape_is_cut_to_its_middle(size, wanted, rows, columns):
    picture = torch.rand(3, *size)
    assert torch.equal(cover(picture, torch.zeros(3, *wanted)), picture[:, slice(*rows), slice(*columns)])
