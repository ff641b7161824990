"""The logged-in user as the kernel knows it; environment variables have no influence."""

from __future__ import annotations

import os
from pathlib import Path

_LOGIN_UID = Path("/proc/self/loginuid")
#: The kernel's value for "no login": a service, or a kernel without audit.
_UNSET = (1 << 32) - 1


def login_uid() -> int:
    """Return the user id of the login, which `su` and `sudo` do not change; without a login, the process's user id."""
    try:
        uid = int(_LOGIN_UID.read_text())
    except (OSError, ValueError):
        return os.getuid()
    return os.getuid() if uid == _UNSET else uid
