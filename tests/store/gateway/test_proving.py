"""`mailhold gateway --check-config`: what the machine does not allow, and advice that gives nothing away."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from store.gateway import proving
from store.gateway.config import parse_config
from store.gateway.proving import Proof, proofs, scanner_proof

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folders of `mailhold setup --root`."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    for folder in ("etc/mailhold", "var/lib/mailhold"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("etc/mailhold/mailhold.toml", "etc/mailhold/gateway.credentials", "var/lib/mailhold/mail.store"):
        (tmp_path / file).touch(mode=0o600)
    return tmp_path


def proved(root: Path, more: str) -> list[Proof]:
    text = f"""\
[store]
location = "{root}/var/lib/mailhold/mail.store"
credentials = "{root}/etc/mailhold/gateway.credentials"
{more}
"""
    return list(proofs(root / "etc/mailhold/mailhold.toml", parse_config(text)))


def milter(listen: str) -> str:
    return f'[milter]\nlisten = ["{listen}"]'


def denied(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let nobody write to these folders, whoever runs the tests."""
    access = os.access
    barred = set(map(str, folders))
    monkeypatch.setattr(
        os, "access", lambda path, mode: not (mode & os.W_OK and str(path) in barred) and access(path, mode)
    )


def test_a_name_that_does_not_resolve_is_a_problem(root: Path) -> None:
    [found] = [each for each in proved(root, milter("nosuch.invalid:10025")) if each.why]
    assert found.what.endswith("listen on nosuch.invalid:10025")
    assert "the name nosuch.invalid cannot be resolved" in found.why


def test_an_address_of_another_machine_is_a_problem(root: Path) -> None:
    [found] = [each for each in proved(root, milter("192.0.2.7:10025")) if each.why]
    assert found.why.startswith("192.0.2.7 is no address of this machine")


@pytest.mark.parametrize("listen", ["127.0.0.1:10025", "localhost:10025", "0.0.0.0:10025"])
def test_addresses_of_this_machine_are_none(root: Path, listen: str) -> None:
    assert [each.why for each in proved(root, milter(listen)) if each.why] == []


@pytest.mark.parametrize(("listen", "warned"), [("0.0.0.0:10030", True), ("127.0.0.1:10030", False)])
def test_a_trusted_listener_that_others_reach_is_warned_of(root: Path, listen: str, warned: bool) -> None:
    found = proved(root, f'[[sink]]\nlisten = "{listen}"\ntrusted = true')
    assert not any(each.why for each in found)
    said = [str(each) for each in found if each.warning]
    assert bool(said) == warned
    assert all(each.startswith(f"▲ trusted = true on {listen}: everybody who can connect") for each in said)


SCANNER = '[engines.clamd]\naddress = "127.0.0.1:3310"\n'
SINK = '[[sink]]\nlisten = "127.0.0.1:10030"\n'


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (milter("127.0.0.1:10025"), True),
        (SCANNER + milter("127.0.0.1:10025"), False),
        (SINK + 'next_hop = "smtp://127.0.0.1:10026"', True),
        (SINK + 'next_hop = "smtp://127.0.0.1:10026"\ntrusted = true', False),
        (SINK, False),  # keeps everything
    ],
)
def test_no_scanner_is_warned_of(root: Path, text: str, warned: bool) -> None:
    found = proved(root, text)
    assert not any(each.why for each in found)
    assert [str(each)[:28] for each in found if each.warning] == ["▲ scanners: none is configur"] * warned


def test_the_credentials_folder_is_never_given_away(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "etc/mailhold"
    denied(monkeypatch, folder)
    [found] = [each for each in proved(root, milter("127.0.0.1:10025")) if each.why]
    assert found.what.startswith(f"{folder}, the record of")
    assert found.why == (
        f"permission denied: start the gateway (and this check) with STATE_DIRECTORY={root}/var/lib/mailhold"
    )
    monkeypatch.setenv("STATE_DIRECTORY", f"{root}/var/lib/mailhold")
    assert [each for each in proved(root, milter("127.0.0.1:10025")) if each.why] == []


def test_no_folder_is_given_away_that_may_be_of_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = root / "var/lib/mailhold"
    denied(monkeypatch, root / "etc/mailhold", store)
    why = [each.why for each in proved(root, milter("127.0.0.1:10025")) if each.why]
    assert len(why) == 2 and not any("chown" in each for each in why)
    assert f"use a folder of its own, for example install -d -o {ME} -m 0750 {store / ME}" in why[0]
    assert f"install -d -o {ME} -m 0750 /var/lib/mailhold, then start the gateway" in why[1]


def test_the_folder_of_a_socket_can_be_entered_by_the_mta(root: Path) -> None:
    folder = root / "run/elsewhere"
    [found] = [each for each in proved(root, milter(f"unix:{folder}/milter.sock")) if each.why]
    assert found.why == f"there is no folder {folder.parent}: install -d -o {ME} -m 0755 {folder}"
    file = root / "file"
    file.touch()
    [found] = [each for each in proved(root, milter(f"unix:{file}")) if each.why]
    assert found.why == "there is another file with that name: choose another name"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("", "✓ clamd: answers"),
        (
            "No such file or directory (unix:/x)",
            "✗ clamd answers: No such file or directory (unix:/x): start clamd, or",
        ),
        ("Permission denied (unix:/x)", "✗ clamd answers: Permission denied (unix:/x): let "),
    ],
)
def test_a_scanner_that_does_not_answer_has_a_line_with_advice(why: str, said: str) -> None:
    assert str(scanner_proof("clamd", why)).startswith(said)


def resolving(monkeypatch: pytest.MonkeyPatch, *found: tuple[int, str]) -> None:
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, 10025)) for family, address in found],
    )


def test_a_name_may_have_an_address_of_a_family_that_this_machine_lacks(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is in a container without IPv6 whose /etc/hosts lists ::1 for localhost; the listeners leave it out."""
    lacking = 12345
    resolving(monkeypatch, (lacking, "::1"), (socket.AF_INET, "127.0.0.1"))
    assert [each.why for each in proved(root, milter("localhost:10025")) if each.why] == []
    resolving(monkeypatch, (lacking, "::1"))
    [found] = [each for each in proved(root, milter("localhost:10025")) if each.why]
    assert found.why.startswith("localhost has no address that this machine can listen on")


@pytest.mark.parametrize("leaves_out", [True, False])
def test_a_name_with_an_address_of_another_machine_is_judged_as_the_listeners_do(
    root: Path, monkeypatch: pytest.MonkeyPatch, leaves_out: bool
) -> None:
    monkeypatch.setattr(proving, "_LEAVES_OUT", (3, 11) if leaves_out else (99,))
    resolving(monkeypatch, (socket.AF_INET, "192.0.2.7"), (socket.AF_INET, "127.0.0.1"))
    problems = [each.why for each in proved(root, milter("mx.example.org:10025")) if each.why]
    assert len(problems) == (not leaves_out)


@pytest.mark.parametrize(("first", "refused"), [("1024\n", True), ("25\n", False), ("0\n", False), (None, True)])
def test_low_ports_are_refused_where_the_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str | None, refused: bool
) -> None:
    setting = tmp_path / "ip_unprivileged_port_start"
    if first is not None:
        setting.write_text(first)
    monkeypatch.setattr(proving, "_FIRST_FREE", setting)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    said = str(proving._listening("127.0.0.1:25", "someone"))
    assert ("only root may use ports below 1024" in said) == refused and said.startswith("✗") == refused
