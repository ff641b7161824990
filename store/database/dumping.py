"""Back up a PostgreSQL store to an archive that `pg_dump` writes and `pg_restore` reads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from store.database.connection import StoreDatabase, run, snapshot
from store.database.tables import TABLES_OF
from store.terms.errors import BackupError

_TABLE = re.compile(r'CREATE TABLE "(\w+)"')
#: Line that begins a table's rows in an archive's text, and line that ends them.
_ROWS, _END = re.compile(rb"COPY (?:\S+\.)?\"?(\w+)\"? \("), b"\\.\n"
#: Seconds between checks for cancellation.
_LOOK = 0.2


def dump(db: StoreDatabase, path: Path, number: int, cancelled: Callable[[], bool]) -> dict[str, int]:
    """Fill the empty file `path` with an archive of format `number`'s tables, and return each table's row count.

    The archive holds Mailhold's tables only. Raises BackupError where a program is missing or fails, or the archive
    lacks rows, KeyboardInterrupt where it is `cancelled`.
    """
    names = [found[1] for text in TABLES_OF[number] if (found := _TABLE.match(text))]
    for program in ("pg_dump", "pg_restore"):
        if shutil.which(program) is None:
            raise BackupError(
                f"A backup of a store in PostgreSQL needs {program}, which is not installed. Install PostgreSQL's "
                "client programs (on Debian the package postgresql-client), at least as new as the server."
            )
    info = db.connection().info
    environment = {"PGPASSWORD": info.password} if info.password else {}  # A command line is visible to every user.
    with snapshot(db):
        schema, at = run(db, "SELECT pg_catalog.current_schema(), pg_catalog.pg_export_snapshot()").fetchone()
        quoted = schema.replace('"', '""')
        tables = [f'--table="{quoted}"."{name}"' for name in names]
        options = ["--format=custom", "--no-owner", "--no-privileges", "--no-password", f"--snapshot={at}"]
        command = ["pg_dump", *options, *tables, f"--dbname={info.dsn}"]
        with path.open("wb") as file, _running(command, file, environment, cancelled):
            pass
        counts = {name: _count(db, name) for name in names}
    with _running(["pg_restore", "--data-only", "--file=-", str(path)], subprocess.PIPE, {}, cancelled) as output:
        assert output is not None
        rows = Counter(_rows(output))
    if lacking := [name for name in names if rows[name] != counts[name]]:
        raise BackupError(f"The backup was discarded, because it lacks rows of the table {lacking[0]}. Try again.")
    return counts


def _count(db: StoreDatabase, name: str) -> int:
    [count] = run(db, f'SELECT COUNT(*) FROM "{name}"').fetchone()  # noqa: S608  # a name of the release's
    return int(count)


def _rows(output: IO[bytes]) -> Iterator[str]:
    """Yield the table's name for each row in an archive's text."""
    table = None
    for line in output:
        if table is None:
            if found := _ROWS.match(line):
                table = found[1].decode()
        elif line == _END:
            table = None
        else:
            yield table


@contextmanager
def _running(
    command: list[str], output: IO[bytes] | int, environment: dict[str, str], cancelled: Callable[[], bool]
) -> Iterator[IO[bytes] | None]:
    """Run `command` and give its output as `output`, a pipe; at the end, wait for the command to end.

    Raises BackupError where it fails, KeyboardInterrupt where it is `cancelled`.
    """
    said: list[bytes] = []
    # In a session of its own the program is not sent Ctrl-C; only `cancelled` stops it.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        listening = threading.Thread(target=lambda stderr: said.append(stderr.read()), args=(process.stderr,))
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(process, ended, cancelled))
        listening.start()
        watching.start()
        try:
            yield process.stdout
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            ended.set()
            watching.join()
            listening.join()
    if cancelled():
        raise KeyboardInterrupt
    if process.returncode:
        text = b"".join(said).decode(errors="replace").strip().splitlines()
        raise BackupError(
            f"{command[0]} failed, and no backup was kept: {text[0] if text else f'exit code {process.returncode}'}"
        )


def _watch(process: subprocess.Popen[bytes], ended: threading.Event, cancelled: Callable[[], bool]) -> None:
    while not ended.wait(_LOOK):
        if cancelled():
            process.kill()
            return
