"""Fixtures for every test: stores on both databases, and the corpus of real messages."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest

from store.authority import audit, settings
from store.opening.opening import Unlock, create_store, open_store
from store.sealing import keys
from store.vault import ballast
from store.vault.vault import Vault
from tests import order
from tests.amounts import amount
from tests.postgres import Cluster, Missing

for _name in ("NO_COLOR", "TEXTUAL_THEME"):
    os.environ.pop(_name, None)

# The tests start hundreds of processes: without this cache each would compile all of Mailhold again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Several test processes share each processor, so threads of Polars would only wait for one another.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

# Releases are not held unless a test sets `hold`. Set in the environment, because test modules that make settings are
# imported later.
settings.HOLD = settings.HOLD_MANY = 0
settings.FIRST = msgspec.structs.replace(settings.FIRST, hold=0, hold_many=0)

# Timings are benchmarks, never tests: a busy machine must not fail one. CI draws the same examples each time.
hypothesis.settings.register_profile(
    "mailhold",
    max_examples=amount(50, 100),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("mailhold")

#: Default limit of a test with its fixtures on a busy machine (s).
LIMIT = 180
PASSPHRASE = "correct horse battery staple"
#: Real mail beside the checkout, not in the repository. Nothing needs it: where it is missing, other mail is used.
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]
_schemas = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def cheap_stores() -> Iterator[None]:
    """Use Argon2id at its lowest cost and a small ballast, because the tests make thousands of stores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "ARGON2_COST", keys.Argon2Cost(64, 1, 1))
        patch.setattr(ballast, "BALLAST_BYTES", 64 * 1024)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_login() -> Iterator[None]:
    """Use the same user id in events on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "login_uid", lambda: 1000)
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_count_for_what_is_started() -> Iterator[None]:
    """Restore signals for programs that tests start: `nohup` and a shell's `&` ignore some, and children inherit that.

    SIGHUP still has no effect on the tests themselves.
    """
    handlers = {signal.SIGHUP: lambda *_: None, signal.SIGINT: signal.default_int_handler}
    ignored = [number for number in handlers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, handlers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def state_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the session one folder for what programs remember of stores; its fixtures use it too."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "session"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "session" / "cache"))
        yield folder


@pytest.fixture(autouse=True)
def state_home(state_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own memory of stores, made on demand, because copies of a store have the same id."""
    home = state_homes / str(next(_schemas))
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run five workers on two processors: tests of the console or of a daemon wait for a good half of their time."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, 5 * processors // 2)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name byte parameters by number: archives contain the time, and every worker must produce the same ids."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 40 else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test a time limit (pytest-timeout) and run those with the longest first: see `order`."""
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMIT))
    items[:] = order.begin(items, group=order.group_of, limit=order.limit_of, waits=order.waits, usual=LIMIT)


def pytest_collection_finish() -> None:
    """Exempt the objects that exist now from garbage collection (saves a tenth of a console test's time).

    Also collect garbage less often than Python's default for small programs (saves another tenth).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _create(location: str) -> str:
    vault, _recovery = create_store(location, passphrase=PASSPHRASE)
    vault.close()
    return location


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make the file of a SQLite store that opens with `PASSPHRASE`; copying it is much faster than making a new one."""
    location = tmp_path_factory.mktemp("new") / "mail.store"
    _create(str(location))
    assert [path.name for path in location.parent.iterdir()] == [location.name]
    return location.read_bytes()


def _copy(new_store: bytes, folder: Path) -> str:
    location = folder / "mail.store"
    location.touch(mode=0o600, exist_ok=False)
    location.write_bytes(new_store)
    return str(location)


@pytest.fixture
def store(new_store: bytes, tmp_path: Path) -> str:
    """Return the location of a new SQLite store. It opens with `PASSPHRASE`."""
    return _copy(new_store, tmp_path)


@pytest.fixture
def vault(store: str) -> Iterator[Vault]:
    """Open `store`."""
    opened = open_store(store, Unlock.passphrase(PASSPHRASE))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """Run a throw-away PostgreSQL cluster for the session."""
    try:
        cluster = Cluster()
    except Missing as reason:
        pytest.skip(str(reason))
    yield cluster
    cluster.stop()


@pytest.fixture
def empty_postgres(postgres: Cluster) -> Iterator[str]:
    """Return the location of an empty schema in a real PostgreSQL."""
    import psycopg

    schema = f"t{os.getpid()}_{next(_schemas)}"
    location = postgres.url(schema)
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    yield location
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture(scope="session")
def new_postgres_store(postgres: Cluster) -> str:
    """Make a template database with a store that opens with `PASSPHRASE`; copying it takes half as long."""
    import psycopg

    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE new")
    _create(postgres.database_url("new"))
    return "new"


@pytest.fixture
def postgres_store(postgres: Cluster, new_postgres_store: str) -> Iterator[str]:
    """Return the location of a new store in a database of a real PostgreSQL. It opens with `PASSPHRASE`."""
    import psycopg

    name = f"d{next(_schemas)}"
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        # Copy by files, the default before PostgreSQL 15: copying through the log takes three times as long.
        by_files = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {new_postgres_store} {by_files}".encode())
    yield postgres.database_url(name)
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=BACKENDS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the location of a new store, on SQLite and on PostgreSQL. It opens with `PASSPHRASE`."""
    if request.param == "sqlite":
        return _copy(request.getfixturevalue("new_store"), tmp_path)
    location: str = request.getfixturevalue("postgres_store")
    return location


@pytest.fixture
def any_vault(any_store: str) -> Iterator[Vault]:
    """Open `any_store`."""
    opened = open_store(any_store, Unlock.passphrase(PASSPHRASE))
    yield opened
    opened.close()


@pytest.fixture
def open_again(request: pytest.FixtureRequest) -> Iterator[Callable[[], Vault]]:
    """Return a function that opens the test's store again, as another process would."""
    name = "any_store" if "any_store" in request.fixturenames else "store"
    location = request.getfixturevalue(name)
    opened: list[Vault] = []

    def again() -> Vault:
        opened.append(open_store(location, Unlock.passphrase(PASSPHRASE)))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of real and malformed messages."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus of real messages at {CORPUS}")
    return CORPUS


@pytest.fixture(scope="session")
def corpus_files(corpus: Path) -> list[Path]:
    """List every file of the corpus, sorted."""
    return sorted(path for path in corpus.rglob("*") if path.is_file())
