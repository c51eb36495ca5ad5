"""This machine's disk: files and folders that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
import uuid
from pathlib import Path

PARTIAL = ".partial"
"""In the name of whatever is not whole yet."""


def write(path: Path, data: bytes) -> None:
    """Put a file there, over what was there."""
    partial = _written_aside(path, data)
    os.replace(partial, path)


def create(path: Path, data: bytes) -> None:
    """Put a file there; FileExistsError if there is one. Of many that try, one succeeds."""
    partial = _written_aside(path, data)
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError as err:
        if err.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        # On file systems such as FAT; still only one succeeds, though a power cut may tear the file.
        _write_synced(path, data)
    finally:
        partial.unlink()


def _written_aside(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        _write_synced(partial, data)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return partial


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def move(file: Path, target: Path) -> None:
    """Move a finished file, over what was there; from another disk it is copied aside first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sync(file)
    try:
        os.replace(file, target)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        _forget_copies(target)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
        try:
            shutil.copyfile(file, partial)
            _sync(partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        file.unlink()


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def move_folder(folder: Path, target: Path) -> None:
    """A folder that holds things cannot be replaced in one step: the old one is set aside for a moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _forget_copies(target)
    new, old = (target.with_name(f".{target.name}.{state}{PARTIAL}") for state in ("new", "old"))
    try:
        os.rename(folder, new)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        shutil.copytree(folder, new)
        shutil.rmtree(folder)
    _sync_disk_of(new)  # once, rather than for each of many thousand files
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _forget_copies(target: Path) -> None:
    """Remove what moves that were killed have left beside their target, as large as it is."""
    for left in target.parent.iterdir():
        if left.name.startswith(f".{target.name}.") and left.name.endswith(PARTIAL):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _sync_disk_of(folder: Path) -> None:
    """Other disks of this machine are let be: one that does not answer would hold us for ever."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)


def mark(path: Path) -> tuple[int, int] | None:
    """Which content a file has just now, as far as the disk tells: bytes and time; None without one."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def free_bytes(folder: Path) -> int:
    """Free space where a folder is, or will be."""
    return shutil.disk_usage(_nearest(folder)).free


def disk_of(folder: Path) -> int:
    """The number of the disk on which a folder is, or will be."""
    return _nearest(folder).stat().st_dev


def _nearest(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
