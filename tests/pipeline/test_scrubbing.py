"""Credentials are blacked out in what is written as JSON, and it stays JSON."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.stores.errors import scrubbed

SECRET = "AKIACANARY0000000001"
TEXTS = st.text(st.sampled_from("ab\n\t\\\"'&=/:@<>{}[], "), max_size=9)
SIGNS = [f"?key={SECRET}", f"\n{SECRET}", f"://me:{SECRET}@host", f"bearer {SECRET}"]
PLANTED = st.tuples(TEXTS, st.sampled_from(SIGNS), st.sampled_from(["", '"b', "\\", "\n", " "])).map("".join)
VALUES = st.recursive(
    TEXTS | PLANTED | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXTS | PLANTED, part, max_size=3),
)


@settings(deadline=None)
@given(VALUES)
@example({"html": f'<a href="http://x/?key={SECRET}">link</a>'})
@example([f"the key:\n{SECRET}"])
def test_what_is_written_as_json_can_be_read_again_and_holds_no_secret(value: object) -> None:
    assert SECRET not in json.dumps(json.loads(json.dumps(scrubbed(value))))


@settings(deadline=None)
@given(VALUES.filter(lambda value: SECRET not in str(value) and "://" not in str(value)))
def test_what_holds_no_secret_stays_as_it_is(value: object) -> None:
    assert scrubbed(value) is value
