"""Ray clusters: connecting to them."""

from cluster.connect import Connection, connect, disconnect, resolve_address
from cluster.messages import messages_to
from cluster.watch import ClusterLost, Watch

__all__ = ["ClusterLost", "Connection", "Watch", "connect", "disconnect", "messages_to", "resolve_address"]
