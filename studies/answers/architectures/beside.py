"""Our sets on other networks beside published ones, where data set and images per class are the same."""

from __future__ import annotations

from dataclasses import dataclass

from studies.answers.architectures.published import AVERAGE, Published, published
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.transfer import mean_of_others
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Quantity, Sentence, Table, percent
from studies.engine.folder import images_of
from studies.engine.names import network_name

OWN = "convnet"


@dataclass(frozen=True)
class Case:
    """A published accuracy and ours: on a network, or on the mean of all others (AVERAGE)."""

    arm: str
    network: str
    level: str
    entry: Published
    accuracy: float


def beside_published(ledger: Ledger, metric: str) -> Part:
    """A sentence with each method's accuracies beside ours, and a table; empty without a published one."""
    results = ledger.results
    found = [case for arm in results.arms for case in _cases(results, arm)]
    if not found:
        return Part()
    sentences = [_sentence(ledger, arm, [case for case in found if case.arm == arm], metric) for arm in results.arms]
    return Part(sentences, [_table(results, found, metric)])


def _cases(results: Results, arm: str) -> list[Case]:
    """The published accuracies of an arm that was distilled on the ConvNet, on networks of the study."""
    own, config = results.arms[arm], results.config(arm)
    if own.has_term or own.placebo or network_name(own.knobs) or config.get("network") != OWN:
        return []
    cases = []
    for entry in published(images_of(config), int(config["ipc"]), own.base):
        for network, accuracy in entry.accuracies.items():
            # Of several networks of one kind, the first: the study's own, or the one with the fewest knobs changed.
            level = next((name for (name,) in results.levels if name.partition(":")[0] == network), "")
            if level or network == AVERAGE:
                cases.append(Case(arm, network, level, entry, accuracy))
    return cases


def _sentence(ledger: Ledger, arm: str, cases: list[Case], metric: str) -> Sentence | None:
    told, claims = list[str](), list[Claim]()
    for case in cases:
        if case.level:
            mean, claim = ledger.claimed_mean(Cell(arm, (case.level,)), metric)
            told.append(f"{percent(mean)} on {case.level} ({case.accuracy:.1f} published)")
            claims.append(claim)
    if not told:
        return None
    return Sentence(f"{ledger.results.arms[arm].name} reaches {listed(told)}.", tuple(claims))


def _table(results: Results, cases: list[Case], metric: str) -> Table:
    rows: list[dict[str, Entry]] = [
        {
            "method": results.arms[case.arm].name,
            "network": case.network,
            "published": Quantity(case.accuracy / 100, unit="percent"),
            "ours": _ours(results, case, metric),
            "ours, at the fixed rate": _ours(results, case, "test"),
            "our network": case.level or "mean of the others",
            "source": case.entry.source,
        }
        for case in cases
    ]
    config = results.config(cases[0].arm)
    width = f"of width {config['network.width']} (published: 128)" if "network.width" in config else "as configured"
    return Table.of(
        "published",
        "Beside published accuracies on other networks",
        rows,
        f"Test accuracy with 95% t intervals. Ours: protocol {results.folder.study['protocol']}, distilled on a "
        f"ConvNet {width}, {config['evaluation.epochs']} epochs of evaluation with augmentation "
        f"{config['evaluation.augment']}; every published schedule is longer than those of the protocols quick and "
        "digits, and its networks are as wide as these of ours are by default. Nothing is decided here.",
    )


def _ours(results: Results, case: Case, metric: str) -> Quantity | None:
    if case.level:
        return Quantity.of(results.mean(Cell(case.arm, (case.level,)), metric), "percent")
    mean = mean_of_others(results, case.arm, results.reference[0], metric)
    return None if mean is None else Quantity(mean, unit="percent")
