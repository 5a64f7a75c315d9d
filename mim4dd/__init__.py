"""mim4dd: distil a data set, score the synthetic set, and measure its information about the real one.

    import mim4dd

    data = mim4dd.load("digits")
    network = mim4dd.ConvNet(width=32)
    synthetic = mim4dd.distill(data.train, method=mim4dd.Mim(base=mim4dd.DM(iterations=300)), network=network)
    print(mim4dd.evaluate(synthetic, data.validation, network=network).mean)

Names are imported when they are first used: listing components needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mim4dd.data import load
    from mim4dd.evaluation import evaluate
    from mim4dd.methods import DM, METHODS, FullData, Mim, RandomReal
    from mim4dd.methods.loop import distill
    from mim4dd.networks import NETWORKS, ConvNet, ModuleNetwork, from_module
    from mim4dd.protocol import RESULTS_VERSION
    from mim4dd.records import ImageData, Score, Splits, Synthetic
    from mim4dd.sets import export_set, read_set
    from mim4dd.train import Recipe

_MODULES = {
    "load": "mim4dd.data",
    "evaluate": "mim4dd.evaluation",
    "distill": "mim4dd.methods.loop",
    "RESULTS_VERSION": "mim4dd.protocol",
    "Recipe": "mim4dd.train",
    **dict.fromkeys(("DM", "METHODS", "FullData", "Mim", "RandomReal"), "mim4dd.methods"),
    **dict.fromkeys(("NETWORKS", "ConvNet", "ModuleNetwork", "from_module"), "mim4dd.networks"),
    **dict.fromkeys(("ImageData", "Score", "Splits", "Synthetic"), "mim4dd.records"),
    **dict.fromkeys(("export_set", "read_set"), "mim4dd.sets"),
}

__all__ = [
    "DM",
    "METHODS",
    "NETWORKS",
    "RESULTS_VERSION",
    "ConvNet",
    "FullData",
    "ImageData",
    "Mim",
    "ModuleNetwork",
    "RandomReal",
    "Recipe",
    "Score",
    "Splits",
    "Synthetic",
    "distill",
    "evaluate",
    "export_set",
    "from_module",
    "load",
    "read_set",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mim4dd' has no attribute '{name}'")
