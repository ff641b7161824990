"""The expectations of the model of undo (`test_way_back_model`): what an act changes in the state seen last."""

from __future__ import annotations

from typing import Any

from tests.store.undoing.way_back import Act, Seen

#: The number of copies that fit, and the number that the bin's share holds.
MOST, SHARE = 12, 3
LIVE = ("queued", "deferred", "sending")
#: The state of each thing in a store, or its change by an act.
Shown = dict[Any, Any]


def flat(now: Seen) -> Shown:
    """Flatten to the place of each id (copy, in the bin or buried, once), delivery states per copy, and the rest."""
    where = [(each, "copy") for each in now.copies] + [(each, "bin") for each in now.binned]
    where += [(each, "gone") for each in now.buried]
    assert sorted(each for each, _ in where) == list(range(1, len(where) + 1))
    found: Shown = {("copy", each): place for each, place in where}
    for _, (copy_id, state) in sorted(now.queue.items()):
        found["queue", copy_id] = (*found.get(("queue", copy_id), ()), state)
    return found | {"black": now.black, "administrator": now.administrator, "filter": now.line}


class Model:
    """The state seen last, and the acts of each operator."""

    def __init__(self, now: Seen, operators: tuple[str, ...]) -> None:
        self.now = now
        #: The operator of each act in the bin.
        self.bin_acts: dict[int, str] = {}
        #: The acts by number, and those of each operator done and undone, newest last.
        self.acts: dict[int, tuple[str, Any]] = {}
        self.stacks: dict[str, tuple[list[int], list[int]]] = {each: ([], []) for each in operators}

    @property
    def where(self) -> list[int]:
        """All ids ever used."""
        return [*self.now.copies, *self.now.binned, *self.now.buried]

    def states(self, copy_id: int) -> list[str]:
        return [state for copy, state in self.now.queue.values() if copy == copy_id]

    def lives(self, copy_id: int) -> bool:
        return any(state in LIVE for state in self.states(copy_id))

    def served(self, copy_id: int, but: int = 0) -> bool:
        return any(
            copy == copy_id and state in (*LIVE, "sent") and each != but
            for each, (copy, state) in self.now.queue.items()
        )

    def moved(self, ids: list[int], place: str) -> Shown:
        return {("copy", each): place for each in ids}

    def turned(self, ids: list[int], state: str) -> Shown:
        """Return deliveries with one copy's delivery in another state."""
        found: Shown = {}
        for each in ids:
            copy_id = self.now.queue[each][0]
            of_copy = sorted(key for key, (copy, _) in self.now.queue.items() if copy == copy_id)
            found["queue", copy_id] = tuple(state if key == each else self.now.queue[key][1] for key in of_copy)
        return found

    def rotated(self, placed: int) -> Shown:
        copies, binned = [*self.now.copies], dict(self.now.binned)
        newest = len(copies) + len(binned) + len(self.now.buried) + placed
        copies += range(newest - placed + 1, newest + 1)
        gone: Shown = self.moved(copies[len(self.now.copies) :], "copy")
        over = len(copies) + len(binned) - MOST
        first = sorted(binned, key=lambda each: (binned[each], each))[: max(0, min(over, len(binned) - SHARE))]
        rest = [each for each in copies if each != newest and not self.lives(each)][: max(0, over - len(first))]
        return gone | self.moved([*first, *rest], "gone")

    def effect(self, number: int, operator: str, again: bool) -> Shown:
        """Return what undoing (or redoing) an act changes now."""
        kind, what = self.acts[number]
        copies, binned = set(self.now.copies), self.now.binned
        if kind == "delete":
            if again:
                return self.moved([each for each in what if each in copies and not self.lives(each)], "bin")
            return self.moved([each for each in what if self.bin_acts.get(binned.get(each, 0)) == operator], "copy")
        if kind == "release":
            states = {each: self.now.queue[each] for each in what}
            if not again:
                return self.turned(
                    [each for each, (_, at) in states.items() if at in ("queued", "deferred")], "cancelled"
                )
            able = [
                each
                for each, (copy_id, at) in states.items()
                if at == "cancelled" and copy_id in copies and not self.served(copy_id, each)
            ]
            return self.turned(able, "queued")
        before, after = reversed(what) if again else what
        present = flat(self.now)[kind]
        if kind == "black":
            merged = (present - (after - before)) | (before - after)
            return {kind: merged} if merged != present else {}
        return {kind: before} if present == after != before else {}

    def next(self, operator: str, again: bool) -> int:
        stack = self.stacks[operator][again]
        return next((each for each in stack[:-21:-1] if self.effect(each, operator, again)), 0)

    def expected(self, act: Act) -> Shown:
        what, operator, how = act
        copies = set(self.now.copies)
        match what:
            case "put":
                return self.rotated(how)
            case "delete":
                return self.moved([each for each in how if each in copies and not self.lives(each)], "bin")
            case "bring back" | "empty":
                return self.moved(
                    [each for each in how if each in self.now.binned], "copy" if what != "empty" else "gone"
                )
            case "release":
                able = [each for each in how if each in copies and not self.served(each)]
                return {("queue", each): (*self.states(each), "queued") for each in able}
            case "call back":
                able = [each for each in how if self.now.queue[each][1] in ("queued", "deferred")]
                return self.turned(able, "cancelled")
            case "block" | "unblock":
                black = self.now.black | {how} if what == "block" else self.now.black - {how}
                return {"black": black} if black != self.now.black else {}
            case "administrator" | "filter":
                return {what: how} if flat(self.now)[what] != how else {}
        number = self.next(operator, what == "redo")
        return self.effect(number, operator, what == "redo") if number else {}
