"""`stylereel doctor`: what works on this machine, and what to do about what does not."""

import importlib.metadata
import uuid
from collections.abc import Callable

import av
import click
import torch

from pipelines.commands.common import json_option, print_result
from pipelines.config import absolute_url
from pipelines.credentials import hide_secrets, scrub
from pipelines.device_lock import is_taken, lock_folder
from pipelines.disk import free_bytes
from pipelines.environment import cache_folder, prefect_server_given
from pipelines.errors import StylereelError
from pipelines.flows.server import EmbeddedServer, given_server
from pipelines.media.codecs import CODECS
from pipelines.media.ffmpeg import find_ffmpeg
from pipelines.storage import Store
from stylecore.catalog import bundled_styles


@click.command()
@click.argument("place", required=False)
@json_option
def doctor(place: str | None, as_json: bool) -> None:
    """Check ffmpeg, codecs, devices, storage, styles and Prefect; and PLACE, where work is to be kept.

    Example: stylereel doctor s3://films/work
    """
    checks = {
        "ffmpeg": _ffmpeg,
        "codecs": _codecs,
        "device": _device,
        "locks": _locks,
        "styles": _styles,
        "storage": _storage,
        **({"place": lambda: _place(place)} if place else {}),
        **(_SERVER_CHECKS if prefect_server_given() else {"prefect": _own_server}),
    }
    facts = {name: _outcome(check) for name, check in checks.items()}
    lines = [f"{'ok  ' if fact['ok'] else 'FAIL'}  {name:<8} {fact['found']}" for name, fact in facts.items()]
    print_result(facts, lines, as_json)
    if not all(fact["ok"] for fact in facts.values()):
        raise click.exceptions.Exit(1)


def _outcome(check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"ok": True, "found": check()}
    except (StylereelError, OSError, RuntimeError, ValueError) as err:
        return {"ok": False, "found": scrub(str(err))}


def _ffmpeg() -> str:
    found = find_ffmpeg()
    return f"{found.version[0]}.{found.version[1]} ({found.origin}); PyAV {av.__version__}"


def _codecs() -> str:
    missing = [codec.encoder for codec in CODECS.values() if codec.encoder not in av.codecs_available]
    if missing:
        raise RuntimeError(f"missing {', '.join(missing)}: reinstall the package av")
    return ", ".join(CODECS)


def _device() -> str:
    cpu = f"cpu ({torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()})"
    if not torch.cuda.is_available():
        return f"{cpu}; no CUDA device"
    return f"{cpu}; {', '.join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))}"


def _styles() -> str:
    found = bundled_styles()
    if not found:
        raise RuntimeError("no bundled styles: reinstall stylereel")
    return ", ".join(found)


def _storage() -> str:
    folder = cache_folder()
    Store(str(folder)).refuse_unwritable()
    return f"{folder}, {free_bytes(folder) / 1e9:.0f} GB free"


def _locks() -> str:
    """A lock outlives nobody: what is taken is in use right now."""
    found = sorted(lock_folder().glob("*.lock"))
    taken = [path.stem for path in found if is_taken(path)]
    return f"{lock_folder()}, in use now: {', '.join(taken) or 'none'}"


def _place(place: str) -> str:
    """Two who create the same thing: one must be told that it was there."""
    store, name = Store(absolute_url(place)), f".stylereel-{uuid.uuid4().hex[:8]}"
    try:
        created = [store.create(name, data) for data in (b"first", b"second")]
        held = store.read(name)
    finally:
        store.remove(name)
    if created != [True, False] or held != b"first":
        raise RuntimeError(
            f"{hide_secrets(place)}: two can create the same thing there; choose another store"
        )
    return f"{hide_secrets(place)}: written, read, and created only once"


def _own_server() -> str:
    server = EmbeddedServer(cache_folder() / "prefect")
    try:
        server.wait()
    finally:
        server.stop()
    return f"{importlib.metadata.version('prefect')}, its server starts"


def _given_server() -> str:
    return f"{importlib.metadata.version('prefect')}, {hide_secrets(given_server())} answers"


def _pools() -> str:
    given_server()
    from pipelines.flows.pool import FILESYSTEM_LEASES, lease_storage, missing_automations, pool_names

    names, leases, missing = pool_names(), lease_storage(), missing_automations()
    if not names:
        return "none on this server; `stylereel pool setup NAME` makes one"
    faults = (
        [f"automations are missing ({', '.join(missing)}): run `stylereel pool setup NAME`"]
        if missing
        else []
    )
    if leases.endswith(".memory"):
        faults.append(
            "leases are in the server's memory, a restart leaves limits taken for ever: start it with "
            f"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE={FILESYSTEM_LEASES}"
        )
    if faults:
        raise RuntimeError("; ".join(faults))
    return f"{', '.join(names)}; lost runs go back into the queue, leases outlive the server"


_SERVER_CHECKS = {"prefect": _given_server, "pools": _pools}
