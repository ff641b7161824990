"""Small file systems of their own, to fill and to mount read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """The folder of an empty file system of that size. Skips the test where none can be mounted."""
    if os.getuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    folder = Path(tempfile.mkdtemp(prefix="mailhold-disk-"))
    options = f"size={megabytes}m,mode=755"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mailhold-test", folder], capture_output=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let the file system of a `small_disk` be read-only."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


def fill(folder: Path, name: str = "filler") -> None:
    """Take all the room that is left, as another program does."""
    with (folder / name).open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
