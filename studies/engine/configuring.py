"""From a study's options to the configuration its trials share: data set, network, recipe, method, protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mim4dd.configuration import Configuration, configure
from mim4dd.data import source_digest
from mim4dd.protocol import RESULTS_VERSION
from mim4dd.registry import Flat
from studies.engine.options import Options


def configured(options: Options[Any], method: Flat, assigned: Mapping[str, str] | None = None) -> Configuration:
    """The configuration of data set, network, recipe and a method, under the protocol and the values of `--set`.

    method: its name and those of its parts; assigned: values to use instead of those of `--set`.
    Raises: UnknownNameError or KnobError.
    """
    return configure(
        source=options.dataset.partition(":")[0],
        method=method,
        network="convnet",
        protocol_name=options.protocol,
        assigned=options.assigned if assigned is None else assigned,
    )


def term_on_base(options: Options[Any]) -> Configuration:
    """The MI term on the base that `--base` names."""
    return configured(options, {"method": "mim", "method.base": options.base})


def shared_entries(options: Options[Any]) -> Flat:
    """The entries of every trial's configuration besides its components and its seed."""
    return {
        "dataset": dataset_name(options.dataset),
        "dataset_digest": source_digest(options.dataset),
        "ipc": options.ipc,
        "split_seed": options.split_seed,
        "protocol": options.protocol,
        "rules": RESULTS_VERSION,
        # Defaults are left out of the configuration, so that trials on clean data have one hash in every study.
        **({"classes_as": options.classes_as} if options.classes_as else {}),
        **({"selection": options.selection} if options.selection != "clean" else {}),
        **({"interim": True} if options.interim else {}),
        **({"tail": options.tail} if options.tail else {}),
    }


def dataset_name(spec: str) -> str:
    """A data set's name in rows and titles: without the folder of its file, which results must not depend on."""
    kind, colon, path = spec.partition(":")
    source = Path(path)
    return f"{kind}:{source.stem if kind == 'npz' else source.name}" if colon else kind
