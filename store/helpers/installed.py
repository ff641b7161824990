"""Which libraries are there: the base of Mailhold is the gateway and the commands, and its extras bring the others."""

from __future__ import annotations

from importlib.util import find_spec

from store.terms.errors import NotInstalled


def installed(library: str) -> bool:
    """Return whether the top-level module `library` is there. It is not imported."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def require(what: str, extra: str, **libraries: str) -> None:
    """Raise NotInstalled where one of `libraries` (module=its name in words), which `what` needs, is not there."""
    for module, name in libraries.items():
        if not installed(module):
            raise NotInstalled(what, name, extra)
