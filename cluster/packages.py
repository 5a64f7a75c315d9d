"""Our packages, which are sent to a cluster's nodes and compared with theirs, and the libraries that they need."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from mim4dd.errors import InputError

PACKAGES = ("mim4dd", "mim4dd_cli", "perturbations", "studies", "cluster")
# The modules of the dependencies in pyproject.toml.
REQUIRED = (
    *("torch", "torchvision", "numpy", "scipy", "sklearn", "xarray", "pandas", "safetensors", "PIL"),
    *("ray", "optuna", "mlflow", "matplotlib", "jinja2", "markdown_it", "psutil", "pydantic"),
    "typing_extensions",
)
LEAST_PYTHON = (3, 11)


def package_folders() -> list[Path]:
    """The folder of each package as this process would import it.

    Raises: InputError for another module of that name.
    """
    folders = []
    for spec in filter(None, map(find_spec, PACKAGES)):
        if spec.submodule_search_locations is None:
            raise InputError(f"{spec.origin} hides our package {spec.name}; rename it, or start elsewhere")
        folders.append(Path(spec.submodule_search_locations[0]))
    return folders


def require_installed() -> None:
    """Require what every command of ours needs, without importing it.

    Raises: InputError for an old Python, or one without our dependencies.
    """
    remedy = "run `source .venv/bin/activate` in the checkout, or `make study`, which makes .venv first"
    if sys.version_info < LEAST_PYTHON:
        raise InputError(f"mim4dd needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}; {remedy}")
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        raise InputError(f"{sys.executable} does not have {', '.join(missing)}; {remedy}")
