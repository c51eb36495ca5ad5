"""A small process that forks others: it has loaded the rooms that read media and nothing else.

A fork of it is ready within milliseconds. It ends when its control socket closes, which the kernel does
however we die, and takes its children along.
"""

import ctypes
import importlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

_ROOMS = tuple(f"pipelines.media.{room}" for room in ("probe", "rehearsal", "observe", "ladder"))
_START = """
import os, sys
sys.path[:] = sys.argv[1:]
os.putenv("OPENBLAS_NUM_THREADS", "1")  # a process that forks must have no threads
from pipelines.media import child, nursery
nursery.nurse(child.serve)
"""
_ORDER = struct.Struct("<q")
"""A child to end; 0, with a socket, to fork one that serves it."""
_LINE_BYTES = 4 << 20
_PR_SET_PDEATHSIG = 1


class Nursery:
    """The process, started when the first child is wanted and again if it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._owner = 0

    def fork(self) -> socket.socket:
        """Our end of the line to a new child."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            for line in (ours, theirs):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LINE_BYTES)
            try:
                self._order(0, theirs)
            except OSError:
                self._control = None
                self._order(0, theirs)
        return ours

    def end(self, pid: int) -> None:
        """Kill a child and all of its group, if it still runs."""
        with self._lock, suppress(OSError):
            self._order(pid)

    def _order(self, pid: int, *lines: socket.socket) -> None:
        if self._control is None or self._owner != os.getpid():
            self._control, self._owner = _start(), os.getpid()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", line.fileno())) for line in lines]
        self._control.sendmsg([_ORDER.pack(pid)], rights)


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


def nurse(serve: Callable[[socket.socket], None]) -> NoReturn:
    """The nursery's whole life: fork a child for each line that comes in, end one when told to."""
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
        (unwanted,) = _ORDER.unpack(order)
        if unwanted in children:
            _kill(unwanted)
        for line in lines:
            child = os.fork()
            if child == 0:
                control.close()
                _live(nursery, serve, socket.socket(fileno=line))
            children.add(child)
            os.close(line)


def _kill(child: int) -> None:
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            end(child, signal.SIGKILL)


def _live(nursery: int, serve: Callable[[socket.socket], None], line: socket.socket) -> NoReturn:
    """A child's whole life: it ends with the nursery at the latest."""
    os.setsid()
    with suppress(AttributeError):  # Linux alone promises this; elsewhere the nursery sees to it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == nursery:
        serve(line)
    os._exit(0)
