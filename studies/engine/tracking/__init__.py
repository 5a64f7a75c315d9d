"""Mirrors a study's folder in MLflow; the folder alone is authoritative, and MLflow can be filled from it again."""

from studies.engine.tracking.server import address, check
from studies.engine.tracking.tracker import Tracker, Untracked, sync

__all__ = ["Tracker", "Untracked", "address", "check", "sync"]
