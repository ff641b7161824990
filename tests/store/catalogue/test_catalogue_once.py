"""A single query of a snapshot gives the catalogue's answer, whatever changed in the store since."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from store.catalogue import keeping
from store.catalogue import once as catalogue_once
from store.catalogue import sections as catalogue_sections
from store.catalogue.catalogue import NEWEST, Catalogue, Sort, SortKey
from store.catalogue.once import needed, select_once
from store.filters.line import parse
from store.terms.records import CopyRecord, Row
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault

QUERIES = [
    *[
        "",
        "pills",
        "from:schmidt",
        "to:u1",
        "subject:СЧЁТ",
        "id:q-1",
        "rule:2",
        "scan:anti-virus",
        "size:>=1",
        "-pills",
        "-rule:2",
        "-scan:anti-virus",
        "size:<=1 or (rule:0 -to:u1)",
    ],
    "from:a to:u subject:i id:x rule:1 size:<=9",
]
SORTS = [NEWEST, *(Sort(key, descending) for key in SortKey for descending in (False, True))]


@pytest.fixture(autouse=True)
def snapshots_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SNAPSHOT_COPIES", 0)


def put(vault: Vault, *numbers: int) -> list[int]:
    reasons = [Verdict(Engine.ANTI_VIRUS, Status.INFECTED), Verdict(Engine.ANTI_SPAM, Status.SPAM), None]
    return vault.put_many(
        (
            b"x" * (number * 300),
            CopyRecord(
                from_=["Anna Schmidt <a@x.example>", "Иван <i@x.example>", "Offers"][number % 3],
                to=f"u{number % 4}@corp.example",
                subject=["cheap pills", "Счёт 12", "invoice", "Straße"][number % 4] + f" {number % 5}",
                message_id=f"<x{number}@y>",
                mta_message_id=f"Q-{number}",
                rule_id=number % 3,
                reason=reasons[number % 3],
            ),
            1000 * (number % 7),
        )
        for number in numbers
    )


def saved(vault: Vault) -> None:
    catalogue = Catalogue(vault)
    catalogue.start()
    assert catalogue.wait_complete(30)
    catalogue.close()


def asked(vault: Vault, query: str, sort: Sort, limit: int = 5) -> tuple[list[Row], int]:
    catalogue = Catalogue(vault)
    catalogue.start()
    assert catalogue.wait_complete(30)
    selection = catalogue.select(parse(query), sort)
    rows = selection.rows(0, limit)
    count = selection.count
    catalogue._keeper.path = None  # the snapshot is not rewritten
    catalogue.close()
    return rows, count


@pytest.mark.parametrize("section", [7, 100_000])
def test_the_answer_is_the_catalogue_s(vault: Vault, section: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more rows than a section has, each column is read by itself, and only if the question needs it."""
    monkeypatch.setattr(catalogue_sections, "_SECTION", section)
    ids = put(vault, *range(30))
    saved(vault)
    put(vault, *range(30, 40))
    vault.delete(ids[3:9])
    for query in QUERIES:
        assert select_once(vault, parse(query), NEWEST, 5) == asked(vault, query, NEWEST), query
    for sort in SORTS:
        assert select_once(vault, parse("-zzz"), sort, 50) == asked(vault, "-zzz", sort, 50), sort


def test_only_the_columns_of_the_question_are_read() -> None:
    assert needed(parse("subject:a"), NEWEST) == {"subject"}
    assert needed(parse("rule:3 size:>=2"), NEWEST) == {"rule_id", "size"}
    assert needed(parse("-rule:3 or size:<=2"), NEWEST) == {"rule_id", "size"}
    assert needed(parse("-scan:anti-virus"), Sort(SortKey.SIZE, True)) == {"verdict", "size"}
    assert needed(parse(""), Sort(SortKey.ENGINE, False)) == {"verdict"}
    assert needed(parse("pills"), NEWEST) == {"from", "to", "subject"}
    assert needed(parse("id:7"), Sort(SortKey.FROM, False)) == {"message_id", "mta_message_id", "from"}


def test_a_snapshot_that_cannot_serve_is_left_to_the_catalogue(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(f"{vault.location}.snapshot")
    put(vault, *range(20))
    assert select_once(vault, parse("pills"), NEWEST, 5) is None
    saved(vault)
    kept = path.read_bytes()
    path.write_bytes(kept[:-1])
    assert select_once(vault, parse("pills"), NEWEST, 5) is None
    path.write_bytes(kept)
    assert select_once(vault, parse("pills"), NEWEST, 5) is not None
    assert select_once(vault, parse("delivered:yes"), NEWEST, 5) is None
    put(vault, *range(4))
    monkeypatch.setattr(catalogue_once, "_MOST_NEW", 3)
    assert select_once(vault, parse("pills"), NEWEST, 5) is None


def test_the_snapshot_is_not_written(vault: Vault) -> None:
    ids = put(vault, *range(20))
    saved(vault)
    path = Path(f"{vault.location}.snapshot")
    before = shutil.copy(path, path.with_suffix(".before"))
    vault.delete(ids[:2])
    select_once(vault, parse("pills"), NEWEST, 5)
    assert path.read_bytes() == Path(before).read_bytes()


def test_a_cache_folder_that_this_user_may_not_enter_is_left_alone(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `su` without `-`, HOME is another user's."""

    def refused(_path: Path, **_options: bool) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    put(vault, 1)
    saved(vault)
    assert select_once(vault, parse(""), NEWEST, 5) is not None
    monkeypatch.setattr(Path, "stat", refused)
    assert select_once(vault, parse(""), NEWEST, 5) is None
    saved(vault)
