"""Protocols: named sets of knob values, printed with every table, and the version of the results they give."""

from __future__ import annotations

from mim4dd.registry import Flat, unknown

# Rows compare only within one version; whatever moves a number raises it, and the CHANGELOG says by how much.
# A trial's configuration stores it under the key "rules", which stays: the key is part of the trial's hash.
RESULTS_VERSION = "3"

PROTOCOLS: dict[str, Flat] = {
    "paper": {},
    "digits": {
        "network.width": 32,
        "iterations": 100,
        "batch_real": 16,
        "experts": 10,
        "expert_epochs": 20,
        "steps": 20,
        # MTT's published rate of the pixels is for CIFAR-10's images of 3,072 numbers; those of 64 need a smaller one.
        "mtt.lr": 3.0,
        "evaluation.epochs": 300,
        "evaluation.augment": "none",
    },
    "quick": {
        "network.width": 16,
        "iterations": 50,
        "batch_real": 16,
        "mtt.lr": 10.0,
        "experts": 5,
        "expert_epochs": 10,
        "steps": 10,
        "evaluation.epochs": 100,
        "evaluation.augment": "none",
        "evaluation.networks": 3,
    },
}


def protocol(name: str) -> Flat:
    """The knob values that a protocol sets; knobs that a method lacks are ignored.

    Raises: UnknownNameError for a protocol that does not exist.
    """
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
