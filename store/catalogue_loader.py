"""Reads copies' records in a child process: opening a million of them would hold up this one's screen.

The child is `python -m store.catalogue_loader`. It gets what it needs on its standard input (location, key material,
ranges of ids; nothing secret is in its arguments or environment) and answers frames of the catalogue on its standard
output, the newest copies first. It ends by itself when this process does.

Both directions carry messages: 4 bytes of length (big-endian), msgpack; a frame's Arrow IPC sections follow theirs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from store.errors import MailholdError, TamperedError

if TYPE_CHECKING:
    from store.catalogue_frame import Frame
    from store.records import Copy
    from store.vault import Vault

#: Copies in the first frame (soon there) and in the others (fewer texts held twice).
FIRST_COPIES = 10_000
FRAME_COPIES = 100_000


class LoaderError(Exception):
    """The child process could not be started, or ended before it was done."""


class Loaded(NamedTuple):
    """One frame: the copies with ids above `after` and up to `until`, and the ids of those that do not verify."""

    after: int
    until: int
    frame: Frame
    damaged: list[int]


class _Task(msgspec.Struct, array_like=True):
    location: str
    material: bytes
    after: int
    until: int


class _Header(msgspec.Struct, array_like=True):
    after: int
    until: int
    damaged: list[int]
    sections: list[int]


def load(vault: Vault, after: int, until: int) -> Iterator[Loaded]:
    """Read the copies with ids above `after` and up to `until` in this process, the newest frame first."""
    from store.catalogue_frame import Frame

    count = FIRST_COPIES
    while until > after:
        start = max(after, until - count)
        damaged: list[int] = []

        def note(copy_id: int, _error: TamperedError, damaged: list[int] = damaged) -> None:
            damaged.append(copy_id)

        copies = vault.scan(start, until - start, on_error=note)
        frame = Frame.of(_up_to(copies, until))
        yield Loaded(start, until, frame, [copy_id for copy_id in damaged if copy_id <= until])
        until, count = start, FRAME_COPIES


def _up_to(copies: Iterator[Copy], until: int) -> Iterator[Copy]:
    for copy in copies:
        if copy.id > until:
            return
        yield copy


class Child:
    """A child process that does what `load` does. `frames` may be read by one thread, `stop` called by any."""

    def __init__(self, vault: Vault, after: int, until: int) -> None:
        """Start it. Raises LoaderError."""
        import subprocess

        package = str(Path(__file__).resolve().parents[1])
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([package, inherited] if inherited else [package])
        task = _Task(vault.location, vault.worker_key_material(), after, until)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "store.catalogue_loader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
            assert self._process.stdin is not None
            with self._process.stdin as pipe:
                _send(pipe, msgspec.msgpack.encode(task))
        except OSError as error:
            raise LoaderError(str(error)) from error

    def frames(self) -> Iterator[Loaded]:
        """Its frames, as they come. Raises LoaderError where it ends too early, also after `stop`."""
        from store.catalogue_frame import Frame

        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            while (message := _receive(pipe)) is not None:
                try:
                    header = msgspec.msgpack.decode(message, type=_Header)
                    frame = Frame.of_sections(_exactly(pipe, length) for length in header.sections)
                except (ValueError, msgspec.MsgspecError) as error:
                    raise LoaderError("the child process answered what it should not") from error
                yield Loaded(header.after, header.until, frame, header.damaged)
        if self._process.wait() != 0:
            raise LoaderError(f"the child process ended with {self._process.returncode}")

    def stop(self) -> None:
        """End it at once; what it reads can be read again."""
        self._process.kill()
        self._process.wait()


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(4, "big") + message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    length = pipe.read(4)
    return _exactly(pipe, int.from_bytes(length, "big")) if length else None


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise LoaderError("the child process ended in the middle of an answer")
    return data


def main() -> int:
    """What the child does: one task from standard input, its frames to standard output."""
    import resource

    from store.vault import Vault

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(2)
    message = _receive(sys.stdin.buffer)
    if message is None:
        return 1
    task = msgspec.msgpack.decode(message, type=_Task)
    output = sys.stdout.buffer
    try:
        vault = Vault.from_key_material(task.location, task.material)
        for loaded in load(vault, task.after, task.until):
            sections = list(loaded.frame.sections("uncompressed", compact=False))
            header = _Header(loaded.after, loaded.until, loaded.damaged, [len(section) for section in sections])
            _send(output, msgspec.msgpack.encode(header))
            for section in sections:
                output.write(section)
            output.flush()
    except (MailholdError, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
