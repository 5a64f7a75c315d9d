"""From a study's options to what its trials share: data set, network, recipe, method, protocol and results version."""

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
    """Data set, network, recipe and a method, by name and parts, under the protocol and what was set by hand.

    assigned: instead of what `--set` says.
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
    """What decides a trial besides its components and its seed."""
    return {
        "dataset": dataset_name(options.dataset),
        "dataset_digest": source_digest(options.dataset),
        "ipc": options.ipc,
        "split_seed": options.split_seed,
        "protocol": options.protocol,
        "rules": RESULTS_VERSION,
        # What is not asked for is not named: trials on clean data are the same in every study.
        **({"classes_as": options.classes_as} if options.classes_as else {}),
        **({"selection": options.selection} if options.selection != "clean" else {}),
        **({"tail": options.tail} if options.tail else {}),
    }


def dataset_name(spec: str) -> str:
    """A data set's name in rows and titles: results must not depend on where its file lies."""
    kind, colon, path = spec.partition(":")
    where = Path(path)
    return f"{kind}:{where.stem if kind == 'npz' else where.name}" if colon else kind
