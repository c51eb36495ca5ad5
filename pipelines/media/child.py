"""Untrusted media is decoded in child processes: one may crash, hang or ask for all memory, and harm nobody.

What a child finds comes back through a socket as bytes, never as pickles; a child that is ahead waits,
because the socket is full.
"""

import json
import os
import pickle
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from pipelines import errors
from pipelines.errors import InputError, StylereelError, UnreadError
from pipelines.media.nursery import Nursery

STALL_SECONDS = 120
"""A child that gives no sign of life for so long is ended."""
BASE_BYTES = 1 << 30
"""What a child may take beside pictures."""
PICTURES = 48
"""Pictures in a decoder's hands at once: references, threads and a few on their way."""

Message = Sequence[bytes | memoryview]

_MESSAGE_BYTES = 1 << 31
"""No honest child sends more at once."""
_ALIVE_SECONDS = 1.0
_PID = struct.Struct("<q")
_SIZE = struct.Struct("<Q")
_HEAD = struct.Struct("<BI")
_VALUE, _ALIVE, _FAULT, _END = range(4)
_NURSERY = Nursery()


def read_in_child(
    name: str, work: Callable[..., Iterator[Message]], *given: Any
) -> Iterator[list[memoryview]]:
    """What `work(*given)`, a generator of buffers, yields in a child; they last until the next are asked for.

    Errors of the project come out as they are; every other end of the child is an InputError that speaks of
    `name`.
    """
    with _NURSERY.fork() as line:
        line.settimeout(STALL_SECONDS)
        try:
            yield from _conversation(_Ear(line), work, given)
        except TimeoutError:
            raise UnreadError(
                f"{name}: reading gave nothing for {STALL_SECONDS} s and was stopped; repair or replace it"
            ) from None
        except (ConnectionError, EOFError):
            raise UnreadError(
                f"{name}: crashed its decoder or ran it out of memory; repair or replace the file"
            ) from None
        except _Fault as fault:
            raise fault.error(name) from None


def limit_memory(picture_bytes: int) -> None:
    """Let this child take what decoding pictures of a size needs, and no more."""
    allowed = BASE_BYTES + PICTURES * picture_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def alive() -> None:
    """Say that the work goes on, now and then; does nothing outside of a child."""
    for mouth in _OURS:
        mouth.alive()


def serve(line: socket.socket) -> None:
    """In a child: do what is asked on the line, and tell how it went."""
    mouth, ear = _Mouth(line), _Ear(line)
    _OURS.append(mouth)
    try:
        limit_memory(0)
        line.sendall(_PID.pack(os.getpid()))
        work, given = pickle.loads(ear.hear(*_SIZE.unpack(ear.hear(_SIZE.size))))
        for message in work(*given):
            mouth.say(_VALUE, message)
        mouth.say(_END)
    except Exception as err:
        with suppress(OSError):
            mouth.say(_FAULT, [json.dumps([type(err).__name__, str(err)]).encode()])


def _conversation(
    ear: "_Ear", work: Callable[..., Iterator[Message]], given: tuple[Any, ...]
) -> Iterator[list[memoryview]]:
    (pid,) = _PID.unpack(ear.hear(_PID.size))
    ended = False
    try:
        request = pickle.dumps((work, given))
        ear.line.sendall(_SIZE.pack(len(request)))
        ear.line.sendall(request)
        while message := ear.message():
            yield message
        ended = True
    finally:
        if not ended:
            _NURSERY.end(pid)


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
        if self.kind == "MemoryError":
            return InputError(f"{name}: takes more memory than a film of its size may; repair or replace it")
        return InputError(f"{name}: reading it failed ({self.kind}: {self.text}); repair or replace the file")


class _Ear:
    """Takes messages off a line, all into the same memory: fresh memory costs more than the copying."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.memory = bytearray(1 << 12)

    def message(self) -> list[memoryview] | None:
        """The next value; None at the end."""
        while True:
            kind, count = _HEAD.unpack(self.hear(_HEAD.size))
            sizes = struct.unpack(f"<{count}Q", self.hear(8 * count))
            whole = self.hear(sum(sizes))
            stops = [sum(sizes[: place + 1]) for place in range(count)]
            buffers = [whole[stop - size : stop] for stop, size in zip(stops, sizes, strict=True)]
            if kind == _FAULT:
                raise _Fault(*json.loads(bytes(buffers[0])))
            if kind == _END:
                return None
            if kind == _VALUE:
                return buffers

    def hear(self, size: int) -> memoryview:
        """So many bytes; EOFError when the other side has ended."""
        if size > _MESSAGE_BYTES:
            raise EOFError
        if size > len(self.memory):
            self.memory = bytearray(size)
        heard = left = memoryview(self.memory)[:size]
        while left:
            count = self.line.recv_into(left)
            if not count:
                raise EOFError
            left = left[count:]
        return heard


class _Mouth:
    """Puts messages on a line."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.told = time.monotonic()

    def say(self, kind: int, buffers: Message = ()) -> None:
        sizes = [memoryview(buffer).nbytes for buffer in buffers]
        self.line.sendall(_HEAD.pack(kind, len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes))
        for buffer in buffers:
            self.line.sendall(buffer)
        self.told = time.monotonic()

    def alive(self) -> None:
        if time.monotonic() - self.told > _ALIVE_SECONDS:
            self.say(_ALIVE)


_OURS: list[_Mouth] = []
"""In a child, its own."""
