"""Reads copies' records in child processes: opening a million of them here would hold up the screen.

A child is `python -m store.catalogue.loader`. It gets what it needs on its standard input (location, key material,
spans of ids; nothing secret is in its arguments or environment) and answers frames of the catalogue on its standard
output, the newest copies first; or tables of columns that only some filters ask for. It ends by itself when this
process does.

Both directions carry messages: 4 bytes of length (big-endian), msgpack; a frame's Arrow IPC sections follow theirs.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from store.catalogue.column_fields import Source
from store.catalogue.memory import LARGE_BLOCK
from store.database.connection import pragma
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import MailholdError, TamperedError

if TYPE_CHECKING:
    import subprocess

    from store.catalogue.column_table import ColumnTable
    from store.catalogue.frame import Frame
    from store.vault.vault import Vault

T = TypeVar("T")
OnError = Callable[[int, TamperedError], None]

#: Ids in the first frame (soon there) and in the others: with more a child takes more memory, with fewer more texts
#: are held twice.
FIRST_IDS = 5_000
FRAME_IDS = 20_000
_CHILDREN = 2
#: What a child keeps of the database's pages: it reads each of them once.
_CACHE_KB = 1000


class LoaderError(Exception):
    """A child process could not be started, or ended before it was done."""


class Span(NamedTuple):
    """The copies with ids above `after` and up to `until`."""

    after: int
    until: int


class Loaded(NamedTuple, Generic[T]):
    """One frame, or one table: the copies of a span, and the ids of those that do not verify."""

    span: Span
    frame: T
    damaged: list[int]


class _Task(msgspec.Struct, array_like=True):
    location: str
    material: bytes
    spans: list[Span]
    source: Source | None


class _Header(msgspec.Struct, array_like=True):
    span: Span
    damaged: list[int]
    layout: list[str]
    sections: list[int]


def spans_of(after: int, until: int) -> list[Span]:
    """Cut a range of ids (above `after`, up to `until`) into pieces of a frame each, the newest first."""
    spans = []
    size = FIRST_IDS
    while until > after:
        start = max(after, until - size)
        spans.append(Span(start, until))
        until, size = start, FRAME_IDS
    return spans


def load(vault: Vault, spans: Iterable[Span]) -> Iterator[Loaded[Frame]]:
    """Read frames in this process, keeping few of the database's pages: each is read once."""
    from store.catalogue.frame import Frame

    return _each(
        vault, spans, lambda span, note: Frame.of_batches(vault.batches(span.after, span.until, on_error=note))
    )


def load_columns(vault: Vault, spans: Iterable[Span], source: Source) -> Iterator[Loaded[ColumnTable]]:
    """Read tables in this process, as `load`."""
    from store.catalogue.column_source import read_span

    return _each(vault, spans, lambda span, note: read_span(vault, source, span.after, span.until, note))


def _each(vault: Vault, spans: Iterable[Span], read: Callable[[Span, OnError], T]) -> Iterator[Loaded[T]]:
    pragma(vault.db, f"cache_size = -{_CACHE_KB}")
    for span in spans:
        damaged: list[int] = []

        def note(copy_id: int, _error: TamperedError, damaged: list[int] = damaged) -> None:
            damaged.append(copy_id)

        yield Loaded(span, read(span, note), damaged)


class Children(Generic[T]):
    """Child processes that share the spans. `frames` is for one thread, `stop` for any."""

    def __init__(self, vault: Vault, spans: Sequence[Span], source: Source | None = None) -> None:
        """Start them, for frames of the catalogue, or for tables of a `source`. Raises LoaderError."""
        self._source = source
        count = min(_CHILDREN, os.cpu_count() or 1, len(spans))
        self._spans = spans
        self._answers: queue.SimpleQueue[Loaded[T] | int] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(count):
                self._processes.append(_start(vault, list(spans[number::count]), source))
        except OSError as error:
            self.stop()
            raise LoaderError(str(error)) from error

    def frames(self) -> Iterator[Loaded[T]]:
        """Their frames in the order of the spans. What a child that failed should have read is not among them."""
        count = len(self._processes)
        for number in range(count):
            threading.Thread(target=self._read, args=(number,), name="catalogue-reader", daemon=True).start()
        early: dict[Span, Loaded[T]] = {}
        running = set(range(count))
        for place, span in enumerate(self._spans):
            while span not in early and place % count in running:
                answer = self._answers.get()
                if isinstance(answer, int):
                    running.discard(answer)
                else:
                    early[answer.span] = answer
            if span in early:
                yield early.pop(span)

    def _read(self, number: int) -> None:
        """Put what a child answers in the queue, and its number when it is done."""
        read = _decoder(self._source)
        process = self._processes[number]
        pipe = process.stdout
        assert pipe is not None
        try:
            with pipe:
                while (message := _receive(pipe)) is not None:
                    header = msgpack_decoder(_Header).decode(message)
                    frame = read(header.layout, (_exactly(pipe, length) for length in header.sections))
                    self._answers.put(Loaded(header.span, frame, header.damaged))
        except (OSError, ValueError, LoaderError, msgspec.MsgspecError):
            pass  # Its spans are read again, here.
        finally:
            self._answers.put(number)
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End them at once; what they read can be read again."""
        for process in self._processes:
            process.kill()
            process.wait()


def _decoder(source: Source | None) -> Callable[[list[str], Iterable[bytes]], Any]:
    """Return the function that decodes sections to a frame or a table."""
    if source is None:
        from store.catalogue.sections import frame_of

        return frame_of
    from store.catalogue.column_table import ColumnTable

    return lambda _layout, parts: ColumnTable.of_sections(source, parts)


def _encoded(vault: Vault, task: _Task) -> Iterator[tuple[Loaded[Any], list[str], list[bytes]]]:
    """Yield what a task asks for, each with its layout and its sections."""
    if task.source is not None:
        for loaded in load_columns(vault, task.spans, task.source):
            yield loaded, [], list(loaded.frame.sections())
        return
    from store.catalogue.sections import layout_of, sections

    for each in load(vault, task.spans):
        yield each, layout_of(each.frame), list(sections(each.frame, "uncompressed", compact=False))


def _start(vault: Vault, spans: list[Span], source: Source | None) -> subprocess.Popen[bytes]:
    import subprocess

    package = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([package, inherited] if inherited else [package])
    process = subprocess.Popen(
        [sys.executable, "-m", "store.catalogue.loader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "POLARS_MAX_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(LARGE_BLOCK)},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            _send(pipe, msgspec.msgpack.encode(_Task(vault.location, vault.worker_key_material(), spans, source)))
    except BrokenPipeError:
        pass  # It ended already, which the reader of its answers finds out.
    return process


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
    """Run the child: one task from standard input, its frames to standard output."""
    import gc
    import resource

    from store.vault.vault import Vault

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(2)
    gc.disable()
    message = _receive(sys.stdin.buffer)
    if message is None:
        return 1
    task = msgpack_decoder(_Task).decode(message)
    output = sys.stdout.buffer
    try:
        vault = Vault.from_key_material(task.location, task.material)
        for loaded, layout, parts in _encoded(vault, task):
            header = _Header(loaded.span, loaded.damaged, layout, [len(part) for part in parts])
            _send(output, msgspec.msgpack.encode(header))
            for part in parts:
                output.write(part)
            output.flush()
    except (MailholdError, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
