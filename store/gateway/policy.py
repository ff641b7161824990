"""The policy of a running gateway: settings, rules and address lists from the store, verified at each change.

Configuration that does not verify is refused, and the last verified one stays in force. So tampering with the database
changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from store.authority.configuration import remember_versions, seen_versions
from store.authority.kept_rows import remember_rows, rows_of
from store.authority.memory import WentBy
from store.authority.settings import NAME as SETTINGS
from store.authority.settings import Settings, read_settings
from store.database.connection import as_bytes, run, sound
from store.enrolment.enrolment import check_enrolment
from store.gateway.seen import SeenVersions
from store.judging.rules.address_lists import NAME as LISTS
from store.judging.rules.address_lists import AddressLists, read_lists
from store.judging.rules.rules import NAME as RULES
from store.judging.rules.rules import Rule, read_rules
from store.space.limits import last_known
from store.terms.errors import GatewayRevoked, MailholdError, StoreUnavailable

if TYPE_CHECKING:
    from store.vault.vault import Vault

ENROLMENT = "enrolment"
_NEWEST = (
    "SELECT name, version, changed_at, sealed, signature FROM configuration AS this "
    "WHERE version = (SELECT MAX(version) FROM configuration WHERE name = this.name) ORDER BY id"
)
_READERS: dict[str, tuple[str, Callable[[Vault], Any]]] = {
    SETTINGS: ("settings", read_settings),
    RULES: ("rules", read_rules),
    LISTS: ("lists", read_lists),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force. An item is None until it has verified once."""

    settings: Settings | None = None
    rules: tuple[Rule, ...] | None = None
    lists: AddressLists | None = None

    @property
    def complete(self) -> bool:
        """Whether all parts of the policy are known."""
        return self.settings is not None and self.rules is not None and self.lists is not None


class LivePolicy:
    """The policy as it changes in the store. `refused` maps configuration names that do not verify now to the reason.

    With `seen`, versions from before a restart are known, and older ones are refused.
    """

    def __init__(self, say: Callable[..., None], seen: SeenVersions | None = None) -> None:
        self.policy = Policy()
        self._seen = seen
        self._unkept = ""
        self.refused: dict[str, str] = {}
        self._say = say
        self._token: object = None
        self._digest = b""
        self._vault: Vault | None = None

    def refresh(self, vault: Vault) -> bool:
        """Check for changes and take them up; return True if anything changed. Blocking.

        Fast if nothing in the store changed. Raises StoreUnavailable, and GatewayRevoked if this gateway may not write
        any more.
        """
        if vault is not self._vault:
            self._vault, self._token, self._digest = vault, None, b""
            if self._seen is not None:
                seen = self._seen.of(vault.store_id)
                remember_versions(vault, seen.versions)
                remember_rows(vault, seen.configuration)
                vault.grants.remember(seen.grants)
        token = vault.change_token()
        if token == self._token:
            return False
        digest = self._look(vault)
        if digest == self._digest and not self.refused:
            self._token = token
            return False
        for name, (field, read) in _READERS.items():
            try:
                value = read(vault)
            except StoreUnavailable:
                raise
            except MailholdError as error:
                known = last_known(vault) if name == SETTINGS else None
                self._refuse(name, f"{error} {known}" if known else str(error))
                continue
            self._take(name)
            if value != getattr(self.policy, field):
                self.policy = replace(self.policy, **{field: value})
                self._say("configuration taken up", name=name)
        try:
            check_enrolment(vault)
            self._take(ENROLMENT)
        except (StoreUnavailable, GatewayRevoked):
            raise
        except MailholdError as error:
            self._refuse(ENROLMENT, str(error))
        self._keep(vault)
        # If rows changed during the reading, read again: a row put back later would otherwise look unchanged.
        same = self._look(vault) == digest
        self._token, self._digest = (token, digest) if same else (None, b"")
        return True

    def _keep(self, vault: Vault) -> None:
        why = ""
        if self._seen is not None and not vault.witness.problem:
            # While the store is older than what was seen, keep the file as it is.
            versions = seen_versions(vault)
            went_by = WentBy(versions, rows_of(vault, versions), _grants(vault))
            why = self._seen.keep(vault.store_id, went_by)
        if why and why != self._unkept:
            self._say("configuration versions not kept", level=logging.WARNING, why=why)
        self._unkept = why

    def _look(self, vault: Vault) -> bytes:
        """Hash the rows that the policy and the enrolment depend on."""
        gateway = vault.keys.gateway
        with vault.reading():
            found = [*run(vault.db, _NEWEST).fetchall()]
            found += run(vault.db, "SELECT store_id, read_key, authority_key, signature FROM store").fetchall()
            sql = "SELECT name, signing_key, delivery_key, enrolled_at, signature FROM gateway WHERE id = ?"
            found += run(vault.db, sql, gateway.gateway_id if gateway else 0).fetchall()
            found += vault.grants.held()
        digest = hashlib.sha256()
        for row in found:
            if row[0] != "free-space-notice":
                digest.update(repr([bytes(v) if isinstance(v, memoryview) else v for v in row]).encode())
        return digest.digest()

    def _refuse(self, name: str, why: str) -> None:
        if self.refused.get(name) != why:
            self.refused[name] = why
            self._say("configuration refused", level=logging.ERROR, name=name, why=why)

    def _take(self, name: str) -> None:
        if self.refused.pop(name, None) is not None:
            self._say("configuration verifies again", name=name)


def _grants(vault: Vault) -> list[tuple[int, bytes, bytes]]:
    with vault.reading(), sound("the grants of the configuration key"):
        return [(number, as_bytes(sealed), as_bytes(signature)) for number, sealed, signature in vault.grants.held()]
