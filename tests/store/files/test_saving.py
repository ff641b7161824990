"""Copies saved to files: exact bytes, names that messages cannot choose, nothing overwritten or half-written."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.files.saving import file_name, save_copies, slug
from store.terms.errors import SaveError
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault

PLACED = 1_795_509_343_794


def put(vault: Vault, raw: bytes = b"Subject: x\r\n\r\nbody\r\n", subject: str = "Invoice 88213") -> int:
    return vault.put(raw, CopyRecord(subject=subject), stored_at=PLACED)


def test_the_file_is_the_message_byte_for_byte(vault: Vault, tmp_path: Path) -> None:
    bodies = [b"", b"\0\r\n\n\xff", b"Subject: x\r\n\r\n" + bytes(range(256)) * 5000]
    ids = [put(vault, raw) for raw in bodies]
    result = save_copies(vault, ids, tmp_path / "new" / "folder")
    assert [copy_id for copy_id, _ in result.saved] == ids and result.failed == []
    assert [path.read_bytes() for _, path in result.saved] == bodies
    assert result.saved[0][1] == tmp_path / "new" / "folder" / f"20261124T083543Z-{ids[0]}-invoice-88213.eml"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for _, path in result.saved)
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


def test_the_corpus_comes_out_as_it_went_in(vault: Vault, tmp_path: Path, corpus_files: list[Path]) -> None:
    raws = [path.read_bytes() for path in corpus_files]
    ids = vault.put_many((raw, CopyRecord(subject=f"{number}"), None) for number, raw in enumerate(raws))
    told: list[tuple[int, int]] = []
    result = save_copies(vault, ids, tmp_path / "out", progress=lambda *step: told.append(step))
    assert [path.read_bytes() for _, path in result.saved] == raws
    assert told == [(number + 1, len(ids)) for number in range(len(ids))]


def test_what_is_there_is_never_written_over(vault: Vault, tmp_path: Path) -> None:
    copy_id = put(vault)
    name = f"20261124T083543Z-{copy_id}-invoice-88213"
    (tmp_path / f"{name}.eml").write_bytes(b"mine")
    target = tmp_path / "target"
    (tmp_path / f"{name}-2.eml").symlink_to(target)
    result = save_copies(vault, [copy_id], tmp_path)
    assert result.saved == [(copy_id, tmp_path / f"{name}-3.eml")]
    assert (tmp_path / f"{name}.eml").read_bytes() == b"mine" and not target.exists()


def test_the_same_copy_twice(vault: Vault, tmp_path: Path) -> None:
    copy_id = put(vault)
    result = save_copies(vault, [copy_id, copy_id], tmp_path / "out")
    assert len({path for _, path in result.saved}) == 2


def test_what_cannot_be_read_is_named_and_the_rest_is_saved(vault: Vault, tmp_path: Path) -> None:
    ids = [put(vault) for _ in range(4)]
    vault.delete([ids[1]])
    message, body = vault.models.Message, vault.models.Body
    message.update(record=b"\1" * 80).where(message.id == ids[2]).execute()
    body.update(sealed=b"\1" * 80).where(body.id == ids[3]).execute()
    result = save_copies(vault, ids, tmp_path / "out")
    assert [copy_id for copy_id, _ in result.saved] == [ids[0]]
    assert [copy_id for copy_id, _ in result.failed] == ids[1:]
    assert all(f"opy {copy_id}" in why for copy_id, why in result.failed)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_cancel(vault: Vault, tmp_path: Path) -> None:
    ids = [put(vault) for _ in range(10)]
    asked = iter(range(100))
    result = save_copies(vault, ids, tmp_path / "out", cancelled=lambda: next(asked) == 4)
    assert result.cancelled and [copy_id for copy_id, _ in result.saved] == ids[:4]


def test_a_full_disk_leaves_nothing_half_written(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [put(vault), put(vault)]
    real, calls = os.write, iter(range(100))

    def write(descriptor: int, data: memoryview) -> int:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:5])

    monkeypatch.setattr("store.helpers.secret_files.os.write", write)
    result = save_copies(vault, ids, tmp_path / "out")
    assert [copy_id for copy_id, _ in result.failed] == [ids[0]] and "full" in result.failed[0][1]
    assert [path.read_bytes() for _, path in result.saved] == [vault.raw(ids[1])]
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_folder_that_is_none(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere"), Path("nul\0byte")):
        with pytest.raises(SaveError):
            save_copies(vault, [put(vault)], folder)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Invoice 88213: überfällig!", "invoice-88213-überfällig"),
        ("../../etc/passwd\0", "etc-passwd"),
        ("  ", "no-subject"),
        ("", "no-subject"),
        ("\u202eexe.fdp\u202c", "exe-fdp"),
        ("\x1b]0;owned\x07", "0-owned"),
        ("お見積書の送付", "お見積書の送付"),
        ("word " * 100, "-".join(["word"] * 12)),
    ],
)
def test_slugs(subject: str, expected: str) -> None:
    assert slug(subject) == expected


@given(st.text() | st.text(st.characters(categories=["Cs", "Cf", "Cc", "Mn", "Lo"])), st.integers(-(2**62), 2**62))
@example("CON", 0)
@example("\ud800", 0)
@example("a" * 500, 0)
def test_no_subject_and_no_time_makes_a_name_that_is_not_one_safe_component(subject: str, at: int) -> None:
    name = file_name(Copy(17, at, 0, CopyRecord(subject=subject)))
    assert len(os.fsencode(name)) <= 250
    assert name.endswith(".eml") and "17" in name and not name.startswith((".", "-"))
    assert not set(name) & set('/\\\0\n\r\x1b"*?<>|:')
    assert all(character.isprintable() for character in name)
