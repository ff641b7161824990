"""Kills: acts of operators and gateways are killed at random moments, then repeated as an operator would."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections import Counter
from functools import partial
from pathlib import Path

from store.authority.audit import events
from store.authority.event_forms import Phase
from store.database.tables import FORMAT
from store.judging.rules.address_lists import AddressLists, write_lists
from store.opening.opening import Unlock, open_store
from tests.store.intake.milter_wire import MilterClient, packet
from tests.store.intake.milter_wire import message as milter_message
from tests.store.upgrading.format_1 import CONTENT, in_sqlite, rows_of, secret
from tests.torture.acts import ACTS, at_hand, made
from tests.torture.ledger import conserved
from tests.torture.processes import Process, mailhold
from tests.torture.running import Broken, Run, Torture, hold, remembering
from tests.torture.stores import Store

LAW = (
    "nothing answered lost, nothing done that is not told, each id in exactly one place, `check` whole, no program "
    "confused at the next start"
)
_BLACK = "s@gw.test"
_CLIENTS = 3


class _Kills:
    """Kills of one round."""

    def __init__(self, run: Run) -> None:
        self.run = run
        #: How long each act takes without a kill (s): the moments of kills are drawn from that.
        self._takes: dict[str, float] = {}

    def slain(self, what: str, process: Process, takes: float, location: str = "") -> Process:
        """Kill it at a random moment of its work, unless it ends before.

        Half of those that write to the store at `location` are killed after their first write.
        """
        log = Path(f"{location}-wal")
        wrote = bool(location) and self.run.dice.random() < 0.5
        while wrote and process.running() and not (log.exists() and log.stat().st_size):
            time.sleep(0.0005)
        moment = time.monotonic() + self.run.dice.uniform(0, takes / 3 if wrote else takes)
        while process.running() and time.monotonic() < moment:
            time.sleep(0.0005)
        process.kill()
        self.run.counts[f"kills of {what}"] += process.killed
        return process.sane()

    def takes(self, name: str, process: Process) -> None:
        """Let it finish; record how long it took."""
        began = time.monotonic()
        process.wait().sane()
        hold(f"`{name}` works where nobody kills it", process.code and process.err)
        self._takes[name] = time.monotonic() - began

    def acts(self, first: Store) -> None:
        """Run each act once, then check the store."""
        for name, act in ACTS.items():
            if name == "check":
                continue
            if name not in self._takes:
                with at_hand(self.run.folder / "act", first) as store:
                    self.takes(name, Process(store.folder, name, partial(act.run, store)))
            if not self.run.more():
                return
            with at_hand(self.run.folder / "act", first) as store:
                process = Process(store.folder, name, partial(act.run, store))
                self.slain("acts", process, self._takes[name], store.location)
                after = mailhold(store.folder, "after", ["status", "--json"]).wait().sane()
                hold("the next start finds a store that it can use", after.code and after.err)
                try:
                    done = act.settle(store, process, self.run.sabotage)
                except Broken as error:
                    raise Broken(f"{error}\n`{name}` was killed: {process.killed}\n{process.out[-1000:]}") from None
                self.run.counts["acts left half-way"] += process.killed and 0 < done < act.whole(store)
                if name == "import" and process.killed and not _has_ended(store):
                    self._import_again(store)

    def _import_again(self, store: Store) -> None:
        """Run an import again: it places what is left, and nothing twice."""
        again = mailhold(store.folder, "again", ACTS["import"].words(store)).wait().sane()
        hold("an import that was killed is gone on with", again.code and again.err)
        with store.opened() as vault:
            new = len(vault.ids()) - store.held
        whole = ACTS["import"].whole(store)
        hold("an import that is run again places nothing twice", new != whole and f"{new} of {whole}")

    def upgrade(self) -> None:
        """Upgrade a store of format 1: it is upgraded completely, or unchanged and upgraded the next time."""
        folder = self.run.folder / "upgrade"
        folder.mkdir()
        key = secret("key-file", folder)
        location = in_sqlite(folder)
        environment = {"MAILHOLD_STORE": location, "MAILHOLD_KEY_FILE": str(key)}
        with remembering(folder):
            if "upgrade" not in self._takes:
                self.takes("upgrade", mailhold(folder, "upgrade", ["upgrade", "--yes"], environment))
                in_sqlite(folder)
                for suffix in ("-wal", "-shm"):
                    Path(location + suffix).unlink(missing_ok=True)
            before = rows_of(location)
            words = ["upgrade", "--yes"]
            self.slain("upgrades", mailhold(folder, "killed", words, environment), self._takes["upgrade"], location)
            rows = rows_of(location)
            whole = rows["version"] == [(FORMAT,)]
            hold("an upgrade that was killed is all there or not at all", not whole and rows != before)
            after = mailhold(folder, "after", words, environment).wait().sane()
            hold("an upgrade that was killed is done the next time", after.code and after.err)
            vault = open_store(location, Unlock.key_file(key))
            try:
                self.run.sabotage(vault)
                hold("an upgrade keeps every copy", len(conserved(vault).copies) != len(CONTENT["copies"]))
            finally:
                vault.close()
        shutil.rmtree(folder)

    def restore(self, first: Store) -> None:
        """Replace a store by a backup: it is good once `restore` is done, however often that was killed."""
        with at_hand(self.run.folder / "restore", first) as store:
            words = ["restore", "--yes"]
            backup = store.folder / "backup"
            mailhold(store.folder, "backup", ["backup", str(backup)]).wait().sane()
            for act in ("delete", "put"):
                Process(store.folder, act, partial(ACTS[act].run, store)).wait().sane()
            shutil.copyfile(backup, store.location)
            if "restore" not in self._takes:
                self._takes["restore"] = self._takes["delete"]
            self.slain("restores", mailhold(store.folder, "killed", words), self._takes["restore"], store.location)
            after = mailhold(store.folder, "after", words).wait().sane()
            hold("a restore that was killed is done the next time", after.code and after.err)
            with store.opened() as vault:
                self.run.sabotage(vault)
                places = conserved(vault)
            hold("a restored store holds what the backup had", len(places.copies) != store.held)

    def gateway(self) -> None:
        """Kill a gateway again and again while clients send mail that it keeps."""
        folder = self.run.folder / "gateway"
        folder.mkdir()
        with remembering(folder):
            store = Store(folder)
            credentials = store.enroll("mx1")
            with store.opened() as vault:
                write_lists(vault, AddressLists(black=(_BLACK,)), "test")
            config, listens = folder / "mailhold.toml", folder / "milter.sock"
            config.write_text(
                f'[store]\nlocation = "{store.location}"\ncredentials = "{credentials}"\n'
                f'[milter]\nlisten = ["unix:{listens}"]\nmode = "0666"\n'
            )
            words = ["gateway", "--config", str(config)]
            clients = [Process(folder, f"client{each}", partial(_client, listens, each)) for each in range(_CLIENTS)]
            gateways = []
            until = time.monotonic() + min(6.0, max(2.0, self.run.left))
            while time.monotonic() < until:
                gateways.append(gateway := mailhold(folder, f"gateway{len(gateways)}", words))
                self._listening(gateway, listens)
                self.slain("gateways", gateway, 0.6)
                hold("a gateway runs until it is killed", not gateway.killed and gateway.err[-2000:])
            for client in clients:
                client.kill()
            with store.opened() as vault:
                self.run.sabotage(vault)
                places = conserved(vault)
                kept = Counter(int(vault.get(each).record.subject) for each in sorted(places.copies))
        self._reconcile(clients, kept)
        shutil.rmtree(folder)

    def _reconcile(self, clients: list[Process], kept: Counter[int]) -> None:
        sent, answered = Counter[int](), Counter[int]()
        for client in clients:
            for word, number in ((words[0], int(words[1])) for words in client.lines()):
                (sent if word == "sent" else answered)[number] += 1
        lost = sorted(set(answered) - set(kept))
        hold("no message that was answered is lost", lost and f"{lost[:8]}")
        # A client that got no answer or a temporary failure sends again.
        twice = [each for each, number in kept.items() if number > max(1, sent[each])]
        hold("no copy is there twice without a message that came twice", twice)
        hold("no copy is there without a message", sorted(set(kept) - set(sent)))
        self.run.counts["messages answered"] += len(answered)
        self.run.counts["messages sent again"] += sum(each > 1 for each in sent.values())

    def _listening(self, gateway: Process, listens: Path) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(listens))
                    return
            except OSError:
                late = time.monotonic() > until or not gateway.running()
                hold("a gateway that was killed starts again", late and (gateway.err[-3000:] or "it does not listen"))
                time.sleep(0.01)


def _client(listens: Path, client: int) -> None:
    asyncio.run(_hand_in(listens, client))


async def _hand_in(listens: Path, client: int) -> None:
    """Send numbered messages, each until it gets a final answer, like an MTA."""
    number = client * 1_000_000
    while True:
        try:
            async with asyncio.timeout(60):
                connection = await MilterClient.unix(listens)
                while True:
                    print("sent", number, flush=True)
                    await connection.put(milter_message(str(number)))
                    answer = await connection.reply()
                    if answer[:1] in (b"", b"t"):
                        break
                    print("answered", number, flush=True)
                    number += 1
                await connection.put(packet(b"Q"))
        except (OSError, AssertionError, EOFError):
            pass
        await asyncio.sleep(0.01)


def work(run: Run) -> None:
    kills = _Kills(run)
    folder = run.folder / "first"
    folder.mkdir()
    with remembering(folder):
        first = made(folder, 150)
    while run.left > 0 or not run.counts["rounds"]:
        run.counts["rounds"] += 1
        kills.acts(first)
        kills.restore(first)
        kills.upgrade()
        kills.gateway()


KILLS = Torture(LAW, work)


def _has_ended(store: Store) -> bool:
    """Return True if the newest act on many copies is complete: running it again is then another act."""
    with store.opened() as vault:
        phase = next((event.phase for event in events(vault, 50) if event.phase is not Phase.ONE), None)
    return phase == Phase.END
