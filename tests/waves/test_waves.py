"""The maker of attack waves: reproducible bytes, files that the store's reader accepts, and a matching truth."""

from __future__ import annotations

import io
import json
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path

import pytest

from store.files.mbox import read_messages
from store.judging.scanner_headers import verdicts_from_headers
from tests.waves import qr
from tests.waves.operators import LURES, OPERATORS
from tests.waves.wave import Size, drawn_shares, make, shares

SIZE = Size(count=260, campaigns=24, good=50, targeted=3, noise=12)
FILES = ("wave-00.mbox", "wave-01.mbox", "truth.json")


@pytest.fixture(scope="module")
def wave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wave")
    make(folder, 7, SIZE, split=2)
    return folder


@pytest.fixture(scope="module")
def truth(wave: Path) -> dict:
    return json.loads((wave / "truth.json").read_text())


@pytest.fixture(scope="module")
def raws(wave: Path) -> list[bytes]:
    return [
        raw
        for name in FILES[:2]
        for raw in read_messages(io.BytesIO((wave / name).read_bytes()))
        if isinstance(raw, bytes)
    ]


def named(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Message-ID"])


def test_the_same_seed_makes_the_same_bytes_and_another_does_not(wave: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", 7, SIZE, split=2)
    make(tmp_path / "other", 8, SIZE, split=2)
    for name in FILES:
        made = (wave / name).read_bytes()
        assert made == (tmp_path / "again" / name).read_bytes()
        assert made != (tmp_path / "other" / name).read_bytes()


def test_the_truth_names_each_message_once(truth: dict, raws: list[bytes]) -> None:
    assert sorted(map(named, raws)) == sorted(truth["messages"])
    assert len(raws) == truth["count"] == SIZE.count


def test_each_kind_has_as_many_as_asked_for(truth: dict) -> None:
    kinds = [each["kind"] for each in truth["messages"].values()]
    assert (kinds.count("good"), kinds.count("targeted"), kinds.count("noise")) == (
        SIZE.good,
        SIZE.targeted,
        SIZE.noise,
    )
    sizes = dict.fromkeys(truth["campaigns"], 0)
    for each in truth["messages"].values():
        if each["kind"] == "campaign":
            sizes[each["label"]] += 1
    assert sizes == {label: each["size"] for label, each in truth["campaigns"].items()}


def test_twins_and_aimed_messages_are_like_what_they_name(truth: dict, raws: list[bytes]) -> None:
    subjects = {named(raw): message_from_bytes(raw, policy=default)["Subject"] for raw in raws}
    twins = [each for each in truth["messages"].values() if "twin_of" in each]
    assert len(twins) >= 4
    assert {each["twin_of"] for each in twins} <= truth["campaigns"].keys()
    aimed = {name: each for name, each in truth["messages"].items() if each["kind"] == "targeted"}
    for name, each in aimed.items():
        thread = [other for other, known in truth["messages"].items() if known["label"] == each["thread"]]
        assert subjects[name] in {subjects[other] for other in thread}
        domains = {other.rpartition("@")[2] for other in thread}
        assert name.rpartition("@")[2] not in domains


def test_the_store_reads_the_verdicts_that_the_truth_names(truth: dict, raws: list[bytes]) -> None:
    for raw in raws:
        known, found = truth["messages"][named(raw)], verdicts_from_headers(raw)
        assert found.reason is not None
        assert (found.reason.engine.value, found.reason.status.value) == (known["engine"], known["status"])
        assert found.envelope_sender
        assert len(found.envelope_recipients) == 1


def test_every_message_parses(raws: list[bytes]) -> None:
    for raw in raws:
        message = message_from_bytes(raw, policy=default)
        assert message["From"] and message["Subject"] is not None and message["Date"]
        for part in message.walk():
            assert not part.defects, part.defects
            if not part.is_multipart():
                assert part.get_payload(decode=True) is not None
                if part.get_content_maintype() == "text":
                    part.get_content()


def parts_of(raw: bytes) -> list[Message]:
    return [part for part in message_from_bytes(raw).walk() if not part.is_multipart()]


def test_files_are_what_their_types_say(raws: list[bytes]) -> None:
    begins = {
        "application/pdf": b"%PDF",
        "application/zip": b"PK\x03\x04",
        "image/png": b"\x89PNG",
        "image/svg+xml": b"<svg",
    }
    seen = set()
    for part in (part for raw in raws for part in parts_of(raw)):
        begin = begins.get(part.get_content_type())
        if begin:
            seen.add(part.get_content_type())
            assert part.get_payload(decode=True).startswith(begin)  # type: ignore[union-attr]
    assert {"application/pdf", "image/png"} <= seen


def test_shares_are_told_of_operators_that_there_are(truth: dict) -> None:
    told = drawn_shares(truth)
    known = {axis: set(choices) for axis, choices in OPERATORS.items()} | {"lure": set(LURES)}
    for axis, name, campaigns, messages in told:
        assert axis == "goal" or name in known[axis]
        assert 0 < campaigns <= 1 and 0 < messages <= 1


def test_a_wave_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="larger --count"):
        shares(SIZE._replace(count=100))


def test_a_code_for_a_link_is_square_and_has_its_three_marks() -> None:
    rows = qr.code("https://a.example/" + "x" * 80)
    assert {len(row) for row in rows} == {len(rows)} == {qr.SIZE}
    mark = [row[:7] for row in rows[:7]]
    assert [row[-7:] for row in rows[:7]] == mark == [row[:7] for row in rows[-7:]]
    with pytest.raises(ValueError, match="do not fit"):
        qr.code("x" * 107)
