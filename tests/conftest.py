"""What all tests share."""

from __future__ import annotations

import os

# Before anything imports torch or ray: idle OpenMP threads must not take the cores from workers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
