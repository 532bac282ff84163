"""Files that are written whole or not at all, and keep mode and owner of those that they replace."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Where files cannot be locked, what a killed process has left is recognised by its age.
_ABANDONED_AFTER_SECONDS = 86400.0


def replace_file(path: Path, write: Callable[[BinaryIO], None], verify: Callable[[Path], None]) -> None:
    """Writes a file that takes the place of an older one only when it is whole, verified and on the disk.

    An older file keeps its mode and, where the process may give it, its owner; a symbolic link keeps pointing to it; a
    hard link keeps the older content. A new file has the mode that the umask leaves it. What a killed process has left
    of an earlier save to this path is removed.

    Args:
        path: The file; folders above it are made.
        write: Writes the content.
        verify: Reads what was written, under the name it is given, and raises where it is not what it should be.

    Raises:
        OSError: the file cannot be written, or is no regular file; the message names it. An older one is untouched.
    """
    with named(path):
        require_regular(path)
        target = Path(os.path.realpath(path))  # links stay
        old = _status(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(target)
        with _temporary(target, old) as (file, name):
            write(file)
            file.flush()
            if old is not None:
                _inherit(file.fileno(), name, old)
            os.fsync(file.fileno())
            verify(name)
            if fcntl is None:  # Windows renames no open file
                file.close()
            name.replace(target)
        _sync_folder(target.parent)


def require_writable(path: Path, size: int = 4096) -> None:
    """Tries now what `replace_file` does later, so that no long computation is lost; makes the folders above.

    Args:
        path: The file to be.
        size: Bytes that there must be room for.

    Raises:
        OSError: the file cannot be written there; the message names it.
    """
    with named(path):
        require_regular(path)
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target, _status(target)) as (file, name):
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
            verify_size = name.stat().st_size
        if verify_size != size:
            raise OSError(errno.EIO, "a trial file came out short")


def require_regular(path: Path) -> None:
    """Refuses a name that belongs to anything other than a regular file.

    Raises:
        OSError: a folder, a FIFO, a socket or a device.
    """
    status = _status(path)
    if status is None or stat.S_ISREG(status.st_mode):
        return
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
    number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
    raise OSError(number, f"expected the name of a regular file, got {kind}", str(path))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors of the operating system name the file that the user knows, whatever was done for it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _temporary(target: Path, old: os.stat_result | None) -> Iterator[tuple[BinaryIO, Path]]:
    """A file beside the target, locked while it is in use, and gone afterwards unless it was renamed."""
    if old is not None:
        os.close(os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))  # raises where it is protected
    file, name = _locked(target, private=old is not None)
    try:
        with file:
            yield file, name
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed
            name.unlink()


def _locked(target: Path, private: bool) -> tuple[BinaryIO, Path]:
    while True:
        name = target.with_name(f"{_stem(target)}{secrets.token_hex(6)}.tmp")
        # Whoever may read the file in the end may read it now: the mode of an older one is given last.
        handle = os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600 if private else 0o666
        )
        file = os.fdopen(handle, "w+b")
        if _lock(handle) is not False and os.fstat(handle).st_nlink > 0:
            return file, name
        file.close()  # another process took it for abandoned before it was locked


def _stem(target: Path) -> str:
    """Beginning of the names of temporary files of a target; names of any length are allowed for it."""
    return f".qtm-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def _lock(handle: int) -> bool | None:
    """Locks a file until it is closed; False: another process holds it; None: this file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _clear_abandoned(target: Path) -> None:
    for name in target.parent.glob(f"{_stem(target)}*.tmp"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's: no reason not to save
            _clear_if_abandoned(name)


def _clear_if_abandoned(name: Path) -> None:
    """Removes a file while it is locked, so that whoever has just made it sees that it is gone before using it."""
    handle = os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        locked = _lock(handle)
        if locked is None:
            locked = time.time() - os.fstat(handle).st_mtime > _ABANDONED_AFTER_SECONDS
        if locked:
            name.unlink()
    finally:
        os.close(handle)


def _inherit(handle: int, name: Path, old: os.stat_result) -> None:
    """Owner and mode of the older file."""
    if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        for user, group in ((-1, old.st_gid), (old.st_uid, -1)):
            with contextlib.suppress(PermissionError):  # only root gives files away
                os.fchown(handle, user, group)
    name.chmod(stat.S_IMODE(old.st_mode))  # last: a change of owner takes bits away


def _sync_folder(folder: Path) -> None:
    """Puts the new name on the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)
