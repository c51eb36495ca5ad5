"""How the program begins: once more where glibc has to be told something, and with the same words."""

import os
import subprocess
import sys

import pytest

from pipelines.__main__ import environment_of_glibc

OURS = "glibc.malloc.tcache_count=0"
OTHER = "glibc.malloc.perturb"
GLIBC = "CS_GNU_LIBC_VERSION" in os.confstr_names
TELL = """
import os, sys, types
from pipelines.__main__ import main

print(os.environ.get("GLIBC_TUNABLES"), flush=True)
told = lambda: print(os.environ.get("GLIBC_TUNABLES"), os.getpid(), sys.argv[1:], sep="|")
sys.modules["pipelines.cli"] = types.SimpleNamespace(main=told)
main()
"""


@pytest.mark.skipif(not GLIBC, reason="another C library has nothing to be told")
@pytest.mark.parametrize(
    ("chosen", "began", "left"),
    [
        (None, ["None", OURS], "None"),
        (f"{OTHER}=7", [f"{OTHER}=7", f"{OTHER}=7:{OURS}"], f"{OTHER}=7"),
        ("glibc.malloc.tcache_count=7", ["glibc.malloc.tcache_count=7"], "glibc.malloc.tcache_count=7"),
    ],
)
def test_it_begins_once_more_and_its_children_as_their_user_wants(chosen, began, left):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if chosen:
        environment["GLIBC_TUNABLES"] = chosen
    words = ["render", "a film.mp4", "", "--style=scream"]
    process = subprocess.Popen(
        [sys.executable, "-c", TELL, *words], env=environment, stdout=subprocess.PIPE, text=True
    )
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert told.splitlines() == [*began, f"{left}|{process.pid}|{words}"]


def test_another_c_library_is_told_nothing(monkeypatch):
    monkeypatch.setattr(os, "confstr_names", {})
    assert environment_of_glibc({}) is None
