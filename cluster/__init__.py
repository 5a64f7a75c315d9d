"""Ray clusters: connecting to them."""

from cluster.connect import Connection, connect, disconnect, resolve_address

__all__ = ["Connection", "connect", "disconnect", "resolve_address"]
