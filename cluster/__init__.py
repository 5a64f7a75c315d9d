"""Ray clusters: connecting to them."""

import sys
from pathlib import Path

if sys.argv[:1] == ["-m"]:  # as `python -m cluster.preflight`: our packages come before those of the working folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster.connect import Connection, connect, disconnect, resolve_address
from cluster.messages import messages_to
from cluster.watch import ClusterLost, Watch, watch

__all__ = ["ClusterLost", "Connection", "Watch", "connect", "disconnect", "messages_to", "resolve_address", "watch"]
