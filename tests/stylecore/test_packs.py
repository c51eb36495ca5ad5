"""Style packs: whole ones come back as they went, others are refused by name, and of two there is a mean."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pipelines.cli import run
from stylecore.averaging import average
from stylecore.catalog import bundled_styles, find_style
from stylecore.errors import PackError
from stylecore.pack import blank_pack, load_pack, save_pack


def test_the_mean_of_two_packs_lies_between_them(tmp_path):
    one, two = (blank_pack("painter", ["a", "b"], seed, width=8) for seed in (1, 2))
    two.prior.mean.add_(1), two.prior.var.mul_(3)
    for name, pack in (("one", one), ("two", two)):
        save_pack(pack, tmp_path / f"{name}.safetensors")
    files = [str(tmp_path / f"{name}.safetensors") for name in ("one", "two", "mean")]
    assert run(["styles", "average", *files[:2], "--out", files[2]]) == 0
    mean, *both = (load_pack(Path(file)) for file in (files[2], *files[:2]))
    weights = [pack.network.state_dict()["stem.weight"] for pack in both]
    assert torch.allclose(mean.network.state_dict()["stem.weight"], (weights[0] + weights[1]) / 2, atol=1e-3)
    assert torch.allclose(mean.prior.mean, one.prior.mean + 0.5, atol=1e-3)
    assert torch.allclose(mean.prior.var, 2 * one.prior.var, atol=1e-3)
    assert len(mean.recipe["mean_of"]) == 2
    with pytest.raises(PackError, match="painter width 8 with a, b and one of painter width 8 with c"):
        average([one, blank_pack("painter", ["c"], 1, width=8)])


def _edited(**changes):
    """What makes a sound file of a pack's head and tensors, with some of them changed or (None) left out."""

    def save(path):
        whole = blank_pack("painter", ["one"], 4, width=8)
        save_pack(whole, path)
        with safe_open(path, framework="pt") as opened:
            head = json.loads(opened.metadata()["stylereel"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        for name, value in changes.items():
            place = tensors if name.replace("__", ".") in tensors else head
            place[name.replace("__", ".")] = value
        kept = {key: value for key, value in tensors.items() if value is not None}
        save_file(kept, path, {"stylereel": json.dumps({k: v for k, v in head.items() if v is not None})})

    return save


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_file({"x": torch.ones(1)}, path, {"stylereel": "{broken"}),
        lambda path: save_file({"x": torch.ones(1)}, path, {"stylereel": "[" * 200_000}),
        _edited(network=None),
        _edited(network="nosuch"),
        _edited(cards=None),
        _edited(cards=["one"]),
        _edited(cards={"one": ["nobody"]}),
        _edited(arguments={"width": 10**9}),
        _edited(arguments={"depth": 3}),
        _edited(prior__mean=torch.zeros(3)),
        _edited(prior__var=-torch.ones(sum(blank_pack("painter", [], 4, width=8).prior.channels))),
        _edited(style__one=None),
        _edited(style__one=torch.ones(2, 5)),
        _edited(style__one=torch.full((2, 6), torch.nan)),
    ],
)
def test_a_pack_that_is_not_whole_is_refused_before_it_paints(tmp_path, save):
    path = tmp_path / "odd.safetensors"
    save(path)
    with pytest.raises(PackError, match="odd.safetensors: not a (whole )?style pack"):
        load_pack(path)


@pytest.mark.parametrize("metadata", [None, {"stylereel": '{"version": 1}'}, {"stylereel": "[2]"}])
def test_a_file_of_others_is_refused_before_its_weights_are_read(tmp_path, monkeypatch, metadata):
    """A language model in the same form is larger than memory."""
    save_file({"x": torch.ones(1)}, tmp_path / "llama.safetensors", metadata)
    monkeypatch.setattr("stylecore.pack.safe_open", lambda *a, **k: _Unread(*a, **k))
    with pytest.raises(PackError, match="llama.safetensors: style pack version"):
        load_pack(tmp_path / "llama.safetensors")


class _Unread:
    """A safetensors file whose tensors must not be read."""

    def __init__(self, *arguments, **options):
        self.opened = safe_open(*arguments, **options)

    def __enter__(self):
        return self.opened.__enter__() and self

    def __exit__(self, *fault):
        return self.opened.__exit__(*fault)

    def __getattr__(self, name):
        assert name == "metadata", f"{name} asked for"
        return self.opened.metadata


@pytest.mark.parametrize("content", [b"", b"not a pack", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_pack_is_refused_by_name(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(PackError, match="odd.safetensors"):
        load_pack(path)


def test_an_unknown_style_names_the_known_ones():
    with pytest.raises(PackError, match="identity"):
        find_style("nosuch")


def test_every_bundled_style_loads_and_tells_its_origin():
    assert len(bundled_styles()) >= 2
    for name, path in bundled_styles().items():
        card = load_pack(path).cards[name]
        assert card["artist"] and card["work"]
