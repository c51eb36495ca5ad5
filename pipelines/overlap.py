"""Run the producer or the consumer of an iterable in a thread of its own, a few items apart."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_POLL_SECONDS = 0.1


class _End:
    """The producer is done, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order; at most `depth` of them wait. Errors come out where they belong."""
    line: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                line.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:
            put(_End(error))
        else:
            put(_End(None))

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := line.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()


def behind(consume: Callable[[Iterator[Item]], Result], items: Iterable[Item], depth: int) -> Result:
    """`consume(items)`, in another thread, while this one produces the items; at most `depth` wait.

    The side that does the heavy work stays in the calling thread, and so in one pool of memory.
    """
    line: queue.Queue[Item | _End] = queue.Queue(depth)
    outcome: list[Result] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def arriving() -> Iterator[Item]:
        while not isinstance(item := line.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def work() -> None:
        try:
            outcome.append(consume(arriving()))
        except BaseException as error:
            faults.append(error)
        finally:
            done.set()

    def put(item: Item | _End) -> bool:
        while not done.is_set():
            try:
                line.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    thread = threading.Thread(target=work, name="behind", daemon=True)
    thread.start()
    try:
        for item in items:
            if not put(item):
                break
        put(_End(None))
    except BaseException as error:
        put(_End(error))
    thread.join()
    if faults:
        raise faults[0]
    return outcome[0]
