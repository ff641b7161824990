"""How a session on a PostgreSQL server is set up: its schema, and how long it waits for somebody who does not answer.

Without these limits a machine that loses power, or its network, in the middle of a transaction would keep every other
machine from writing for hours: the server waits for it, and they wait for the server.
"""

from __future__ import annotations

#: Seconds that a writer waits for another one, with SQLite too.
BUSY_SECONDS = 15
#: Seconds after which the server ends a transaction whose client does nothing.
IDLE_SECONDS = 30

#: libpq's options: connect within 10 s, and notice within 60 s that the server's machine is gone. Those that a location
#: has itself are used instead.
_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

#: The server's limits that apply if its administrator set none, and how it notices within 60 s that this machine is
#: gone.
_LIMITS = {"lock_timeout": f"{BUSY_SECONDS}s", "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s"}
_KEEPALIVE = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

#: Restrict the search path to one schema: the first in it with a table named store, else its first.
_PATH = """
SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(COALESCE((
    SELECT nspname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = 'store' AND nspname = ANY(pg_catalog.current_schemas(false))
    ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(false), nspname) LIMIT 1
), pg_catalog.current_schema(), 'public')) || ', pg_temp', false)
"""

#: The statement that sets up a new session.
SET_UP = ", ".join(
    (
        _PATH,
        *(
            f"pg_catalog.set_config('{name}', COALESCE(NULLIF(pg_catalog.current_setting('{name}'), '0'), '{value}'), "
            "false)"
            for name, value in _LIMITS.items()
        ),
        *(f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in _KEEPALIVE.items()),
    )
)
#: Exempts the open transaction, one that only reads, from the limit on doing nothing: it keeps no writer out.
NO_HURRY = "SET LOCAL idle_in_transaction_session_timeout = 0"


def options_of(location: str) -> dict[str, int]:
    """Return the options of libpq for connections to `location`."""
    return {name: value for name, value in _OPTIONS.items() if f"{name}=" not in location}
