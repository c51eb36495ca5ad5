"""Producer and consumer of an iterable a few items apart, in a thread of their own or on a device."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_POLL_SECONDS = 0.1


class _End:
    """The producer is done, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _offer(line: queue.Queue[Item | _End], item: Item | _End, ended: threading.Event) -> bool:
    """Put an item in line; False once the other side has ended and nobody will take it."""
    while not ended.is_set():
        try:
            line.put(item, timeout=_POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False


def _arriving(line: queue.Queue[Item | _End]) -> Iterator[Item]:
    """What comes down the line, to its end or the error that ended it."""
    while not isinstance(item := line.get(), _End):
        yield item
    if item.error is not None:
        raise item.error


def ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order; at most `depth` of them wait. Errors come out where they belong."""
    line: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                if not _offer(line, item, stopped):
                    return
        except BaseException as error:
            _offer(line, _End(error), stopped)
        else:
            _offer(line, _End(None), stopped)

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        yield from _arriving(line)
    finally:
        stopped.set()
        thread.join()


def late(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, each once `depth` more have been begun; none is kept at the end."""
    begun: deque[Item] = deque()
    for item in items:
        begun.append(item)
        if len(begun) > depth:
            yield begun.popleft()
    yield from begun


def behind(consume: Callable[[Iterator[Item]], Result], items: Iterable[Item], depth: int) -> Result:
    """`consume(items)`, in another thread, while this one produces the items; at most `depth` wait.

    The side that does the heavy work stays in the calling thread, and so in one pool of memory.
    """
    line: queue.Queue[Item | _End] = queue.Queue(depth)
    outcome: list[Result] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append(consume(_arriving(line)))
        except BaseException as error:
            faults.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="behind", daemon=True)
    thread.start()
    try:
        for item in items:
            if not _offer(line, item, done):
                break
        _offer(line, _End(None), done)
    except BaseException as error:
        _offer(line, _End(error), done)
    thread.join()
    if faults:
        raise faults[0]
    return outcome[0]
