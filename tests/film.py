"""`make screenshots`: clear a wave in the real console, on the demo store, as one animated picture."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

from store.opening.opening import Unlock, create_store, open_store
from tests.film_svg import Frame, cells_of, film
from tests.screenshots import FOLDER, NOW, Driver, fix_surroundings
from tui.console.app import MailholdApp
from tui.demo.demo import OPERATOR, fill_demo
from tui.demo.receiver import Receiver

PICTURE = FOLDER / "clear-a-wave.svg"
SIZE = (104, 29)


class Scene(NamedTuple):
    """The keys to press, their drawing in the picture, the caption of the resulting screen, and its duration (s)."""

    keys: Sequence[str]
    drawn: Sequence[str]
    says: str
    seconds: float


SCENES = [
    Scene(["8"], ["8"], "Campaigns: copies that belong together", 2.2),
    Scene(["down"] * 3, ["↓", "↓", "↓"], "This one has odd copies", 1.0),
    Scene(["enter"], ["Enter"], "Its odd copies stand first", 2.8),
    Scene(["right_square_bracket"], ["]"], "An odd copy beside a typical one", 2.6),
    Scene(["escape", "escape"], ["Esc", "Esc"], "Back to the campaigns", 0.9),
    Scene(["asterisk"], ["*"], "Mark the sure campaigns", 1.8),
    Scene(["d"], ["d"], "Delete what fits; odd copies stay", 3.8),
    Scene(["enter"], ["Enter"], "Deleted, into the bin: a short list is left", 2.4),
    Scene(["z"], ["z"], "Undo would bring all of it back", 1.5),
    Scene(["escape"], ["Esc"], "Cancel: it stays deleted", 1.0),
]


async def play(location: str, key_file: Path) -> list[Frame]:
    """Play the scenes in the console, and record the screen after each."""
    frames = []
    with closing(open_store(location, Unlock.key_file(key_file))) as vault:
        app = MailholdApp(vault, operator="r.feldman", clock=lambda: NOW, tz=UTC, host="mx1.example.org")
        app.arming_delay = None
        async with app.run_test(size=SIZE) as pilot:
            driver = Driver(app, pilot)
            await driver.settle()
            for scene in SCENES:
                await driver.press(*scene.keys)
                await driver.settle()
                # Textual's only public access to the screen content is a finished SVG.
                lines = [cells_of(strip) for strip in app.screen._compositor.render_strips()]
                frames.append(Frame(lines, scene.drawn, scene.says, scene.seconds))
    return frames


def main() -> int:
    """Write the picture."""
    fix_surroundings()
    with tempfile.TemporaryDirectory(prefix="mailhold-film-") as folder:
        receiver = Receiver(Path(folder) / "received")
        receiver.start()
        try:
            location, key_file = f"{folder}/film.store", Path(folder) / "film.key"
            with closing(create_store(location, key_file=key_file, operator=OPERATOR)[0]) as vault:
                fill_demo(vault, 400, now=NOW, relay=f"smtp://127.0.0.1:{receiver.port}", attack=390)
            PICTURE.write_text(film(asyncio.run(play(location, key_file)), "Clearing a wave in Mailhold's console"))
        finally:
            receiver.stop()
    print(f"screenshots/{PICTURE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
