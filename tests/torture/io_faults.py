"""I/O faults: each system call of SQLite fails once, by number, fails from there on, or is the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.system_calls import SYNC, Call, Fault, calls
from tests.torture.acts import ACTS, Act, at_hand, made
from tests.torture.processes import Process
from tests.torture.running import Broken, Run, Torture, remembering
from tests.torture.stores import Store

LAW = (
    "the error said plainly, nothing half done, as much done as was said, every id in exactly one place and `check` "
    "whole afterwards"
)
_FAULTS = {
    "pread": (Fault.LOST,),
    "pwrite": (Fault.LOST, Fault.FULL, Fault.SHORT, Fault.WRITTEN, Fault.END),
    "ftruncate": (Fault.LOST, Fault.END),
    "unlink": (Fault.LOST, Fault.END),
    SYNC: (Fault.LOST, Fault.WRITTEN, Fault.END),
}
#: The names of the faults.
_KIND = {"pread64": "pread", "pwrite64": "pwrite"}


def names_of(store: Store, act: Act) -> list[str]:
    """List the calls that an act makes without faults, in order."""
    seen = store.folder / "calls"

    def counted() -> int:
        with seen.open("w") as file:

            def note(call: Call) -> None:
                print(_KIND.get(call.name, call.name), file=file, flush=True)

            with calls(note):
                return act.run(store)

    process = Process(store.folder, "counted", counted).wait().sane()
    assert process.code == 0, process.err
    return seen.read_text().split()


def _trial(store: Store, act: Act, number: int, fault: Fault, ever: bool) -> Process:
    def answer(call: Call) -> Fault | None:
        if call.number < number or (call.number > number and not ever):
            return None
        fits = fault in _FAULTS[_KIND.get(call.name, call.name)]
        return fault if fits or fault is Fault.END else Fault.LOST

    def tortured() -> int:
        with calls(answer):
            return act.run(store)

    return Process(store.folder, "tortured", tortured).wait()


def trials(run: Run, names: dict[str, list[str]]) -> Iterator[tuple[str, int, Fault, bool]]:
    """Yield every act, call and fault, once and from there on, in random order."""
    every = [
        (act, number, fault, ever)
        for act, called in names.items()
        for number, name in enumerate(called)
        for fault in _FAULTS[name]
        for ever in ((False,) if fault is Fault.END else (False, True))
    ]
    run.dice.shuffle(every)
    # Alternate between acts, whatever their numbers of calls.
    by_act: dict[str, list[Any]] = {act: [each for each in every if each[0] == act] for act in names}
    while any(by_act.values()):
        for each in by_act.values():
            if each:
                yield each.pop()


def work(run: Run) -> None:
    folder = run.folder / "first"
    folder.mkdir()
    with remembering(folder):
        first = made(folder, 40)
    names: dict[str, list[str]] = {}
    for name, act in ACTS.items():
        with at_hand(run.folder / "counted", first) as store:
            names[name] = names_of(store, act)
    run.counts["calls known"] = sum(map(len, names.values()))
    for name, number, fault, ever in trials(run, names):
        if not run.more():
            break
        where = run.folder / "trial"
        with at_hand(where, first) as store:
            process = _trial(store, ACTS[name], number, fault, ever)
            try:
                if process.code != 9:
                    process.sane()
                done = ACTS[name].settle(store, process, run.sabotage)
            except Broken as error:
                how = f"`{name}`, call {number} ({names[name][number]}): {fault.value}{', from there on' * ever}"
                raise Broken(f"{error}\n{how}\n{process.out[-1000:]}{process.err[-2000:]}") from None
        run.counts["faults"] += 1
        run.counts["borne"] += process.code == 0
        run.counts["told as errors"] += process.code in (1, 2)
        run.counts["ends"] += process.code == 9
        run.counts["with all or a part done"] += done > 0


IO_FAULTS = Torture(LAW, work)
