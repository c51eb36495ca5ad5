"""Films with bytes changed, cut out, doubled or cut off: an index or one clear line, never anything else."""

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from conftest import draw, ffmpeg, index_film

from pipelines.errors import StylereelError
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.tracks import decide

TIMEOUT_SECONDS = 300
FORMS = {
    "film.mp4": [],
    "film.mkv": ["-c", "copy"],
    "film.ts": ["-c", "copy"],
    "film.avi": ["-c:v", "mpeg4", "-c:a", "mp3"],
    "film.webm": ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"],
    "film.mpg": ["-c:v", "mpeg2video", "-c:a", "mp2"],
}


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One of four kinds of damage, anywhere; the head of a file is hit as often as all the rest."""
    made, kind = bytearray(data), chance.randrange(4)
    reach = len(made) if chance.random() < 0.5 else min(len(made), 1024)
    place, length = chance.randrange(reach), chance.randint(1, 64)
    if kind == 0:
        for _ in range(chance.randint(1, 20)):
            made[chance.randrange(reach)] = chance.randrange(256)
    elif kind == 1:
        del made[place : place + length]
    elif kind == 2:
        made[place:place] = made[place : place + length]
    else:
        del made[place:]
    return bytes(made)


def outcome(path: Path) -> str:
    """What probing, indexing and planning make of a file: `ok` or the line the user would read."""
    try:
        info, index, _ = index_film(path)
        make_encoding(EncodeSpec(), info, index.timeline, ".mkv")
        decide(info, ".mkv")
    except StylereelError as err:
        return str(err)
    return "ok"


def fuzz(folder: Path, count: int) -> list[str]:
    """Outcomes of `count` damaged films, each tried in a child that may crash alone."""
    draw(folder / "film.mp4", size="64x48", shots=(6, 6))
    for name, how in FORMS.items():
        if how:
            ffmpeg("-i", str(folder / "film.mp4"), *how, str(folder / name))
    whole = {name: (folder / name).read_bytes() for name in FORMS}
    found = []
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for number in range(count):
            chance = random.Random(number)
            name = chance.choice(sorted(whole))
            path = folder / f"x{Path(name).suffix}"
            path.write_bytes(mutate(whole[name], chance))
            found.append(pool.submit(outcome, path).result(TIMEOUT_SECONDS))
    return found


@pytest.mark.parametrize("count", [20, pytest.param(2000, marks=pytest.mark.long)])
def test_damaged_films_end_in_an_index_or_one_line(tmp_path, count):
    found = fuzz(tmp_path, count)
    assert all(line == "ok" or ("\n" not in line and len(line) < 400) for line in found)
    assert 0 < found.count("ok") < count
    tried = {Path(random.Random(number).choice(sorted(FORMS))).suffix for number in range(count)}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*FORMS, *(f"x{suffix}" for suffix in tried)}, "nothing else is left"
