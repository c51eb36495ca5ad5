"""Loss networks of every make: told by their names, proved by their hash, refused in one line."""

import hashlib
from dataclasses import replace

import pytest
import torch
from conftest import loss_network, loss_weights
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.cli import run
from stylecore.encoders import (
    BUNDLED_LOSS_NETWORK,
    LAYOUTS,
    Encoder,
    Panel,
    bundled_encoder,
    load_encoder,
    published_encoder,
)
from stylecore.errors import WeightsError
from stylecore.explain import draw_gram, draw_maps, explain
from stylecore.training.distill import Distiller, DistillSpec, clusters, distill


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "compact"])
def test_a_file_is_known_by_the_names_inside_it(name, tmp_path):
    file = tmp_path / "any.safetensors"
    save_file({**loss_weights(name), "classifier.0.weight": torch.zeros(4, 8)}, file)
    assert load_encoder(file).layout is LAYOUTS[name]


PUBLISHED = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
"""The configurations of Simonyan & Zisserman 2014, as torchvision lists them."""


def published(name):
    """Torchvision's list of modules, an eighth as wide."""
    modules, inputs = [], 3
    for item in PUBLISHED[name].split():
        if item == "M":
            modules.append(nn.MaxPool2d(2))
            continue
        modules += [nn.Conv2d(inputs, int(item) // 8, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        inputs = int(item) // 8
    return nn.Sequential(*modules)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_torchvisions_format_is_read_as_it_is_meant(name):
    """Names, order, pooling and normalization; the padding is ours."""
    torch.manual_seed(0)
    theirs = published(name)
    ours = Encoder(LAYOUTS[name], {f"features.{key}": value for key, value in theirs.state_dict().items()})
    picture = torch.rand(1, 3, 48, 32)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (LAYOUTS[name].mean, LAYOUTS[name].std))
    stop = int(LAYOUTS[name].stages[3][1].removeprefix("features.")) + 2
    with torch.no_grad():
        wanted = theirs[:stop]((picture - mean) / std)
        assert torch.allclose(ours(picture, ["relu4_2"])["relu4_2"], wanted, atol=1e-5)


def test_a_file_that_ends_early_has_the_layers_it_has(tmp_path):
    file = tmp_path / "short.safetensors"
    weights = loss_weights("vgg19")
    save_file({name: weights[name] for name in list(weights)[:10]}, file)
    encoder = load_encoder(file)
    assert encoder.layers == ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]
    with pytest.raises(WeightsError, match="relu4_1: this loss network has relu1_1"):
        encoder(torch.rand(1, 3, 32, 32), ["relu4_1"])


def test_average_pooling_keeps_activations_near_their_size():
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64)
    weights = loss_weights("compact")
    largest, mean = (
        float(Encoder(LAYOUTS["compact"], weights, pooling)(picture, ["relu3_1"])["relu3_1"].mean())
        for pooling in ("max", "average")
    )
    assert 0.4 < mean / largest < 2.5


def paint(*more):
    return run(["image", "a.png", "b.png", "--style", "a.png", "--method", "optimize", *more])


@pytest.fixture
def desk(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.effect_noise((80, 64), 60).convert("RGB").save("a.png")
    save_file(loss_weights("vgg19"), "vgg.safetensors")
    return tmp_path


def test_a_file_that_is_not_the_one_meant_is_refused(desk, capsys):
    sizes = ("--size", "64", "--steps", "1")
    right = hashlib.sha256((desk / "vgg.safetensors").read_bytes()).hexdigest()
    assert paint("--loss-network", "vgg.safetensors", "--sha256", right, *sizes) == 0
    capsys.readouterr()
    assert paint("--loss-network", f"file://{desk}/vgg.safetensors", "--sha256", "0" * 64, *sizes) == 2
    err = capsys.readouterr().err
    assert right in err and "expected 0000" in err and "Traceback" not in err
    assert paint("--loss-network", "bundled", "--sha256", right, *sizes) == 2
    assert "bundled is known by name" in capsys.readouterr().err
    assert paint("--loss-network", "absent.safetensors", *sizes) == 2
    assert "absent.safetensors: not found" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["features.0.bias", None])
def test_weights_that_do_not_fit_are_refused_before_they_look(tmp_path, missing):
    weights = loss_weights("vgg19")
    weights["features.5.weight"] = weights["features.5.weight"][:, :1].contiguous()
    save_file({name: each for name, each in weights.items() if name != missing}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="odd.safetensors: its weights do not fit the layout vgg19"):
        load_encoder(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    weights = loss_weights("compact")
    weights["conv3_1.bias"][1] = value
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="odd.safetensors: holds NaN or infinity"):
        load_encoder(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [b"", b"<html>sign in to this network</html>"])
def test_what_is_no_network_in_torch_s_cache_is_refused_before_it_is_read(tmp_path, monkeypatch, content):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="expected 397923af.*remove it"):
        published_encoder("vgg16")


def test_what_lies_in_torch_s_cache_is_proved_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir(parents=True)
    torch.save(loss_weights("vgg16"), file)
    with pytest.raises(WeightsError, match="expected 397923af"):
        published_encoder("vgg16")


def test_without_network_or_cache_one_line_names_the_offline_choice(desk, capsys, monkeypatch):
    """The real download, where no name resolves: the proxy does not exist."""
    monkeypatch.setenv("TORCH_HOME", str(desk / "empty"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert paint("--loss-network", "vgg16") == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("stylereel:")]
    assert "vgg16" in line and "--loss-network bundled works offline" in line
    assert not (desk / "b.png").exists()


def test_the_network_in_the_box_is_small_and_knows_the_layers_that_are_asked_for():
    assert BUNDLED_LOSS_NETWORK.stat().st_size < 3_000_000
    found = bundled_encoder()(torch.rand(1, 3, 64, 64), ["relu1_1", "relu4_2", "relu5_1"])
    assert all(features.isfinite().all() and features.std() > 0 for features in found.values())


SPEC = DistillSpec(crops=20, crop_px=64, widths=(6,) * 5, samples=4000, steps=12, batch=2)


@pytest.fixture(scope="module")
def crops():
    torch.manual_seed(0)
    return [torch.rand(3, 20, 20).repeat_interleave(8, 1).repeat_interleave(8, 2) for _ in range(2)]


def test_distilling_explains_its_teacher_and_resumes_to_the_bit(crops, tmp_path):
    whole = Distiller([loss_network("vgg19")], crops, SPEC)
    layers = len(LAYOUTS["compact"].convolutions)
    for _ in range(layers):
        whole.advance()
    solved = whole.unexplained()
    assert list(solved) == LAYOUTS["compact"].convolutions and solved["conv1_1"] < 0.05
    assert list(distill(whole)) == list(range(layers + 1, layers + 13))
    refined = whole.unexplained()
    assert sum(refined.values()) < sum(solved.values())
    half = Distiller([loss_network("vgg19")], crops, SPEC)
    for stop in (3, layers + 5):
        while half.step < stop:
            half.advance()
        torch.save(half.state(), tmp_path / "half.pt")
        half = Distiller([loss_network("vgg19")], crops, SPEC)
        half.restore(torch.load(tmp_path / "half.pt", weights_only=True))
    list(distill(half))
    for name, weight in whole.finished().items():
        assert torch.equal(weight, half.finished()[name])


def test_another_distillation_is_not_gone_on_with(crops):
    """Its weights would be passed off as those of other teachers or pictures."""
    first = Distiller([loss_network("vgg19")], crops, SPEC)
    for others in (([loss_network("vgg16")], crops), ([loss_network("vgg19")], crops[::-1])):
        with pytest.raises(ValueError, match="of other teachers"):
            Distiller(*others, SPEC).restore(first.state())
    Distiller([loss_network("vgg19")], crops, replace(SPEC, steps=20)).restore(first.state())


def test_each_layer_is_learned_from_the_first_teacher_that_has_it(crops):
    whole = loss_weights("vgg19")
    shallow = Encoder(LAYOUTS["vgg19"], {name: 0 * whole[name] for name in list(whole)[:6]})
    taught = Distiller([shallow, loss_network("vgg19")], crops, SPEC)
    for _ in range(4):
        taught.advance()
    made = Encoder(LAYOUTS["compact"], taught.weights)(crops[0][None], ["relu2_1", "relu2_2"])
    assert made["relu2_1"].abs().max() < 1e-4 < made["relu2_2"].abs().max()


def test_of_several_judges_the_first_that_has_a_layer_is_asked():
    whole, photo = loss_network("vgg19"), torch.rand(1, 3, 48, 48)
    shallow = Encoder(
        LAYOUTS["vgg16"], {name: -each for name, each in list(loss_weights("vgg16").items())[:4]}
    )
    found = Panel([shallow, whole])(photo, ["relu1_1", "conv1_2", "relu3_1"])
    assert [*found] == ["relu1_1", "conv1_2", "relu3_1"]
    for layer, judge in {"relu1_1": shallow, "conv1_2": shallow, "relu3_1": whole}.items():
        assert torch.equal(found[layer], judge(photo, [layer])[layer])
    with pytest.raises(WeightsError, match="relu2_1: none of the loss networks has it"):
        Panel([shallow])(photo, ["relu1_1", "relu2_1"])


def test_channels_that_fire_together_become_one():
    torch.manual_seed(0)
    alone = torch.rand(3, 500)
    seen = torch.cat([alone, alone[1:2] * 2 + 0.01 * torch.rand(1, 500)])
    merged = clusters(seen, 3)
    assert torch.allclose(merged @ merged.T, torch.eye(3), atol=1e-6)
    assert ((merged > 0).sum(1) == 2).sum() == 1 and (merged[:, 1] > 0).eq(merged[:, 3] > 0).all()


def test_distill_writes_a_network_that_can_be_used(desk):
    (desk / "photos").mkdir()
    (desk / "photos" / "a.png").write_bytes((desk / "a.png").read_bytes())
    save_file(loss_weights("vgg19", width=96), "vgg.safetensors")
    arguments = ["--teacher", "vgg.safetensors", "--content", "photos", "--out", "mine.safetensors"]
    assert run(["distill", *arguments, "--crops", "2", "--steps", "1"]) == 0
    assert set(load_file("mine.safetensors")) == set(loss_weights("compact"))
    assert paint("--loss-network", "mine.safetensors", "--size", "64", "--steps", "1") == 0


def test_features_are_shown_as_pictures():
    encoder = loss_network()
    shown = list(explain(torch.rand(3, 64, 96), encoder, ["relu1_1", "relu3_1"]))
    assert [name for name, _, _ in shown] == ["relu1_1", "relu3_1"]
    for _, maps, gram in shown:
        assert maps.width > 300 and gram.width == gram.height == 512
    flat = torch.zeros(1, 4, 8, 8)
    assert draw_maps(flat).width > 0 and draw_gram(flat).getextrema()[0][0] > 240
