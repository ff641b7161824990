"""The table of what is kept, against the spec's bullets status by status and action by action."""

from __future__ import annotations

from itertools import product

import pytest

from store.terms.verdicts import KEPT, Action, Engine, Status, is_kept, statuses_of

#: The five bullets of "About Backup", transcribed by hand: engine, status, actions after "before".
SPEC = """
anti-virus     infected            disinfect delete-attachment delete-message
anti-virus     probably-infected   disinfect delete-attachment delete-message
anti-virus     corrupted           disinfect delete-attachment delete-message
anti-virus     encrypted           disinfect delete-attachment delete-message
anti-spam      spam                delete-message
anti-spam      probable-spam       delete-message
anti-spam      blacklisted         delete-message
anti-spam      massmail            delete-message
anti-phishing  phishing            delete-message
anti-phishing  malicious-link      delete-message
content        banned-file-name    delete-attachment delete-message
content        banned-file-format  delete-attachment delete-message
content        size-exceeded       delete-message
black-list     blacklisted         delete-message
"""
EXPECTED = {
    (Engine(engine), Status(status), Action(action))
    for engine, status, *actions in (line.split() for line in SPEC.strip().splitlines())
    for action in actions
}


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", Action)
def test_every_status_and_action(engine: Engine, status: Status, action: Action) -> None:
    assert is_kept(engine, status, action) == ((engine, status, action) in EXPECTED)


def test_number_of_kept_triples() -> None:
    assert sum(is_kept(*triple) for triple in product(Engine, Status, Action)) == 4 * 3 + 4 + 2 + 2 * 2 + 1 + 1


def test_no_line_repeats_another() -> None:
    triples = [triple for line in KEPT for triple in product([line.engine], line.statuses, line.actions)]
    assert len(triples) == len(set(triples))


def test_nothing_is_kept_when_the_message_goes_on_or_back() -> None:
    for engine, status in product(Engine, Status):
        assert not is_kept(engine, status, Action.SKIP)
        assert not is_kept(engine, status, Action.REJECT)


def test_statuses_of_engines() -> None:
    assert statuses_of(Engine.ANTI_PHISHING) == {Status.PHISHING, Status.MALICIOUS_LINK}
    assert statuses_of(Engine.CONTENT) == {
        Status.BANNED_FILE_NAME,
        Status.BANNED_FILE_FORMAT,
        Status.SIZE_EXCEEDED,
    }
    assert all(statuses_of(engine) for engine in Engine)


def test_labels_are_the_spec_words() -> None:
    assert [engine.label for engine in Engine] == [
        "Anti-Virus",
        "Anti-Spam",
        "Anti-Phishing",
        "Content filtering",
        "Custom black list of addresses",
    ]
    labels = {status.label for status in Status}
    assert labels >= {
        "Infected",
        "Probably infected",
        "Corrupted",
        "Encrypted",
        "Spam",
        "Probable spam",
        "Blacklisted",
        "Massmail",
        "Phishing",
        "Malicious link",
        "Banned File Name",
        "Banned File Format",
        "Size Exceeded",
    }
    assert {action.label for action in Action} >= {"Disinfect", "Delete attachment", "Delete message"}
