"""All setup steps for a gateway and its operators, in order."""

from __future__ import annotations

import shlex
from pathlib import Path

from store.authority.settings import Settings, parse_setting
from store.installing import accounts, files, operators, store_steps, texts, unit
from store.installing.places import GROUP, POSTFIX, USER, Places, Wanted
from store.installing.step import Step

_PACKAGED = Path("usr/lib")


def steps(wanted: Wanted) -> tuple[Places, list[Step]]:
    """Return the places of all files, and the steps. Nothing is changed before a step's `make`.

    Raises UsageError and SettingError for invalid requests.
    """
    places = Places(wanted)
    root = places.root
    package = root / _PACKAGED
    chosen = {"relay": wanted.relay, "administrator": wanted.administrator}
    for name, value in chosen.items():
        if value:
            parse_setting(Settings(), name, value)
    all_steps = [
        files.text_file(
            places.sysusers,
            users := texts.sysusers(places.postfix),
            _printed(users, places.sysusers),
            packaged=package / "sysusers.d/mailhold.conf",
        ),
        accounts.user(places),
    ]
    if places.postfix:
        all_steps.append(accounts.member(USER, POSTFIX, "because Postfix's smtpd opens the milter's socket"))
    all_steps += [
        files.folder(places.folder, "root", GROUP, 0o750),
        files.folder(places.state, USER, GROUP, 0o2770),
        files.folder(places.run, USER, GROUP, 0o755),
    ]
    if places.store_folder not in (None, places.state):
        assert places.store_folder is not None
        all_steps.append(files.folder(places.store_folder, USER, GROUP, 0o2770))
    if places.postfix:
        all_steps.append(files.folder(places.spool / "mailhold", USER, POSTFIX, 0o750))
    all_steps += [
        files.text_file(
            places.tmpfiles,
            folders := texts.tmpfiles(places),
            _printed(folders, places.tmpfiles),
            packaged=package / "tmpfiles.d/mailhold.conf",
        ),
        unit.unit_file(places),
        *([added] if (added := unit.drop_in(places)) else []),
        store_steps.key_file(places),
        store_steps.store(places, wanted),
        store_steps.credentials(places, wanted),
        *(store_steps.setting(places, name, value) for name, value in chosen.items() if value),
        files.text_file(
            places.config,
            texts.configuration(places),
            f"mailhold gateway --example-config > {places.config}, then edit it",
            group=GROUP,
            mode=0o640,
        ),
    ]
    for name in wanted.operators:
        if not places.is_url:
            all_steps.append(accounts.member(name, GROUP, "so that they can open the store's file"))
        all_steps.append(operators.key_of(places, name))
    return places, all_steps


def _printed(text: str, path: Path) -> str:
    return f"printf '%s\\n' {' '.join(shlex.quote(line) for line in text.splitlines())} > {path}"
