"""What a user can ask of a look: blends, key frames, palettes, brushes, mattes, and plain refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.catalog import find_style, find_styles, format_reference, parse_reference, style_names
from stylecore.color import exposure
from stylecore.errors import PackError, PictureError
from stylecore.images import to_image
from stylecore.pack import blank_pack, save_pack
from stylecore.palette import Tint
from stylecore.pixels import RGB, YuvFormat
from stylecore.scaling import carry, lost_detail, resize, work_size
from stylecore.spec import EngineSpec, StyleKey, StyleSpec
from stylecore.stylize import Stylizer
from stylecore.window import by_neighbours, by_running_sums, window_mean

FORM = YuvFormat("bt709", False)


@pytest.fixture(scope="module")
def pack():
    made = blank_pack("painter", ["a", "b"], seed=5, width=8)
    made.vectors["b"][1] += 0.5
    return made


@pytest.fixture(scope="module")
def pack_file(pack, tmp_path_factory):
    path = tmp_path_factory.mktemp("packs") / "two.safetensors"
    save_pack(pack, path)
    return path


def frames(count=2, height=64, width=96):
    generator = torch.Generator().manual_seed(4)
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    return [
        [torch.randint(40, 220, size, generator=generator, dtype=torch.uint8) for size in sizes]
        for _ in range(count)
    ]


def painted(pack, style="a", place=0, mattes=None, shot=None, **options):
    shot = shot or frames()
    stylizer = Stylizer(pack, style, FORM, EngineSpec(), **options)
    return stylizer.stylize(shot[:1], stylizer.survey(shot), place, mattes)[0]


def same(first, second):
    return all(map(torch.equal, first, second))


# -- blends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("scream", [("scream", 1.0)]),
        ("a:1+b:3", [("a", 0.25), ("b", 0.75)]),
        ("/x/my.safetensors#a:0.5+scream:0.5", [("/x/my.safetensors#a", 0.5), ("scream", 0.5)]),
        ("a picture, 1+1.jpg", [("a picture, 1+1.jpg", 1.0)]),
        ("a:1+b:0", [("a", 1.0)]),
    ],
)
def test_references_and_their_parts(reference, parts):
    found = parse_reference(reference)
    assert [(part.reference, part.weight) for part in found] == parts
    assert parse_reference(format_reference(found)) == found


@pytest.mark.parametrize("reference", ["a:1+b:0.00005", "a:1+b:0.000000000000004", "a:1+b:1+c:1"])
def test_a_reference_that_was_written_is_read_again(reference):
    """A weight of 5e-05 would be none."""
    written = format_reference(parse_reference(reference))
    assert [part.reference for part in parse_reference(written)] == [*"abc"][: reference.count(":")]
    assert format_reference(parse_reference(written)) == written


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=4))
def test_weights_of_a_blend_sum_to_one(weights):
    parts = parse_reference("+".join(f"s{place}:{weight:.4f}" for place, weight in enumerate(weights)))
    assert sum(part.weight for part in parts) == pytest.approx(1)


def test_a_blend_runs_from_one_style_to_the_other(pack_file):
    vectors = []
    for share in (0, 0.5, 1):
        blended, name = find_style(f"{pack_file}#a:{1 - share}+{pack_file}#b:{share}")
        vectors.append(blended.vectors[name])
    own, _ = find_style(f"{pack_file}#a")
    assert torch.equal(vectors[0], own.vectors["a"]) and torch.equal(vectors[2], own.vectors["b"])
    assert torch.allclose(vectors[1], (vectors[0] + vectors[2]) / 2)


def test_styles_of_two_networks_do_not_mix(pack_file):
    with pytest.raises(PackError, match="different networks"):
        find_styles(["cartoon", f"{pack_file}#a"])


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("stary-night", "starry-night"),
        ("watercolour", "watercolor"),
        ("Noir", "noir"),
        ("a:0+b:0", "more than 0"),
        ("zzz", "choose from"),
    ],
)
def test_a_wrong_reference_is_told_what_is_near(reference, hint):
    with pytest.raises(PackError, match=hint):
        find_style(reference)


def test_every_name_can_be_had():
    for name in style_names():
        found, key = find_style(name)
        assert found.cards[key]["work"]


# -- strength and key frames ---------------------------------------------------------------------------


def test_no_strength_is_the_source_to_the_bit(pack):
    shot = frames()
    assert same(painted(pack, shot=shot, strength=0.0), shot[0])


def test_key_frames_begin_and_end_as_the_pure_styles(pack):
    keys = (StyleKey(0, "a", "", 1.0), StyleKey(10, "b", "", 0.5))
    for place, pure in ((0, {"style": "a"}), (10, {"style": "b", "strength": 0.5})):
        assert same(painted(pack, "a", place, keys=keys), painted(pack, **pure))
    assert same(painted(pack, "a", 25, keys=keys), painted(pack, "a", 10, keys=keys)), "held after the last"
    assert same(painted(pack, "a", -5, keys=keys), painted(pack, "a", 0, keys=keys)), "and before the first"


def test_between_keys_the_look_moves_evenly(pack):
    keys = (StyleKey(0, "a", "", 0.0), StyleKey(12, "a", "", 1.0))
    luma = [painted(pack, "a", place, keys=keys)[0].float() for place in range(13)]
    steps = [float((after - before).abs().mean()) for before, after in zip(luma, luma[1:], strict=False)]
    assert max(steps) <= 2 * sorted(steps)[6]


def test_a_look_s_identity_is_what_it_does_not_where_it_lies():
    look = StyleSpec("x/a.safetensors", "d", keys=(StyleKey(0, "a", "d", 1.0),))
    moved = StyleSpec("y/b.safetensors", "d", keys=(StyleKey(0, "b", "d", 1.0),))
    assert look.digest == moved.digest != StyleSpec("x", "d").digest
    assert StyleSpec("x", "d", brush=2).digest != StyleSpec("x", "d").digest


@pytest.mark.parametrize("color", ["style", "matched"])
def test_a_key_frame_arrives_unseen(pack, color):
    """Grounds and tints are on the way too, not the first key's until the next."""
    keys = (StyleKey(0, "a", "", 1.0), StyleKey(1000, "b", "", 1.0))
    near, there = (painted(pack, "a", place, keys=keys, color=color) for place in (999, 1000))
    assert all((one.int() - other.int()).abs().max() <= 2 for one, other in zip(near, there, strict=True))


def test_a_fades_paint_is_dimmed_with_it(pack):
    stylizer = Stylizer(pack, "a", YuvFormat(RGB, True, 1, 1), EngineSpec())
    picture = 0.5 + 0.4 * torch.rand(1, 3, 64, 96)
    look = stylizer.survey_parts([picture.split(1, 1)]).at(0)
    lit, faded = (torch.cat(stylizer.change((picture * light).split(1, 1), look)) for light in (0.8, 0.4))
    assert lit.abs().mean() > 0.05 and torch.allclose(2 * faded, lit, atol=1e-3)


@pytest.mark.parametrize("wrong", [{"strength": 1.5}, {"color": "loud"}, {"brush": 0.01}])
def test_a_look_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StyleSpec("x", "d", **wrong)


@pytest.mark.parametrize(
    ("bright_lines", "factor"),
    [(100, 1.0), (5, 1.0), (1, 8.0), (0, 8.0)],
    ids=["a day", "a lamp in a dark room", "a speck in a fade", "a fade"],
)
def test_what_counts_as_faded_in_a_bright_shot(bright_lines, factor):
    picture = torch.full((1, 3, 400, 40), 0.02)
    picture[..., : 4 * bright_lines, :] = 0.8
    assert float(exposure(picture, torch.tensor(0.8))) == factor


# -- colour --------------------------------------------------------------------------------------------


def test_source_colours_leave_chroma_to_the_bit(pack):
    shot = frames()
    made = painted(pack, shot=shot, color="source")
    assert same(made[1:], shot[0][1:]) and not torch.equal(made[0], shot[0][0])


def test_a_tint_gives_mean_and_covariance():
    torch.manual_seed(0)
    picture, palette = torch.rand(1, 3, 40, 40) * 0.2 + 0.4, torch.rand(1, 3, 50, 30) * 0.3 + 0.3
    palette[:, 1] = 0.5 * palette[:, 0] + 0.1
    moved = Tint.between(picture, palette)(picture)
    flat, wanted = moved.transpose(0, 1).flatten(1), palette.transpose(0, 1).flatten(1)
    assert torch.allclose(flat.mean(1), wanted.mean(1), atol=2e-3)
    assert torch.allclose(torch.cov(flat), torch.cov(wanted), atol=2e-3)


def test_a_matched_palette_is_nearer_the_source(pack):
    shot = frames()
    distance = {
        color: sum(
            float((made.float().mean() - source.float().mean()).abs())
            for made, source in zip(painted(pack, "b", shot=shot, color=color), shot[0], strict=True)
        )
        for color in ("style", "matched")
    }
    assert distance["matched"] < 0.5 * distance["style"]


# -- brush and frame height ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "design", "brush", "size"),
    [
        (480, 854, 540, 1, (480, 854)),
        (1080, 1920, 540, 1, (540, 960)),
        (2160, 3840, 540, 1, (540, 960)),
        (1080, 1920, 540, 2, (270, 480)),
        (1080, 1920, 540, 0.5, (1080, 1920)),
        (1080, 1920, 0, 1, (1080, 1920)),
        (17, 900, 540, 4, (16, 847)),
    ],
)
def test_the_height_at_which_paint_is_made(height, width, design, brush, size):
    assert work_size(height, width, design, brush) == size


def test_a_change_is_carried_as_it_is_at_its_own_size():
    torch.manual_seed(1)
    change, source, lost = torch.randn(1, 1, 40, 60), torch.rand(1, 1, 40, 60), torch.rand(1, 1, 40, 60)
    assert torch.equal(carry(change, source, lost, source), change)


@pytest.mark.parametrize("size", [(40, 120), (80, 60)])
def test_what_is_painted_over_is_gone_where_one_side_alone_is_larger(size):
    source = torch.rand(1, 1, *size)
    small = resize(source, (40, 60))
    covered = carry(0.5 - small, small, torch.ones_like(small), source)
    assert (source + covered - 0.5).abs().max() < 0.05


def test_no_change_stays_no_change_and_sharp_edges_stay_sharp():
    source = torch.zeros(1, 3, 80, 120)
    source[..., 60:] = 0.8
    small = resize(source, (40, 60))
    kept = lost_detail(torch.zeros_like(small), small)
    assert carry(small - small, small, kept, source).abs().max() < 0.01
    flat = torch.full_like(small, 0.4)
    gone = carry(flat - small, small, lost_detail(flat - small, small), source)
    assert (source + gone - 0.4).abs().max() < 0.02, "painted over means gone"


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 5, 7, 9, 11, 13, 21]))
def test_a_window_mean_is_the_mean_of_a_window(height, width, side):
    x = torch.rand(1, 2, height, width)
    padded = torch.nn.functional.pad(x, (side // 2,) * 4, mode="replicate")
    wanted = torch.nn.functional.avg_pool2d(padded, side, 1)
    for mean in (window_mean, by_running_sums, by_neighbours):
        assert torch.allclose(mean(x, side), wanted, atol=1e-5)


def test_strokes_keep_their_size_from_540_to_2160_lines(pack):
    torch.manual_seed(2)
    small = torch.nn.functional.interpolate(torch.rand(1, 3, 18, 24), (540, 720), mode="bicubic").clamp(0, 1)
    large = torch.nn.functional.interpolate(small, (2160, 2880), mode="bicubic").clamp(0, 1)
    made = []
    for picture in (small, large):
        stylizer = Stylizer(pack, "a", YuvFormat(RGB, True, 1, 1), EngineSpec())
        parts = picture.split(1, 1)
        look = stylizer.survey_parts([parts]).at(0)
        made.append(picture + torch.cat(stylizer.change(parts, look), 1))
    assert (resize(made[1], (540, 720)) - made[0]).abs().mean() < 0.01


# -- mattes ----------------------------------------------------------------------------------------------


def test_outside_its_matte_a_frame_is_the_source_to_the_bit(pack):
    shot = frames()
    matte = torch.zeros(64, 96)
    matte[:, :48] = 1
    made = painted(pack, shot=shot, mattes=[matte])
    assert torch.equal(made[0][:, 48:], shot[0][0][:, 48:])
    assert torch.equal(made[1][:, 25:], shot[0][1][:, 25:]), "one sample of chroma spans the edge"
    assert not torch.equal(made[0][:, :48], shot[0][0][:, :48])


def test_the_identity_is_exact_whatever_the_brush():
    shot = frames()
    identity, name = find_style("identity")
    assert same(painted(identity, name, shot=shot, brush=2.0), shot[0])


# -- pictures as styles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "level", "reason"),
    [((1, 1), 0.5, "too small"), ((8, 200), 0.5, "too small"), ((64, 64), 0.0, "flat colour")],
)
def test_what_is_no_style_picture_is_refused(tmp_path, size, level, reason):
    path = tmp_path / "odd.png"
    to_image(torch.full((3, *size), level)).save(path)
    with pytest.raises(PictureError, match=reason):
        find_style(str(path))


def test_a_missing_or_broken_picture_is_one_clear_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    for name in ("a.jpg", "none.png"):
        with pytest.raises(PictureError, match=name):
            find_style(str(tmp_path / name))
