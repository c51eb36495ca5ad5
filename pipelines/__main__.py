"""The program's beginning: glibc hears something only before a process starts; then commands are read."""

import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_NO_CACHES = "glibc.malloc.tcache_count=0"
"""torch asks for memory on lines of 64 bytes. glibc cuts the ends off what it finds and keeps them in a cache
of each thread; whatever small thing takes one, the hole that a frame left is never whole again (sourceware
bug 14581). After two minutes at 1280x720 a process held 1,601 MB; without those caches 1,397, as fast."""

_BEGUN = "STYLEREEL_BEGUN"
"""By which process: of a program with more rights than its caller, glibc forgets what it is told."""
_NAMES = {"stylereel", "__main__"}


def main() -> None:
    """The program; where glibc is, its process begins once more, unless another program called this."""
    me = str(os.getpid())
    heard = None if os.environ.pop(_BEGUN, "") == me else environment_of_glibc(os.environ)
    if heard is None or Path(sys.argv[0]).stem not in _NAMES:
        _leave_to_children(os.environ)
    else:
        with suppress(OSError):  # not allowed to run programs: then as it is
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**heard, _BEGUN: me})
    from pipelines.cli import main as command_line  # loads torch: once

    command_line()


def environment_of_glibc(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What to begin again with; None if it has been heard, if the user chose, or the C library is another."""
    chosen = environment.get(_TUNABLES, "")
    if _NO_CACHES.partition("=")[0] in chosen or not (_is_glibc() and sys.executable):
        return None
    return {**environment, _TUNABLES: f"{chosen}:{_NO_CACHES}".lstrip(":")}


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


def _leave_to_children(environment: MutableMapping[str, str]) -> None:
    """What this process starts begins as its user wants: a peer of the bench with stock memory."""
    chosen = environment.pop(_TUNABLES, "")
    if rest := chosen.removesuffix(_NO_CACHES).rstrip(":"):
        environment[_TUNABLES] = rest


if __name__ == "__main__":
    main()
