"""The tables of the sensitivity answer."""

from __future__ import annotations

import numpy as np

from studies.answers.results import Cell
from studies.answers.sensitivity.analysis import METRIC, Analysis, having
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Table
from studies.engine.arms import Arm
from studies.engine.wording import plural

STARRED = "A star marks a gain or a loss that is decided, by three paired t tests Holm-corrected over"


def tables(analysis: Analysis) -> list[Table | None]:
    """The tables of methods, importances, variance components and settings."""
    return [_methods(analysis), _importances(analysis), _variance(analysis), _settings(analysis)]


def _methods(analysis: Analysis) -> Table:
    anchors = [*having(analysis.results, "random"), *having(analysis.results, "base"), analysis.tried[0]]
    best = [analysis.tried[analysis.best]] if analysis.best else []
    rows = [_method(analysis, arm) for arm in (*anchors, *best, *having(analysis.results, "full"))]
    accuracy = analysis.folder.study.get("reference_accuracy")
    reference = "of unknown accuracy" if accuracy is None else f"{accuracy:.1%} on validation"
    return Table.of(
        "methods",
        "The method against random images, the base and full data",
        rows,
        "Mean over synthetic sets with a 95% t interval over sets; the gain is paired by seed. "
        f"{STARRED} its family. Full data is trained with the same recipe, for at most 1,500 steps, on one seed. "
        "Information is estimated on validation images with classes equally likely: label agreement is how far a "
        f"reference network ({reference}) trained on clean data agrees with the labels of the set, critic the "
        "Donsker-Varadhan bound of the term's own critic with fresh networks.",
    )


def _method(analysis: Analysis, arm: Arm) -> dict[str, Entry]:
    cell = Cell(arm.key, analysis.levels)
    index = analysis.cells.index(cell) if cell in analysis.cells else None
    validation, test = (analysis.ledger.mean(cell, metric) for metric in (METRIC, "test"))
    return {
        "method": arm.name + (f", best of {len(analysis.tried)} on validation" if index else ""),
        "validation accuracy": Quantity.of(validation, "percent"),
        "test accuracy": Quantity.of(test, "percent"),
        "paired gain over the base": None if index is None else analysis.gains[index].starred,
        **_information(analysis, cell, "label_agreement", "label agreement"),
        **_information(analysis, cell, "critic", "critic information"),
        "sets × networks": f"{validation.n} × {analysis.results.judges(cell, METRIC)}",
    }


def _information(analysis: Analysis, cell: Cell, metric: str, name: str) -> dict[str, Entry]:
    """The mean of a metric over sets in nats, and as a share of H(Y)."""
    nats, entropy = (analysis.results.sets(cell, measure) for measure in (metric, "entropy"))
    n = int(np.isfinite(nats).sum())
    known = n > 0
    return {
        f"{name}, nats": Quantity(float(np.nanmean(nats)), n=n, unit="nats") if known else None,
        f"{metric.replace('_', ' ')}, share of H(Y)": Quantity(
            float(np.nanmean(nats / entropy)), n=n, unit="percent", digits=0
        )
        if known
        else None,
    }


def span(low: float | None, high: float | None, scale: float = 1) -> str | None:
    """`[0.26, 0.83]`; None without bounds."""
    return None if low is None or high is None else f"[{scale * low:.2g}, {scale * high:.2g}]"


def _importances(analysis: Analysis) -> Table | None:
    if analysis.importances is None:
        return None
    rows: list[dict[str, Entry]] = [
        {
            "measure": f.evaluator,
            "knob": f.knob,
            "importance": Quantity(f.value, f.low, f.high),
            "95th percentile under a permuted target": f.null95,
            "verdict": f.verdict,
            "settings that would decide": f.settings_to_decide,
        }
        for f in analysis.importances.findings
    ]
    return Table.of(
        "importance",
        "Importance of each knob",
        rows,
        f"{plural(analysis.importances.n_settings, 'setting')} of the space-filling design. fANOVA gives the share of "
        "the variance over the whole space; PED-ANOVA measures which knobs matter for reaching the best settings; the "
        "two answer different questions. No trial reads the dummy knob, so its value is the noise of the measure.",
    )


def _variance(analysis: Analysis) -> Table:
    v = analysis.variance
    rows: list[dict[str, Entry]] = []
    for name, estimate, scale in (
        ("between settings (knobs)", v.settings, 100),
        ("between sets of one setting (seeds)", v.sets, 100),
        ("between networks trained on one set", v.networks, 100),
        ("share of the seed variance common to all settings", v.common_seed_share, 1),
    ):
        if estimate is not None:
            low, high = (None if end is None else scale * end for end in (estimate.low, estimate.high))
            value = Quantity(round(scale * estimate.value, 3), low, high)
            unit = "points" if scale == 100 else "fraction"
            rows.append({"component": name, "standard deviation": value, "unit": unit})
    return Table.of(
        "variance",
        "Seed noise and the effect of the knobs",
        rows,
        f"{plural(v.n_settings, 'setting')} × {plural(v.n_seeds, 'seed')}; intervals by a bootstrap over settings.",
    )


def _settings(analysis: Analysis) -> Table:
    rows: list[dict[str, Entry]] = []
    for i in map(int, np.argsort(-np.nan_to_num(analysis.means, nan=-1))):
        rows.append(
            {
                "setting": analysis.label(i),
                **analysis.knobs(i),
                "validation accuracy": Quantity.of(analysis.ledger.mean(analysis.cells[i], METRIC), "percent"),
                "paired gain over the base": analysis.gains[i].starred,
                "within 1 SE of the best": "yes" if i in analysis.region.indices else "",
                "pairs lost": analysis.gains[i].lost,
            }
        )
    return Table.of(
        "settings",
        "Every setting, best first",
        rows,
        f"Intervals are pointwise: with this many settings, some look better by chance. {STARRED} the "
        f"{plural(len(rows) - 1, 'setting')} (the default: by itself). The gain of tuning stated above is measured on "
        "seeds that the choice did not use.",
    )
