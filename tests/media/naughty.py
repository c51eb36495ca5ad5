"""What children are asked to do in tests: each is run by `read_in_child` and so must be quick to import."""

import ctypes
import json
import os
import sys
import time
from pathlib import Path

from pipelines import errors
from pipelines.media.child import alive


def say(*words):
    for word in words:
        yield [word, b"", word]


def modules():
    yield [json.dumps(sorted(sys.modules)).encode()]


def refuse(name, text):
    yield [b"before"]
    raise getattr(errors, name)(text)


def stumble():
    yield [b"before"]
    raise KeyError("packet")


def crash():
    yield [b"before"]
    ctypes.string_at(0)


def devour():
    yield [b"before"]
    yield [bytes(64 << 30)]


def hang():
    yield [str(os.getpid()).encode()]
    while True:
        pass


def ponder(seconds):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(0.05)
        alive()
    yield [b"done"]


def pour(place, size):
    for count in range(1, 1000):
        Path(place).write_text(f"{os.getpid()} {count}")
        yield [bytes(size)]
