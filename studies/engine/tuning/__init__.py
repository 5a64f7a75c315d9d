"""Ray Tune around the trial: the only room of the studies that imports Ray.

A unit of work is one Tune trial: a single trial of a fixed design, or, in a search, a setting with all its seeds, since
a searcher must hear one number for a setting. `units` runs on the workers, in a `session` with the `monitor`, an actor
that keeps what must outlive a worker; `sharing` asks the `cache`, an actor that has shared inputs made once. `feeding`
and `fitting` run on the driver.
"""

from studies.engine.tuning.context import METRIC, ExecutionContext, Resources
from studies.engine.tuning.feeding import Sink
from studies.engine.tuning.fitting import open_context, reference_on_cluster, run_fixed, run_search
from studies.engine.tuning.search import Search

__all__ = [
    "METRIC",
    "ExecutionContext",
    "Resources",
    "Search",
    "Sink",
    "open_context",
    "reference_on_cluster",
    "run_fixed",
    "run_search",
]
