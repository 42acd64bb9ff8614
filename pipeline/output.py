"""What lies in an output's folder, and whose it is.

run.json                     what makes its words: model and options; written once, and every later run is held to it
plan/000001.parquet          what there was to read, one file per generation
transcripts/<shard>.parquet  one per shard; a file that exists is finished work
runs/<run_id>.json           what each run did, and how it ended
lease.json                   who is writing now
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipeline.storage import Store
from pipeline.stores.errors import scrubbed

Scalar = str | int | float | bool | None

IDENTITY, PLANS, TRANSCRIPTS, RUNS = "run.json", "plan", "transcripts", "runs"
PARQUET, JSON = ".parquet", ".json"
DONE = "done"
"""How a run ended that came to its end, as its record says it; one of an earlier version says nothing."""
SCHEMA_VERSION = 2
"""Of the table of transcripts; raised when a column changes its meaning."""
DESCRIPTIVE = ("model", "revision", "program")
"""Fields that say where words come from without deciding them: the same weights may lie under two names."""


@dataclass(frozen=True)
class Identity:
    """What decides the words of an output."""

    model: str
    """The model as the user named it: a path, or a name on a hub."""
    revision: str | None
    """The commit on the hub, where there is one."""
    weights: str
    """A hash of everything in the checkpoint that decides words: weights, configuration, vocabulary."""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    """The options that change words, by their names."""
    program: str = ""
    """The version of this program. Recorded, not compared."""
    schema: int = SCHEMA_VERSION
    """The version of the table."""

    @property
    def fingerprint(self) -> str:
        """The same for two runs whose words agree."""
        decisive = {name: value for name, value in flat(self).items() if name not in DESCRIPTIVE}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


class OutputDiffersError(Exception):
    """The output was made by another model or with other options."""


def claim(store: Store, identity: Identity) -> None:
    """Make the output this identity's, or check that it is: `OutputDiffersError` names every field that differs."""
    record = json.dumps({**asdict(identity), "options": dict(identity.options)}, indent=2, sort_keys=True)
    if not store.create(IDENTITY, record.encode()):
        check_identity(store, identity)


def check_identity(store: Store, identity: Identity) -> None:
    """Pass where the output is this identity's; `OutputDiffersError` names every field that differs."""
    there = read_identity(store)
    if there.fingerprint != identity.fingerprint:
        raise OutputDiffersError(refusal(store, flat(there), flat(identity)))


def read_identity(store: Store) -> Identity:
    """Whose output this is."""
    return Identity(**json.loads(store.read(IDENTITY)))


def refusal(store: Store, there: Mapping[str, Scalar], here: Mapping[str, Scalar]) -> str:
    """Every difference on a line, and what to do."""
    both = [(name, shown(there, name), shown(here, name)) for name in {**there, **here} if name != "program"]
    lines = [f"  {name}: {old} there, {new} here" for name, old, new in both if old != new]
    head = f"{store.url} was written by another model or with other options:"
    return "\n".join([head, *lines, "Use another output, or the model and the options that are there."])


def shown(fields: Mapping[str, Scalar], name: str) -> str:
    """A value as a person reads it."""
    return "not set" if name not in fields else json.dumps(fields[name])


def flat(identity: Identity) -> dict[str, Scalar]:
    """The fields, with each option as one of them."""
    fields: dict[str, Scalar] = {
        "model": identity.model,
        "revision": identity.revision,
        "weights": identity.weights,
        "schema": identity.schema,
        "program": identity.program,
    }
    return fields | {f"option {name}": value for name, value in sorted(identity.options.items())}


def transcript_name(shard: str) -> str:
    """Where a shard's table lies."""
    return f"{TRANSCRIPTS}/{shard}{PARQUET}"


def plan_name(generation: int) -> str:
    """Where a generation's plan lies."""
    return f"{PLANS}/{generation:06}{PARQUET}"


def done(store: Store) -> Iterator[str]:
    """The shards that are finished, in order, as a stream."""
    for entry in store.names(TRANSCRIPTS):
        if entry.uri.endswith(PARQUET):
            yield entry.uri.removeprefix(f"{TRANSCRIPTS}/").removesuffix(PARQUET)


def generations(store: Store) -> list[int]:
    """The generations that are planned, oldest first."""
    names = (entry.uri.removeprefix(f"{PLANS}/").removesuffix(PARQUET) for entry in store.names(PLANS))
    return sorted(int(name) for name in names if name.isdigit())


def add_generation(store: Store, generation: int, plan: bytes) -> bool:
    """Write a generation's plan; False where another run has planned it already."""
    return store.create(plan_name(generation), plan)


def record_run(store: Store, run_id: str, record: Mapping[str, object]) -> None:
    """Write, or write again, what a run did. It holds what was typed, so credentials are blacked out."""
    store.put(f"{RUNS}/{run_id}{JSON}", json.dumps(scrubbed(record), indent=2, sort_keys=True).encode())


def read_run(store: Store, run_id: str) -> dict[str, object] | None:
    """What a run did, if it came to its end."""
    name = f"{RUNS}/{run_id}{JSON}"
    if all(entry.uri != name for entry in store.names(RUNS)):
        return None
    record: dict[str, object] = json.loads(store.read(name))
    return record if _is_done(record) else None


def read_runs(store: Store) -> Iterator[dict[str, object]]:
    """What each run did that came to its end, in the order of their names."""
    for entry in store.names(RUNS):
        if entry.uri.endswith(JSON) and _is_done(record := json.loads(store.read(entry.uri))):
            yield record


def begun(record: Mapping[str, object]) -> str:
    """When a run began, in UTC; a record without it has it in its name, where a logical date may stand instead."""
    try:
        named = datetime.strptime(str(record["run_id"])[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat()
    except ValueError:
        named = ""
    return str(record.get("began") or named)


def now() -> str:
    """What records call this moment."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_done(record: Mapping[str, object]) -> bool:
    return record.get("ended", DONE) == DONE
