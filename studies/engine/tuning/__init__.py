"""Ray Tune around the trial: the only room of the studies that imports Ray.

A unit of work is one Tune trial: a single trial of a fixed design, or, in a search, a setting with all its seeds, since
a searcher must hear one number for a setting. `units` runs on the workers, `feeding` and `fitting` on the driver, and
the `keeper` beside the driver keeps what must outlive a worker.
"""

from studies.engine.tuning.fitting import (
    METRIC,
    Resources,
    Search,
    Sink,
    Studio,
    open_studio,
    reference_on_cluster,
    run_fixed,
    run_search,
)

__all__ = [
    "METRIC",
    "Resources",
    "Search",
    "Sink",
    "Studio",
    "open_studio",
    "reference_on_cluster",
    "run_fixed",
    "run_search",
]
