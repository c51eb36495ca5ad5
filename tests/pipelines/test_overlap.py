import threading
import time

import pytest

from pipelines.overlap import ahead


def test_items_come_in_order():
    assert list(ahead(range(500), 4)) == list(range(500))


def test_an_error_arrives_where_it_belongs():
    def items():
        yield 1
        yield 2
        raise OSError("gone")

    found = []
    with pytest.raises(OSError, match="gone"):
        found.extend(ahead(items(), 4)) or None
        for item in ahead(items(), 4):
            found.append(item)
    assert found in ([], [1, 2])


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
    before = threading.active_count()
    stream = ahead(iter(range(10**9)), 2)
    next(stream)
    stream.close()
    assert threading.active_count() == before
