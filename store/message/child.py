"""The child process in which hostile messages are taken apart. Knows no store, no key and no file; imports little.

On its standard input come requests, ``length (8 bytes) | milliseconds (4) | 1 if HTML failed before (1) | message``,
big-endian; it answers ``length (8) | 0 | msgpack`` of a ParsedMessage (or of what the child of another room makes), or
``length (8) | 1 | what went wrong``, and at the start one byte says that it is ready. It may use a gibibyte of address
space, the processor for as long as it was told, no process, no file but modules, and it leaves no core. It ends when
its input does.
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
HTML_FAILED = "takes too much time or memory to be read as a browser does"

_ADDRESS_SPACE = 1 << 30
_OPEN_FILES = 16  # a codec that is used for the first time is read from its module


def main() -> None:
    """Answer with parsed messages until the input ends."""
    encoder = msgspec.msgpack.Encoder()
    serve(lambda raw, html_fails: encoder.encode(parse_message(raw, html_fails=html_fails)))


def serve(work: Callable[[bytes, str], bytes]) -> None:
    """Answer with what `work` makes of each message, and of why its HTML cannot be read ("" = it can), within limits.

    What `work` needs must be imported before.
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
    """So many bytes of the input; fewer only where it ends."""
    return sys.stdin.buffer.read(length)


def _write(answer: bytes) -> None:
    sys.stdout.buffer.write(LENGTH.pack(len(answer)))
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
