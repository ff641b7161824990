"""Our own fields in a message that comes in: found as the header cutter finds fields, and bounded in number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.intake.released import MOST_OWN, own_fields
from store.mail.header_fields import header_of

_LINES = st.sampled_from(
    (b"X-Mailhold-Delivery: v=1", b"x-mailhold-verdict : a", b"X-MAILHOLD-: b", b"X-Mailhold-Delivery", b"Subject: x",
     b" X-Mailhold-Delivery: folded", b"\tX-Mailhold-Verdict: folded", b":X-Mailhold-A: c", b"AX-Mailhold-A: c",
     b"From x@example", b"", b"X-Mailhold-A B: d", b"X-Mailhold-A: \xff\0\rX-Mailhold-B: e")
)  # fmt: skip


@given(st.lists(st.tuples(_LINES, st.sampled_from((b"\r\n", b"\n", b"\r"))), max_size=12))
def test_they_are_those_that_the_header_cutter_finds(lines: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(line + end for line, end in lines)
    ours = [field for field in header_of(raw).fields() if field.name.startswith(b"x-mailhold-")]
    names = [field.name.decode() for field in ours]
    found = own_fields(raw)
    assert found.delete == tuple((name, names[: at + 1].count(name)) for at, name in enumerate(names))
    assert found.markers == tuple(raw[each.value : each.end] for each in ours if each.name == b"x-mailhold-delivery")
    assert not found.too_many


def test_of_very_many_only_the_first_are_looked_at() -> None:
    line = b"X-Mailhold-Delivery: v=1\r\n"
    assert not own_fields(line * MOST_OWN).too_many
    found = own_fields(line * (MOST_OWN + 1))
    assert found.too_many and len(found.delete) == len(found.markers) == MOST_OWN
