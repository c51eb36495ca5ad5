"""Every error a user can meet; each reads as one line: what was found, what was expected, what to do.

StylereelError            exit 1
├── InputError            exit 2   the source cannot be read, or is of a kind not handled yet
│   └── UnreadError       exit 2   it could not be read this time: gone, stalled, its reader killed
├── UsageError            exit 2   an option, style, path or job that cannot be
│   └── BusyError         exit 2   another stylereel is at work there
├── StorageError          exit 1   a place that cannot be read or written
│   ├── OutageError       exit 1   a place that does not answer; it may later
│   └── DiskFullError     exit 1   no room on this machine's disk
├── EngineError           exit 1   rendering failed; a rerun may heal it
├── AssemblyError         exit 1   parts cannot be joined, or a track would be lost
└── ConformError          exit 1   the finished file is not on the source's timeline
"""


class StylereelError(Exception):
    """Something the user can understand and act on."""

    exit_code = 1


class InputError(StylereelError):
    """The source cannot be read, or is of a kind that is not handled yet."""

    exit_code = 2


class UnreadError(InputError):
    """The source could not be read this time; it may be another time, as it is."""


class UsageError(StylereelError):
    """An option, style, path or job that cannot be."""

    exit_code = 2


class BusyError(UsageError):
    """Another stylereel is at work there; what it makes is its own to tell of."""


class StorageError(StylereelError):
    """A place that cannot be read or written."""


class OutageError(StorageError):
    """A place that does not answer, or not now."""


class DiskFullError(StorageError):
    """No room on this machine's disk."""


class EngineError(StylereelError):
    """Rendering failed; what was finished is kept, and a rerun continues."""


class AssemblyError(StylereelError):
    """Parts cannot be joined, or a track of the source would be lost."""


class ConformError(StylereelError):
    """The finished file is not on the source's timeline."""
