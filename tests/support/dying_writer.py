"""A writer that dies before its n-th change of a file, for every n, and what is left of its log.

``python -m tests.support.dying_writer LOG OUT START END [sync|deferred]`` appends the entries ``[START, END)`` to a
copy of ``LOG`` in ``OUT/1``, or has it take them and integrates it then; and dies before its first system call; in
``OUT/2``, before its second; and so on, until one lives. Beside each copy,
``OUT/<n>.disk`` tells what the disk was asked for: lines ``synced PATH SIZE`` and ``renamed OLD NEW``, with
tabs, a line ``taken`` when the entries were promised an index, and a last line ``alive`` when all of it was done.
``OUT/<n>.journal`` is what the disk holds of the journal: a journal that is written ahead does not grow when it is
written to, so that its size tells nothing.
"""

import functools
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.logs import entries, open_log

CALLS = ("pwrite", "write", "ftruncate", "rename", "mkdir", "unlink", "rmdir", "fsync", "fdatasync")
"""The system calls by which a log changes something, so that it matters whether they were reached."""

Call = Callable[..., Any]


def deadly(call: Call, left: Iterator[int]) -> Call:
    """Return ``call``, which kills this process instead when its turn has come."""

    def run(*arguments: Any, **named: Any) -> Any:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return run


def noted(call: Call, note: Call, what: Callable[..., tuple[object, ...]]) -> Call:
    """Return ``call``, which notes ``what`` was asked for once it is done."""

    def run(*arguments: Any) -> None:
        call(*arguments)
        note("\t".join(map(str, what(*arguments))).encode() + b"\n")

    return run


def synced(descriptor: int, kept: Path) -> tuple[object, ...]:
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if path.endswith(".log"):
        shutil.copyfile(path, kept)
    return "synced", path, os.fstat(descriptor).st_size


def append_and_die(folder: Path, disk: Path, before: int, numbers: tuple[int, int], how: str) -> None:
    log, left = open_log(folder), itertools.count(before - 1, -1)
    note = functools.partial(os.write, os.open(disk, os.O_WRONLY | os.O_CREAT))
    what = functools.partial(synced, kept=disk.with_suffix(".journal"))
    os.fsync, os.fdatasync = noted(os.fsync, note, what), noted(os.fdatasync, note, what)
    os.rename = noted(os.rename, note, lambda old, new: ("renamed", old, new))
    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name), left))
    if how == "sync":
        log.append(entries(*numbers))
    else:
        log.sequence(entries(*numbers))
        note(b"taken\n")
        log.integrate()
    note(b"alive\n")
    os._exit(0)


def main(folder: Path, out: Path, start: int, end: int, how: str = "sync") -> None:
    for before in itertools.count(1):
        copy = shutil.copytree(folder, out / str(before))
        child = os.fork()
        if not child:
            append_and_die(copy, out / f"{before}.disk", before, (start, end), how)
        if os.waitpid(child, 0)[1] == 0:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
