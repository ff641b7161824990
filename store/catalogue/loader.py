"""Reads copies' records in child processes: opening a million of them in this process would block the screen.

A child is `python -m store.catalogue.loader`. It gets its task on standard input (location, key material, spans of ids;
no secret is in its arguments or environment). On standard output it writes frames of the catalogue, newest copies
first, or column tables for some filter fields. It ends when this process ends.

Both directions carry messages: 4 bytes of length (big-endian), then msgpack. The Arrow IPC sections of a frame follow
its message, each in the same way, then an empty one.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

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

#: Copies in the first frame (small, to show soon) and in later ones. Larger frames cost child memory; smaller ones
#: time.
FIRST_IDS = 5_000
FRAME_IDS = 12_000
_CHILDREN = 2
#: Results that wait to be taken; the children wait when there are more.
_WAITING = 3
_LOOK_SECONDS = 0.2
#: Database cache of a reading process (KB). Small: each page is read once.
_CACHE_KB = 1000


class LoaderError(Exception):
    """A child process could not be started, or ended too early."""


class Span(NamedTuple):
    """The copies with `after` < id <= `until`."""

    after: int
    until: int


class Loaded(NamedTuple, Generic[T]):
    """The frame or table of a span, and the ids of the copies that do not verify."""

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


def spans_of(after: int, until: int) -> list[Span]:
    """Split the ids with `after` < id <= `until` into spans of one frame each, the newest first."""
    spans = []
    size = FIRST_IDS
    while until > after:
        start = max(after, until - size)
        spans.append(Span(start, until))
        until, size = start, FRAME_IDS
    return spans


def load(vault: Vault, spans: Iterable[Span]) -> Iterator[Loaded[Frame]]:
    """Read frames in this process, with a small database cache: each page is read once."""
    from store.catalogue.frame import Frame

    return _each(
        vault, spans, lambda span, note: Frame.of_batches(vault.batches(span.after, span.until, on_error=note))
    )


def load_columns(vault: Vault, spans: Iterable[Span], source: Source) -> Iterator[Loaded[ColumnTable]]:
    """Read column tables in this process, otherwise as `load`."""
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
    """Child processes that share the spans, until the end of the `with` block.

    Call `frames` from one thread only; `stop` is thread-safe.
    """

    def __init__(self, vault: Vault, spans: Sequence[Span], source: Source | None = None) -> None:
        """Start the children, to read frames or, with a `source`, column tables. Raises LoaderError."""
        self._source = source
        count = min(_CHILDREN, os.cpu_count() or 1, len(spans))
        self._spans = spans
        self._answers: queue.SimpleQueue[Loaded[T] | int] = queue.SimpleQueue()
        self._room = threading.Semaphore(_WAITING)
        self._stopped = threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(count):
                self._processes.append(_start(vault, list(spans[number::count]), source))
        except OSError as error:
            self.stop()
            raise LoaderError(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: results that nobody takes would keep the children waiting."""
        self.stop()

    def frames(self) -> Iterator[Loaded[T]]:
        """Yield the children's results in the order of the spans, without those that a failed child left unread."""
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
                    self._room.release()
                    early[answer.span] = answer
            if span in early:
                yield early.pop(span)

    def _read(self, number: int) -> None:
        """Queue the results of child `number`; queue the number itself when the child is done."""
        read = _decoder(self._source)
        process = self._processes[number]
        pipe = process.stdout
        assert pipe is not None
        try:
            with pipe:
                while (message := _receive(pipe)) is not None:
                    header = msgpack_decoder(_Header).decode(message)
                    frame = read(header.layout, _sections(pipe))
                    loaded = Loaded(header.span, frame, header.damaged)
                    while not self._room.acquire(timeout=_LOOK_SECONDS) and not self._stopped.is_set():
                        pass
                    self._answers.put(loaded)
                    del frame, loaded
        except (OSError, ValueError, LoaderError, msgspec.MsgspecError):
            pass  # This process reads the missing spans again.
        finally:
            process.kill()
            process.wait()
            self._answers.put(number)

    def stop(self) -> None:
        """Kill the children at once. They only read, so nothing is lost."""
        self._stopped.set()
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


def _encoded(vault: Vault, task: _Task) -> Iterator[tuple[Loaded[Any], list[str], Iterator[bytes]]]:
    """Read what a task asks for. Yields each result with its layout and its sections, which are made one by one."""
    if task.source is not None:
        for loaded in load_columns(vault, task.spans, task.source):
            yield loaded, [], loaded.frame.sections()
        return
    from store.catalogue.sections import layout_of, sections

    frames = load(vault, task.spans)
    while (each := next(frames, None)) is not None:
        yield each, layout_of(each.frame), sections(each.frame, "uncompressed", compact=False)
        del each


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
        pass  # The child has already ended; the thread that reads its output notices.
    return process


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(4, "big"))
    pipe.write(message)


def _receive(pipe: IO[bytes]) -> bytes | None:
    length = pipe.read(4)
    return _exactly(pipe, int.from_bytes(length, "big")) if length else None


def _sections(pipe: IO[bytes]) -> Iterator[bytes]:
    while section := _receive(pipe):
        yield section
    if section is None:
        raise LoaderError("the child process ended in the middle of an answer")


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise LoaderError("the child process ended in the middle of an answer")
    return data


def _write(vault: Vault, task: _Task, output: IO[bytes]) -> None:
    """Write the results of a task. Neither this nor `_encoded` holds one while the next is made: that saves memory."""
    for loaded, layout, parts in _encoded(vault, task):
        _send(output, msgspec.msgpack.encode(_Header(loaded.span, loaded.damaged, layout)))
        for part in parts:
            _send(output, part)
            del part
        _send(output, b"")
        output.flush()
        del loaded, parts


def main() -> int:
    """Run the child: read one task from standard input and write its results to standard output."""
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
        _write(vault, task, output)
    except (MailholdError, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
