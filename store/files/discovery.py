"""Find the files that an import reads: regular files only, without ever blocking on a file or walking in circles.

A path named by the operator is followed, links included. Inside a folder, only regular files and folders are read: a
symbolic link may lead anywhere, even in a circle, and a FIFO or a device would block; these are reported. Hidden files
(`.name`) are skipped, as Maildir prescribes. A folder with `cur` and `new` is a Maildir: its messages are in these two,
one per file; its `tmp` holds unfinished mail, and its other files are indexes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from store.helpers.secret_files import NotPlain, open_plain
from store.terms.errors import IntakeError

_KINDS = (
    (stat.S_ISFIFO, "a FIFO (named pipe)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link inside a folder, which is not followed"),
)


class Found(NamedTuple):
    """A file to read, or the reason why it is not read (`problem`).

    `single`: it is one message, whatever its content.
    """

    path: Path
    size: int = 0
    single: bool = False
    problem: str = ""
    hidden: bool = False


def find_files(paths: Iterable[Path]) -> Iterator[Found]:
    """Find every file under `paths`, each folder in the order of its names.

    Never raises: unreadable paths are reported.
    """
    for path in paths:
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                yield from _folder(path)
            else:
                yield _file(path, status, single=path.suffix.lower() == ".eml")
        except (OSError, ValueError) as error:
            yield Found(path, problem=_reason(error))


def _folder(folder: Path) -> Iterator[Found]:
    """Walk a folder with an explicit stack, so that its depth is not limited, and with `lstat`, so that no link is
    followed.
    """
    waiting = [(folder, False)]
    while waiting:
        current, in_maildir = waiting.pop()
        try:
            with os.scandir(current) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(current, problem=_reason(error))
            continue
        maildir = not in_maildir and {"cur", "new"} <= {entry.name for entry in names}
        folders = []
        for entry in names:
            path = current / entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                yield Found(path, problem=_reason(error))
                continue
            if stat.S_ISDIR(status.st_mode):
                if not (maildir and entry.name == "tmp"):
                    folders.append((path, maildir and entry.name in ("cur", "new")))
            elif entry.name.startswith(".") or maildir:
                yield Found(path, hidden=True)
            else:
                yield _file(path, status, single=in_maildir or entry.name.lower().endswith(".eml"))
        waiting.extend(reversed(folders))


def _file(path: Path, status: os.stat_result, *, single: bool) -> Found:
    if stat.S_ISREG(status.st_mode):
        return Found(path, status.st_size, single)
    kind = next((words for test, words in _KINDS if test(status.st_mode)), "not a regular file")
    return Found(path, problem=f"It is {kind}: only regular files are read. Give the message's file itself.")


def open_regular(path: Path) -> int:
    """Open the regular file at `path` without blocking; return its descriptor. Raises IntakeError, with the reason."""
    try:
        return open_plain(path)
    except NotPlain:
        raise IntakeError("It is no longer a regular file: only regular files are read.") from None
    except (OSError, ValueError) as error:
        raise IntakeError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "The file does not exist: check the path."
    if isinstance(error, PermissionError):
        return "This user may not read it: change its permissions, or import as its owner."
    if isinstance(error, OSError) and error.strerror:
        return f"It cannot be read ({error.strerror}): check the disk and the path."
    return f"The path cannot be used ({error})."
