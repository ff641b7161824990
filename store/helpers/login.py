"""Who is logged in, as the system knows it: no variable of the environment can say otherwise."""

from __future__ import annotations

import os
from pathlib import Path

_LOGIN_UID = Path("/proc/self/loginuid")
#: What the kernel says where nobody logged in: of a service, or without its audit.
_UNSET = (1 << 32) - 1


def login_uid() -> int:
    """Return the user id of the login, which `su` and `sudo` do not change; without one, the process's."""
    try:
        uid = int(_LOGIN_UID.read_text())
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if uid == _UNSET else uid
