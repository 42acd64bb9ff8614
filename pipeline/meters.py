"""The gauges on the engine: `ray.util.metrics`, which every node of a cluster offers to Prometheus.

Each process makes its own when it first counts something, so what travels to a worker is only the name of the run.
"""

from ray.util.metrics import Counter, Histogram
from ray.util.metrics import Gauge as Level

from pipeline.gauges import Gauge

SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
"""Where the bins of a spread end."""
RUN = "run"


class Meters:
    """Counts for one run, wherever it is called."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._made: dict[str, Counter | Level | Histogram] = {}

    def __reduce__(self) -> tuple[type["Meters"], tuple[str]]:
        return Meters, (self.run_id,)

    def __call__(self, gauge: Gauge, value: float, tag: str = "") -> None:
        """Add, set, or put into a spread."""
        meter = self._made.get(gauge.name) or self._made.setdefault(gauge.name, _meter(gauge))
        tags = {RUN: self.run_id} | ({gauge.tag: tag} if gauge.tag else {})
        if isinstance(meter, Counter):
            if value > 0:  # the engine refuses to count nothing
                meter.inc(value, tags)
        elif isinstance(meter, Level):
            meter.set(value, tags)
        else:
            meter.observe(value, tags)


def _meter(gauge: Gauge) -> Counter | Level | Histogram:
    tags = (RUN, gauge.tag) if gauge.tag else (RUN,)
    match gauge.kind:
        case "count":
            return Counter(gauge.name, gauge.about, tags)
        case "level":
            return Level(gauge.name, gauge.about, tags)
        case "spread":
            return Histogram(gauge.name, gauge.about, SECONDS, tags)
