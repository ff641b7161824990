"""A PostgreSQL cluster on a unix socket: for tests thrown away and not durable, for benchmarks kept and durable."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Linux's folder of files in memory, and the free bytes it must have: each test process has a cluster.
_MEMORY, _ROOM = "/dev/shm", 2 << 30

#: Options of a cluster that need not survive a crash.
THROW_AWAY = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 -c autovacuum=off "
    "-c jit=off -c wal_level=minimal -c max_wal_senders=0 -c min_wal_size=32MB -c max_wal_size=128MB"
)


class Missing(Exception):
    """PostgreSQL cannot be run here; the message says why."""


def program(name: str) -> str:
    found = shutil.which(name)
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if newest:
        return str(newest[-1])
    if found:
        return found
    raise Missing(f"PostgreSQL is not installed: no {name} in the path nor in /usr/lib/postgresql")


class Cluster:
    """A running cluster. PostgreSQL refuses to run as root, so root hands over to another user."""

    def __init__(self, folder: Path | None = None, options: str = THROW_AWAY) -> None:
        """Start a cluster in `folder`, making it if it is not there; by default a new one for this process."""
        initdb, self._pg_ctl = program("initdb"), program("pg_ctl")
        self._as: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-pg-", dir=_memory())) if folder is None else folder
        if os.getuid() == 0:
            user = next((name for name in ("postgres", "nobody") if _known(name)), None)
            if user is None or shutil.which("runuser") is None:
                raise Missing("PostgreSQL does not run as root, and there is no other user to run it as")
            self._as = ["runuser", "-u", user, "--"]
            shutil.chown(self.folder, user)
        self._data = self.folder / "data"
        if not self._data.exists():
            self._run([initdb, "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} {options}"
        self._start = [*("-l", str(self.folder / "log"), "-w", "-o", options, "start")]
        self.resume()

    def url(self, schema: str) -> str:
        """Return the location of a store in its own schema."""
        return f"postgresql://postgres@/postgres?host={self.folder}&options=-csearch_path%3D{schema}"

    def database_url(self, database: str) -> str:
        """Return the location of a store in its own database."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def halt(self) -> None:
        """Stop the server and keep its data for `resume`."""
        self._run([self._pg_ctl, "-D", str(self._data), "-m", "fast", "-w", "stop"])

    def resume(self) -> None:
        """Start the server again."""
        self._run([self._pg_ctl, "-D", str(self._data), *self._start])

    def stop(self) -> None:
        self._run([self._pg_ctl, "-D", str(self._data), "-m", "immediate", "-w", "stop"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            [*self._as, *command], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120, check=False
        )
        if done.returncode:
            raise Missing(f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")


def _memory() -> str | None:
    """Return the folder of files in memory if it has room: copying a database is ten times faster than on disk."""
    try:
        room = os.statvfs(_MEMORY)
    except OSError:
        return None
    return _MEMORY if room.f_bavail * room.f_frsize >= _ROOM and os.access(_MEMORY, os.W_OK | os.X_OK) else None


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
