"""`make screenshots`: pictures of the real console on the demo store, for the README, taken by pressing keys.

Everything is fixed (clock, zone, seed, host), so that a picture changes only with the console.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from textual.pilot import Pilot

from store.authority.settings import read_settings
from store.catalogue import catalogue
from store.helpers import clock
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from tests.picture import placed
from tui.console.app import MailholdApp
from tui.demo import receiver
from tui.demo.demo import OPERATOR, fill_demo
from tui.demo.receiver import Receiver

FOLDER = Path(__file__).resolve().parent.parent / "screenshots"
NOW = int(datetime(2026, 11, 24, 7, 45, tzinfo=UTC).timestamp() * 1000)
WIDE, NARROW = (132, 36), (80, 24)

Steps = Callable[["Driver"], Awaitable[None]]


class Shot(NamedTuple):
    """A picture: file name, steps before it is taken, terminal size, and content of the store.

    `attack`: the number of copies of an attack wave.
    """

    name: str
    steps: Steps
    size: tuple[int, int] = WIDE
    allow_infected: bool = False
    attack: int = 0


class Driver:
    """The console under a Pilot that waits after each key until its threads are idle."""

    def __init__(self, app: MailholdApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def settle(self) -> None:
        """Wait until no background work is left."""
        for _ in range(200):
            await self.pilot.pause(0.02)
            if self.app.idle() and self.app.catalogue.complete:
                break
        await self.pilot.pause(0.1)

    async def press(self, *keys: str) -> None:
        """Press keys one by one."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.pilot.press(*text)
        await self.settle()

    async def filter(self, text: str) -> None:
        """Enter a line in the filter and go to the list."""
        await self.press("slash")
        await self.type(text)
        await self.press("enter")


def keys(*names: str) -> Steps:
    """Make steps that press keys."""

    async def steps(driver: Driver) -> None:
        await driver.press(*names)

    return steps


def filtered(line: str, *names: str) -> Steps:
    """Make steps that filter, then press keys."""

    async def steps(driver: Driver) -> None:
        await driver.filter(line)
        await driver.press(*names)

    return steps


SHOTS = [
    Shot("list", keys("down", "down", "space", "space", "down", "space")),
    Shot("list-80x24", keys("down", "down"), NARROW),
    Shot("filter-line", filtered("scan:anti-phishing period:month")),
    Shot("search-filter", filtered("from:example scan:anti-spam,anti-virus size:<=512 period:week", "f")),
    Shot("message", filtered("status:phishing", "enter")),
    Shot("message-text", filtered("status:phishing", "enter", "right_square_bracket")),
    Shot("message-links", filtered("status:phishing", "enter", "left_square_bracket")),
    Shot("message-attachments", filtered("status:infected", "enter", *["right_square_bracket"] * 4)),
    Shot("message-80x24", filtered("status:phishing", "enter"), NARROW),
    Shot("deliver", filtered("status:spam delivered:no", "r", "space")),
    Shot("deliver-many", filtered("status:probable-spam delivered:no", "asterisk", "r", "space")),
    Shot("deliver-infected-refused", filtered("status:infected", "r")),
    Shot("deliver-infected-warning", filtered("status:infected", "r"), allow_infected=True),
    Shot("delete", filtered("status:spam period:week", "asterisk", "d")),
    Shot("save", filtered("status:infected", "s")),
    Shot("backup-settings", keys("B")),
    Shot("notice-delivered-one", filtered("status:spam delivered:no", "r", "space", "enter")),
    Shot("notice-delivered-many", filtered("status:spam delivered:no", "space", "space", "r", "space", "enter")),
    Shot("notice-deleted-one", filtered("status:spam", "d", "enter")),
    Shot("notice-deleted-many", filtered("status:spam", "space", "space", "d", "enter")),
    Shot("monitoring", keys("1")),
    Shot("monitoring-80x24", keys("1"), NARROW),
    Shot("message-queue", keys("3")),
    Shot("bin", keys("9")),
    Shot("bin-copies", keys("9", "down", "enter", "space", "space")),
    Shot("undo", filtered("status:spam period:week", "asterisk", "d", "enter", "z")),
    Shot("rules", keys("4")),
    Shot("address-lists", keys("5")),
    Shot("events", keys("6")),
    Shot("settings", keys("7")),
    Shot("help", keys("question_mark")),
    Shot("palette", keys("colon")),
    Shot("sort", keys("o")),
    Shot("mark-by-query", keys("T")),
    Shot("campaigns", keys("8"), attack=390),
    Shot("campaigns-80x24", keys("8"), NARROW, attack=390),
    Shot("campaign", keys("8", "enter"), attack=390),
    Shot("compare", keys("8", "enter", "right_square_bracket"), attack=390),
    Shot("delete-campaigns", keys("8", "asterisk", "d"), attack=390),
]


def stop_the_clock() -> None:
    """Fix the time of everything that happens to `NOW`: deletions, deliveries and their events."""
    stopped = SimpleNamespace(**{**vars(time), "time_ns": lambda: NOW * 1_000_000})
    receiver.os = SimpleNamespace(**{**vars(os), "getpid": lambda: 1})  # type: ignore[attr-defined]
    receiver.socket = SimpleNamespace(**{**vars(socket), "gethostname": lambda: "relay"})  # type: ignore[attr-defined]
    for module in (clock, catalogue, receiver):
        module.time = stopped  # type: ignore[attr-defined]


async def take(shot: Shot, location: str, key_file: Path) -> str:
    """Return the picture as SVG text."""
    vault = open_store(location, Unlock.key_file(key_file))
    settings = read_settings(vault)
    if settings.allow_infected != shot.allow_infected:
        import msgspec

        change_settings(vault, msgspec.structs.replace(settings, allow_infected=shot.allow_infected))
    app = MailholdApp(vault, operator="r.feldman", clock=lambda: NOW, tz=UTC, host="mx1.example.org")
    app.arming_delay = None
    try:
        async with app.run_test(size=shot.size) as pilot:
            driver = Driver(app, pilot)
            await driver.settle()
            await shot.steps(driver)
            await driver.settle()
            svg = app.export_screenshot(title="Mailhold")
    finally:
        vault.close()
    return placed(svg, shot.name)


def fix_surroundings() -> None:
    """Make the pictures independent of the user: no settings, no key file, and a fixed clock."""
    for name in ("MAILHOLD_KEYS", "NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_FILTERS"):
        os.environ.pop(name, None)
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", XDG_CONFIG_HOME=os.devnull)
    stop_the_clock()


def main(names: list[str]) -> int:
    """Take the named pictures, or all."""
    fix_surroundings()
    os.chdir("/srv")  # The folder that the Save window offers.
    chosen = [shot for shot in SHOTS if not names or shot.name in names]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mailhold-screenshots-") as folder:
        demo = Receiver(Path(folder) / "received")
        demo.start()
        try:
            for shot in chosen:
                location, key_file = f"{folder}/{shot.name}.store", Path(folder) / f"{shot.name}.key"
                with closing(create_store(location, key_file=key_file, operator=OPERATOR)[0]) as vault:
                    fill_demo(vault, 400, now=NOW, relay=f"smtp://127.0.0.1:{demo.port}", attack=shot.attack)
                picture = asyncio.run(take(shot, location, key_file))
                # A port that the system gave, in as many digits: another each time.
                picture = picture.replace(f":{demo.port}", ":10025")
                (FOLDER / f"{shot.name}.svg").write_text(picture)
                print(f"screenshots/{shot.name}.svg")
        finally:
            demo.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
