"""The torture set's table has no unexplained row, and its witness sees what is wrong."""

from dataclasses import replace
from fractions import Fraction

import pytest
from torture import Outcome, compare, torture
from torture_inputs import ROWS, base_film
from witness import account_of

pytestmark = pytest.mark.usefixtures("prefect_api")
QUICK = ("sink.mkv", "text.mp4", "jump.ts", "zero.mp4")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_film(tmp_path_factory.mktemp("torture"))


@pytest.mark.parametrize(
    "row",
    [row if row.name in QUICK else pytest.param(row, marks=pytest.mark.long) for row in ROWS],
    ids=lambda row: row.name,
)
def test_every_difference_is_explained(tmp_path, base, row):
    outcome = torture(row, tmp_path, base)
    assert outcome.unexplained == [], outcome.line()


def test_there_are_forty_rows_of_their_own_names():
    assert len({row.name for row in ROWS}) == len(ROWS) >= 40


def _lose_a_frame(account):
    return replace(account, frames=account.frames[1:], times=account.times[1:])


def _move_a_frame(account):
    return replace(account, times=[*account.times[:-1], account.times[-1] + Fraction(1, 90000)])


def _change_a_frame(account):
    return replace(account, frames=[("yuv420p", 0), *account.frames[1:]])


def _lose_sound(account):
    return replace(account, streams=[])


def _delay_sound(account):
    (sound,) = account.streams
    return replace(account, streams=[replace(sound, times=[time + Fraction(1, 500) for time in sound.times])])


def _change_shape(account):
    return replace(account, marks={**account.marks, "sample aspect": Fraction(2)})


FAULTS = [
    ("frames", _lose_a_frame),
    ("times", _move_a_frame),
    ("pictures", _change_a_frame),
    ("audio aac is not what it was", _lose_sound),
    ("audio aac is not what it was", _delay_sound),
    ("sample aspect", _change_shape),
]


@pytest.mark.parametrize(("fault", "harm"), FAULTS)
def test_the_witness_finds_what_differs(base, monkeypatch, fault, harm):
    account = account_of(base)
    track = {"action": "kept", "reason": ""}
    facts = {"notes": [], "tracks": [track], "tags_missing": [], "shift_ms": 0}
    clean, outcome = Outcome("clean", ""), Outcome("faulty", "")
    compare(clean, account, account_of(base), facts, base, base)
    assert clean.unexplained == []
    monkeypatch.setattr("torture.decibels", lambda one, other: 40.0)
    compare(outcome, account, harm(account), facts, base, base)
    assert fault in outcome.unexplained
