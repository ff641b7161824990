"""The access that files beside a store have: that of the store's own file.

The gateway and each operator are users of their own, who work on one SQLite store: what one of them makes beside it
(ballast, snapshot) the others must be able to read and to replace. SQLite itself does so for its log and its index.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def give_access(descriptor: int, store: Path) -> None:
    """Give a file that this process made the group and the mode of the file `store`; as root, its owner too.

    Never execute, and never anything for all others. Where that is not allowed, the file stays as it is.
    """
    with suppress(OSError):
        status = store.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        elif os.fstat(descriptor).st_gid != status.st_gid:
            os.fchown(descriptor, -1, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o660 | 0o600)
