"""Training on small real networks: it learns, it resumes to the bit, its packs travel."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from pipelines.commands import checkpoints
from pipelines.commands.train import _named, _resume, _starting_pack, pictures_to_learn_on
from pipelines.errors import UsageError
from stylecore import losses
from stylecore.canvas import canvas
from stylecore.catalog import as_read, find_style, picture_vector, read_vector
from stylecore.encoders import LAYOUTS, load_encoder
from stylecore.errors import DivergedError, PackError, PictureError, WeightsError
from stylecore.images import load_picture, to_image
from stylecore.networks.painter import CELL_PX, spread
from stylecore.networks.reader import StyleReader
from stylecore.pack import blank_pack, load_pack, save_pack
from stylecore.palette import palette_of
from stylecore.training.brushwork import StylePictures
from stylecore.training.contents import ContentCrops, in_bytes, in_light
from stylecore.training.gallery import READ_PX, Gallery
from stylecore.training.spec import TrainSpec
from stylecore.training.targets import Targets
from stylecore.training.trainer import Trainer, as_shown, crop_asked_to_be_steady, train
from stylecore.training.wishes import appetite, style_wish

SPEC = TrainSpec(steps=6, crop_px=64, painting_short_side_px=64)


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory):
    """The compressed VGG's layout with random weights: the real code, small numbers."""
    torch.manual_seed(1)
    layout, weights, width = LAYOUTS["vgg19-cd16x"], {}, {1: 8, 2: 8, 3: 8, 4: 8, 5: 8}
    weights["conv0.weight"], weights["conv0.bias"] = torch.eye(3).view(3, 3, 1, 1), torch.zeros(3)
    inputs = 3
    for stage, names in enumerate(layout.stages, start=1):
        for name in names:
            weights[f"{name}.weight"] = torch.randn(width[stage], inputs, 3, 3) * 0.3
            weights[f"{name}.bias"] = torch.zeros(width[stage])
            inputs = width[stage]
    path = tmp_path_factory.mktemp("weights") / "cd16x.safetensors"
    save_file(weights, path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    torch.manual_seed(2)
    for number in range(3):
        coarse = torch.rand(1, 3, 6, 8)
        to_image(torch.nn.functional.interpolate(coarse, (90, 120), mode="bicubic")[0]).save(
            folder / f"{number}.png"
        )
    return sorted(folder.iterdir())


def loaded(pictures):
    return [load_picture(path) for path in pictures]


def trainer(pictures, encoder_file, spec=SPEC):
    paintings = {"one": load_picture(pictures[0]), "two": load_picture(pictures[1])}
    return Trainer(
        blank_pack("painter", list(paintings), 4, width=8), paintings, load_encoder(encoder_file), spec
    )


def test_training_lowers_its_losses(pictures, encoder_file):
    spec = replace(SPEC, steps=60, learning_rate=4e-3)
    totals = [
        sum(step.losses.values()) for step in train(trainer(pictures, encoder_file, spec), loaded(pictures))
    ]
    assert sum(totals[-8:]) < 0.8 * sum(totals[:8])


def test_style_vectors_learn_faster_by_as_much_as_asked(pictures, encoder_file):
    """Adam's first step is as long as the rate of each."""
    paces = []
    for rate in (1.0, 4.0):
        taught = trainer(pictures, encoder_file, replace(SPEC, vector_rate=rate))
        before = [each.detach().clone() for each in (taught.parameters[0], taught.vectors)]
        next(train(taught, loaded(pictures)))
        after = (taught.parameters[0], taught.vectors)
        network, vectors = ((a.detach() - b).abs().max() for a, b in zip(after, before, strict=True))
        paces.append(float(vectors / network))
    assert paces == pytest.approx([1, 4], rel=0.01)


def test_a_look_with_grain_is_asked_to_be_as_steady(pictures, encoder_file):
    asked = []
    for noise in (0.0, 0.1):
        torch.manual_seed(0)
        taught = trainer(pictures, encoder_file, replace(SPEC, motion_noise=noise))
        asked.append(next(train(taught, loaded(pictures))).losses["motion"])
    assert asked[1] > 1.5 * asked[0]


def test_pictures_that_differ_in_the_mean_alone_are_a_population_with_spread(pictures, encoder_file):
    taught = trainer(pictures, encoder_file)
    mean, var = torch.zeros(2, sum(taught.prior.channels)), torch.ones(2, sum(taught.prior.channels))
    mean[1] = 4
    taught._learn_population(SimpleNamespace(moments=[(mean, var)]))
    assert torch.allclose(taught.prior.mean, mean.mean(0)) and torch.allclose(taught.prior.var, 5 * var[0])


@pytest.mark.parametrize(
    "wish",
    [
        {"style_weight": float("nan")},
        {"content_weight": float("inf")},
        {"palette_weight": -1.0},
        {"learning_rate": 0.0},
        {"steps": 0},
        {"crop_px": 0},
        {"style_layers": {"relu1_1": 0.0}},
        {"style_layers": {"relu1_1": float("nan")}},
    ],
)
def test_numbers_that_cannot_be_learned_by_are_refused(wish):
    with pytest.raises(ValueError, match=next(iter(wish)).partition("_")[0]):
        TrainSpec(**wish)


def test_a_training_that_breaks_says_so_and_writes_nothing(pictures, encoder_file, tmp_path):
    wild = trainer(pictures, encoder_file, replace(SPEC, learning_rate=1e38))
    with pytest.raises(DivergedError, match="training broke at step .* lower weights or learning rate"):
        list(train(wild, loaded(pictures)))
    with pytest.raises(PackError, match="p.safetensors: not written, .* NaN"):
        save_pack(wild.finished_pack({}, {}), tmp_path / "p.safetensors")
    assert not any(tmp_path.iterdir())


def test_a_resumed_training_is_the_same_training(pictures, encoder_file):
    through, first, second = (trainer(pictures, encoder_file) for _ in range(3))
    list(train(through, loaded(pictures)))
    for step in train(first, loaded(pictures)):
        if step.step == 3:
            break
    second.restore(first.state())
    list(train(second, loaded(pictures)))
    assert all(map(torch.equal, through.average, second.average))


def test_another_training_is_not_gone_on_with(pictures, encoder_file):
    """The same name for another picture, or other weights: its checkpoint would pass for this one's."""
    first = trainer(pictures, encoder_file)
    for other in (
        trainer(pictures[::-1], encoder_file),
        trainer(pictures, encoder_file, replace(SPEC, style_weight=1.0)),
    ):
        with pytest.raises(ValueError, match="of other pictures"):
            other.restore(first.state())
    longer = trainer(pictures, encoder_file, replace(SPEC, steps=9))
    longer.restore(first.state())


def test_a_recipe_tells_of_the_steps_that_were_made(pictures, encoder_file):
    """Those of a finished training, gone on with by one that asks for fewer."""
    long, short = (trainer(pictures, encoder_file, replace(SPEC, steps=steps)) for steps in (3, 2))
    list(train(long, loaded(pictures)))
    short.restore(long.state())
    list(train(short, loaded(pictures)))
    assert short.finished_pack({}, {}).recipe["steps"] == 3


def test_a_checkpoint_goes_on_with_its_pictures_and_no_others(pictures, encoder_file, tmp_path):
    """By the command's own checkpoint; what was lost so far is remembered."""
    whole = trainer(pictures, encoder_file)
    file = tmp_path / "kept" / "checkpoint.pt"
    assert _resume(whole, "these", file) == {}
    checkpoints.save({**whole.state(), "contents": "these", "losses": {"style": 2.0}}, file)
    assert _resume(trainer(pictures, encoder_file), "these", file) == {"style": 2.0}
    with pytest.raises(UsageError, match="not a checkpoint of this training .it learned on other pictures"):
        _resume(trainer(pictures, encoder_file), "those", file)
    file.write_bytes(b"torn")
    with pytest.raises(UsageError, match="checkpoint.pt: not a checkpoint of this training"):
        _resume(trainer(pictures, encoder_file), "these", file)


def test_a_layer_is_judged_with_all_its_bits(pictures, encoder_file):
    """Half precision is for networks: a ground or a Gram matrix in it would ask for another picture."""
    exact, fast = (
        next(train(trainer(pictures, encoder_file, replace(SPEC, precision=name)), loaded(pictures))).losses
        for name in ("fp32", "bf16")
    )
    assert all(abs(fast[name] - value) < 0.06 * abs(value) + 2e-3 for name, value in exact.items())


def test_a_style_learned_alone_leaves_the_network_as_it_is(pictures, encoder_file):
    trained = trainer(pictures, encoder_file, replace(SPEC, vectors_only=True))
    before = trained.pack.network_digest
    first = {name: vector.clone() for name, vector in trained.pack.vectors.items()}
    list(train(trained, loaded(pictures)))
    made = trained.finished_pack({}, {})
    assert made.network_digest == before, "so that it blends with the others"
    assert all(not torch.equal(made.vectors[name], vector) for name, vector in first.items())


def test_a_reader_learns_beside_the_painter_and_travels_with_it(pictures, encoder_file, tmp_path):
    paintings = {"one": loaded(pictures)[0]}
    encoder = load_encoder(encoder_file)
    spec = replace(SPEC, painting_short_side_px=320, batch=1, any_batch=1, steps=8, learning_rate=0.02)
    shown = StylePictures(list(paintings.values()), loaded(pictures), READ_PX, 1)
    gallery = Gallery([shown.draw() for _ in range(3)], encoder, list(spec.style_layers))
    blank = blank_pack("painter", ["one"], 4, width=8)
    steps = list(train(Trainer(blank, paintings, encoder, spec, gallery), loaded(pictures)))
    assert "reader" in steps[-1].losses
    trained = Trainer(blank, paintings, encoder, spec, gallery)
    list(train(trained, loaded(pictures)))
    save_pack(trained.finished_pack({"one": {}}, {}), tmp_path / "r.safetensors")
    reader = load_pack(tmp_path / "r.safetensors").reader
    vectors = [read_vector(reader, picture) for picture in (shown.draw(), shown.draw())]
    assert vectors[0].shape == blank.vectors["one"].shape and not torch.equal(*vectors)


def test_a_picture_is_painted_by_the_painter_it_is_like_in_its_own_palette(pictures, encoder_file):
    one, two = loaded(pictures)[:2]
    rough = (two + 0.3 * torch.randn(two.shape, generator=torch.Generator().manual_seed(5))).clamp(0, 1)
    pack = blank_pack("painter", ["soft", "rough"], 4, width=8)
    pack.vectors["rough"][0, :-6] = 3.0
    reader = StyleReader(sum(pack.prior.channels)).eval().requires_grad_(False)
    described = {"soft": reader.describe(as_read(one))[0], "rough": reader.describe(as_read(rough))[0]}
    pack = replace(pack, reader=reader, described=described)
    for picture, name in ((one, "soft"), (rough, "rough")):
        vector = picture_vector(pack, picture)
        assert torch.allclose(vector[0, :-6], pack.vectors[name][0, :-6], atol=0.05), "as it was learned"
        assert torch.allclose(vector[:, -6:], palette_of(picture[None])[0], atol=0.05)
    between = picture_vector(pack, (one + two) / 2)[0, :-6]
    assert 1.01 < between.mean() < 2.99, "and what is like both has something of both"


def test_made_up_style_pictures_differ_and_have_something_to_teach(pictures):
    shown = StylePictures(loaded(pictures)[:1], loaded(pictures)[1:], 128, seed=2)
    drawn = [shown.draw() for _ in range(20)]
    assert all(each.shape == (3, 128, 128) and each.min() >= 0 and each.max() <= 1 for each in drawn)
    assert all(each.std() > 0.1 for each in drawn) and torch.stack(drawn).std(0).mean() > 0.1
    again = StylePictures(loaded(pictures)[:1], loaded(pictures)[1:], 128, seed=2)
    assert torch.equal(again.draw(), drawn[0])


def test_style_is_asked_of_all_crops_in_one_style_together(pictures, encoder_file):
    """A painting's halves differ from it, each in its own way; beside each other they are it."""
    encoder, spec = load_encoder(encoder_file), TrainSpec(style_layers={"relu1_1": 1.0})
    painting = torch.cat([loaded(pictures)[0][:, :64, :64], loaded(pictures)[1][:, :64, :64]], 2)
    halves = torch.stack(painting.split(64, 2))
    seen = encoder(halves, spec.style_layers)
    mean, second = (each.mean(0)[None] for each in losses.moments(seen["relu1_1"]))
    rows = Targets({"relu1_1": mean}, {"relu1_1": second}, torch.empty(1), torch.empty(1)).pick([0, 0])
    alike = torch.full_like(halves, 0.5) + 0.2 * torch.rand(halves.shape).round()
    together, apart = (style_wish(seen, rows, spec, alike, groups) for groups in ([2], [1, 1]))
    assert together.max() < 1e-3 < apart.min()


def test_flat_and_dark_pictures_ask_for_little_style():
    torch.manual_seed(0)
    lively = torch.rand(1, 3, 32, 32)
    asked = appetite(torch.cat([lively, torch.full((1, 3, 32, 32), 0.5), lively * 0.01]))
    assert asked[0] == 1 and asked[1] < 0.1 and asked[2] < 0.1


def test_a_pack_comes_back_as_it_went(pictures, encoder_file, tmp_path):
    trained = trainer(pictures, encoder_file)
    list(train(trained, loaded(pictures)))
    save_pack(
        trained.finished_pack({"one": {"artist": "nobody"}}, {"losses": {}}), tmp_path / "p.safetensors"
    )
    pack, name = find_style(f"{tmp_path}/p.safetensors#two")
    assert name == "two" and pack.cards["one"] == {"artist": "nobody"} and pack.recipe["steps"] == 6
    again = load_pack(tmp_path / "p.safetensors")
    assert pack.style_digest("two") == again.style_digest("two") != again.style_digest("one")


def test_pictures_of_one_name_in_several_folders_are_all_learned_on(pictures, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.png").write_bytes(pictures[len(folder) % 2].read_bytes())
    assert len(pictures_to_learn_on([str(tmp_path / "one"), str(tmp_path / "two")])) == 2
    with pytest.raises(UsageError, match="two/0.png: a second style called 0; name it"):
        _named((f"{tmp_path}/one/0.png", f"{tmp_path}/two/0.png"))


def test_every_style_is_asked_to_be_steady_in_every_crop():
    """By the step alone, of twelve styles and six crops some would never be."""
    asked = {(step % 12, crop_asked_to_be_steady(step, 12, 6)) for step in range(72)}
    assert len(asked) == 72


def test_only_painters_are_trained_on(tmp_path):
    save_pack(blank_pack("johnson", ["a"], 1, width=4), tmp_path / "classic.safetensors")
    with pytest.raises(UsageError, match="classic.safetensors: holds a johnson network"):
        _starting_pack(str(tmp_path / "classic.safetensors"), {"a": torch.rand(3, 64, 64)}, 1)


def test_wrong_weights_are_refused(encoder_file, tmp_path):
    with pytest.raises(WeightsError, match="sha256"):
        load_encoder(encoder_file, sha256="0" * 64)
    with pytest.raises(WeightsError, match="not a loss network"):
        load_encoder(tmp_path / "missing.safetensors")


def test_a_broken_picture_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(PictureError, match="a.jpg"):
        load_picture(tmp_path / "a.jpg")


def test_crops_hold_the_hard_cases_of_film(pictures):
    crops = ContentCrops(loaded(pictures), 48, seed=0)
    drawn = [crops.draw() for _ in range(150)]
    assert all(crop.shape == (3, 48, 48) for crop in drawn)
    assert any(crop.std() < 0.02 for crop in drawn), "flat"
    assert any((crop[:, :4] == 0).all() and crop.mean() > 0.1 for crop in drawn), "letterboxed"


def test_pictures_held_in_bytes_give_the_same_crops(pictures):
    light = loaded(pictures)
    held = [in_bytes(picture) for picture in light]
    assert all(map(torch.equal, map(in_light, held), light)) and held[0].dtype == torch.uint8
    drawn = []
    for shown in (light, held):
        torch.manual_seed(0)
        crops = ContentCrops(shown, 48, seed=3)
        drawn.append(torch.stack([crops.draw() for _ in range(40)]))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("moved_px", [0, 1, 3])
def test_a_second_look_sees_a_moved_canvas_as_films_show_it(moved_px):
    cells = canvas(6, 9)
    seen = as_shown(spread(cells)[..., moved_px : moved_px + 8 * CELL_PX])[..., ::CELL_PX, ::CELL_PX]
    shown = canvas(6, 8, right=-moved_px / CELL_PX)
    assert torch.allclose(seen[:, 1], shown[:, 1], atol=1e-5), "specks"
    assert torch.corrcoef(torch.stack([seen[:, 0].flatten(), shown[:, 0].flatten()]))[0, 1] > 0.8, "bristles"
