"""`stylereel doctor`: what works on this machine, and what to do about what does not."""

import importlib.metadata
from collections.abc import Callable

import av
import click
import torch

from pipelines.commands.common import json_option, print_result
from pipelines.config import cache_folder
from pipelines.errors import StylereelError
from pipelines.flows.server import EmbeddedServer
from pipelines.media.codecs import CODECS
from pipelines.media.ffmpeg import find_ffmpeg
from pipelines.storage import Store, free_bytes
from stylecore.catalog import bundled_styles


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check ffmpeg, codecs, devices, storage, styles and Prefect.

    Example: stylereel doctor
    """
    checks = {
        "ffmpeg": _ffmpeg,
        "codecs": _codecs,
        "device": _device,
        "styles": _styles,
        "storage": _storage,
        "prefect": _prefect,
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
        return {"ok": False, "found": str(err)}


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


def _prefect() -> str:
    server = EmbeddedServer(cache_folder() / "prefect")
    try:
        server.wait()
    finally:
        server.stop()
    return f"{importlib.metadata.version('prefect')}, its server starts"
