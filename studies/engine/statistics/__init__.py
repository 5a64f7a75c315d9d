"""Statistics of a study: arrays in, frozen dataclasses of plain numbers out (JSON through dataclasses.asdict)."""

from .crossed import CrossedComponents, Estimate, SetComponents, crossed_components, set_components
from .importance import Importance, Importances, knob_importance, settings_to_decide, verdict
from .interactions import InteractionShares, Share, interaction_shares
from .intervals import (
    Improvement,
    Interval,
    PairedInterval,
    holm,
    mean_interval,
    paired_interval,
    probability_of_improvement,
)
from .means import SettingMeans, set_means, setting_means
from .ranks import Ranks, rank_methods
from .response import ResponseCurve, ResponseMap, response_curves, response_maps
from .selection import (
    Best,
    Leak,
    Region,
    Regret,
    SplitChoice,
    best_setting,
    one_standard_error_region,
    regret_of,
    selection_leak,
    split_choice,
)
from .surface import Surface, SurfaceFit, fit_surface
from .variance import VarianceComponents, variance_components

__all__ = [
    "Best",
    "CrossedComponents",
    "Estimate",
    "Importance",
    "Importances",
    "Improvement",
    "InteractionShares",
    "Interval",
    "Leak",
    "PairedInterval",
    "Ranks",
    "Region",
    "Regret",
    "ResponseCurve",
    "ResponseMap",
    "SetComponents",
    "SettingMeans",
    "Share",
    "SplitChoice",
    "Surface",
    "SurfaceFit",
    "VarianceComponents",
    "best_setting",
    "crossed_components",
    "fit_surface",
    "holm",
    "interaction_shares",
    "knob_importance",
    "mean_interval",
    "one_standard_error_region",
    "paired_interval",
    "probability_of_improvement",
    "rank_methods",
    "regret_of",
    "response_curves",
    "response_maps",
    "selection_leak",
    "set_components",
    "set_means",
    "setting_means",
    "settings_to_decide",
    "split_choice",
    "variance_components",
    "verdict",
]
