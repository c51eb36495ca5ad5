"""How the program begins: once more where glibc has to be told something, and with the same words."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipelines.__main__ import environment_of_glibc, main

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


def begun(arguments, environment):
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={"PYTHONPATH": ":".join(sys.path), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return process, told


@pytest.mark.parametrize(
    ("chosen", "began", "left"),
    [
        (None, ["None", OURS], "None"),
        (f"{OTHER}=7", [f"{OTHER}=7", f"{OTHER}=7:{OURS}"], f"{OTHER}=7"),
        ("glibc.malloc.tcache_count=7", ["glibc.malloc.tcache_count=7"], "glibc.malloc.tcache_count=7"),
    ],
)
def test_it_begins_once_more_and_its_children_as_their_user_wants(tmp_path, chosen, began, left):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if chosen:
        environment["GLIBC_TUNABLES"] = chosen
    words = ["render", "a film.mp4", "", "--style=scream"]
    (tmp_path / "stylereel").write_text(TELL)
    process, told = begun([str(tmp_path / "stylereel"), *words], environment)
    assert told.splitlines() == [*(began if GLIBC else began[:1]), f"{left}|{process.pid}|{words}"]


def test_who_calls_it_from_a_program_of_his_own_is_not_begun_again():
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    assert begun(["-c", TELL], environment)[1].splitlines()[0::2] == ["None"]


def test_a_library_that_does_not_hear_is_told_once(monkeypatch):
    """Of a program with more rights than its caller, it forgets what it is told."""
    executed = []
    monkeypatch.setattr(os, "execve", lambda *given: executed.append(given[2]))
    monkeypatch.setattr(sys, "argv", ["/usr/bin/stylereel"])
    monkeypatch.setitem(sys.modules, "pipelines.cli", SimpleNamespace(main=lambda: None))
    monkeypatch.setattr(os, "environ", {})
    main()
    for deaf in list(executed):
        os.environ.update({name: value for name, value in deaf.items() if name != "GLIBC_TUNABLES"})
    main()
    assert len(executed) == (1 if GLIBC else 0) and os.environ == {}


def test_another_c_library_is_told_nothing(monkeypatch):
    monkeypatch.delattr(os, "confstr")
    assert environment_of_glibc({}) is None
