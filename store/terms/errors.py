"""Every error that Mailhold raises on purpose, in one hierarchy.

    MailholdError                     what, why and what to do, in one sentence a user can act on
     ├─ UsageError                    a value that the user gave cannot be used (command line exit code 2)
     │   ├─ FilterError               a filter line that does not parse; knows the position
     │   ├─ SettingError              a setting's name or value is not valid
     │   ├─ RuleError                 a rule, or an entry of an address list, is not valid; knows the field
     │   ├─ AddressError              an email address that cannot be delivered to
     │   ├─ NotInstalled              a feature needs a library that is not installed; names the extra
     │   └─ LibraryBroken             a feature needs a library that is installed but does not load
     ├─ StoreError                    the store cannot carry out the request
     │   ├─ StoreMissing              nothing exists at that path or URL
     │   ├─ StoreExists               `init` found a store already there
     │   ├─ StoreFormat               not a store, or a format version that this version of Mailhold does not know
     │   ├─ StoreUnavailable          the database is locked, gone, read-only or its disk is full
     │   │   ├─ StoreReadOnly         the store can only be read
     │   │   ├─ StoreOlder            the store holds less than was seen of it: an older state was restored
     │   │   └─ StoreDamaged          a page of the database cannot be read, or was changed (a StoreFormat too)
     │   └─ CopyMissing               no copy has that id (any more)
     │       └─ CopyBinned            it was deleted and is in the bin
     ├─ UnlockError                   a key is missing, wrong, or lacks the right to do this
     │   ├─ WrongKey                  no key slot opens with the given passphrase, key file or recovery key
     │   ├─ KeyFileError              the key file is missing, unreadable, too open or not a key file
     │   ├─ LastSlot                  the last key slot cannot be removed
     │   └─ GatewayRevoked            the enrolment of this gateway was revoked
     ├─ TamperedError                 an AEAD, HPKE or signature check failed; names the copy, never partial text
     ├─ DeliveryError                 a delivery cannot be queued or sent
     │   ├─ InfectedRefused           the setting does not allow delivery of infected messages
     │   ├─ NoRelay                   no relay is set
     │   ├─ NoRecipients              nothing to send to
     │   └─ RelayError                the relay's address is wrong or it cannot be reached
     ├─ BackupError                   a backup of the store cannot be written, or does not verify
     ├─ IntakeError                   a file given to `import` cannot be read
     └─ SaveError                     a copy cannot be written to the folder

`str(error)` is complete: it says what happened, why, and what to do. It never holds message content.
"""

from __future__ import annotations


class MailholdError(Exception):
    """The base class: catch it at the outermost level and print `str(error)`."""


class UsageError(MailholdError):
    """A value that the user gave cannot be used."""


class FilterError(UsageError):
    """A filter line does not parse. `position` is the 0-based offset of the word that is wrong."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class SettingError(UsageError):
    """A setting's name or value is not valid."""


class RuleError(UsageError):
    """A rule or an address list entry is not valid. `field` names the rule's field ("" if it is no single one)."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class AddressError(UsageError):
    """An email address that cannot be delivered to."""


class NotInstalled(UsageError):
    """A requested feature needs a library that is not installed.

    The text names the extra of Mailhold that includes it.
    """

    def __init__(self, what: str, library: str, extra: str) -> None:
        """Say that `what` needs `library`: "The console needs Textual, which is not installed: …"."""
        super().__init__(
            f"{what} needs {library}, which is not installed. Run `pip install 'mailhold[{extra}]'` in the Python "
            "that runs Mailhold."
        )


class LibraryBroken(UsageError):
    """A requested feature needs a library that is installed but does not load.

    The text includes the library's error.
    """

    def __init__(self, what: str, library: str, error: Exception) -> None:
        """`error`: the exception raised by the import."""
        said = " ".join(str(error).split())[:300].rstrip(".")
        super().__init__(
            f"{what} needs {library}, which is installed but does not load ({type(error).__name__}: {said}). "
            "Reinstall it in the Python that runs Mailhold."
        )


class StoreError(MailholdError):
    """The store cannot carry out the request."""


class StoreMissing(StoreError):
    """Nothing exists at that path or URL."""


class StoreExists(StoreError):
    """A store is already there."""


class StoreFormat(StoreError):
    """Not a store, or a format version that this version of Mailhold does not know."""


class StoreUnavailable(StoreError):
    """The database is locked, gone, read-only or its disk is full."""


class StoreReadOnly(StoreUnavailable):
    """The store can only be read, and something was to change it."""


class StoreOlder(StoreUnavailable):
    """The store holds less than was seen of it before: an older state was restored."""


class StoreDamaged(StoreFormat, StoreUnavailable):
    """A page of the database cannot be read, or was changed.

    Either the file was altered or the disk fails; SQLite reports both alike. Catch it in code that skips damaged parts
    of a store, or that reports a failure during work.
    """

    def __init__(self, store: str, said: str) -> None:
        """Name the damaged store; `said` is the database's message."""
        super().__init__(
            f"The store {store} cannot be read completely ({said}): its disk is failing or its file is damaged. Look "
            "for disk errors in the system's log. `mailhold check` names what is damaged. If it cannot read the store "
            "either, restore a backup."
        )


class CopyMissing(StoreError):
    """No copy has that id, or it was deleted."""

    def __init__(self, copy_id: int, why: str = "") -> None:
        super().__init__(
            why or f"There is no message copy {copy_id}: it was deleted, removed by rotation, or never existed."
        )
        self.copy_id = copy_id


class CopyBinned(CopyMissing):
    """The copy was deleted and is in the bin."""

    def __init__(self, copy_id: int) -> None:
        super().__init__(
            copy_id, f"Message copy {copy_id} is in the bin. To restore it: `mailhold bin restore {copy_id}`."
        )


class UnlockError(MailholdError):
    """A key is missing, wrong, or lacks the right to do this."""


class WrongKey(UnlockError):
    """No key slot opens with the given passphrase, key file or recovery key."""


class KeyFileError(UnlockError):
    """The key file is missing, unreadable, readable by others, or not a key file."""


class LastSlot(UnlockError):
    """The last key slot cannot be removed."""


class GatewayRevoked(UnlockError):
    """The enrolment of this gateway was revoked."""


class TamperedError(MailholdError):
    """Sealed data does not verify: it was changed, damaged, or sealed for another place.

    `what` names the thing (``copy 17``, ``epoch 3``, ``setting``), `why` says what is wrong with it. Partial plaintext
    is never attached.
    """

    def __init__(self, what: str, why: str = "the seal does not verify") -> None:
        super().__init__(f"{what[:1].upper()}{what[1:]} is damaged or was tampered with: {why}. It was not used.")
        self.what = what
        self.why = why


class DeliveryError(MailholdError):
    """A delivery cannot be queued or sent."""


class InfectedRefused(DeliveryError):
    """The copy is infected or probably infected, and the setting does not allow delivery."""


class NoRelay(DeliveryError):
    """No relay is set."""


class NoRecipients(DeliveryError):
    """The delivery has no recipients."""


class RelayError(DeliveryError):
    """The relay's address is wrong or it cannot be reached."""


class BackupError(MailholdError):
    """A backup of the store cannot be written, or does not verify."""


class IntakeError(MailholdError):
    """A file given to `import` cannot be read."""


class SaveError(MailholdError):
    """A copy cannot be written to the folder."""
