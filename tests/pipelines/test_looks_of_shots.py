"""Which shot gets which look, and where it may be painted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import make_job
from pipelines.errors import UsageError
from pipelines.looks import (
    _pictures_digest,
    _style_digest,
    check_styles,
    film_keys,
    keyed_look,
    looks_of_shots,
    pictures_digest,
    style_digest,
    with_style,
)
from pipelines.timeline import FrameRange, shots_from_cuts
from stylecore.images import to_image
from stylecore.spec import StyleKey, StyleSpec

SHOTS = shots_from_cuts([30, 56], 96)


def job(**options):
    return make_job({"source": "a.mp4", "output": "b.mp4", "style": "noir", **options})


def test_a_shot_may_have_a_look_of_its_own():
    looks = looks_of_shots(job(looks=[{"shots": "2-3", "style": "ink", "brush": 2, "strength": 0.5}]), SHOTS)
    assert [(look.style, look.strength, look.brush) for look in looks] == [
        ("noir", 1.0, 1.0),
        ("ink", 0.5, 2.0),
        ("ink", 0.5, 2.0),
    ]


def test_a_range_of_shots_may_run_past_the_films_end():
    """One season's look for all but the first shots of films with more of them, and with fewer."""
    looks = looks_of_shots(job(looks=[{"shots": "2-99", "style": "ink"}]), SHOTS)
    assert [look.style for look in looks] == ["noir", "ink", "ink"]


@pytest.mark.parametrize(
    ("options", "steady"),
    [
        ({"style": "noir"}, [0, 0, 0]),
        ({"style": "gris"}, [4, 4, 4]),
        ({"style": "gris", "steady": 5}, [5, 5, 5]),
        ({"style": "noir", "steady": 1, "looks": [{"shots": "2", "style": "gris"}]}, [1, 4, 1]),
        ({"style": "noir", "key_frames": [{"frame": 0, "style": "gris"}]}, [4, 4, 4]),
        ({"style": "gris", "key_frames": [{"frame": 0, "style": "noir"}]}, [0, 0, 0]),
        ({"style": "noir", "steady": 1, "key_frames": [{"frame": 0, "style": "gris"}]}, [1, 1, 1]),
    ],
)
def test_painted_shots_share_strokes_and_drawn_ones_only_if_told(options, steady):
    assert [look.steady for look in looks_of_shots(job(**options), SHOTS)] == steady


def test_another_style_for_a_shot_leaves_the_rest_of_its_look(tmp_path, monkeypatch):
    """A hero under a matte, or half strength: only the style was disliked."""
    monkeypatch.chdir(tmp_path)
    told = {"strength": 0.5, "color": "source", "brush": 2}
    made = with_style(job(**told, looks=[{"shots": "2-3", "style": "ink", "strength": 0.7}]), [1, 3], "gris")
    first, second, third = looks_of_shots(made, SHOTS)
    assert (first.style, first.strength, first.color, first.brush) == ("gris", 0.5, "source", 2)
    assert (second.style, second.strength) == ("ink", 0.7) and (third.style, third.strength) == ("gris", 0.7)
    assert with_style(job(), [1], "mine.jpg").looks[0].style == f"{tmp_path}/mine.jpg"


def test_a_picture_is_known_by_what_is_in_it_and_not_by_how_it_was_read(tmp_path, monkeypatch):
    """A processor may read it a last bit otherwise: work would be redone, and a pool refuse its workers."""
    torch.manual_seed(0)
    names = [tmp_path / name for name in ("a.png", "b.png", "other.png")]
    to_image(torch.rand(3, 64, 64)).save(names[0])
    names[1].write_bytes(names[0].read_bytes())
    to_image(torch.rand(3, 64, 64)).save(names[2])
    one, two, other = (style_digest(str(name)) for name in names)
    assert one == two != other
    assert len({one, *(style_digest(f"{names[0]}:{weight}+seurat:0.5") for weight in (0.5, 0.7))}) == 3
    monkeypatch.setattr("stylecore.catalog.picture_vector", lambda pack, _: pack.vectors["seurat"] + 1 / 1024)
    _style_digest.cache_clear()
    assert style_digest(str(names[0])) == one


def test_pictures_to_optimize_by_are_known_by_their_bytes_weights_and_judge(tmp_path, monkeypatch):
    names, digests = [tmp_path / name for name in ("a.png", "b.png", "network")], []
    for number, name in enumerate(names):
        name.write_bytes(bytes([number]))
    for weights in ((0.3, 0.7), (0.6, 0.4)):
        digests.append(pictures_digest(f"{names[0]}:{weights[0]}+{names[1]}:{weights[1]}"))
    digests += [pictures_digest(str(name)) for name in names[:2]]
    monkeypatch.setattr("pipelines.looks.BUNDLED_LOSS_NETWORK", names[2])
    _pictures_digest.cache_clear()
    digests.append(pictures_digest(str(names[0])))
    _pictures_digest.cache_clear()
    assert len(set(digests)) == 5


def test_keys_follow_the_film_through_its_shots():
    made = job(key_frames=[{"frame": 10, "strength": 0}, {"frame": 40, "strength": 1}])
    first, second, third = looks_of_shots(made, SHOTS)
    assert [(key.frame, key.strength) for key in first.keys] == [(10, 0), (40, 1)]
    assert [(key.frame, key.strength) for key in second.keys] == [(-20, 0), (10, 1)]
    assert third.keys == () and third.strength == 1, "held after the last key"


def test_a_key_takes_from_the_one_before_what_it_leaves_out():
    keys = film_keys(job(strength=0.3, key_frames=[{"frame": 50, "strength": 0.8}, {"frame": 0}]))
    assert [(key.frame, key.style, key.strength) for key in keys] == [(0, "noir", 0.3), (50, "noir", 0.8)]


@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 3)), min_size=1, max_size=6, unique_by=lambda k: k[0]
    ),
    st.integers(0, 100),
    st.integers(1, 60),
)
def test_the_keys_of_a_shot_say_what_the_film_s_keys_say(points, start, length):
    def strength_at(keys, frame):
        after = [key for key in keys if key.frame > frame]
        before = [key for key in keys if key.frame <= frame]
        if not before or not after:
            return (before[-1] if before else after[0]).strength
        a, b = before[-1], after[0]
        return a.strength + (b.strength - a.strength) * (frame - a.frame) / (b.frame - a.frame)

    keys = [StyleKey(frame, "s", "d", level / 3) for frame, level in sorted(points)]
    frames = FrameRange(start, start + length)
    look = keyed_look(StyleSpec("s", "d"), keys, frames)
    for frame in range(frames.start, frames.stop):
        mine = strength_at(look.keys, frame - start) if look.keys else look.strength
        assert mine == pytest.approx(strength_at(keys, frame))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"style": "nior"}, "did you mean noir"),
        ({"key_frames": [{"frame": 0}], "looks": [{"shots": "1", "style": "ink"}]}, "not both"),
        ({"key_frames": [{"frame": 0}, {"frame": 9, "style": "ink"}]}, "different networks"),
        ({"looks": [{"shots": "two", "style": "ink"}]}, "looks"),
        ({"looks": [{"shots": "23", "style": "ink"}]}, "no shot 23; choose among shots 1-3"),
        ({"looks": [{"shots": "1-2,4-9", "style": "ink"}]}, "no shot 4; .* 1-3"),
        ({"looks": [{"shots": "0-2", "style": "ink"}]}, "no shot 0; .* 1-3"),
        ({"key_frames": [{"frame": -1}]}, "key_frames.0.frame"),
        ({"brush": 9}, "brush"),
    ],
)
def test_a_wrong_look_is_one_clear_line(options, words):
    with pytest.raises(UsageError, match=words):
        looks_of_shots(job(**options), SHOTS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paint": "outside"}, "outside needs `matte:`"),
        ({"passes": 3}, "passes: 3 is for method optimize"),
        ({"looks": [{"shots": "1", "style": "ink", "passes": 2}]}, "passes: 2 is for method optimize"),
    ],
)
def test_what_would_be_ignored_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        check_styles(job(**options))


def test_packs_and_pictures_are_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = job(style="a.safetensors#x:1+scream:1", matte="m.png", looks=[{"shots": "1", "style": "p.jpg"}])
    assert made.style == f"{tmp_path}/a.safetensors#x:0.5+scream:0.5"
    assert made.matte == f"{tmp_path}/m.png" and made.looks[0].style == f"{tmp_path}/p.jpg"
