"""Whether an output was planned from what is named now: a run works off its plan, and hears nothing else."""

from collections.abc import Sequence

from pipeline.output import generations, plan_name
from pipeline.planfile import Told, inputs_of, told_of
from pipeline.storage import Store, StoreError, parse, uri


def others(inputs: Sequence[str], store: Store) -> list[str]:
    """That the output was planned from other inputs, if it was: they would be left out without a word."""
    plans = [planned for number in generations(store) if (planned := _planned(store, number))]
    together = frozenset[str]().union(*plans)
    try:
        if not plans or _spelled(inputs) in (*plans, together):
            return []
    except StoreError as error:
        return [f"input: {error}"]
    return [
        f"input: {store.url} was planned from {', '.join(sorted(together))}, and a run works off its plan: name those "
        "to go on, add others with `steno incremental`, or use another output"
    ]


def differently(told: Told, store: Store) -> list[str]:
    """What is said of how inputs are read, and was not when they were planned: it would change nothing."""
    plans = [_told(store, number) for number in generations(store)]
    return [
        f"input: {store.url} was planned without {name} {_shown(value)}, and a run works off its plan: leave it out to "
        "go on, or use another output"
        for name, value in told.items()
        if all(plan.get(name) != (list(value) if isinstance(value, tuple) else value) for plan in plans)
    ]


def _told(store: Store, generation: int) -> Told:
    with store.open(plan_name(generation)) as file:
        return told_of(file)


def _shown(value: str | Sequence[str]) -> str:
    return repr(value) if isinstance(value, str) else ", ".join(value)


def _planned(store: Store, generation: int) -> frozenset[str]:
    with store.open(plan_name(generation)) as file:
        return _spelled(inputs_of(file))


def _spelled(inputs: Sequence[str]) -> frozenset[str]:
    """Each as storage spells it, wherever the command was typed."""
    return frozenset(uri(*parse(name)).rstrip("/") for name in inputs)
