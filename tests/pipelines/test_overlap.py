import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.overlap import ahead, behind, late


def test_items_come_in_order():
    assert list(ahead(range(500), 4)) == list(range(500))


def test_an_error_arrives_where_it_belongs():
    def items():
        yield 1
        yield 2
        raise OSError("gone")

    found = []
    with pytest.raises(OSError, match="gone"):
        for item in ahead(items(), 4):
            found.append(item)
    assert found == [1, 2]


def test_no_more_than_the_depth_waits():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    stream = ahead(items(), 3)
    assert next(stream) == 0
    time.sleep(0.3)
    assert len(made) <= 6
    stream.close()


def test_a_consumer_that_stops_leaves_no_thread():
    stream = ahead(iter(range(10**9)), 2)
    next(stream)
    stream.close()
    assert "ahead" not in {thread.name for thread in threading.enumerate()}


def test_a_consumer_in_another_thread_gets_everything_in_order():
    here = threading.get_ident()
    made_in, eaten_in = set(), set()

    def items():
        for number in range(200):
            made_in.add(threading.get_ident())
            yield number

    def consume(arriving):
        eaten_in.add(threading.get_ident())
        return list(arriving)

    assert behind(consume, items(), 3) == list(range(200))
    assert made_in == {here} and here not in eaten_in


@given(st.integers(0, 40), st.integers(0, 5))
def test_late_items_are_given_out_once_enough_have_been_begun_and_all_at_the_end(count, depth):
    begun = []
    items = (begun.append(number) or number for number in range(count))
    given_out = [(number, len(begun)) for number in late(items, depth)]
    assert given_out == [(number, min(number + depth + 1, count)) for number in range(count)]


def test_faults_of_either_side_come_out():
    def broken():
        yield 1
        raise OSError("source gone")

    with pytest.raises(OSError, match="source gone"):
        behind(list, broken(), 2)

    def refuse(arriving):
        next(arriving)
        raise ValueError("sink full")

    with pytest.raises(ValueError, match="sink full"):
        behind(refuse, iter(range(10**6)), 2)
