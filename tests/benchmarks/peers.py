"""Other programs on the same mail: neomutt, notmuch and mu, if installed. Their indexes are made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, absent, figure, median, seconds
from tests.benchmarks.terminal import Terminal

#: Whole words that both programs find; Mailhold finds any part of a word.
WORDS = ("casino", "invoice", "verify", "оплата")
#: Seconds allowed for making an index.
_INDEXING = 420


def mail(size: str) -> tuple[Path, str]:
    """Return the Maildir for a size, and its number of messages."""
    count = min(store_maker.SIZES[size], store_maker.MOST_PEER_MESSAGES)
    return store_maker.maildir(count), f"{count // 1000}k"


def neomutt(size: str) -> Figure:
    """Measure from start until the index is on screen, with a warm header cache."""
    name = "  neomutt: start to first rows, header cache warm"
    program = shutil.which("neomutt")
    if program is None:
        return absent(name, size, "s")
    folder, count = mail(size)
    cache = folder / "headers"
    cache.mkdir(exist_ok=True)
    settings = folder / "neomuttrc"
    settings.write_text(
        f'set header_cache="{cache.absolute()}"\nset folder="{folder.absolute()}"\nset mbox_type=Maildir\n'
        'set wait_key=no\nset sort=threads\nset sort=date\nset status_format="MEASURED %m messages"\n'
    )
    command = [program, "-n", "-F", str(settings), "-R", "-f", str((folder / "Maildir").absolute())]

    def start() -> float:
        with Terminal(command) as terminal:
            taken = terminal.wait_bytes(b"MEASURED", 120) - terminal.began
            terminal.type(b"q")
            terminal.quiet_end(20)
            return taken

    start()
    return figure(f"{name} ({count})", size, [start() for _ in range(3)], "s")


def _notmuch(folder: Path) -> dict[str, str]:
    settings = folder / "notmuch-config"
    settings.write_text(f"[database]\npath={(folder / 'Maildir').absolute()}\n[new]\ntags=\n[search]\nexclude_tags=\n")
    return {**os.environ, "NOTMUCH_CONFIG": str(settings.absolute())}


def _indexed(folder: Path, name: str, command: list[list[str]], environment: dict[str, str]) -> float | None:
    """Return the seconds that making the index took, now or before; None if it takes too long."""
    stamp = folder / f"{name}.seconds"
    if stamp.exists():
        return float(stamp.read_text())
    began = time.perf_counter()
    try:
        for each in command:
            subprocess.run(each, env=environment, check=True, capture_output=True, timeout=_INDEXING)
    except (subprocess.SubprocessError, OSError):
        return None
    taken = time.perf_counter() - began
    stamp.write_text(str(taken))
    return taken


def search(size: str, ours: float) -> Iterator[Figure]:
    """Search a whole word with `notmuch search` and `mu find`; the ratio is Mailhold's keystroke to their time."""
    folder, count = mail(size)
    index = folder / "mu"
    environment = _notmuch(folder)
    environment["XAPIAN_FLUSH_THRESHOLD"] = "100000"
    mu_init = ["mu", "init", f"--muhome={index}", f"--maildir={(folder / 'Maildir').absolute()}"]
    programs = {
        "notmuch": ([["notmuch", "new", "--quiet"]], ["notmuch", "search", "--limit=50"]),
        "mu": ([mu_init, ["mu", "index", f"--muhome={index}"]], ["mu", "find", f"--muhome={index}", "--maxnum=50"]),
    }
    for program, (make, find) in programs.items():
        name = f"  {program}: a whole word ({count}; ratio: our keystroke by it)"
        if shutil.which(program) is None:
            yield absent(name, size, "ms")
            continue
        took = _indexed(folder, program, make, environment)
        if took is None:
            yield Figure(name, size, None, None, "ms", target="it did not index in time")
            continue

        def run(word: str, find: list[str] = find) -> float:
            return 1000 * seconds(lambda: subprocess.run([*find, word], env=environment, capture_output=True))

        taken = [run(word) for _ in range(3) for word in WORDS]
        yield Figure(
            *(name, size, median(taken), max(taken), "ms", ours, ours / median(taken)),
            *("our keystroke is not slower", ours <= median(taken)),
        )
        yield Figure(f"  {program}: to index {count} messages", size, took, took, "s")
