"""The child process that parses hostile messages. It has no store, no key and no file, and imports little.

Requests come on standard input: ``length (8 bytes) | milliseconds (4) | 1 if HTML failed before (1) | message``,
big-endian. The child answers ``length (8) | 0 | msgpack`` of a ParsedMessage (or of the result of another package's
`work`), or ``length (8) | 1 | error``. At the start it writes one byte: ready. It is limited to 1 GiB of address space,
the given processor time, no new processes, no files but modules, and no core dump. It ends when its input ends.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
from collections.abc import Callable

import msgspec

from store.message.charset import decode
from store.message.html import read_html
from store.message.parser import parse_message

HEAD = struct.Struct(">QIB")
LENGTH = struct.Struct(">Q")
READY = b"+"
DONE, FAILED = b"\0", b"\1"
HTML_FAILED = "takes too much time or memory to parse"

_ADDRESS_SPACE = 1 << 30
_OPEN_FILES = 16  # needed to import a codec's module at its first use


def main() -> None:
    """Answer with parsed messages until the input ends."""
    encoder = msgspec.msgpack.Encoder()
    serve(lambda raw, html_fails: encoder.encode(parse_message(raw, html_fails=html_fails)))


def serve(work: Callable[[bytes, str], bytes]) -> None:
    """Answer requests until the input ends, within limits on memory, time, processes and files.

    `work` gets a message, and the reason why its HTML must not be parsed ("" = parse it), and returns the answer.
    Import all that it needs before.
    """
    read_html("<p>ready</p>")
    decode(b"\xa1\xa1", "gb18030")
    _limit(resource.RLIMIT_AS, _ADDRESS_SPACE)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    os.write(1, READY)
    while head := _read(HEAD.size):
        length, milliseconds, html_failed = HEAD.unpack(head)
        raw = _read(length)
        if len(raw) != length:
            return
        _limit_time(milliseconds)
        try:
            answer = DONE + work(raw, HTML_FAILED if html_failed else "")
        except MemoryError:
            _write(FAILED + b"it takes more memory than is allowed")
            return
        except Exception as error:
            answer = FAILED + type(error).__name__.encode()
        _write(answer)


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _limit_time(milliseconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + milliseconds / 1000) + 1, hard))


def _read(length: int) -> bytes:
    """Read `length` bytes of the input; fewer only at its end."""
    return sys.stdin.buffer.read(length)


def _write(answer: bytes) -> None:
    sys.stdout.buffer.write(LENGTH.pack(len(answer)))
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
