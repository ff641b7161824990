"""The script that made the format 1 store in this folder; `README.md` names the commit and how to run it again.

It imports the code of that commit, so it runs only from that commit: no test runs it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from hashlib import sha256
from pathlib import Path

from store.authority.audit import record_event
from store.authority.settings import Settings
from store.check import check
from store.database.connection import run
from store.delivery import placing
from store.delivery.queue import cancel, release
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.model import Rule
from store.judging.rules.rules import change_rules
from store.opening.opening import Unlock, create_store, open_store
from store.opening.slots import add_key_file
from store.sealing import keys
from store.space.changing_settings import change_settings
from store.space.notice import claim
from store.terms.records import CopyRecord
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault import ballast
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

HERE = Path(__file__).resolve().parent
PASSPHRASE = "correct horse battery staple"
RECORD = CopyRecord(
    from_="Zoë Example <zoe@example.org>",
    to="bob@corp.example",
    envelope_sender="zoe@example.org",
    reason=Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 12"),
    verdicts=(Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 12"),),
    action=Action.DELETE_MESSAGE,
    rule_id=1,
)


def raw(number: int) -> bytes:
    """Make the message of copy `number`: every third is long and compresses, every third is incompressible."""
    body = (b"line of text\r\n" * 300, sha256(b"%d" % number).digest() * 20, b"short\r\n")[number % 3]
    return b"Subject: number %d\r\nFrom: zoe@example.org\r\n\r\n" % number + body


def put(vault: Vault, first: int, count: int) -> list[int]:
    """Put copies of the messages from `first` on, in one commit."""
    items = []
    for number in range(first, first + count):
        record = CopyRecord(
            **{name: getattr(RECORD, name) for name in RECORD.__struct_fields__}
            | {"subject": f"number {number}", "envelope_recipients": (f"u{number}@corp.example",)}
        )
        items.append((raw(number), record, None))
    return vault.put_many(items)


async def make(folder: Path) -> None:
    """Make the store, its keys, and `content.json`, which lists its content."""
    keys.ARGON2_COST = keys.Argon2Cost(64, 1, 1)
    ballast.BALLAST_BYTES = 0
    placing.ORDER_LIFE = 100 * 365 * 24 * 3600 * 1000  # The waiting order must be valid whenever a test runs.
    location, key_file = str(folder / "mail.store"), folder / "key-file"
    opened, recovery = create_store(location, passphrase=PASSPHRASE, operator="anna")
    opened.close()

    def again() -> Vault:
        return open_store(location, Unlock.passphrase(PASSPHRASE))

    vault = again()
    add_key_file(vault, key_file, "cron")
    enroll(vault, "mx1.example.org", folder / "mx1.credentials", operator="anna")
    enroll(vault, "mx2.example.org", folder / "mx2.credentials", operator="anna")
    put(vault, 1, 8)
    change_settings(vault, Settings(administrator="postmaster@corp.example"), operator="anna")
    vault.close()
    for name, first in (("mx1", 9), ("mx2", 15)):
        gateway = open_with_credentials(location, folder / f"{name}.credentials")
        put(gateway, first, 6)
        record_event(gateway, "engine down", operator="", detail=name)
        gateway.close()
    gateway = open_with_credentials(location, folder / "mx1.credentials")
    put(gateway, 21, 4)
    gateway.delete([2, 3], cause="rotated")
    gateway.close()
    gateway = open_with_credentials(location, folder / "mx2.credentials")
    put(gateway, 25, 4)
    gateway.delete([4], cause="rotated")
    record_event(gateway, "engine back", operator="", detail="mx2")
    gateway.close()
    vault = again()
    put(vault, 29, 6)
    vault.delete([10, 11, 12, 30], operator="bert")
    record_event(vault, "copies deleted", operator="bert", copies=[10, 11, 12, 30])
    change_rules(vault, lambda rules: [Rule(name="Partners", senders=("*@partner.example",)), *rules], "anna")
    write_lists(vault, AddressLists(black=("*@spam.example",), white=("carl@friend.example",)), "anna")
    async with ScriptedServer() as server:
        settings = Settings(administrator="postmaster@corp.example", relay=f"smtp://127.0.0.1:{server.port}")
        change_settings(vault, settings, operator="bert")
        delivered = release(vault, [5], original=True, operator="anna").queued
        await asyncio.wait_for(DeliveryWorker(vault, owner="make").run_until_idle(), 30)
        assert len(server.taken) == 1
    cancelled = release(vault, [6], original=True, operator="anna").queued
    cancel(vault, cancelled[0], operator="anna")
    waiting = release(vault, [7], original=True, additional=["more@corp.example"], operator="anna").queued
    gateway = open_with_credentials(location, folder / "mx1.credentials")
    beat(gateway)
    at_gateway = release(vault, [9], original=True, operator="bert").queued
    beat(gateway, alive=False)
    gateway.close()
    settings = Settings(administrator="postmaster@corp.example", relay="smtp://127.0.0.1:25", notify_below=7500 << 20)
    change_settings(vault, settings)
    claim(vault)
    run(vault.db, "INSERT INTO used_marker (tag, expires_at) VALUES (?, ?)", b"t" * 32, 1_900_000_000_000)
    revoke(vault, "mx2.example.org", operator="anna")
    vault.close()
    vault = again()
    put(vault, 35, 2)
    result = check(vault)
    assert not result.broken, result.broken
    content = {
        "passphrase": PASSPHRASE,
        "recovery_key": recovery,
        "copies": {str(each): sha256(vault.raw(each)).hexdigest() for each in vault.ids()},
        "deliveries": {
            "delivered": delivered,
            "cancelled": cancelled,
            "waiting": waiting,
            "waiting at mx1": at_gateway,
        },
        "rows": {model._meta.table_name: model.select().count() for model in vault.models.all},
        "schema": sorted(
            text for (text,) in run(vault.db, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        ),
    }
    vault.close()
    (folder / "content.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    connection = sqlite3.connect(location)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
