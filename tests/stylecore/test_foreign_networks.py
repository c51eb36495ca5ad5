"""Other people's networks come in equal to their definition, or not at all; ours go out equal to ours."""

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import checkpoint
from safetensors.torch import save_file

from stylecore import exporting, importing
from stylecore.encoders import load_encoder
from stylecore.errors import ExportError, PackError, WeightsError
from stylecore.exporting import export_onnx
from stylecore.images import load_picture, resize_short_side
from stylecore.importing import import_checkpoint
from stylecore.networks.johnson import Johnson
from stylecore.normalize import FoldedNorm, FrozenNorm, LiveNorm, SurveyNorm
from stylecore.pack import blank_pack, load_pack, save_pack
from stylecore.tiling import paint_tiled

DATA = os.environ.get("STYLEREEL_DATA")
CODE = 1 / 255


def original(state, rgb):
    """The published definition, 0..255 inside, on a picture in 0..1."""

    def conv(name, x, stride=1):
        weight, bias = state[f"{name}.conv2d.weight"], state[f"{name}.conv2d.bias"]
        return F.conv2d(F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect"), weight, bias, stride)

    def normed(name, x):
        return F.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"], eps=1e-5)

    x = rgb * 255
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        x = F.relu(normed(f"in{number}", conv(f"conv{number}", x, stride)))
    for res in ("res1", "res2", "res3", "res4", "res5"):
        y = F.relu(normed(f"{res}.in1", conv(f"{res}.conv1", x)))
        x = x + normed(f"{res}.in2", conv(f"{res}.conv2", y))
    for number in (1, 2):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.relu(normed(f"in{number + 3}", conv(f"deconv{number}", x)))
    return conv("deconv3", x).clamp(0, 255) / 255


def painted(pack, rgb):
    """One picture by its own statistics, as the original paints it."""
    (vector,) = pack.vectors.values()
    with torch.no_grad():
        return pack.network(rgb, LiveNorm(vector[None], pack.prior))


def far(one, other):
    return float((one - other).abs().max())


def saved(path, state):
    torch.save(state, path)
    return path


def picture(height, width, seed=3):
    generator = torch.Generator().manual_seed(seed)
    soft = F.interpolate(torch.rand(1, 3, 5, 7, generator=generator), (height, width), mode="bicubic")
    return (soft + 0.1 * torch.randn(soft.shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("size", [(16, 16), (64, 96), (100, 52)])
def test_an_imported_network_is_the_original(tmp_path, width, size):
    state, rgb = checkpoint(width, seed=width), picture(*size)
    pack = import_checkpoint(saved(tmp_path / "net.pth", state), "net")
    assert pack.network_arguments == {"width": width}
    assert far(painted(pack, rgb), original(state, rgb)) < 0.05 * CODE


def test_a_picture_between_sizes_is_painted_as_its_edge_continued(tmp_path):
    state, rgb = checkpoint(4), picture(61, 83)
    pack = import_checkpoint(saved(tmp_path / "net.pth", state), "net")
    continued = original(state, F.pad(rgb, (0, 1, 0, 3), mode="replicate"))
    assert far(painted(pack, rgb), continued[..., :61, :83]) < 0.05 * CODE


def with_running_statistics(state):
    norms = [key.removesuffix(".weight") for key in state if key.endswith(("in1.weight", "in2.weight"))]
    running = {f"{norm}.running_{part}": torch.full((4,), 9.0) for norm in norms for part in ("mean", "var")}
    return state | running


FORMS = {
    "net.pth": torch.save,
    "net.pt": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "net.model": lambda state, path: torch.save(with_running_statistics(state), path),
    "half.pth": lambda state, path: torch.save({key: value.half() for key, value in state.items()}, path),
    "net.safetensors": save_file,
}


@pytest.mark.parametrize("file", FORMS)
def test_every_form_of_a_checkpoint_is_read(tmp_path, file):
    # Rounded, so that one form may be half precision.
    state, rgb = {key: value.half().float() for key, value in checkpoint(4).items()}, picture(32, 32)
    FORMS[file](state, tmp_path / file)
    pack = import_checkpoint(tmp_path / file, "net")
    assert far(painted(pack, rgb), original(state, rgb)) < 0.05 * CODE
    assert file in pack.cards["net"]["work"] and len(pack.cards["net"]["sha256"]) == 64


def test_a_stored_import_still_paints_the_original(tmp_path):
    state, rgb = checkpoint(8), picture(64, 96)
    save_pack(import_checkpoint(saved(tmp_path / "net.pth", state), "net"), tmp_path / "net.safetensors")
    assert far(painted(load_pack(tmp_path / "net.safetensors"), rgb), original(state, rgb)) < CODE


class Trap:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def trap(path):
    torch.save({"conv1.conv2d.weight": Trap(path.parent / "sprung")}, path)


def bare_trap(path):
    path.write_bytes(pickle.dumps(Trap(path.parent / "sprung")))


def changed(key, value):
    return lambda path: torch.save(checkpoint(4) | {key: value}, path)


def without(key):
    return lambda path: torch.save({k: v for k, v in checkpoint(4).items() if k != key}, path)


BAD_FILES = {
    "no file": (lambda path: None, "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "not a torch checkpoint"),
    "text": (lambda path: path.write_text("hello"), "not a torch checkpoint"),
    "cut off": (lambda path: path.write_bytes(saved(path, checkpoint(4)).read_bytes()[:9000]), "damaged"),
    "code": (trap, "refused: it holds more than weights, and loading that could run code"),
    "code in a bare pickle": (bare_trap, "refused"),
    "a whole module": (lambda path: torch.save(Johnson(4), path), r"torch\.save\(model\.state_dict\(\)\)"),
    "a tensor": (lambda path: torch.save(torch.ones(2), path), "holds a Tensor; expected a state dict"),
    "no weights": (lambda path: torch.save({}, path), "of 62 names it misses 62"),
    "another network": (lambda path: torch.save({"features.0.weight": torch.ones(1)}, path), "features.0"),
    "a missing name": (without("in4.bias"), r"misses 1 \(in4.bias\)"),
    "an unknown name": (changed("extra", torch.ones(1)), r"has unknown 1 \(extra\)"),
    "a wrong shape": (changed("in4.bias", torch.ones(9)), r"in4.bias has shape \(9,\), expected \(8,\)"),
    "no channels": (changed("conv1.conv2d.weight", torch.ones(0, 3, 9, 9)), "0 channels, expected 1 to"),
    "endless channels": (changed("conv1.conv2d.weight", torch.ones(1).expand(10**9, 3, 9, 9)), "1000000000"),
    "a scalar": (changed("conv1.conv2d.weight", torch.tensor(1.0)), "has 0 channels"),
    "integers": (changed("in4.bias", torch.ones(8, dtype=torch.int)), "no tensor of floating-point weights"),
    "a list": (changed("in4.bias", [1.0] * 8), "no tensor of floating-point weights"),
    "no storage": (changed("in4.bias", torch.ones(8, device="meta")), "no tensor of floating-point weights"),
    "NaN": (changed("in4.bias", torch.full((8,), torch.nan)), "in4.bias holds NaN or infinity"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path, fault):
    write, message = BAD_FILES[fault]
    write(tmp_path / "odd.pth")
    with pytest.raises(PackError, match=rf"odd\.pth: .*({message})") as refusal:
        import_checkpoint(tmp_path / "odd.pth", "net")
    assert "\n" not in str(refusal.value) and not (tmp_path / "sprung").exists()


def _of_type(kind):
    head = json.dumps({"x": {"dtype": kind, "shape": [2], "data_offsets": [0, 2]}}).encode()
    return len(head).to_bytes(8, "little") + head + b"\0\0"


@pytest.mark.parametrize("content", [b"\x08\0\0\0\0\0\0\0nothing!", _of_type("F8_E8M0")])
def test_damaged_safetensors_are_refused(tmp_path, content):
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="odd.safetensors: not a loss network"):
        load_encoder(tmp_path / "odd.safetensors")
    with pytest.raises(PackError, match="odd.safetensors: not a safetensors file"):
        import_checkpoint(tmp_path / "odd.safetensors", "net")


def test_a_file_too_big_is_refused_before_it_is_read_or_unfolded(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "MAX_FILE_BYTES", 1 << 20)
    (tmp_path / "long.pth").write_bytes(bytes(3 << 20))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(3 << 20))
    for file, message in (("long.pth", "is 3 MB"), ("bomb.pth", "unfolds to 3 MB")):
        with pytest.raises(PackError, match=message):
            import_checkpoint(tmp_path / file, "net")


@pytest.fixture(scope="module")
def frozen():
    """A network with the statistics of one picture."""
    pack = blank_pack("johnson", ["plain"], seed=6, width=4)
    survey = SurveyNorm(pack.vectors["plain"], pack.prior)
    with torch.no_grad():
        pack.network(picture(96, 160), survey)
    return pack.network, FrozenNorm(survey.constants)


@pytest.mark.parametrize("size", [(96, 160), (203, 330)])
@pytest.mark.parametrize("tile_px", [64, 100])
def test_tiles_equal_the_whole_frame(frozen, size, tile_px):
    network, norm = frozen
    rgb = picture(*size)
    with torch.no_grad():
        tiled = paint_tiled(lambda box: network(box, norm), rgb, tile_px, network.halo_px, network.stride_px)
        assert far(tiled, network(rgb, norm)) < 0.01 * CODE


@pytest.mark.parametrize("first", range(300, 304))
def test_a_pixel_sees_as_far_as_the_halo_and_no_farther(first):
    """Positive weights let every path through; what a changed half picture moves lies within the halo."""
    network = Johnson(1).double()
    for weights in network.parameters():
        torch.nn.init.constant_(weights, 1 / weights[0].numel() if weights.ndim > 1 else 0)
    rgb = torch.full((1, 3, 16, 600), 0.01, dtype=torch.double)
    right, left = rgb.clone(), rgb.clone()
    right[..., first:], left[..., :first] = 0.02, 0.02
    with torch.no_grad():
        plain, *moved = (network(x, FoldedNorm()) for x in (rgb, right, left))
    touched = [torch.nonzero((x - plain).abs().amax((0, 1, 2)) > 1e-14) for x in moved]
    reach = first - int(touched[0][0]), int(touched[1][-1]) - first + 1
    assert network.halo_px - 4 < max(reach) <= network.halo_px


@pytest.fixture(scope="module")
def painter():
    pack = blank_pack("painter", ["plain", "other"], seed=5, width=8)
    pack.vectors["other"][1] += 0.4
    return pack


@pytest.fixture(scope="module")
def johnson(tmp_path_factory):
    folder = tmp_path_factory.mktemp("johnson")
    return import_checkpoint(saved(folder / "net.pth", checkpoint(4)), "net")


@pytest.fixture(scope="module")
def exported(johnson, tmp_path_factory):
    """A small one: painted styles take half a minute, and the README exports one."""
    path = tmp_path_factory.mktemp("onnx") / "new" / "net.onnx"
    export_onnx(johnson, "net", path, 48, 64)
    return path


@pytest.mark.parametrize("size", [(48, 64), (61, 83), (100, 30)])
def test_an_exported_style_paints_the_same_at_any_size(johnson, exported, size):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    rgb = picture(*size)
    with torch.no_grad():
        expected = johnson.network(rgb, LiveNorm(johnson.vectors["net"][None], johnson.prior))
    assert far(torch.from_numpy(session.run(None, {"rgb": rgb.numpy()})[0]), expected) < 1e-4
    assert '"style": "net"' in session.get_modelmeta().custom_metadata_map["stylereel"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(lambda file: file.read_bytes(), "differ by"), (lambda file: b"no network", "cannot run")],
)
def test_what_does_not_paint_the_same_is_never_left_behind(
    painter, exported, tmp_path, monkeypatch, content, message
):
    """The file written is another style's, or none."""
    monkeypatch.setattr(exporting, "_write", lambda model, path, *_: path.write_bytes(content(exported)))
    with pytest.raises(ExportError, match=message):
        export_onnx(painter, "other", tmp_path / "other.onnx", 48, 64)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", exporting.PACKAGES)
def test_a_missing_package_says_how_to_get_it(painter, tmp_path, monkeypatch, package):
    monkeypatch.setattr(exporting, "PACKAGES", (package,))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=rf"{package}: pip install '.\[onnx\]'"):
        export_onnx(painter, "plain", tmp_path / "a.onnx", 48, 64)


@pytest.mark.parametrize(("style", "side", "message"), [("none", 48, "plain, other"), ("plain", 8, "16 px")])
def test_an_impossible_export_is_refused(painter, tmp_path, style, side, message):
    with pytest.raises(ExportError, match=message):
        export_onnx(painter, style, tmp_path / "a.onnx", side, side)


REAL = sorted(Path(DATA or "/nowhere").glob("checkpoints/pytorch_examples_nc/*.pth"))


@pytest.mark.long
@pytest.mark.skipif(not REAL, reason="STYLEREEL_DATA points to no checkpoints")
@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_real_checkpoints_paint_photos_as_the_original(tmp_path, file):
    state = torch.load(file, weights_only=True)
    pack = import_checkpoint(file, "net")
    save_pack(pack, tmp_path / "net.safetensors")
    stored = load_pack(tmp_path / "net.safetensors")
    photos = sorted(Path(DATA).glob("photos/cc0_elementary/*.jpg"))[:3]
    assert photos
    for photo in photos:
        rgb = resize_short_side(load_picture(photo), 512)[None, :, :512, :512]
        expected = original(state, rgb)
        assert far(painted(pack, rgb), expected) < 0.05 * CODE
        assert far(painted(stored, rgb), expected) < 0.05 * CODE, (
            "stored whole: half precision would cost 1.4 codes"
        )


@pytest.mark.long
@pytest.mark.skipif(not REAL, reason="STYLEREEL_DATA points to no checkpoints")
def test_a_real_checkpoint_goes_out_as_onnx(tmp_path):
    export_onnx(import_checkpoint(REAL[0], "net"), "net", tmp_path / "net.onnx", 256, 256)
    assert (tmp_path / "net.onnx").stat().st_size < 2 * REAL[0].stat().st_size


def test_a_painted_style_larger_than_its_canvas_is_refused(painter, tmp_path):
    with pytest.raises(ExportError, match="up to 1920"):
        export_onnx(painter, "plain", tmp_path / "big.onnx", 2160, 3840)
