"""Conditions that shots are chosen by: what they select, and what is refused."""

from dataclasses import replace

import pytest
from conftest import index_film

from pipelines import attempts, manifest
from pipelines.attempts import ShardResult
from pipelines.errors import UsageError
from pipelines.plan import plan_segments, plan_shards
from pipelines.selection import Piece, columns_of, load_pieces, matching, with_steadiness
from pipelines.steadiness import Steadiness
from pipelines.storage import Store
from pipelines.timeline import shots_from_cuts

BASE = Piece(
    shard=1,
    shot=1,
    start=0,
    stop=30,
    frames=30,
    style="noir",
    strength=1.0,
    color="style",
    brush=1.0,
    state="ok",
    attempts=1,
    seconds=2.0,
    bytes=1000,
    kbit_per_second=400.0,
    device="cpu",
    worker="one",
    error="",
)
PIECES = with_steadiness(
    [
        BASE,
        replace(BASE, shot=2, start=30, stop=90, frames=60, style="scream"),
        replace(BASE, shard=2, shot=3, state="failed", error="out of memory", attempts=3),
        replace(BASE, shard=3, shot=4, seconds=9.0, style="it's mine"),
    ],
    {1: [Steadiness(1, 1.1, 0.2), Steadiness(2, 1.5, 0.4)], 3: [Steadiness(4, float("nan"), float("nan"))]},
)

CONDITIONS = {
    "warp_ratio > 1.3": [2],
    "warp_ratio IS NULL": [3, 4],
    "flicker < 0.3 OR state = 'failed'": [1, 3],
    "shot BETWEEN 2 AND 3": [2, 3],
    "shot IN (1, 4) AND NOT style = 'noir'": [4],
    "error LIKE '%memory%'": [3],
    "style = 'it''s mine'": [4],
    "seconds > 2 * (SELECT avg(seconds) FROM shots)": [4],
    "stop - start = frames AND frames >= 60": [2],
    "kbit_per_second > 300 -- and a comment": [1, 2, 3, 4],
    "attempts > '2'": [3],
    "1": [1, 2, 3, 4],
    "state = 'unheard of'": [],
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_selects_shots(condition):
    assert [piece.shot for piece in matching(PIECES, condition)] == CONDITIONS[condition]


FAULTS = {
    "": "syntax",
    "warp_ration > 1": "no such column: warp_ration",
    'style = "noir"': "single quotes",
    "state = failed": "no such column: failed",
    "frames >": "syntax",
    "1; DROP TABLE shots": "syntax",
    "1) ; DELETE FROM shots --": "syntax|authorized|one statement",
    "shot IN (SELECT name FROM sqlite_master)": "authorized|prohibited",
    "shot = (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n)": "authorized",
    "load_extension('x')": "authorized|no such function",
    "length(hex(zeroblob(100000000))) > 1": "too big",
    "nosuch(shot)": "no such function",
}


@pytest.mark.parametrize("condition", FAULTS)
def test_a_condition_that_cannot_be_is_one_clear_line(condition):
    with pytest.raises(UsageError, match=FAULTS[condition]) as caught:
        matching(PIECES, condition)
    assert "\n" not in str(caught.value)


def test_what_a_condition_reads_is_known_before_anything_is_measured():
    assert columns_of("warp_ratio > 1.3 AND shot < 9") == {"warp_ratio", "shot"}
    assert columns_of("frames > (SELECT avg(flicker) FROM shots)") == {"frames", "flicker"}


def test_a_part_s_rate_is_in_kilobits_of_the_film_s_seconds(film, tmp_path):
    store, shots, index = Store(str(tmp_path)), shots_from_cuts([30, 56], 96), index_film(film)[1]
    style = {"style": "s", "style_digest": "d", "strength": 1.0, "color": "style", "brush": 1.0}
    shards = plan_shards(plan_segments(shots), 40)
    manifest.save_plan(store, "p", index, shots, [{**style, "look_digest": "l"}] * 3, shards, ["a", "b", "c"])
    attempts.record(store, ShardResult("b", 2, 1, attempts.OK, part_bytes=130_000))
    rates = [piece.kbit_per_second for piece in load_pieces(store, "p")]
    assert rates == pytest.approx([0, 130 * 8 / (26 / 24), 0])
