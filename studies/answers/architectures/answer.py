"""Sets on many networks: the matrix, transfer beside real images', the term's gain on each, ranks, rates, anchors."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mim4dd.methods import METHODS
from studies.answers.architectures.beside import beside_published
from studies.answers.architectures.plain import plain
from studies.answers.architectures.rates import rates_part
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.failures import failure_part, occurrences
from studies.answers.parts.heat_maps import mean_cell
from studies.answers.parts.matrix import grid_drawing
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.rank_changes import rank_part
from studies.answers.parts.transfer import Transfers
from studies.answers.parts.transferred import transfer_part
from studies.answers.parts.wording import decisions, listed
from studies.answers.results import Cell, Results
from studies.engine.answer import Answer, Figure, Quantity, Sentence, Table
from studies.engine.answer import Cell as Entry
from studies.engine.arms import CEILING, FLOOR
from studies.engine.folder import StudyFolder
from studies.engine.judging import RATES
from studies.engine.names import network_name
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

Rulings = dict[tuple[str, str], Ruling]


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    results = ledger.results
    rated = any(RATES in row.config for row in folder.rows.values())
    metric = "tuned" if rated else "test"
    if (why := unready(ledger, list(results.arms), metric)) is not None:
        return ledger.compose(why)
    compared = [arm.key for arm in results.arms.values() if arm.method not in (FLOOR, CEILING)]
    coreset = next((arm for arm in compared if _selects(results, arm)), "")
    gains = _judged(ledger, "gains over the base", [arm for arm in compared if results.arms[arm].control], "", metric)
    over = _judged(ledger, "over random real images", compared, FLOOR, metric) if FLOOR in results.arms else {}
    transfers = Transfers(ledger, compared, coreset, metric)
    fixed = transfers.at("test", "to the mean of the other networks at the recipe's rate, less random") if rated else {}
    groups = {
        Cell(arm, (network,)): transfers.group(arm, network, over.get((arm, network)), gains.get((arm, network)))
        for arm in compared
        for network in transfers.networks
    }
    home = {arm: (network,) for arm, network in transfers.own.items()}
    failures = failure_part(ledger, occurrences(ledger, groups, home))
    transfer = transfer_part(transfers, fixed)
    on_own = [arm for arm in results.arms if arm != CEILING and not network_name(results.arms[arm].knobs)]
    ranks = rank_part(ledger, on_own, metric)
    rates = rates_part(ledger, [arm for arm in results.arms if arm != CEILING]) if rated else Part()
    published = beside_published(ledger, metric)
    return ledger.compose(
        Part([overview(ledger, _ordered(results), metric), *transfer.sentences]),
        Part([*(_gain(ledger, arm, gains, metric) for arm in compared), _above(ledger, compared, over)]),
        Part([*ranks.sentences, *rates.sentences, *published.sentences]),
        Part([*failures.sentences, losses(ledger.results)], failed=failures.failed),
        Part(tables=[_matrix(ledger, metric), *transfer.tables, _gains(ledger, compared, gains)]),
        Part(tables=[*ranks.tables, *rates.tables, *([_matrix(ledger, "test", beside=True)] if rated else [])]),
        Part(tables=[*published.tables, *failures.tables]),
        Part(figures=[_map(ledger, metric), *transfer.figures, *ranks.figures, *failures.figures]),
        Part(notes=[*_notes(ledger, rated), more_seeds(ledger)], summary=_summary(ledger, transfers, metric)),
        Part(plain=plain(transfers, gains, over)),
    )


def _selects(results: Results, arm: str) -> bool:
    """Whether an arm chooses real images instead of distilling."""
    method = results.arms[arm].method
    return method in METHODS and METHODS.build(method).iterations == 0


def _ordered(results: Results) -> list[str]:
    anchors = [arm for arm in (FLOOR, CEILING) if arm in results.arms]
    return [*anchors, *(arm for arm in results.arms if arm not in anchors)]


def _judged(ledger: Ledger, name: str, arms: Sequence[str], than: str, metric: str) -> Rulings:
    """Arms less another one (`than`; "": each one's control), by arm and network: a family for each network."""
    results, found = ledger.results, Rulings()
    for levels in results.levels:
        contrasts = [
            results.against(arm, than, levels, metric) if than else results.gain(arm, levels, metric) for arm in arms
        ]
        rulings = ledger.family(f"{name}, on {levels[0]}", contrasts)
        found |= {(arm, levels[0]): ruling for arm, ruling in zip(arms, rulings, strict=True)}
    return found


def _gain(ledger: Ledger, arm: str, gains: Rulings, metric: str) -> Sentence | None:
    """What the term adds on its own network, and where else it is decided."""
    rulings = {network: ruling for (key, network), ruling in gains.items() if key == arm}
    if not rulings:
        return None
    results = ledger.results
    own = network_name(results.arms[arm].knobs) or results.reference[0]
    first, control = rulings[own], results.arms[results.arms[arm].control].name
    text = (
        f"The gain of {results.arms[arm].name} over {control} is {first.points} on {own} "
        f"(n = {first.interval.n}; {first.statement})."
    )
    return Sentence(f"{text} {decisions(rulings)}", tuple(ruling.claim for ruling in rulings.values()))


def _above(ledger: Ledger, arms: Sequence[str], over: Rulings) -> Sentence | None:
    """On how many networks each method is decided to be better, or worse, than random real images."""
    if not over:
        return None
    results, networks = ledger.results, [levels[0] for levels in ledger.results.levels]
    groups: dict[str, list[str]] = {}
    for arm in arms:
        counts = [
            f"{word} on {'all ' if len(on) == len(networks) else ''}{len(on)}"
            + (f" ({', '.join(on)})" if len(on) < len(networks) else "")
            for decision, word in ((Decision.GAIN, "better"), (Decision.LOSS, "worse"))
            if (on := [network for network in networks if over[arm, network].decision is decision])
        ]
        groups.setdefault(listed(counts) if counts else "decided on none", []).append(results.arms[arm].name)
    parts = [f"{where} for {listed(names)}" for where, names in groups.items()]
    text = (
        f"Compared with random real images on each of {plural(len(networks), 'network')} (Holm-corrected over the "
        f"{plural(len(arms), 'method')} of a network), accuracy is {'; '.join(parts)}."
    )
    return Sentence(text, tuple(ruling.claim for ruling in over.values()))


def _gains(ledger: Ledger, arms: Sequence[str], gains: Rulings) -> Table:
    """The gain of the term on every network."""
    results, networks = ledger.results, [levels[0] for levels in ledger.results.levels]
    rows: list[dict[str, Entry]] = [
        {"method": results.arms[arm].name, **{network: gains[arm, network].starred for network in networks}}
        for arm in arms
        if (arm, networks[0]) in gains
    ]
    return Table.of(
        "gains",
        "What the MI term adds on each network",
        rows,
        "Gain over the same base without the term, distilled on the same network, in points of test accuracy, paired "
        "by seed, with pointwise 95% t intervals; a star marks a decided gain or loss (Holm-corrected over the "
        f"{plural(len(rows), 'gain')} of a network).",
    )


def _matrix(ledger: Ledger, metric: str, *, beside: bool = False) -> Table:
    """Every set on every network. beside: in addition to that of the decisions."""
    results = ledger.results
    rows: list[dict[str, Entry]] = [
        {
            "method": results.arms[arm].name,
            **{levels[0]: Quantity.of(ledger.mean(Cell(arm, levels), metric), "percent") for levels in results.levels},
        }
        for arm in _ordered(results)
    ]
    title = "Every set on every network" + (", at the recipe's own learning rate" if beside else "")
    chosen = "at the learning rate that validation chose for set and network"
    rate = chosen if metric == "tuned" else "at the recipe's own learning rate"
    return Table.of(
        "fixed" if beside else "matrix",
        title,
        rows,
        f"Mean test accuracy, {rate}, with 95% t intervals over {plural(len(results.seeds), 'set')}; all methods of a "
        "seed share the split, initial images and evaluation networks. Full data: one set, one network.",
    )


def _map(ledger: Ledger, metric: str) -> Figure:
    results, arms = ledger.results, _ordered(ledger.results)
    cells = [[mean_cell(results.mean(Cell(arm, levels), metric)) for levels in results.levels] for arm in arms]
    names, networks = [results.arms[arm].name for arm in arms], [levels[0] for levels in results.levels]
    rate = "the learning rate that validation chose" if metric == "tuned" else "the recipe's own learning rate"
    return Figure(
        "matrix",
        "Every set on every network",
        f"Mean test accuracy in % at {rate}: sets (rows; `on` names the network that they were distilled on, others "
        f"are on {networks[0]}) and the networks that are trained on them (columns). The table gives the intervals.",
        grid_drawing(names, networks, cells, signed=False),
    )


def _notes(ledger: Ledger, rated: bool) -> list[str]:
    results = ledger.results
    (factor,) = results.factors
    enlarged = [level.label for level in factor.levels if "upsample=true" in level.view]
    config = next((results.config(arm) for arm in results.arms if results.config(arm)), {})
    own = {key.partition(".")[2]: value for key, value in config.items() if key.startswith("network.")}
    notes = [
        f"The study's own network, {results.reference[0]}: {', '.join(f'{k}={v}' for k, v in own.items())}; others of "
        "its kind differ in the knobs that their names give.",
        "A set is distilled once; every architecture trains fresh networks on the same images, by the same recipe, "
        "with the same initial weights for all methods of a seed.",
    ]
    if rated:
        notes.append(
            "Learning rates are chosen for each set and network on validation images, never on test; a table shows "
            "accuracies at the recipe's own rate."
        )
    if enlarged:
        notes.append(
            f"Images that are too small for a network are enlarged for it, bilinearly: {listed(enlarged)} need it "
            "below the size that `mim4dd list networks` tells."
        )
    if CEILING in results.arms and (full := results.config(CEILING)):
        notes.append(
            "Full data: the same recipe on all training images, "
            f"{plural(int(full['evaluation.networks']), 'network')}, one seed, at most "
            f"{full['evaluation.max_steps']} steps: training stopped early, no ceiling for networks that need more."
        )
    return notes


def _summary(ledger: Ledger, transfers: Transfers, metric: str) -> dict[str, float | None]:
    """The metrics of MLflow's parent run, under names that MLflow allows."""
    results = ledger.results
    names = {arm.key: re.sub(r"[^\w.-]+", "_", arm.name).strip("_") for arm in results.arms.values()}
    own = {arm: Cell(arm, (transfers.own[arm],)) for arm in results.arms}
    metrics = {f"{names[arm]}/test_accuracy": results.mean(cell, metric).mean for arm, cell in own.items()}
    return metrics | {
        f"{names[arm]}/change_to_others": case.change.interval.mean for arm, case in transfers.means.items()
    }
