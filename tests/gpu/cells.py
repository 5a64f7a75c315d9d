"""Runs published schedules in order of worth, as long as there is time: OUT/cells.json, OUT/sets.zip.

Each cell is a trial of the fidelity study on a packed subset. One that no time is left for is saved as OUT/HASH.pt; a
later run with the same OUT goes on from there.
"""

from __future__ import annotations

import io
import time
import traceback
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from limits import using
from pack import file_of
from stage import Stage

from mim4dd.configuration import configure
from mim4dd.data import load, source_digest
from mim4dd.durable import durably, read_json, read_signed, write_signed
from mim4dd.information import train_reference
from mim4dd.networks import NETWORKS
from mim4dd.protocol import RESULTS_VERSION
from mim4dd.records import Synthetic
from mim4dd.registry import unflatten
from studies.answers.fidelity.published import published_recipe
from studies.engine.measuring import processor
from studies.engine.running import TrialRun, run_trial
from studies.engine.runs import Saved
from studies.engine.trial import Inputs, Trial, failed

SAVE_SECONDS = 20.0
# How a cell ends that is not run again.
DONE = ("ok", "diverged")
Knobs = Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """A method on a data set. knobs: besides the recipe of its published accuracy.

    least_seconds: below which it is not begun, because what it prepares cannot be saved.
    """

    data: str
    ipc: int
    method: str
    knobs: Knobs = field(default_factory=dict)
    least_seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.data}, ipc {self.ipc}, {self.method}"


# With 1 image a class MTT starts in its experts' first two epochs and aims two epochs ahead, so later ones are never
# seen. Published: 100 experts.
MTT: Knobs = {"method.experts": "50", "method.expert_epochs": "3", "method.standard": "zca-pixels"}
# In order of worth; random images, which cost seconds, right behind the first cell of their data.
CELLS = (
    Cell("cifar10", 1, "dm"),
    Cell("cifar10", 1, "random"),
    Cell("cifar10", 1, "dsa"),
    Cell("cifar10", 10, "dm"),
    Cell("mnist", 1, "dm"),
    Cell("mnist", 1, "random"),
    Cell("mnist", 1, "dsa"),
    Cell("fashion_mnist", 1, "dm"),
    Cell("fashion_mnist", 1, "random"),
    Cell("fashion_mnist", 1, "dsa"),
    Cell("cifar10", 1, "mtt", MTT, least_seconds=240.0),
    Cell("cifar10", 10, "dsa"),
)
# Of --small: so few that a CPU is done in seconds.
SMALL: Knobs = {"network.width": "4", "evaluation.epochs": "4", "evaluation.networks": "2"}
SMALL_METHODS: Mapping[str, Knobs] = {
    "random": {},
    "dm": {"method.iterations": "4", "method.batch_real": "4"},
    "dsa": {"method.iterations": "4", "method.batch_real": "4", "method.outer": "2", "method.inner": "1"},
    "mtt": {
        **{"method.iterations": "4", "method.steps": "2", "method.experts": "2", "method.batch_synthetic": "5"},
        "method.standard": "channels",  # ZCA of 3,072 numbers takes a CPU half a minute
    },
}


def trial_of(cell: Cell, file: Path, *, small: bool) -> Trial:
    """The record of a cell, on the images of a packed file."""
    assigned = {**published_recipe({"method": cell.method}, cell.data), **cell.knobs}
    if small:
        assigned |= SMALL | SMALL_METHODS[cell.method]
    configuration = configure(
        source="npz", method={"method": cell.method}, network="convnet", protocol_name="paper", assigned=assigned
    )
    shared = {
        "dataset": f"npz:{file.stem}",
        "dataset_digest": source_digest(f"npz:{file}"),
        "ipc": cell.ipc,
        "seed": 0,
        "split_seed": 0,
        "protocol": "paper",
        "rules": RESULTS_VERSION,
        "interim": True,
    }
    return Trial.of({**shared, **configuration.flat})


class OutOfTime(Exception):
    """The trial is saved, and the stage must end."""


class Keeper:
    """The step callback of a trial: saves it from time to time, and ends it when the time is up.

    limits: under which it runs, and goes on: the groups of a training are part of its state.
    """

    def __init__(self, place: Path, limits: Mapping[str, int], ends: float) -> None:
        self.place, self.limits, self.ends = place, dict(limits), ends
        self.saved_at = time.monotonic()
        self.where: dict[str, Any] = {}

    def __call__(self, run: TrialRun) -> None:
        now = time.monotonic()
        if now < self.ends and now - self.saved_at < SAVE_SECONDS:
            return
        buffer = io.BytesIO()
        torch.save({"limits": self.limits, "state": run.state_dict()}, buffer)
        write_signed(self.place, buffer.getvalue())
        self.saved_at, self.where = now, {"progress": run.progress, "rungs": list(run.rungs)}
        print(f"saved: {run.progress}", flush=True)
        if now >= self.ends:
            raise OutOfTime


def checkpoint(place: Path, device: str) -> tuple[Saved, Mapping[str, int] | None]:
    """What an earlier run saved, and the limits under which it ran."""
    content, unreadable = read_signed(place)
    if content is None:
        return Saved(None, unreadable and f"its checkpoint {unreadable}"), None
    held = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return Saved(held["state"]), held["limits"]


def run_cell(stage: Stage, cell: Cell, trial: Trial, inputs: Inputs, limits: Mapping[str, int]) -> dict[str, Any]:
    """Run a cell, from its checkpoint where there is one; returns where it stands, with its row once it has one."""
    place, began = stage.out / f"{trial.hash}.pt", time.time()
    saved, earlier = checkpoint(place, stage.device)
    keeper = Keeper(place, limits if earlier is None else earlier, stage.ends)
    try:
        with using(keeper.limits):
            outcome = run_trial(trial, inputs, stage.device, saved, keeper)
    except OutOfTime:
        return {"status": "going on", **keeper.where}
    except Exception as error:  # noqa: BLE001 - whatever a cell raises must not take the others with it
        traceback.print_exc()
        outcome = failed(trial, error, began)
    # A whitened set brings a matrix of 36 MiB, which would not be one of a few small files.
    if outcome.synthetic is not None and outcome.synthetic.whitening is None:
        name = f"{cell.data}-{cell.ipc}-{cell.method}-{trial.hash}.safetensors"
        keep_set(stage.out / "sets.zip", name, outcome.synthetic)
    return {"status": outcome.result["status"], "limits": keeper.limits, "row": outcome.row}


def keep_set(path: Path, name: str, synthetic: Synthetic) -> None:
    """Add a set to an archive of sets."""
    held = io.BytesIO(path.read_bytes() if path.exists() else b"")
    with zipfile.ZipFile(held, "a") as archive:
        if name not in archive.namelist():
            archive.writestr(name, synthetic.to_bytes())
    durably(path, held.getvalue())


def chosen_limits(stage: Stage) -> dict[str, int]:
    """What an earlier stage chose on such a device at these sizes; none where there is no such stage."""
    found = read_json(stage.out / "limits.json")
    if found is None or found["small"] != stage.small or found["machine"]["processor"] != processor(stage.device):
        return {}
    return dict(found["chosen"])


def earlier_entries(stage: Stage) -> dict[str, dict[str, Any]]:
    """What an earlier run at these sizes knows of each cell, by its trial."""
    found = read_json(stage.out / "cells.json")
    return {} if found is None or found["small"] != stage.small else {one["trial"]: one for one in found["cells"]}


def inputs_of(file: Path, trial: Trial, stage: Stage) -> Inputs:
    """The images of a packed file, and the network that assesses what is distilled from them."""
    splits, network = load(f"npz:{file}"), unflatten(NETWORKS, trial.config, "network")
    return Inputs(splits, train_reference(splits, network, steps=5 if stage.small else 300, device=stage.device))


def main(stage: Stage) -> int:
    """Run the cells that have no row yet; returns 1 where one ended in an error."""
    limits, inputs, entries = chosen_limits(stage), dict[str, Inputs](), list[dict[str, Any]]()
    known = earlier_entries(stage)
    for cell in CELLS:
        file = stage.data / file_of(cell.data)
        trial = trial_of(cell, file, small=stage.small)
        entry = {"data": cell.data, "ipc": cell.ipc, "method": cell.method, "trial": trial.hash}
        earlier = known.get(trial.hash, {"status": "not begun"})
        if earlier["status"] in DONE:
            entry = earlier
        elif stage.left_seconds <= cell.least_seconds * (not stage.small):
            entry = earlier | entry
        else:
            print(f"{cell.name}:", flush=True)
            if cell.data not in inputs:
                inputs[cell.data] = inputs_of(file, trial, stage)
            entry |= run_cell(stage, cell, trial, inputs[cell.data], limits)
            print(f"{cell.name}: {entry['status']}", flush=True)
        entries.append(entry)
        later = [entry for key, entry in known.items() if key not in {one["trial"] for one in entries}]
        stage.write("cells.json", {"cells": [*entries, *later]})
        if entry["status"] in DONE:
            (stage.out / f"{trial.hash}.pt").unlink(missing_ok=True)
    return int(any(entry["status"] == "error" for entry in entries))


if __name__ == "__main__":
    raise SystemExit(main(Stage.of(__doc__, data=True)))
