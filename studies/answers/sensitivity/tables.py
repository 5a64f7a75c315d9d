"""The tables of the sensitivity answer."""

from __future__ import annotations

import numpy as np

from mim4dd.information import Reference
from studies.answers.sensitivity.findings import Findings
from studies.engine.answer import Cell, Table, percent, points
from studies.engine.design import Setting
from studies.engine.evidence import Evidence
from studies.engine.statistics import mean_interval, paired_interval, set_means


def tables(found: Findings, evidence: Evidence) -> tuple[Table, ...]:
    """Methods side by side, importances, variance, and every setting."""
    return tuple(
        t for t in (_methods(found, evidence), _importances(found), _variance(found), _settings(found, evidence)) if t
    )


def _methods(found: Findings, evidence: Evidence) -> Table:
    config = evidence.identity["configuration"]
    named: list[tuple[str, Setting]] = []
    base = str(config["method.base"])
    for role, name in (
        ("random", "random real images"),
        ("base", f"{base} alone"),
        ("default", f"{base} + MIM4DD, {evidence.default_name}"),
    ):
        named += [(name, setting) for setting in evidence.having(role)]
    if found.best:
        named.append((f"{base} + MIM4DD, best of {len(found.tried)} on validation", found.tried[found.best]))
    named += [("full data", setting) for setting in evidence.having("full")]
    rows: list[tuple[Cell, ...]] = []
    for name, setting in named:
        validation, test = (evidence.accuracy([setting], split)[0] for split in ("validation", "test"))
        sets = set_means(validation[None])[0]
        networks = int(np.isfinite(validation).sum(1).max(initial=0))
        gain = paired_interval(sets, found.base_sets) if setting.role in ("default", "design", "search") else None
        rows.append(
            (
                name,
                percent(mean_interval(sets)),
                percent(mean_interval(set_means(test[None])[0])),
                points(gain) if gain else None,
                _information(evidence, setting, "decodable_information_nats"),
                _information(evidence, setting, "critic_information_nats"),
                f"{int(np.isfinite(sets).sum())} × {networks}",
            )
        )
    return Table(
        "methods",
        "The method beside its anchors",
        (
            "",
            "validation accuracy",
            "test accuracy",
            "paired gain over the base",
            "decodable information, nats (of H(Y))",
            "critic information, nats (of H(Y))",
            "sets × networks",
        ),
        tuple(rows),
        "Mean over synthetic sets with a 95% t interval over sets; the gain pairs sets of one seed. Full data is "
        "trained with the same recipe, at most 1,500 steps, on one seed. Information on validation images, classes "
        f"equally likely: decodable, what a reference network ({_reference(evidence)}) finds; critic, the "
        "Donsker-Varadhan bound of the term's own critic under fresh networks.",
    )


def _information(evidence: Evidence, setting: Setting, key: str) -> str | None:
    """Mean nats over sets and their fraction of H(Y)."""
    nats = evidence.values([setting], key)[0]
    entropy = evidence.values([setting], "entropy_nats")[0]
    if not np.isfinite(nats).any():
        return None
    return f"{np.nanmean(nats):.3f} ({np.nanmean(nats / entropy):.0%})"


def _reference(evidence: Evidence) -> str:
    path = evidence.out / "inputs" / "reference.safetensors"
    return f"{Reference.load(path).accuracy:.1%} on validation" if path.exists() else "of unknown accuracy"


def _importances(found: Findings) -> Table | None:
    if found.importances is None:
        return None
    rows: list[tuple[Cell, ...]] = [
        (
            f.evaluator,
            f.knob,
            f.value,
            f"[{f.low:.2g}, {f.high:.2g}]" if f.low is not None and f.high is not None else None,
            f.null95,
            f.verdict,
            f.settings_to_decide,
        )
        for f in found.importances.findings
    ]
    return Table(
        "importance",
        "Importance of each knob",
        (
            "measure",
            "knob",
            "importance",
            "95% interval",
            "95th percentile under a permuted target",
            "verdict",
            "settings that would decide",
        ),
        tuple(rows),
        f"{found.importances.n_settings} settings of the space-filling design. fANOVA is a share of the variance "
        "over the whole space; PED-ANOVA measures what reaching the best settings depends on; they answer different "
        "questions. The dummy knob is read by no trial: its value is the measure's own noise.",
    )


def _variance(found: Findings) -> Table:
    v = found.variance
    rows: list[tuple[Cell, ...]] = []
    for name, estimate, scale in (
        ("between settings (knobs)", v.settings, 100),
        ("between sets of one setting (seeds)", v.sets, 100),
        ("between networks trained on one set", v.networks, 100),
        ("share of the seed variance common to all settings", v.common_seed_share, 1),
    ):
        if estimate is not None:
            span = (
                f"[{scale * estimate.low:.2g}, {scale * estimate.high:.2g}]"
                if estimate.low is not None and estimate.high is not None
                else None
            )
            rows.append((name, round(scale * estimate.value, 3), span, "points" if scale == 100 else "fraction"))
    return Table(
        "variance",
        "Seed noise against knob effect",
        ("component", "standard deviation", "95% interval", "unit"),
        tuple(rows),
        f"{v.n_settings} settings × {v.n_seeds} seeds; intervals by a bootstrap over settings.",
    )


def _settings(found: Findings, evidence: Evidence) -> Table:
    order = np.argsort(-np.nan_to_num(found.means, nan=-1))
    inside, rows = set(found.region.indices), []
    for i in order:
        setting, sets = found.tried[i], set_means(found.accuracy)[i]
        gain = paired_interval(sets, found.base_sets)
        row: tuple[Cell, ...] = (
            "default" if setting.role == "default" else str(setting.setting),
            *(setting.knobs[axis.key] for axis in evidence.space),
            percent(mean_interval(sets)),
            points(gain),
            "yes" if int(i) in inside else "",
            gain.lost,
        )
        rows.append(row)
    return Table(
        "settings",
        "Every setting, best first",
        (
            "setting",
            *(axis.symbol for axis in evidence.space),
            "validation accuracy",
            "paired gain over the base",
            "within 1 SE of the best",
            "pairs lost",
        ),
        tuple(rows),
        "Intervals are for each setting by itself: with this many settings some look better by chance; the regret of "
        "the default above is corrected for that.",
    )
