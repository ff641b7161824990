"""Which libraries are there: the base of Mailhold is the gateway and the commands, and its extras bring the others."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from store.terms.errors import LibraryBroken, NotInstalled


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


def imported(what: str, extra: str, module: str, name: str) -> ModuleType:
    """Import the library `module` (`name` in words), which `what` needs.

    Raises NotInstalled where it is not there, and LibraryBroken, with the library's own words, where it does not load.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise NotInstalled(what, name, extra) from None
        raise LibraryBroken(what, name, error) from None
    except Exception as error:
        raise LibraryBroken(what, name, error) from None
