"""The cost of making the traits of copies: processor time per message, and for a store of 40,000."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from email.message import EmailMessage

from store.campaigns.indexing import index
from store.campaigns.making import Context, made_of
from store.campaigns.packing import packed
from store.message.in_child import close_children
from store.message.parser import parse_message
from store.terms.records import CopyRecord
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, figure

MESSAGES, ROUNDS, STORED, WHOLE = 100, 5, 2000, 40_000
_SYLLABLES = ("pa", "re", "cel", "no", "ti", "in", "voi", "ce", "ver", "sand", "be", "stel", "lung", "con", "ta", "to")


def letters(count: int, size: int) -> list[bytes]:
    """Make letters of about `size` bytes: up to 6 kB of HTML and plain text with links, the rest an attachment."""
    rnd = random.Random(5)

    def words(number: int) -> str:
        return " ".join("".join(rnd.choices(_SYLLABLES, k=rnd.randint(1, 4))) for _ in range(number))

    made = []
    for number in range(count):
        message = EmailMessage()
        message["From"] = f"Parcel {words(1)} <info{number}@{words(1).replace(' ', '')}.example>"
        message["To"] = "bob@corp.example"
        message["Subject"] = f"{words(4)} {number}"
        message["Message-ID"] = f"<{rnd.getrandbits(64):x}@mail.example>"
        sentences = [f"{words(12).capitalize()}." for _ in range(20)]
        message.set_content("\n\n".join(sentences))
        link = f'<a href="http://x{rnd.getrandbits(32):x}.example/track/{rnd.getrandbits(64):x}?id={number}">go</a>'
        html = "".join(f'<p style="color:#202124;background:#ffffff">{each} {link}</p>' for each in sentences[:9])
        message.add_alternative(f"<html><body>{html}</body></html>", subtype="html")
        left = size - len(message.as_bytes())
        if left > 2000:
            data = b"%PDF-1.7\n" + rnd.randbytes(left * 3 // 4)
            message.add_attachment(data, maintype="application", subtype="pdf", filename=f"Invoice_{number}.pdf")
        made.append(message.as_bytes())
    return made


def indexing(size: str) -> Iterator[Figure]:
    """Measure parsing and keys of 6 and 75 kB messages in one process, and a whole store including children."""
    for kilobytes, target in ((6, 1.0), (75, 3.0)):
        taken = [_milliseconds(letters(MESSAGES, 1000 * kilobytes)) for _ in range(ROUNDS)]
        yield figure(
            *(f"traits of a message of {kilobytes} kB, processor time", size, taken, "ms"),
            target=f"{target:g}",
            met=lambda middle, _high, target=target: middle <= target,  # type: ignore[misc]
        )
    processor, wall = _stored()
    yield figure(
        *(f"index {WHOLE:,} of 6 kB on two cores", size, [wall], "s"),
        target="under 60",
        met=lambda middle, _high: middle < 60,
    )
    yield figure(f"  processor time of all its processes, at {WHOLE:,}", size, [processor], "s")


def _milliseconds(raws: list[bytes]) -> float:
    """Return the processor time of this thread per message (ms)."""
    context = Context("192.0.2.7", ("corp.example",))
    began = time.thread_time()
    for raw in raws:
        markups: list[str] = []
        packed(made_of(parse_message(raw, enter=False, markups=markups), context, markups))
    return 1000 * (time.thread_time() - began) / len(raws)


def _stored() -> tuple[float, float]:
    """Return processor seconds and elapsed seconds for 40,000 copies, extrapolated from 2,000."""
    vault = store_maker.new_store(store_maker.FOLDER / "indexed.store")
    raws = letters(MESSAGES, 6000)
    record = CopyRecord(client_address="192.0.2.7")
    vault.put_many((raws[number % MESSAGES], record, None) for number in range(STORED))
    before, began = _processors(), time.perf_counter()
    if index(vault).indexed != STORED:
        raise RuntimeError("Not all copies were indexed.")
    wall = time.perf_counter() - began
    close_children()  # The time of a child is counted when it has ended.
    processor = _processors() - before
    vault.close()
    return processor * WHOLE / STORED, wall * WHOLE / STORED


def _processors() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
