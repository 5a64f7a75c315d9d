"""Running trials on Ray Tune: the only package of the studies that imports Ray.

A unit of work is one Tune trial: a single trial of a fixed design or, in a search, a setting with all its seeds, since
a searcher needs one number for a setting. On the workers: `units`, in a `session` with the `monitor`, an actor that
stores checkpoints and detects dead workers; `sharing`, which gets shared inputs from the `cache`, an actor that has
each of them made once. On the driver: `feeding` and `fitting`.
"""

from studies.engine.tuning.context import METRIC, ExecutionContext, Resources
from studies.engine.tuning.feeding import Sink, Told
from studies.engine.tuning.fitting import open_context, run_fixed, run_search
from studies.engine.tuning.search import Search
from studies.engine.tuning.sharing import reference_made
from studies.engine.tuning.shipping import require_shippable

__all__ = [
    "METRIC",
    "ExecutionContext",
    "Resources",
    "Search",
    "Sink",
    "Told",
    "open_context",
    "reference_made",
    "require_shippable",
    "run_fixed",
    "run_search",
]
