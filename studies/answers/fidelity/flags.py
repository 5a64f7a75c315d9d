"""The flags of a fidelity study."""

from __future__ import annotations

from dataclasses import dataclass

from studies.answers.comparing.flags import ComparisonFlags


@dataclass(frozen=True)
class FidelityFlags(ComparisonFlags):
    """Those of a comparison; the answer draws accuracy against iterations."""

    @property
    def interim(self) -> bool:
        return True
