"""Access rights of files beside a store: the same as those of the store's file.

The gateway and the operators may be different users who share one SQLite store. A file that one of them makes beside it
(ballast, snapshot) must be readable and replaceable for the others. SQLite does the same for its log and its index.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def give_access(descriptor: int, store: Path) -> None:
    """Give a file made by this process the group and mode of the file `store`, and as root also its owner.

    Never grants execution, and nothing to others. If the system does not allow the change, the file stays as it is.
    """
    with suppress(OSError):
        status = store.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        elif os.fstat(descriptor).st_gid != status.st_gid:
            os.fchown(descriptor, -1, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o660 | 0o600)
