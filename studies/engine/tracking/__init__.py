"""MLflow as a view of a study's folder: the truth is on disk, and the view can be rebuilt from it at any time."""

from studies.engine.tracking.server import address, check
from studies.engine.tracking.tracker import Tracker, Untracked, sync

__all__ = ["Tracker", "Untracked", "address", "check", "sync"]
