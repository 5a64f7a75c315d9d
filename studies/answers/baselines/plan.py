"""Plans a comparison of baselines: anchors, every base alone and with the MI term, one recipe for all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from mim4dd.configuration import Configuration
from mim4dd.errors import InputError
from studies.answers.baselines.flags import BaselinesFlags
from studies.answers.comparing.added_studies import read_added
from studies.answers.comparing.plan import capped, plan_arms, registered_methods
from studies.engine.arms import Planned
from studies.engine.options import Options
from studies.engine.plan import Plan


def plan_baselines(options: Options[BaselinesFlags], configuration: Configuration) -> Plan:
    """Every method for every seed, with the same data, network and recipe; full data alone is CAPPED.

    Raises: InputError for two methods with the same knobs, and an added study that does not fit as a block.
    """
    flags = options.flags
    planned, plan = plan_arms(options, flags.methods or registered_methods(), cap=capped)
    _require_different(planned)
    flat = configuration.flat
    block = (str(flat["dataset"]), options.ipc, int(flat.get("source.size", 0)))
    read_added(flags.added, "baselines", [item.arm.key for item in planned], block)
    return plan


def _require_different(planned: Sequence[Planned]) -> None:
    """Refuse two arms with the same configuration.

    Raises: InputError.
    """
    for first, second in combinations(planned, 2):
        if first.config == second.config:
            raise InputError(
                f"{first.arm.key} and {second.arm.key} are the same method with the same knobs; give one of them"
            )
