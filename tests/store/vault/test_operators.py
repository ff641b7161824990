"""Permitted signers: the authority, gateways for themselves, and operators within their certificates."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.authority import configuration
from store.authority.heads import head_rows, verified_head
from store.authority.seconding import Seconded
from store.authority.settings import Settings, parse_setting
from store.check import check
from store.database.connection import run
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.opening.slots import slot_statement
from store.sealing.certificates import Certificate
from store.sealing.signatures import AUTHORITY, FIRST_OPERATOR, Right, Signer, sign
from store.sealing.statements import statement
from store.terms.errors import SettingError, TamperedError, UnlockError
from store.terms.records import CopyRecord
from store.vault.deleting import tombstone_statement
from store.vault.gateway_rows import gateway_statement
from store.vault.vault import Vault

ANNA, BERT = FIRST_OPERATOR + 1, FIRST_OPERATOR + 2
KEYS = {who: Ed25519PrivateKey.from_private_bytes(bytes([who & 255]) * 32) for who in (ANNA, BERT)}
INSERT = "INSERT INTO certificate (signer, key, rights, since, until, signature) VALUES (?, ?, ?, ?, ?, ?)"


def certify(vault: Vault, who: int, rights: Right, *, since: int = 0, until: int = 1 << 60) -> None:
    """Put a certificate, signed by the authority, into the store."""
    assert vault.keys.authority is not None
    key = KEYS[who].public_key().public_bytes_raw()
    data = Certificate(who, key, rights, since, until).data(vault.store_id)
    signature = sign(vault.store_id, data, Signer(AUTHORITY, vault.keys.authority))
    with vault.write():
        run(vault.db, "DELETE FROM certificate WHERE signer = ?", who)
        run(vault.db, INSERT, who, key, int(rights), since, until, signature)


def by(vault: Vault, *who: int, data: bytes = b"data") -> bytes:
    """Return the operators' signature of the act "bin" with one field."""
    return sign(vault.store_id, statement("bin", vault.store_id, data), *(Signer(each, KEYS[each]) for each in who))


def believed(
    vault: Vault, signature: bytes, right: Right = Right.DELETE, *, at: int = 5, seconded: bool | None = None
) -> str:
    """Return why a signature of the act is not accepted, "" if it is."""
    try:
        vault.signers.verify(signature, "act", "bin", b"data", right=right, at=at, seconded=seconded)
    except TamperedError as error:
        return error.why
    return ""


def test_the_authority_may_sign_everything(any_vault: Vault) -> None:
    signature = any_vault.sig("bin", b"data")
    assert not believed(any_vault, signature)
    assert not believed(any_vault, signature, seconded=True)
    assert any_vault.signers.verify(signature, "act", "bin", b"data", right=Right.DELETE) == (AUTHORITY,)
    for changed in (b"", signature[:-1], signature + b"x", signature[:70] + b"xyz", signature[1:]):
        assert believed(any_vault, changed)


def test_an_operator_signs_what_the_certificate_allows(any_vault: Vault) -> None:
    assert "there is none" in believed(any_vault, by(any_vault, ANNA))
    certify(any_vault, ANNA, Right.DELETE | Right.READ, since=3, until=8)
    assert not believed(any_vault, by(any_vault, ANNA))
    assert any_vault.signers.verify(by(any_vault, ANNA), "act", "bin", b"data", right=Right.DELETE, at=3) == (ANNA,)
    assert "right to release" in believed(any_vault, by(any_vault, ANNA), Right.RELEASE)
    for at in (2, 9):
        assert "was not valid" in believed(any_vault, by(any_vault, ANNA), at=at)
    assert believed(any_vault, by(any_vault, ANNA, data=b"other"))
    certify(any_vault, ANNA, Right(0))
    assert "right to delete" in believed(any_vault, by(any_vault, ANNA))


def test_two_sign_where_two_must(any_vault: Vault) -> None:
    certify(any_vault, ANNA, Right.DELETE)
    certify(any_vault, BERT, Right.READ)
    assert "two operators" in believed(any_vault, by(any_vault, ANNA), seconded=True)
    assert "right to delete" in believed(any_vault, by(any_vault, ANNA, BERT), seconded=True)
    certify(any_vault, BERT, Right.DELETE)
    assert not believed(any_vault, by(any_vault, ANNA, BERT), seconded=True)
    both = by(any_vault, ANNA, BERT)
    assert believed(any_vault, both[:1] + both[73:] + both[1:73])  # In another order it is another signature.
    assert believed(any_vault, both[:73] + both[1:73], seconded=True)


def second(vault: Vault, *kinds: tuple[Right, int]) -> None:
    """Put the setting `seconded`, signed by the authority, into the store."""
    configuration.write(vault, "seconded", Seconded([(int(right), since) for right, since in kinds]))


def test_one_signature_is_not_enough_since_the_setting_says_so(any_vault: Vault) -> None:
    certify(any_vault, ANNA, Right.DELETE | Right.RELEASE)
    certify(any_vault, BERT, Right.DELETE | Right.RELEASE)
    one, both = by(any_vault, ANNA), by(any_vault, ANNA, BERT)
    second(any_vault, (Right.DELETE | Right.KEYS, 8))
    assert not believed(any_vault, one, at=7), "what was signed before stays valid"
    for at in (8, 9):
        assert believed(any_vault, one, at=at) == "it needs the signatures of two operators"
        assert not believed(any_vault, both, at=at)
        assert not believed(any_vault, any_vault.sig("bin", b"data"), at=at)
        assert not believed(any_vault, one, Right.RELEASE, at=at)
    second(any_vault, (Right.DELETE, 8), (Right.RELEASE, 12))
    assert not believed(any_vault, one, Right.RELEASE, at=11) and believed(any_vault, one, Right.RELEASE, at=12)
    assert not believed(any_vault, one, at=7) and believed(any_vault, one, at=8)
    second(any_vault)
    assert not believed(any_vault, one, at=9)
    assert check(any_vault).broken == []


def test_a_deletion_that_one_signed_is_not_believed(any_vault: Vault, put_some: Any) -> None:
    certify(any_vault, ANNA, Right.DELETE)
    certify(any_vault, BERT, Right.DELETE)
    for at, signers in ((5, [ANNA]), (8, [ANNA]), (8, [ANNA, BERT])):
        [copy_id] = put_some(any_vault, 1)
        any_vault.delete([copy_id])
        row = list(any_vault.models.Tombstone.select().order_by(any_vault.models.Tombstone.id))[-1]
        row.at, row.sealed_operator = at, None
        data = tombstone_statement(any_vault.store_id, at, row.cause, row.gateway_id, bytes(row.entries), None)
        row.signature = sign(any_vault.store_id, data, *(Signer(each, KEYS[each]) for each in signers))
        row.save()
    second(any_vault, (Right.DELETE, 8))
    broken = dict(check(any_vault).broken)
    assert broken["tombstone 2"] == "it needs the signatures of two operators"
    assert not {"tombstone 1", "tombstone 3"} & set(broken)


def test_heads_and_events_are_of_one_signer_all_the_same(any_vault: Vault) -> None:
    second(any_vault, (Right(63), 0))
    certify(any_vault, ANNA, Right(63))
    with any_vault.write():
        blob = next(row for row in head_rows(any_vault) if row[0] == AUTHORITY)[1]
    data = statement("head", any_vault.store_id, AUTHORITY, bytes(blob))
    signature = sign(any_vault.store_id, data, Signer(ANNA, KEYS[ANNA]))
    assert verified_head(any_vault, AUTHORITY, blob, signature).signature == signature


def test_operators_cannot_take_it_back(any_vault: Vault) -> None:
    """Otherwise two operators could jointly sign what only the authority signs."""
    certify(any_vault, ANNA, Right(63))
    certify(any_vault, BERT, Right(63))
    second(any_vault, (Right.DELETE, 0))
    table = any_vault.models.Configuration
    row = table.get(table.name == "seconded")
    former = bytes(row.sealed)
    role = "configuration seconded"
    signed = statement("signed", role, any_vault.store_id, former)
    row.signature = sign(any_vault.store_id, signed, *(Signer(each, KEYS[each]) for each in (ANNA, BERT)))
    row.save()
    assert believed(any_vault, by(any_vault, ANNA)), "nothing is believed that one signed"
    assert ("configuration seconded", "Seconded") in [
        (what, why.partition(" ")[0]) for what, why in check(any_vault).broken
    ]


def test_gateways_heed_it_and_nobody_can_set_it(any_vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="The setting seconded cannot be turned on"):
        parse_setting(Settings(), "seconded", "delete")
    certify(any_vault, ANNA, Right.RELEASE)
    enroll(any_vault, "mx1", tmp_path / "mx1")
    second(any_vault, (Right.RELEASE, 8))
    with closing(open_with_credentials(any_vault.location, tmp_path / "mx1")) as gateway:
        assert not believed(gateway, by(any_vault, ANNA), Right.RELEASE, at=7)
        assert "two operators" in believed(gateway, by(any_vault, ANNA), Right.RELEASE, at=8)


@pytest.mark.parametrize("column", ["signer", "key", "rights", "since", "until", "signature"])
def test_a_certificate_that_was_changed_is_none(vault: Vault, column: str) -> None:
    certify(vault, ANNA, Right.READ, since=3, until=4)
    certify(vault, BERT, Right.DELETE | Right.READ)
    other = "signer + 2" if column == "signer" else f"(SELECT {column} FROM certificate WHERE signer = {BERT})"
    with vault.write():
        run(vault.db, f"UPDATE certificate SET {column} = {other} WHERE signer = {ANNA}")
    assert "not verify" in believed(vault, by(vault, ANNA), Right.READ, at=3) or column == "signer"
    if column == "signer":
        stolen = sign(vault.store_id, statement("bin", vault.store_id, b"data"), Signer(ANNA + 2, KEYS[ANNA]))
        assert "not verify" in believed(vault, stolen, Right.READ, at=3)


def test_a_certificate_that_an_operator_signed_is_none(vault: Vault) -> None:
    certify(vault, BERT, Right(63))
    key = KEYS[ANNA].public_key().public_bytes_raw()
    data = Certificate(ANNA, key, 63, 0, 99).data(vault.store_id)
    with vault.write():
        run(vault.db, INSERT, ANNA, key, 63, 0, 99, sign(vault.store_id, data, Signer(BERT, KEYS[BERT])))
    assert "only the authority" in believed(vault, by(vault, ANNA))


def test_gateways_sign_for_themselves_until_they_are_revoked(any_vault: Vault, tmp_path: Path) -> None:
    number = enroll(any_vault, "mx1", tmp_path / "mx1")
    gateway = open_with_credentials(any_vault.location, tmp_path / "mx1")
    signature, own = gateway.sig("hello", 7), any_vault.sig("hello", 7, gateway=True)
    for vault in (any_vault, gateway):
        assert vault.signers.verify(signature, "hello", "hello", 7, gateway=number) == (number,)
        assert vault.signers.verify(signature, "hello", "hello", 7, gateway=number, right=Right.KEYS) == (number,)
        assert vault.signers.verify(own, "hello", "hello", 7, gateway=1) == (1,)
    with pytest.raises(TamperedError, match="may sign it"):
        any_vault.signers.verify(signature, "hello", "hello", 7, gateway=1)
    with pytest.raises(TamperedError, match="may not sign it"):
        any_vault.signers.verify(signature, "hello", "hello", 7, right=Right.KEYS)
    gateway.close()
    revoke(any_vault, "mx1")
    with pytest.raises(TamperedError, match="not verify"):
        any_vault.signers.verify(signature, "hello", "hello", 7, gateway=number)


def test_operators_sign_rows_that_the_authority_signs_today(any_vault: Vault) -> None:
    certify(any_vault, ANNA, Right.CONFIGURE)
    data = statement("signed", "settings", any_vault.store_id, b"data")
    signature = sign(any_vault.store_id, data, Signer(ANNA, KEYS[ANNA]))
    any_vault.verify("settings", b"data", signature, Right.CONFIGURE)
    with pytest.raises(TamperedError, match="right to release"):
        any_vault.verify("settings", b"data", signature, Right.RELEASE)


def signed_by(vault: Vault, who: int, data: bytes) -> bytes:
    return sign(vault.store_id, data, Signer(who, KEYS[who]))


@pytest.mark.parametrize("right", [Right.KEYS, Right.DELETE])
def test_rows_of_format_1_take_an_operators_signature(any_vault: Vault, right: Right, record: CopyRecord) -> None:
    """Gateways and key slots need the right to keys, tombstones the right to delete."""
    certify(any_vault, ANNA, right)
    any_vault.put(b"x", record)
    any_vault.delete([1])
    models, store_id = any_vault.models, any_vault.store_id
    gateway, slot, tombstone = models.Gateway.get(), models.KeySlot.get(), models.Tombstone.get()
    buried = (tombstone.at, tombstone.cause, AUTHORITY, bytes(tombstone.entries), None)
    for row, data in (
        (gateway, gateway_statement(store_id, gateway)),
        (slot, slot_statement(store_id, slot)),
        (tombstone, tombstone_statement(store_id, *buried)),
    ):
        row.signature = signed_by(any_vault, ANNA, data)
        row.save()
    wrong = {what for what, _why in check(any_vault).broken}
    if right is Right.KEYS:
        # A signer without the right to delete buried nothing: the places of some copies are then unknown.
        assert wrong == {"tombstone 1", "tombstones", "epoch 1"}
    else:
        assert wrong == {"gateway 1", "key slot 1"}


def test_who_only_reads_cannot_sign(vault: Vault) -> None:
    reader = Vault.from_key_material(vault.location, vault.worker_key_material())
    with pytest.raises(UnlockError):
        reader.sig("bin", b"data")
    reader.close()
