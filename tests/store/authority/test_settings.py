"""The Backup settings: valid values, what is stored, and that only the authority changes them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority import audit, configuration
from store.authority.settings import FIRST, Settings, Unavailable, parse_setting, read_settings
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.space.rotation import Removal, RemovesMore, removal_token, would_remove
from store.terms.errors import MailholdError, SettingError, TamperedError
from store.terms.records import CopyRecord
from store.terms.sizes import GIB, MIB
from store.vault.vault import Vault

DEFAULT = Settings()


def changed(name: str, value: str, settings: Settings = DEFAULT) -> Settings:
    return parse_setting(settings, name, value)[0]


def warning(name: str, value: str, settings: Settings = DEFAULT) -> str | None:
    return parse_setting(settings, name, value)[1]


def test_defaults_are_the_spec_s() -> None:
    assert DEFAULT.max_size == 7500 * MIB
    assert not DEFAULT.allow_infected
    assert 0 < DEFAULT.notify_below < DEFAULT.max_size
    assert [option.label for option in Unavailable] == ["Process messages", "Temporary fail", "Reject messages"]


def test_a_new_store_has_what_the_documentation_says() -> None:
    """The table in docs/commands.md; a store without settings of its own differs from it in one."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "commands.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (?:`([^`|]*)`)? ?\| ", text.partition("| in a new store |")[2], re.MULTILINE)
    assert {name for name, _ in rows} == set(Settings.__struct_fields__)
    shortened = {"hold": "15", "hold_many": "300"}  # in tests nothing is held
    for name, value in rows:
        assert shortened.get(name, value) == value
        assert name in shortened or getattr(parse_setting(FIRST, name, value)[0], name) == getattr(FIRST, name), name
    assert msgspec.structs.replace(DEFAULT, if_unavailable=Unavailable.TEMPORARY_FAIL) == FIRST
    assert DEFAULT.if_unavailable is Unavailable.PROCESS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_size", "7.32 GB", 7500 * MIB),
        ("max-size", "100MB", 100 * MIB),
        ("MAX_SIZE", "1 byte", 1),
        ("notify_below", "0", 0),
        ("notify_below", "1 GB", GIB),
        ("allow_infected", "Yes", True),
        ("allow_infected", "true", True),
        ("allow_infected", "0", False),
        ("if_unavailable", "temporary-fail", Unavailable.TEMPORARY_FAIL),
        ("if_unavailable", "Temporary fail", Unavailable.TEMPORARY_FAIL),
        ("if_unavailable", "process", Unavailable.PROCESS),
        ("if_unavailable", "Reject messages", Unavailable.REJECT),
        ("relay", "smtp://127.0.0.1:10025", "smtp://127.0.0.1:10025"),
        ("relay", "", ""),
        ("administrator", " admin@example.org ", "admin@example.org"),
        ("administrator", "", ""),
        ("lock_after", "15", 15),
        ("lock_after", "15 min", 15),
        ("lock_after", "1 minute", 1),
        ("lock_after", "1440minutes", 1440),
        ("lock_after", "off", 0),
        ("lock_after", "", 0),
        ("lock_after", "0", 0),
        ("release_loops", "yes", True),
        ("release_ignores", "X-Relay-Note, x-other X-RELAY-NOTE", ("X-Relay-Note", "x-other")),
        ("release_ignores", " ", ()),
    ],
)
def test_values_that_are_taken(name: str, value: str, expected: object) -> None:
    key = name.lower().replace("-", "_")
    assert changed(name, value) == msgspec.structs.replace(DEFAULT, **{key: expected})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_size", "0"),
        ("max_size", ""),
        ("max_size", "a lot"),
        ("max_size", "200"),
        ("notify_below", "200"),
        ("max_size", "-5 GB"),
        ("notify_below", "10 %"),
        ("allow_infected", "maybe"),
        ("allow_infected", ""),
        ("if_unavailable", "shrug"),
        ("relay", "127.0.0.1:25"),
        ("relay", "smtp://user:secret-word@mail.example.org"),
        ("administrator", "nobody"),
        ("lock_after", "-1"),
        ("lock_after", "1.5"),
        ("lock_after", "1441"),
        ("lock_after", "15 s"),
        ("lock_after", "15h"),
        ("lock_after", "9" * 5000),
        ("release_loops", "maybe"),
        ("release_ignores", "Date"),
        ("release_ignores", "X-Relay, message-id"),
        ("release_ignores", "List-Unsubscribe"),
        ("release_ignores", "resent-to"),
        ("release_ignores", "MIME-Version"),
        ("release_ignores", "content-foo"),
        ("release_ignores", "X-Mailhold-Delivery"),
        ("release_ignores", "Received"),
        ("release_ignores", "X-Spam-Flag"),
        ("release_ignores", "X-Relay:"),
        ("release_ignores", "X-Rélay"),
        ("release_ignores", " ".join(f"X-{number}" for number in range(21))),
        ("administrator", "a@example.org, b@example.org"),
        ("colour", "red"),
        ("", ""),
    ],
)
def test_values_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse_setting(DEFAULT, name, value)
    assert str(refused.value).endswith(".")
    assert "secret-word" not in str(refused.value)


@given(st.sampled_from([*Settings.__struct_fields__, "other"]), st.text(max_size=40))
def test_any_text_is_a_setting_or_a_clear_error(name: str, value: str) -> None:
    try:
        settings, _ = parse_setting(DEFAULT, name, value)
    except SettingError as error:
        assert str(error)
    else:
        assert settings.max_size > 0


def test_less_than_100_mb_is_warned_about_and_not_refused() -> None:
    assert changed("max_size", "99 MB").max_size == 99 * MIB
    assert "below 100 MB is not recommended" in (warning("max_size", "104857599 bytes") or "")
    assert "threshold" in (warning("max_size", "50 MB") or "")
    small = Settings(notify_below=MIB)
    assert warning("max_size", "100 MB", small) is None


def test_a_threshold_above_the_maximum_is_warned_about() -> None:
    assert "threshold" in (warning("notify_below", "7.32 GB") or "")
    assert "threshold" in (warning("max_size", "200 MB") or "")
    assert warning("notify_below", "7 GB") is None


def test_allowing_infected_messages_is_warned_about() -> None:
    assert "security threat" in (warning("allow_infected", "yes") or "")
    assert warning("allow_infected", "no") is None


def test_what_is_written_is_read(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    assert read_settings(any_vault) == DEFAULT
    new = Settings(
        max_size=GIB,
        notify_below=5,
        allow_infected=True,
        if_unavailable=Unavailable.REJECT,
        relay="smtps://u:p@mail.example.org:465",
        administrator="admin@example.org",
    )
    change_settings(any_vault, new, operator="ada")
    assert read_settings(any_vault) == new
    assert read_settings(open_again()) == new
    assert usage(any_vault).max_bytes == GIB


def test_a_change_is_an_event_without_the_password(any_vault: Vault) -> None:
    change_settings(any_vault, Settings(max_size=GIB, relay="smtps://u:pass-word@mail.example.org"), operator="ada")
    (event,) = audit.events(any_vault)
    assert event.operator == "ada"
    assert event.action == "settings changed"
    assert "7.32 GB -> 1 GB" in event.detail
    assert "mail.example.org" in event.detail
    assert "pass-word" not in event.detail


def test_writing_the_same_again_does_nothing(any_vault: Vault) -> None:
    change_settings(any_vault, DEFAULT)
    assert audit.events(any_vault) == []
    assert any_vault.models.Configuration.select().count() == 0


def test_two_operators_do_not_undo_each_other(any_vault: Vault) -> None:
    base = read_settings(any_vault)
    change_settings(any_vault, changed("administrator", "admin@example.org", base), base=base)
    in_force = change_settings(any_vault, changed("allow_infected", "yes", base), base=base)
    assert in_force == read_settings(any_vault)
    assert read_settings(any_vault) == Settings(administrator="admin@example.org", allow_infected=True)


def test_another_process_s_maximum_counts_at_once(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    other = open_again()
    for _ in range(4):
        any_vault.put(os.urandom(50_000), CopyRecord())
    change_settings(other, Settings(max_size=3 * 60_000))
    assert usage(any_vault).max_bytes == 3 * 60_000
    any_vault.put(os.urandom(50_000), CopyRecord())
    assert any_vault.count().used_bytes <= 3 * 60_000


def test_the_file_holds_no_setting_in_plain_text(vault: Vault) -> None:
    change_settings(vault, Settings(relay="smtp://relay-host.example:25", administrator="who@admin-domain.example"))
    vault.close()
    for path in Path(vault.location).parent.iterdir():
        content = path.read_bytes() if path.is_file() else b""
        assert b"relay-host" not in content
        assert b"admin-domain" not in content


def test_a_newer_release_s_settings_keep_their_known_part(vault: Vault) -> None:
    configuration.write(vault, "settings", {"max_size": GIB, "colour": "red"})
    assert read_settings(vault) == Settings(max_size=GIB)
    configuration.write(vault, "settings", {"if_unavailable": "shrug"})
    with pytest.raises(MailholdError, match="newer release"):
        read_settings(vault)


def test_settings_that_were_altered_are_not_used_nor_written_over(any_vault: Vault) -> None:
    change_settings(any_vault, Settings(allow_infected=True))
    row = any_vault.models.Configuration.get()
    sealed = bytearray(row.sealed)
    sealed[-1] ^= 1
    any_vault.models.Configuration.update(sealed=bytes(sealed)).execute()
    with pytest.raises(TamperedError, match="Settings"):
        read_settings(any_vault)
    with pytest.raises(TamperedError):
        change_settings(any_vault, DEFAULT)


def test_a_smaller_maximum_is_refused_where_more_would_go_than_was_confirmed(any_vault: Vault) -> None:
    ids = any_vault.put_many((os.urandom(20_000), CopyRecord(), None) for _ in range(6))
    maximum = any_vault.count().used_bytes * 2 // 3
    confirmed = would_remove(any_vault, maximum)
    assert (confirmed.copies, confirmed.held, confirmed.last_id) == (2, 6, ids[1])
    any_vault.put(os.urandom(20_000), CopyRecord())
    wanted = Settings(max_size=maximum, allow_infected=True)
    for too_few in (confirmed, Removal(), confirmed._replace(last_id=ids[0])):
        with pytest.raises(RemovesMore) as refused:
            change_settings(any_vault, wanted, base=Settings(), confirmed=too_few)
        assert refused.value.removal.copies == 3
    assert read_settings(any_vault) == Settings() and len(any_vault.ids()) == 7
    change_settings(any_vault, wanted, base=Settings(), confirmed=refused.value.removal)
    assert any_vault.ids() == [*ids[3:], ids[-1] + 1]
    assert read_settings(any_vault).max_size == maximum


def test_what_would_go_is_looked_at_before_the_transaction_and_again_where_it_changed(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_vault.put_many((os.urandom(20_000), CopyRecord(), None) for _ in range(6))
    maximum = any_vault.count().used_bytes * 2 // 3
    confirmed = would_remove(any_vault, maximum)
    locked: list[bool] = []

    def looked(vault: Vault, maximum: int, bin_share: int) -> Removal:
        locked.append(vault.db.in_transaction())
        return would_remove(vault, maximum, bin_share)

    monkeypatch.setattr("store.space.changing_settings.would_remove", looked)
    token = removal_token(any_vault)
    change_settings(any_vault, Settings(max_size=maximum), confirmed=confirmed)
    assert locked == [False] and removal_token(any_vault) != token
    read = iter((token, None))
    monkeypatch.setattr("store.space.changing_settings.removal_token", lambda vault: next(read))
    confirmed = would_remove(any_vault, maximum - 1)
    change_settings(any_vault, Settings(max_size=maximum - 1), confirmed=confirmed)
    assert locked == [False, False, True]


def test_what_was_confirmed_may_be_less_by_then(any_vault: Vault) -> None:
    ids = any_vault.put_many((os.urandom(20_000), CopyRecord(), None) for _ in range(6))
    maximum = any_vault.count().used_bytes * 2 // 3
    confirmed = would_remove(any_vault, maximum)
    any_vault.delete(ids[:1])
    change_settings(any_vault, Settings(max_size=maximum), confirmed=confirmed)
    assert any_vault.ids() == ids[2:]


def test_a_change_that_leaves_the_maximum_needs_no_confirmation(any_vault: Vault) -> None:
    any_vault.put(os.urandom(20_000), CopyRecord())
    change_settings(any_vault, Settings(max_size=1))  # the newest copy stays, although it exceeds the maximum
    for settings in (Settings(max_size=1, allow_infected=True), Settings(max_size=2)):
        assert change_settings(any_vault, settings, confirmed=Removal()) == settings
