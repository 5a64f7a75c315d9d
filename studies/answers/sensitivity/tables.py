"""The tables of the sensitivity answer."""

from __future__ import annotations

import numpy as np

from studies.answers.comparing.staging import CHOSEN_BY
from studies.answers.results import Cell, Results
from studies.answers.sensitivity.analysis import Analysis, having
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Table
from studies.engine.arms import Arm
from studies.engine.wording import plural

STARRED = "A star marks a gain or a loss that is decided, by three paired t tests Holm-corrected over"


ANCHORS = "The method against random images and full data"
STRENGTH = (
    " ρ: the norm of the term's pixel gradient over that of its base's, the median over the iterations; λ: the weight "
    "that the term has in effect, which for a balanced one varies."
)


def tables(analysis: Analysis) -> list[Table | None]:
    """The tables of methods, importances, variance components and settings."""
    return [_methods(analysis), _importances(analysis), _variance(analysis), _settings(analysis)]


def _methods(analysis: Analysis) -> Table:
    results = analysis.results
    anchors = [*having(results, "random", "base", "default", "variant", "placebo")]
    best = [analysis.tried[analysis.best]] if analysis.best else []
    rows = [_method(analysis, arm) for arm in (*anchors, *best, *having(results, "full"))]
    return Table.of(
        "methods",
        "The method against random images, the base and full data" if analysis.of_term else ANCHORS,
        rows,
        "Mean over synthetic sets with a 95% t interval over sets; the gain, on test, is paired by seed. "
        f"{STARRED} its family.{STRENGTH if analysis.of_term else ''}{_ceiling(results)}",
    )


def _ceiling(results: Results) -> str:
    """How the full data were trained on; "" before they were."""
    steps = [results.config(arm.key).get("evaluation.max_steps") for arm in having(results, "full")]
    if not any(steps):
        return ""
    return f" Full data is trained with the same recipe, for at most {steps[0]:,} steps, on one seed."


def _method(analysis: Analysis, arm: Arm) -> dict[str, Entry]:
    cell, ledger = Cell(arm.key, analysis.levels), analysis.ledger
    index = analysis.cells.index(cell) if cell in analysis.cells else None
    validation, test = (ledger.mean(cell, metric) for metric in (CHOSEN_BY, "test"))
    gain = (
        ledger.rest("other arms against the base", [analysis.results.gain(arm.key, cell.levels)]) if arm.control else []
    )
    return {
        "method": arm.name + (f", best of {len(analysis.tried)} on validation" if index else ""),
        **strength(analysis, cell),
        "validation accuracy": Quantity.of(validation, "percent"),
        "test accuracy": Quantity.of(test, "percent"),
        f"paired gain over {analysis.over}": gain[0].starred if gain else None,
        "sets × networks": f"{validation.n} × {analysis.results.judges(cell, CHOSEN_BY)}",
    }


def strength(analysis: Analysis, cell: Cell) -> dict[str, Entry]:
    """The measured strength of a cell's term and its effective weight, means over sets; nothing without a term."""
    entries: dict[str, Entry] = {}
    if not analysis.of_term:
        return entries
    for name, metric in (("ρ, measured", "rho"), ("λ, effective", "effective_weight")):
        values = analysis.results.sets(cell, metric)
        known = np.isfinite(values)
        entries[name] = f"{values[known].mean():.3g}" if known.any() else None
    return entries


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
    for name, estimate in (
        ("between settings (knobs)", v.settings),
        ("between seeds, common to all settings", v.seeds),
        ("between networks of a seed, common to all settings", v.networks),
        ("of a setting on a seed (setting × seed)", v.setting_by_seed),
        ("of a network on a setting's set (setting × network)", v.setting_by_network),
        ("of a set, paired by seed", v.paired),
    ):
        if estimate is not None:
            low, high = (None if end is None else 100 * end for end in (estimate.low, estimate.high))
            value = Quantity(round(100 * estimate.value, 3), low, high)
            rows.append({"component": name, "standard deviation, points": value})
    return Table.of(
        "variance",
        "Effect of the knobs and noise",
        rows,
        f"{plural(v.n_settings, 'setting')} × {plural(v.n_seeds, 'seed')}, test accuracy; a crossed model with 95% "
        "intervals. The last row is the noise that does not cancel when two settings are compared on one seed: the two "
        "rows above it, the networks averaged.",
    )


def _settings(analysis: Analysis) -> Table:
    rows: list[dict[str, Entry]] = []
    for i in map(int, np.argsort(-np.nan_to_num(analysis.gain_means(), nan=-1))):
        rows.append(
            {
                "setting": analysis.label(i),
                **{axis.symbol: analysis.value(i, axis) for axis in analysis.space if not axis.given},
                **strength(analysis, analysis.cells[i]),
                "validation accuracy": Quantity.of(analysis.ledger.mean(analysis.cells[i], CHOSEN_BY), "percent"),
                f"paired gain over {analysis.over}": analysis.gains[i].starred,
                "chosen as the best": "yes" if i == analysis.questions.chosen else "",
                "pairs lost": analysis.gains[i].lost,
            }
        )
    return Table.of(
        "settings",
        "Every setting, best first",
        rows,
        f"Intervals are pointwise: with this many settings, some look better by chance. {STARRED} the "
        f"{plural(len(rows) - 1, 'setting')} (the default: within the main questions). The gain of the best setting "
        "that is stated above is measured on seeds that the choice did not read.",
    )
