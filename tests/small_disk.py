"""Small file systems to fill, and to mount read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount an empty file system of that size; yield its folder. Skip the test if mounting is impossible."""
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
    """Make the file system of a `small_disk` read-only."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


def fill(folder: Path, name: str = "filler") -> None:
    """Use up all free space, like another program."""
    with (folder / name).open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


#: A program that writes to a file whenever there is free space.
_EATER = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("eating", flush=True)
while True:
    try:
        os.write(file, bytes(4096))
    except OSError:
        time.sleep(0.001)
"""


@contextmanager
def eater(folder: Path, name: str = "eaten") -> Iterator[None]:
    """Let another program use up all space that becomes free, in a file that stays."""
    command = [sys.executable, "-I", "-S", "-c", _EATER, folder / name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
