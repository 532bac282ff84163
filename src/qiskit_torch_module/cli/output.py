"""Output of the command line that outlives its reader."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

# What writing to a pipe that nobody reads any more says, on Windows, too, and to a closed descriptor.
_READER_IS_GONE = (errno.EPIPE, errno.EINVAL, errno.EBADF)


class Output(io.TextIOBase):
    """Standard output while it is read, then standard error, then nothing.

    ``qtm train digits | head -1``, a terminal that was closed, or a full disk behind ``>`` are no reason to lose a
    result. What could not be flushed is written again where it can be.

    Args:
        names: Attributes of ``sys``, looked up again at every call.

    Attributes:
        failure: Why a stream does not take what is written, such as a full disk; None: nothing failed, or its reader
            went away.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names
        self._broken: list[TextIO | None] = [None]
        self._unflushed = ""
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Writes to the first stream that takes it."""
        self._unflushed += text
        self._tried(text, flushes=False)
        return len(text)

    def flush(self) -> None:
        """Makes sure that what was written has arrived somewhere."""
        self._tried("", flushes=True)
        self._unflushed = ""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        stream = self._stream()
        return stream is not None and stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream in use."""
        return getattr(self._stream(), "encoding", None) or "utf-8"

    def fileno(self) -> int:
        """Descriptor of the stream in use."""
        stream = self._stream()
        if stream is None:
            raise io.UnsupportedOperation("fileno")
        return stream.fileno()

    def _stream(self) -> TextIO | None:
        # While rich shows a bar, sys.stdout is a proxy that prints through the console, which would write here again.
        streams = [getattr(stream, "rich_proxied_file", stream) for stream in (getattr(sys, n) for n in self._names)]
        return next((stream for stream in streams if not any(stream is broken for broken in self._broken)), None)

    def _tried(self, text: str, *, flushes: bool) -> None:
        while (stream := self._stream()) is not None:
            try:
                stream.write(text)
                if flushes:
                    stream.flush()
                return
            except (OSError, ValueError) as error:  # closed by its reader, or by this process
                if isinstance(error, OSError) and error.errno not in _READER_IS_GONE:
                    self.failure = self.failure or error
                self._broken.append(stream)
                silence(stream)
                text = self._unflushed


def silence(stream: TextIO) -> None:
    """Lets Python flush at exit what nobody reads."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    except (OSError, ValueError):  # it has no descriptor (any more): nothing will be flushed
        return
