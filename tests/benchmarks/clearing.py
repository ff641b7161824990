"""Let a scripted operator clear a wave in the real console by keyboard, and count keys and decisions.

    python -m tests.benchmarks.clearing WAVE [--known SHARE] [--show]

WAVE is a folder written by `python -m tests.waves` (or by another program in the same form). It is imported into a new
store, its campaigns are found, and the console is driven key by key. The operator takes the campaigns in list order,
looks at the odd copies of each, deletes what fits, and leaves the odd ones. Then the operator releases copies outside
all campaigns, sender by sender, if something is known of the sender. The script knows the truth about each copy and
uses it only for the account.

The model: three keys per second, and 1.5 s per decision: one for each act, each odd copy looked at (up to twelve per
campaign; for more than twelve also one per screenful), and each sender released.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parseaddr
from pathlib import Path

import msgspec
from textual.pilot import Pilot

from store.authority.settings import read_settings
from store.campaigns.finding import find
from store.campaigns.reading import StandingReader
from store.catalogue.catalogue import Catalogue
from store.files.known_mail import import_known
from store.files.mailbox import import_paths
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tui.console.app import MailholdApp
from tui.console.dialogs.delete_campaigns import DeleteCampaignsDialog
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.screens.campaign import CampaignView
from tui.console.screens.campaigns import CampaignsView
from tui.console.text.campaign_rows import CampaignRow, SenderRow
from tui.demo.receiver import Receiver

SIZE = (100, 30)
_SPEED, _DECISION, _LOOKED_AT = 3, 1.5, 12
_ENOUGH = 0.95
_PATIENCE = 6000


@dataclass
class Account:
    """What the operator did and its effect on the copies; `truth` says what each copy is, by id."""

    truth: Mapping[int, str]
    keys: int = 0
    acts: int = 0
    decisions: int = 0
    deleted: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> float:
        """The share of the campaign copies that is gone."""
        return self.deleted["campaign"] / max(sum(kind == "campaign" for kind in self.truth.values()), 1)

    @property
    def minutes(self) -> float:
        """Minutes an operator needs in the model."""
        return (self.keys / _SPEED + self.decisions * _DECISION) / 60

    def line(self, what: str) -> str:
        """Format the account so far."""
        return (
            f"{what:34} {self.done:6.1%} of the wave  {self.acts:3} acts {self.keys:4} keys "
            f"{self.decisions:4} decisions {self.minutes:5.1f} min  "
            f"lost: {self.deleted['good']} good {self.deleted['aimed']} aimed  "
            f"released: {self.released['good']} good {self.released['aimed']} aimed {self.released['campaign']} bad"
        )


class Operator:
    """An operator: presses keys and reads the screen."""

    def __init__(self, app: MailholdApp, pilot: Pilot[None], account: Account, *, show: bool) -> None:
        self.app, self.pilot, self.account, self._show = app, pilot, account, show
        self._left: set[int] = set()
        self._at_enough = False

    async def settle(self) -> None:
        """Wait until no thread of the console is working."""
        for _ in range(_PATIENCE):
            await self.pilot.pause(0.01)
            if self.app.idle() and self.app.catalogue.complete and not self.app.main.tasks.running:
                await self.pilot.pause(0.01)
                if self.app.idle() and not self.app.main.tasks.running:
                    return
        raise SystemExit("The console did not come to rest within a minute.")

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, waiting for the effect of each."""
        for key in keys:
            self.account.keys += 1
            await self.pilot.press(key)
            await self.settle()

    async def clear(self) -> None:
        """Delete the fitting copies of each campaign, from the first to the last for which an act is offered."""
        await self.press("8")
        while (row := await self._next()) is not None:
            before = self.account.acts
            await self._act(row)
            if self.account.acts == before:
                self._left.add(row.campaign.id)

    async def _next(self) -> CampaignRow | None:
        """Go to the next campaign that was not skipped; return None if there is none."""
        wanted = {row.campaign.id for row in self._page.items if isinstance(row, CampaignRow)} - self._left
        if not wanted:
            return None
        if not isinstance(self._page.current, CampaignRow):
            await self.press("g")
        for _ in range(2 * len(self._page.items)):
            row = self._page.current
            if isinstance(row, CampaignRow) and row.campaign.id in wanted:
                return row
            await self.press("j" if isinstance(row, CampaignRow) else "g")
        return None

    @property
    def _page(self) -> CampaignsView:
        page = self.app.main.places.page
        assert isinstance(page, CampaignsView), page
        return page

    async def _act(self, row: CampaignRow) -> None:
        account, odd = self.account, row.campaign.odd
        unseen = row.summary.odd and any(each.copy not in self.app.context.seen_odd for each in odd)
        if unseen:
            await self.press("enter")
            await self._look(len(odd))
        await self.press("d")
        if isinstance(self.app.main.places.page, CampaignView) and not unseen:
            await self._look(len(odd))
            await self.press("d")
        window = self.app.screen
        if isinstance(window, DeleteCampaignsDialog):
            ids = window.checked.ids
            account.acts += 1
            account.decisions += 1
            await self.press("enter")
            # The store says what was deleted: the catalogue may not have heard of it yet.
            left = self.app.context.vault.present(ids)
            account.deleted.update(account.truth[each] for each in ids if each not in left)
        if isinstance(self.app.main.places.page, CampaignView):
            await self.press("escape")
        if self._show:
            print(account.line(f"{row.campaign.title[:30]}"), file=sys.stderr)
        if account.done >= _ENOUGH and not self._at_enough:
            self._at_enough = True
            print(account.line("at 95 %"))

    async def _look(self, odd: int) -> None:
        """Look at the odd copies of the open campaign until all have been on the screen."""
        self.account.decisions += min(odd, _LOOKED_AT)
        await self.press(*["j"] * min(odd - 1, _LOOKED_AT))
        page = self.app.main.places.page
        assert isinstance(page, CampaignView) and page.campaign is not None
        odd_ones = page.campaign.odd
        while any(each.copy not in self.app.context.seen_odd for each in odd_ones if self._is_there(each.copy)):
            self.account.decisions += 1
            await self.press("pagedown")

    def _is_there(self, copy: int) -> bool:
        frame = self.app.catalogue.frame
        return frame is not None and frame.position(copy) is not None

    async def take_back(self) -> None:
        """Undo every act on a campaign, the last first."""
        for _ in range(self.account.acts):
            await self.press("z", "enter")
        self.account.deleted.clear()

    async def release(self) -> None:
        """Release the copies of known senders, sender by sender."""
        if not isinstance(self.app.main.places.page, CampaignsView):
            await self.press("8")
        senders = [row.sender for row in self._page.items if isinstance(row, SenderRow) and row.known]
        for address, odd in [(one.address, one.odd) for one in senders]:
            for _ in range(len(self._page.items)):
                row = self._page.current
                if isinstance(row, SenderRow) and row.sender.address == address:
                    break
                await self.press("j")
            await self.press("enter")
            if odd:  # An odd copy of a campaign may come from a stolen account: do not release it with the rest.
                await self.press("slash", "end", *["space", *"odd", "colon", *"no"], "enter")
            await self.press("asterisk", "r")
            window = self.app.screen
            if isinstance(window, DeliverDialog):
                self.account.decisions += 1
                await self.press("space", "enter")
            await self.press("escape", "8")
        self.account.released.update(self.account.truth[each] for each in self.app.context.outcomes)


def stored(folder: Path, wave: Path, share: float, relay: str) -> tuple[Vault, dict[int, str]]:
    """Make a store with the wave and its campaigns; return the truth about each copy with it."""
    messages = msgspec.json.decode((wave / "truth.json").read_bytes())["messages"]
    vault, _ = create_store(str(folder / "wave.store"), key_file=folder / "key", operator="ada")
    settings = read_settings(vault)
    change_settings(vault, msgspec.structs.replace(settings, relay=relay, max_size=40 * 1024**3, local_domains=()))
    if share:
        path = folder / "known.txt"
        path.write_text("".join(f"{each} 5 authenticated\n" for each in known_senders(wave, messages, share)))
        import_known(vault, [path], operator="ada")
    import_paths(vault, sorted(wave.glob("wave-*.mbox")), operator="ada")
    find(vault)
    truth = {}
    for copy in vault.scan():
        name = copy.record.message_id
        found = messages.get(name) or messages.get(f"<{name.strip('<>')}>") or messages.get(name.strip("<>"))
        truth[copy.id] = {"targeted": "aimed"}.get(found["kind"], found["kind"])
    return vault, truth


def known_senders(wave: Path, messages: Mapping[str, Mapping[str, str]], share: float) -> list[str]:
    """Return the addresses of this share of the good senders in a wave."""
    good = sorted({address for name, address in _senders(wave) if messages.get(name, {}).get("kind") == "good"})
    return random.Random(len(good)).sample(good, round(share * len(good)))


def _senders(wave: Path) -> Collection[tuple[str, str]]:
    """Yield Message-ID and sender address of each message."""
    from store.files.mbox import read_messages
    from store.message.parser import parse_headers

    found = []
    for path in sorted(wave.glob("wave-*.mbox")):
        with path.open("rb") as stream:
            for raw in read_messages(stream):
                assert isinstance(raw, bytes)
                headers = {name.lower(): value for name, value in parse_headers(raw).headers}
                found.append((headers.get("message-id", "").strip(), parseaddr(headers.get("from", ""))[1].lower()))
    return found


async def drive(vault: Vault, account: Account, *, show: bool = False, back: bool = False) -> None:
    """Clear the wave in a store, then release; with `back`, undo the acts instead of releasing."""
    now = max(copy.stored_at for copy in vault.newest(1)) + 60_000
    catalogue = Catalogue(vault, now=lambda: now)
    catalogue.standing = StandingReader(vault).read()
    app = MailholdApp(vault, catalogue=catalogue, operator="ada", clock=lambda: now, tz=UTC, host="mx1.example.org")
    app.arming_delay = None
    async with app.run_test(size=SIZE) as pilot:
        operator = Operator(app, pilot, account, show=show)
        await operator.settle()
        await operator.clear()
        print(account.line("no more acts are offered"))
        if back:
            await operator.take_back()
        else:
            await operator.release()
            print(account.line("known senders released"))


def run(wave: Path, share: float = 0.0, *, show: bool = False) -> Account:
    """Clear a wave; print the account at 95 %, when no more acts are offered, and at the end."""
    with tempfile.TemporaryDirectory(prefix="mailhold-clearing-") as name:
        folder = Path(name)
        receiver = Receiver(folder / "received")
        receiver.start()
        try:
            vault, truth = stored(folder, wave, share, f"smtp://127.0.0.1:{receiver.port}")
            account = Account(truth)
            with closing(vault):
                asyncio.run(drive(vault, account, show=show))
        finally:
            receiver.stop()
    return account


def main() -> int:
    """Clear each wave."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.clearing")
    parser.add_argument("waves", metavar="WAVE", nargs="+", type=Path)
    parser.add_argument("--known", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--show", action="store_true", help="print each act")
    args = parser.parse_args()
    for wave in args.waves:
        print(wave.name)
        run(wave, args.known, show=args.show)
    return 0


if __name__ == "__main__":
    sys.exit(main())
