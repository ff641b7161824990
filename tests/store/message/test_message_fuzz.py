"""Any bytes are parsed completely: real messages mutated at random, and messages found by the fuzzer before."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from store.message.message import parse_in_child
from tests.amounts import amount
from tests.store.message.hostile import messages
from tests.store.message.mutations import mutated, read_whole

FOUND = sorted((Path(__file__).resolve().parents[2] / "data" / "messages").glob("*.eml"))
_EACH, _CHILD_EVERY = 2, 20


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_is_read_in_full(path: Path) -> None:
    raw = path.read_bytes()
    parsed = read_whole(raw)
    assert parsed.text
    assert parse_in_child(raw) == parsed


@given(messages)
@settings(max_examples=amount(150, 500), deadline=None)
def test_any_bytes_are_read_in_full(raw: bytes) -> None:
    read_whole(raw)


def test_every_message_of_the_corpus_changed_anywhere_is_read_in_full(corpus_files: list[Path]) -> None:
    raws = [path.read_bytes() for path in corpus_files]
    random = Random(20261124)
    for number, raw in enumerate(raws):
        for _ in range(_EACH):
            changed = mutated(raw, raws, random)
            try:
                parsed = read_whole(changed)
            except Exception as error:
                raise AssertionError(f"{corpus_files[number]}, changed to {changed!r}") from error
        if number % _CHILD_EVERY == 0:
            assert parse_in_child(changed) == parsed
