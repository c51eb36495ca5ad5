"""What file systems and the clients of stores raise, in our words: one line that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.credentials import scrub
from pipelines.errors import DiskFullError, OutageError, StorageError
from pipelines.faults import is_full

_AWAY_ERRNOS = {errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}
_BUSY_ERRNOS = {errno.EBUSY, errno.EREMOTEIO, errno.EIO, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE}
"""Said by a store elsewhere these mean that it does not answer; said by a disk, that it is broken."""
_AWAY_NAMES = {
    *("ConnectionError", "TimeoutError", "HTTPClientError", "ResponseParserError", "IncompleteReadError"),
    *("ClientConnectionError", "ClientPayloadError", "ServiceRequestError", "ServiceResponseError"),
    "TransportError",
}
"""What the clients of stores raise, by name: none of them is imported before it is needed."""
_BUSY_STATUS = (408, 429, 500, 502, 503, 504)
_READ_ONLY_STATUS = (405, 501)


@contextmanager
def explained(doing: str, place: str) -> Iterator[None]:
    """Turn what file systems raise into one line that says what to do."""
    try:
        yield
    except Exception as err:
        told = _explain(f"{doing} {place}", err, elsewhere="://" in place)
        if told is None:
            raise
        raise told from err


class MissingError(StorageError):
    """Nothing is there."""


def _explain(what: str, err: Exception, elsewhere: bool) -> StorageError | None:
    """The error in our words; None for one that is not a file system's."""
    if isinstance(err, FileNotFoundError) and not (elsewhere and _is_away(err)):
        return MissingError(f"{what}: not found; choose another place")
    if elsewhere and _is_away(err) or isinstance(err, OSError) and err.errno in _AWAY_ERRNOS:
        return OutageError(f"{what}: no answer ({scrub(_said(err.__cause__ or err))})")
    if type(err).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return StorageError(f"{what}: no credentials; set them in the environment or in a profile")
    if elsewhere and (isinstance(err, NotImplementedError) or _status(err) in _READ_ONLY_STATUS):
        return StorageError(f"{what}: this kind of place can only be read; choose another place")
    if not isinstance(err, OSError) and not (elsewhere and _status(err)):
        return None
    if isinstance(err, OSError) and is_full(err):
        return DiskFullError(f"{what}: the disk is full; free some space and run again")
    if isinstance(err, PermissionError) or _status(err) in (401, 403) or _errno(err) == errno.EROFS:
        return StorageError(f"{what}: may not be written or read; choose another place")
    return StorageError(f"{what}: {scrub(_said(err))}; choose another place")


def _is_away(err: BaseException) -> bool:
    """Whether a store did not answer; some clients say of that too that nothing is there."""
    names = {kind.__name__ for kind in type(err).__mro__}
    if names & _AWAY_NAMES or _errno(err) in _BUSY_ERRNOS or _status(err) in _BUSY_STATUS:
        return True
    return isinstance(err, FileNotFoundError) and err.__cause__ is not None and _is_away(err.__cause__)


def _errno(err: BaseException) -> int:
    return err.errno or 0 if isinstance(err, OSError) else 0


def _status(err: BaseException) -> int:
    """The HTTP status that a client's error carries, whatever it calls it."""
    found = (getattr(err, name, None) for name in ("status", "status_code", "code"))
    return next((value for value in found if isinstance(value, int)), 0)


def _said(err: BaseException) -> str:
    return getattr(err, "strerror", None) or str(err) or type(err).__name__
