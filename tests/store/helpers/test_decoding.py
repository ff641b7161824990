"""Two threads that decode a type for the first time at once do not crash the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CODE = """
import sys, threading
import msgspec
from store.helpers.decoding import msgpack_decoder
sys.setswitchinterval(1e-6)

def at_once():
    class Inner(msgspec.Struct, array_like=True):
        number: int
        text: str

    class Outer(msgspec.Struct, array_like=True):
        many: tuple[Inner, ...]
        one: Inner | None

    data = msgspec.msgpack.encode(Outer((Inner(1, "a"),), None))
    ready = threading.Barrier(4)

    def decode():
        ready.wait()
        assert msgpack_decoder(Outer).decode(data) == Outer((Inner(1, "a"),), None)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

for _ in range(1000):
    at_once()
print("ended")
"""


def test_first_decoding_in_many_threads() -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=120, cwd=root)
    assert (done.returncode, done.stdout.strip()) == (0, "ended"), done.stderr
