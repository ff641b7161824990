"""Setup steps for folders and text files, each with owner, group and mode."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from store.helpers.secret_files import NotPlain, open_plain, replaced, sync_folder
from store.installing.step import MISSING, THERE, Look, State, Step, gid_of, group_name, uid_of, user_name


def folder(path: Path, owner: str, group: str, mode: int) -> Step:
    """Return the step for a folder. Missing parent folders are created for root, mode 0755."""

    def look() -> Look:
        if not os.path.lexists(path):
            return MISSING
        if not path.is_dir():
            return Look(State.DIFFERS, "it is not a folder")
        return access_of(path, owner, group, mode)

    def make() -> list[str]:
        uid, gid = uid_of(owner), gid_of(group)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        os.chown(path, uid, gid)
        path.chmod(mode)
        sync_folder(path.parent)
        return []

    made = f"install -d -o {owner} -g {group} -m {mode:04o} {path}"
    return Step(f"folder {path} ({owner}:{group}, {mode:04o})", look, make, made)


def text_file(
    path: Path, text: str, by_hand: str, *, group: str = "root", mode: int = 0o644, packaged: Path | None = None
) -> Step:
    """Return the step for a text file owned by root. If a package has installed it at `packaged`, nothing is to do."""

    def look() -> Look:
        if not os.path.lexists(path):
            if packaged is not None and packaged.is_file():
                return Look(State.THERE, f"the package has it at {packaged}")
            return MISSING
        try:
            descriptor = open_plain(path)
        except NotPlain as error:
            return Look(State.DIFFERS, f"it is {error}")
        with os.fdopen(descriptor, "rb") as file:
            present = file.read(1 << 20)
        if present != text.encode():
            return Look(State.DIFFERS, "its content differs; it stays unchanged and in force")
        return access_of(path, "root", group, mode)

    def make() -> list[str]:
        write_text(path, text, group, mode)
        return []

    return Step(f"file {path} (root:{group}, {mode:04o})", look, make, by_hand)


def write_text(path: Path, text: str, group: str = "root", mode: int = 0o644) -> None:
    """Write a text file owned by root, with missing parent folders. Raises OSError, NotMade."""
    gid = gid_of(group)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write(text.encode())
        os.fchown(file.fileno(), 0, gid)
        os.fchmod(file.fileno(), mode)


def access_of(path: Path, owner: str, group: str, mode: int) -> Look:
    """Compare owner, group and mode of a file or folder; symbolic links are followed. Raises OSError."""
    status = path.stat()
    present = f"{user_name(status.st_uid)}:{group_name(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"
    if present == f"{owner}:{group} {mode:04o}":
        return THERE
    return Look(State.DIFFERS, f"it is {present}. By hand: chown {owner}:{group} {path} && chmod {mode:04o} {path}")


def give(path: Path, owner: str, group: str, mode: int) -> None:
    """Set owner, group and mode of a new file. Raises OSError, NotMade."""
    os.chown(path, uid_of(owner), gid_of(group), follow_symlinks=False)
    path.chmod(mode)
