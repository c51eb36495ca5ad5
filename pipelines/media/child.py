"""Untrusted media is read in child processes: one may crash, hang or ask for all memory, and harm nobody.

A nursery, one small process that has loaded the rooms that read media and nothing else, forks a child for
each reading within milliseconds. What a child finds comes back through a socket as bytes, never as pickles;
a child that is ahead waits, because the socket is full. The nursery ends when its control socket closes,
which the kernel does however we die, and takes its children along.
"""

import ctypes
import importlib
import json
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from pipelines import errors
from pipelines.errors import InputError, StylereelError

STALL_SECONDS = 120
"""A child that gives no sign of life for so long is ended."""
BASE_BYTES = 1 << 30
"""What a child may take beside pictures."""
PICTURES = 48
"""Pictures in a decoder's hands at once: references, threads and a few on their way."""

Buffer = bytes | bytearray | memoryview
Message = Sequence[Buffer]

_ROOMS = ("pipelines.media.probe", "pipelines.media.observe", "pipelines.media.ladder")
_START = """
import os, sys
sys.path[:] = sys.argv[1:]
os.putenv("OPENBLAS_NUM_THREADS", "1")  # a process that forks must have no threads
from pipelines.media.child import nurse
nurse()
"""
_HEAD = struct.Struct("<BI")
_VALUE, _ALIVE, _FAULT, _END = range(4)
_ORDER = struct.Struct("<q")
_ALIVE_SECONDS = 1.0
_LINE_BYTES = 4 << 20
_PR_SET_PDEATHSIG = 1


def read_in_child(
    name: str, work: Callable[..., Iterator[Message]], *given: Any
) -> Iterator[list[bytearray]]:
    """What `work(*given)`, a generator of buffers, yields in a child; `name` is the file errors speak of.

    Errors of the project come out as they are; all other ends of the child are InputErrors.
    """
    line = _NURSERY.fork()
    try:
        line.settimeout(STALL_SECONDS)
        (pid,) = _ORDER.unpack(_received(line, _ORDER.size))
        request = pickle.dumps((work, given))
        line.sendall(_ORDER.pack(len(request)))
        line.sendall(request)
        ended = False
        try:
            while message := _next_message(line):
                yield message
            ended = True
        finally:
            if not ended:
                _NURSERY.kill(pid)
    except TimeoutError:
        raise InputError(
            f"{name}: reading gave nothing for {STALL_SECONDS} s and was stopped; repair or replace the file"
        ) from None
    except (ConnectionError, EOFError):
        raise InputError(
            f"{name}: crashed its decoder or ran it out of memory; repair or replace the file"
        ) from None
    except _Fault as fault:
        raise fault.error(name) from None
    finally:
        line.close()


def limit_memory(picture_bytes: int) -> None:
    """Let this child take what decoding pictures of a size needs, and no more."""
    allowed = BASE_BYTES + PICTURES * picture_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def alive() -> None:
    """Say that the work goes on, now and then; does nothing outside of a child."""
    for line in _PARENT:
        line.alive()


class _Fault(Exception):
    """What a child says went wrong: the class of an error and its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text

    def error(self, name: str) -> StylereelError:
        """The same error here, if it is one of the project's own."""
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, StylereelError):
            return kind(self.text)
        return InputError(f"{name}: reading it failed ({self.kind}: {self.text}); repair or replace the file")


def _next_message(line: socket.socket) -> list[bytearray] | None:
    """The next value; None at the end."""
    while True:
        kind, count = _HEAD.unpack(_received(line, _HEAD.size))
        sizes = struct.unpack(f"<{count}Q", _received(line, 8 * count))
        buffers = [_received(line, size) for size in sizes]
        if kind == _FAULT:
            raise _Fault(*json.loads(buffers[0]))
        if kind == _END:
            return None
        if kind == _VALUE:
            return buffers


def _received(line: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    left = memoryview(buffer)
    while left:
        count = line.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return buffer


class _Line:
    """A child's end of the line to whoever waits for it."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.told = time.monotonic()

    def send(self, kind: int, buffers: Message = ()) -> None:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        self.line.sendall(_HEAD.pack(kind, len(views)) + struct.pack(f"<{len(views)}Q", *map(len, views)))
        for view in views:
            self.line.sendall(view)
        self.told = time.monotonic()

    def alive(self) -> None:
        if time.monotonic() - self.told > _ALIVE_SECONDS:
            self.send(_ALIVE)


_PARENT: list[_Line] = []
"""In a child, its line."""


class _Nursery:
    """The process that forks children, started when the first is wanted and again if it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._owner = 0

    def fork(self) -> socket.socket:
        """Our end of the line to a new child."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for line in (ours, theirs):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LINE_BYTES)
            try:
                self._order(0, [theirs.fileno()])
            except OSError:
                self._control = None
                self._order(0, [theirs.fileno()])
        return ours

    def kill(self, pid: int) -> None:
        """End a child and all of its group, if it still runs."""
        with self._lock, suppress(OSError):
            self._order(pid, [])

    def _order(self, pid: int, lines: list[int]) -> None:
        if self._control is None or self._owner != os.getpid():
            self._control, self._owner = _start(), os.getpid()
        if lines:
            socket.send_fds(self._control, [_ORDER.pack(pid)], lines)
        else:
            self._control.sendall(_ORDER.pack(pid))


_NURSERY = _Nursery()


def _start() -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return ours


def nurse() -> NoReturn:
    """The nursery's whole life: fork a child for each line that comes in, kill one when told to."""
    for room in _ROOMS:
        importlib.import_module(room)
    control, children, nursery = socket.socket(fileno=0), set[int](), os.getpid()
    while True:
        order, lines, _, _ = socket.recv_fds(control, _ORDER.size, 1)
        children = {child for child in children if os.waitpid(child, os.WNOHANG)[0] == 0}
        if not order:
            for child in children:
                _kill(child)
            os._exit(0)
        (wanted,) = _ORDER.unpack(order)
        if wanted in children:
            _kill(wanted)
        for line in lines:
            child = os.fork()
            if child == 0:
                control.close()
                _live(socket.socket(fileno=line), nursery)
            children.add(child)
            os.close(line)


def _kill(child: int) -> None:
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            end(child, signal.SIGKILL)


def _live(line: socket.socket, nursery: int) -> NoReturn:
    """A child's whole life: do what it is asked, tell how it went, end."""
    os.setsid()
    with suppress(AttributeError):  # Linux alone can promise this; elsewhere the nursery does it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != nursery:
        os._exit(1)
    ours = _Line(line)
    _PARENT.append(ours)
    try:
        limit_memory(0)
        line.sendall(_ORDER.pack(os.getpid()))
        (size,) = _ORDER.unpack(_received(line, _ORDER.size))
        work, given = pickle.loads(_received(line, size))
        for message in work(*given):
            ours.send(_VALUE, message)
        ours.send(_END)
    except Exception as err:
        with suppress(OSError):
            ours.send(_FAULT, [json.dumps([type(err).__name__, str(err)]).encode()])
    os._exit(0)
