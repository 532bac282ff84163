"""Files appear whole or not at all, with the mode, owner and links they had."""

import errno
import multiprocessing
import os
import shutil
import signal
import stat
import sys
import threading
import time

import pytest

from qiskit_torch_module._core import files as _files
from qiskit_torch_module._core.files import replace_file, require_writable

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def save(path, content=b"content"):
    replace_file(path, lambda file: file.write(content), lambda name: None)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_a_file_and_the_folders_above_it_appear(tmp_path):
    save(tmp_path / "a" / "b" / "file")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert names(tmp_path / "a" / "b") == ["file"]


def test_any_name_that_the_system_takes_is_taken(tmp_path):
    path = tmp_path / ("x" * 255)
    save(path)
    assert path.exists()


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_of_a_new_file_follows_the_umask_and_that_of_an_old_one_stays(tmp_path, mask):
    before = os.umask(mask)
    try:
        save(tmp_path / "new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o666 & ~mask
    for kept in (0o664, 0o600, 0o640):
        (tmp_path / "new").chmod(kept)
        save(tmp_path / "new", b"other")
        assert mode(tmp_path / "new") == kept
    assert (tmp_path / "new").read_bytes() == b"other"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path):
    save(tmp_path / "file")
    os.chown(tmp_path / "file", 1000, 1001)
    save(tmp_path / "file", b"other")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (1000, 1001)


@posix
def test_symbolic_links_stay_and_hard_links_keep_the_older_content(tmp_path):
    (tmp_path / "real").mkdir()
    save(tmp_path / "real" / "file", b"old")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "dangling").symlink_to("real/later")
    os.link(tmp_path / "real" / "file", tmp_path / "hard")
    save(tmp_path / "link", b"new")
    save(tmp_path / "dangling", b"later")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == b"new"
    assert (tmp_path / "real" / "later").read_bytes() == b"later"
    assert (tmp_path / "hard").read_bytes() == b"old"
    assert names(tmp_path / "real") == ["file", "later"]


@posix
def test_what_is_no_file_is_refused_by_name(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match=r"expected the name of a regular file, got a FIFO: '.*fifo'"):
        save(tmp_path / "fifo")
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    with pytest.raises(IsADirectoryError, match="got a folder"):
        save(tmp_path)
    # No device is opened: what would be written to it is refused by its kind.
    with pytest.raises(OSError, match=r"got a device: '.*null'"):
        _files.require_regular(_files.Path(os.devnull))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop'") as caught:
        save(tmp_path / "loop")
    assert caught.value.errno == errno.ELOOP


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_what_is_protected_is_not_replaced(tmp_path):
    save(tmp_path / "file")
    (tmp_path / "file").chmod(0o444)
    for attempt in (save, require_writable):
        with pytest.raises(PermissionError, match="file'"):
            attempt(tmp_path / "file")
    tmp_path.chmod(0o555)
    for attempt in (save, require_writable):
        with pytest.raises(PermissionError, match="other'"):
            attempt(tmp_path / "other")
    tmp_path.chmod(0o755)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    save(path)

    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupt(*arguments):
        raise KeyboardInterrupt

    for write, verify, error in (
        (fail, print, OSError),
        (interrupt, print, KeyboardInterrupt),
        (lambda file: None, fail, OSError),
        (lambda file: None, interrupt, KeyboardInterrupt),
    ):
        with pytest.raises(error) as caught:
            replace_file(path, write, verify)
        if error is OSError:
            assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert path.read_bytes() == b"content"
        assert names(tmp_path) == ["file"]


def test_a_folder_that_vanishes_meanwhile_is_said(tmp_path):
    def vanish(name):
        shutil.rmtree(tmp_path / "folder")

    with pytest.raises(FileNotFoundError, match="file'"):
        replace_file(tmp_path / "folder" / "file", lambda file: None, vanish)


@linux
def test_a_limit_on_the_size_of_files_is_an_error_by_name(tmp_path):
    import resource

    path = tmp_path / "file"
    save(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="file'") as caught:
            save(path, b"x" * 100_000)
        with pytest.raises(OSError, match="file'"):
            require_writable(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == b"content"
    assert names(tmp_path) == ["file"]


def test_whether_one_can_write_is_told_beforehand(tmp_path):
    require_writable(tmp_path / "a" / "file")
    assert names(tmp_path / "a") == []
    save(tmp_path / "a" / "file")
    require_writable(tmp_path / "a" / "file")
    assert (tmp_path / "a" / "file").read_bytes() == b"content"
    with pytest.raises(OSError, match="below'"):  # Windows: FileNotFoundError
        require_writable(tmp_path / "a" / "file" / "below")
    with pytest.raises(IsADirectoryError, match="got a folder"):
        require_writable(tmp_path)


def _save_for_ever(path):
    while True:
        save(path, b"x" * 1_000_000)


@linux
def test_what_killed_processes_leave_is_cleared_by_the_next_save(tmp_path):
    path, litter = tmp_path / "file", 0
    for kill_after in (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05) * 2:
        process = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(path,))
        process.start()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(kill_after)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        litter += len(names(tmp_path)) - 1
        assert len(path.read_bytes()) == 1_000_000
        save(tmp_path / "neighbour")  # not its business
        save(path, b"x" * 1_000_000)
        assert names(tmp_path) == ["file", "neighbour"]
    assert litter > 0, "no kill came in the middle of a save; the test has lost its point"


@pytest.mark.skipif(_files.fcntl is None, reason="needs locks")
def test_what_others_are_writing_is_not_cleared(tmp_path):
    path, inside, go_on = tmp_path / "file", threading.Event(), threading.Event()

    def slow(file):
        file.write(b"slow")
        inside.set()
        assert go_on.wait(60)

    thread = threading.Thread(target=replace_file, args=(path, slow, lambda name: None))
    thread.start()
    assert inside.wait(60)
    save(path, b"fast")
    assert path.read_bytes() == b"fast"
    go_on.set()
    thread.join()
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == ["file"]


def _save_often(path, number):
    for _ in range(30):
        save(path, bytes([number]) * 10_000)


def test_concurrent_saves_by_threads_and_processes(tmp_path):
    path = tmp_path / "file"
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    workers = [threading.Thread(target=_save_often, args=(path, number)) for number in range(3)]
    workers += [context.Process(target=_save_often, args=(path, number)) for number in range(3, 6)]
    for worker in reversed(workers):
        worker.start()
    for worker in workers:
        worker.join()
        assert getattr(worker, "exitcode", 0) == 0
    content = path.read_bytes()
    assert content == content[:1] * 10_000
    assert names(tmp_path) == ["file"]


@linux
def test_without_locks_what_is_old_is_cleared(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "fcntl", None)
    path = tmp_path / "file"
    young, old = (tmp_path / f"{_files._stem(path)}{name}.tmp" for name in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (0, 0))
    save(path)
    assert names(tmp_path) == sorted([young.name, "file"])
