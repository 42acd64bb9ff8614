"""Plans of one output, night after night."""

import io
from collections.abc import Iterator

import pyarrow as pa

from pipeline.inputs.earlier import Form
from pipeline.inputs.found import PlanRules
from pipeline.inputs.naming import named
from pipeline.inputs.rows import Row, unpacked
from pipeline.plan import plan, shards_of
from pipeline.planfile import earlier, new_or_changed, write_plan


class Nights:
    """Each plan holds what is new or changed."""

    def __init__(self) -> None:
        self.plans: list[io.BytesIO] = []

    def plan(self, *inputs: object, **said: object) -> list[Row]:
        """The rows that a night adds."""
        rules = PlanRules(generation=len(self.plans) + 1, **said)  # type: ignore[arg-type]
        before = earlier(self.plans)
        return self._kept(list(new_or_changed(before, plan([str(name) for name in inputs], rules, before), rules)))

    def listed(self, rows: Iterator[Form]) -> list[Row]:
        """The same, of a listing that is given."""
        rules, before = PlanRules(generation=len(self.plans) + 1, shard_size=2), earlier(self.plans)
        return self._kept(list(new_or_changed(before, shards_of(named(rows, before), rules), rules)))

    def _kept(self, tables: list[pa.Table]) -> list[Row]:
        file = io.BytesIO()
        write_plan(tables, file, ["inputs"])
        self.plans.append(file)
        return [row for table in tables for _, row in unpacked(table)]
