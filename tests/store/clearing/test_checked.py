"""The figures of an act on campaigns equal a plain recount, and every copy is counted once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from store.authority.deleting import delete_copies
from store.campaigns.marks import peel, read_marks
from store.campaigns.standing import Standing
from store.clearing.checked import LOOSE, RECENT_MS, Checked, Stay, Weakest, checked
from store.delivery.queue import release
from store.mail.outcome import State
from store.terms.findings import Finding, KnownSender
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.clearing.standings import campaign, standing_of
from tests.store.delivery.test_delivery_worker import use

NOW = 1_795_510_800_000
_REASONS = (
    Verdict(Engine.ANTI_SPAM, Status.SPAM),
    Verdict(Engine.ANTI_SPAM, Status.PROBABLE_SPAM),
    Verdict(Engine.ANTI_VIRUS, Status.INFECTED),
    None,
)


def record_of(rng: random.Random, number: int) -> CopyRecord:
    findings = tuple(Finding("rspamd", rng.choice((None, 6.2, 7.5, 19.0)), 15.0) for _ in range(rng.randrange(2)))
    known = rng.choice((None, KnownSender(), KnownSender(written_to=1), KnownSender(address_authenticated=2)))
    return CopyRecord(
        subject=str(number),
        envelope_sender="s@x.example",
        envelope_recipients=("a@corp.example",),
        reason=rng.choice(_REASONS),
        findings=findings,
        known=known,
    )


def fill(vault: Vault, rng: random.Random, count: int) -> list[int]:
    ages = (RECENT_MS - 1, RECENT_MS, 3 * RECENT_MS)
    return vault.put_many((b"x" * 50, record_of(rng, number), NOW - rng.choice(ages)) for number in range(count))


def recounted(
    vault: Vault, standing: Standing, chosen: set[int], scope: set[int] | None, states: dict[int, State]
) -> Any:
    """Recount, copy by copy, what `checked` must return."""
    taken_out = {copy for one in read_marks(vault)[0].peeled for copy in one.copies}
    of = {each.copy: one.id for one in standing.campaigns for each in one.odd}
    of |= {copy: one.id for one in standing.campaigns for copy in one.copies}
    about = scope
    if about is None:
        peeled_here = {c for one in read_marks(vault)[0].peeled if one.campaign in chosen for c in one.copies}
        about = {copy for copy, place in of.items() if place in chosen} | peeled_here
    stay = dict.fromkeys(Stay._fields, 0)
    found = Checked(NOW)
    campaigns, arriving = set(), set()
    for copy in vault.scan():
        if copy.id not in about:
            continue
        place = standing.place(copy.id)
        if copy.id in taken_out:
            stay["peeled"] += 1
        elif place is None:
            stay["alone"] += 1
        elif place.reasons:
            stay["odd"] += 1
        elif place.campaign not in chosen:
            stay["elsewhere"] += 1
        elif states.get(copy.id) is State.QUEUED:
            stay["waiting"] += 1
        else:
            found.ids.append(copy.id)
            campaigns.add(place.campaign)
            record, known = copy.record, copy.record.known
            found.condemned += record.reason is not None
            found.loose += place.fit < LOOSE
            found.unknown += known is None
            found.written_to += known is not None and known.written_to > 0
            found.let_through += known is not None and known.address_authenticated > 0
            found.delivered += states.get(copy.id) in (State.SENT, State.UNKNOWN)
            if NOW - copy.stored_at < RECENT_MS:
                arriving.add(place.campaign)
    owners = [one.mark.owner for one in standing.campaigns if one.id in campaigns and one.mark.owner]
    found.owners = tuple((owner, owners.count(owner)) for owner in sorted(set(owners)))
    found.campaigns, found.arriving, found.stay = len(campaigns), len(arriving), Stay(**stay)
    found.gone = len(about - set(vault.ids()))
    return found


@pytest.mark.parametrize("whole", [False, True], ids=["campaigns", "scope"])
@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_a_recount(any_vault: Vault, sql: Callable[..., Any], seed: int, whole: bool) -> None:
    rng = random.Random(seed)
    ids = fill(any_vault, rng, 700)
    standing = standing_of(ids, seed)
    chosen = set(rng.sample((1, 2, 3, 4), rng.randrange(1, 5)))
    for _ in range(3):
        one = rng.choice(standing.campaigns)
        peel(any_vault, one.id, rng.sample(list(one.copies), 5), one.copies[0])
    use(any_vault, 1)
    released = rng.sample(ids, 60)
    states = {}
    infected = {copy for copy, _why in release(any_vault, released, original=True, hold=0).refused}
    for copy in set(released) - infected:
        states[copy] = state = rng.choice((State.QUEUED, State.SENT, State.FAILED, State.UNKNOWN))
        if state is not State.QUEUED:
            finish = "UPDATE delivery SET state = ?, finished_at = 1 WHERE copy_id = ?"
            sql(any_vault, finish, state.value, copy)
            of_copy = "delivery_id IN (SELECT id FROM delivery WHERE copy_id = ?)"
            sql(any_vault, f"UPDATE delivery_recipient SET state = ? WHERE {of_copy}", state.value, copy)
    delete_copies(any_vault, rng.sample(sorted(set(ids) - set(released)), 40), operator="ada")
    scope = set(rng.sample(ids, 500)) if whole else None
    found = checked(any_vault, standing, chosen, scope=scope, now=NOW)
    wanted = recounted(any_vault, standing, chosen, scope, states)
    weakest, loosest = found.weakest, found.loosest
    found.weakest = found.loosest = None
    assert found == wanted
    places = {copy: standing.place(copy) for copy in found.ids}
    worst = min(place.fit for place in places.values() if place)
    assert loosest is not None and loosest.fit == worst
    assert places[loosest.copy] == (loosest.campaign, worst, ())
    assert weakest == weakest_of(any_vault, found.ids)
    # Every copy is gone already, stays, or will be deleted.
    about = scope if scope is not None else None
    if about is not None:
        assert found.total + found.stay.total + found.gone == len(about)


def weakest_of(vault: Vault, ids: list[int]) -> Weakest:
    """Choose the weakest verdict: probable spam, spam, infected; within a status the lowest score, none last."""
    order = (Status.PROBABLE_SPAM, Status.SPAM, Status.INFECTED)
    condemned = [copy for copy in vault.get_many(ids) if copy.record.reason]

    def key(copy: Any) -> tuple[int, float, int]:
        scores = [each.score for each in copy.record.findings if each.score is not None]
        return order.index(copy.record.reason.status), scores[0] if scores else 1e9, copy.id

    copy = min(condemned, key=key)
    scores = [each.score for each in copy.record.findings if each.score is not None]
    return Weakest(copy.id, copy.record.reason.engine, copy.record.reason.status, scores[0] if scores else None)


def test_a_damaged_copy_stays_and_is_told(vault: Vault, sql: Callable[..., Any]) -> None:
    ids = fill(vault, random.Random(1), 20)
    sql(vault, "UPDATE message SET stored_at = stored_at + 1 WHERE id = ?", ids[3])
    found = checked(vault, Standing([campaign(1, ids)]), [1], now=NOW)
    assert found.stay == Stay(damaged=1) and found.ids == [*ids[:3], *ids[4:]]


def test_nothing_is_chosen_by_an_id_that_there_is_not(vault: Vault) -> None:
    found = checked(vault, Standing(), [7], now=NOW)
    assert found == Checked(NOW)


def test_what_is_cancelled_answers_for_what_was_read(vault: Vault) -> None:
    ids = fill(vault, random.Random(2), 1200)
    looks: list[tuple[int, int]] = []
    found = checked(
        vault,
        Standing([campaign(1, ids)]),
        [1],
        now=NOW,
        progress=lambda done, of: looks.append((done, of)),
        cancelled=lambda: len(looks) == 2,
    )
    assert looks == [(500, 1200), (1000, 1200)]
    assert found.ids == ids[:1000]


def test_a_campaign_that_was_joined_is_the_one_it_was_joined_to(vault: Vault) -> None:
    ids = fill(vault, random.Random(3), 30)
    one = campaign(1, ids)._replace(parts=(4,))
    assert checked(vault, Standing([one]), [4, 1], now=NOW).ids == ids
