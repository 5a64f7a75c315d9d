"""Running trials on Ray Tune: the only package of the studies that imports Ray.

A unit of work is one Tune trial: a single trial of a fixed design or, in a search, a setting with all its seeds, since
a searcher needs one number for a setting. On the workers: `units`, in a `session` with the `monitor`, an actor that
stores checkpoints and detects dead workers; `sharing`, which gets shared inputs from the `cache`, an actor that has
each of them made once. On the driver: `feeding` and `fitting`.

It imports nothing by itself: the two actors and the tasks that make inputs need neither Tune nor Optuna, which take
seconds to import.
"""
