"""Where things are kept: the output, the checkpoint, and the caches of checkpoints. No secret is ever said."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from botocore.session import Session  # type: ignore[import-untyped]

from jobs.checks.finding import Finding, fine, note, problem
from jobs.checks.machine import GIGABYTE, LITTLE_DISK
from jobs.describing import described
from models import CheckpointError, SourceError, load_model
from pipeline.knocking import knock
from pipeline.storage import S3, Store, StoreError, parse
from pipeline.stores import s3

SKEW = 300.0
"""Seconds by which clocks may differ: signatures of requests are refused beyond 15 minutes."""
ADVICE = {
    "Denied": "give the credentials the right to list, read and write there, or name another output",
    "NotFound": "make the bucket, or mend its name",
}


def storage(output: str) -> Iterator[Finding]:
    """Whether an output can be written, and what its store promises."""
    try:
        place = parse(output)
        if place[0] in S3:
            yield from credentials()
        knock(output)
        probe = Store(output).probe()
    except StoreError as error:
        yield problem("output", str(error), ADVICE.get(error.kind, "mend that, or name another output"))
        return
    if probe.exclusive and probe.conditional:
        yield fine("output", f"{output} can be written; {probe.words}")
    else:
        yield note("output", f"{output} can be written; {probe.words}", "keep its runs from overlapping")
    if place[0] in S3:
        yield _clock(place[1])


def credentials() -> Iterator[Finding]:
    """Where those of S3 come from."""
    found = Session().get_credentials()
    if found is None:
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or aws configure, or give the machine a role"
        yield problem("credentials", "none for S3 in the environment, the configuration or the machine's role", remedy)
    else:
        place = os.environ.get("AWS_ENDPOINT_URL")
        yield fine("credentials", f"for S3, from {found.method}" + (f"; the server is {place}" if place else ""))


def checkpoint(ref: str) -> Iterator[Finding]:
    """Whether a checkpoint can be fetched and loaded."""
    try:
        found = described(ref, load_model(ref))
    except (CheckpointError, SourceError) as error:
        yield problem("model", str(error), "steno models REF says more")
        return
    yield fine("model", f"{ref}: {found.architecture}, {found.parameters / 1e6:,.1f} million parameters")


def caches() -> Iterator[Finding]:
    """Where fetched checkpoints go, and whether the hub may be asked."""
    ours = Path(os.environ.get("STENOPOOL_CACHE") or "~/.cache/stenopool").expanduser()
    hub = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    yield _cache("cache", ours, "STENOPOOL_CACHE")
    yield _cache("hub cache", hub, "HF_HOME")
    if any(os.environ.get(name, "0").lower() in {"1", "true", "yes", "on"} for name in ("HF_HUB_OFFLINE",)):
        yield note("hub", "HF_HUB_OFFLINE is set: only what is in the cache can be had", "unset it to fetch more")


def _cache(about: str, folder: Path, variable: str) -> Finding:
    """Whether it, or the nearest folder above it, can be written to."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(there, os.W_OK):
        return problem(about, f"{folder} cannot be written", f"set {variable} to a folder that can")
    free = shutil.disk_usage(there).free / GIGABYTE
    said = f"{folder}, {free:.1f} GB free"
    return note(about, said, f"set {variable} to a larger disk") if free < LITTLE_DISK else fine(about, said)


def _clock(path: str) -> Finding:
    """Signatures of requests hold a time: far from the server's they are refused."""
    try:
        reply = s3.call_bucket("head_bucket", path.partition("/")[0], {})
    except OSError as error:
        return note("clock", f"the store does not tell its time ({type(error).__name__})")
    told = reply["ResponseMetadata"]["HTTPHeaders"]["date"]  # type: ignore[index]
    skew = abs((datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds())
    if skew > SKEW:
        return problem("clock", f"{skew:,.0f} s from the store's", "let the machine set its clock (NTP)")
    return fine("clock", f"within {max(1.0, skew):.0f} s of the store's")
