"""Checks for optional libraries: the base of Mailhold is the gateway and the commands; extras need more libraries."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from store.terms.errors import LibraryBroken, NotInstalled


def installed(library: str) -> bool:
    """Return True if the top-level module `library` is installed, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def require(what: str, extra: str, **libraries: str) -> None:
    """Raise NotInstalled if one of `libraries` (module=display name), which `what` needs, is not installed."""
    for module, name in libraries.items():
        if not installed(module):
            raise NotInstalled(what, name, extra)


def imported(what: str, extra: str, module: str, name: str) -> ModuleType:
    """Import the library `module` (`name` for display), which `what` needs.

    Raises NotInstalled if it is not installed, and LibraryBroken, with the library's own error, if it does not load.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise NotInstalled(what, name, extra) from None
        raise LibraryBroken(what, name, error) from None
    except Exception as error:
        raise LibraryBroken(what, name, error) from None
