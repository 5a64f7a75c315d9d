"""The folders of our packages, which are sent to a cluster's nodes and compared with theirs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("mim4dd", "mim4dd_cli", "perturbations", "studies", "cluster")


def package_folders() -> list[Path]:
    """The folder of each package as this process would import it."""
    specs = {name: find_spec(name) for name in PACKAGES}
    return [Path((spec.submodule_search_locations or [])[0]) for spec in specs.values() if spec is not None]
