"""Which limits are the term's own and which it shares with its bases, by the rule that decides everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studies.engine.quoting import Claim, printed, word
from studies.engine.wording import images
from studies.review.gathering import Source

OWN, SHARED = "its own", "shared by its base"
TERMS = "decided for the term; whether its base loses is undecided"
EASED, MORE = "its base's, which the term eases", "shared by its base, and more with the term"
NEITHER = "of neither is a loss decided"
UNKNOWN = "shared by its base; whether the term adds to it is undecided"
# By study, the ids of claims on what the term adds to its base, and the decision that makes it a limit.
ADDED = {
    "architectures": (("gain/", "transfer-of-gain/"), "loss"),
    "cost": (("overhead/",), "gain"),
}
# Operations stand with the costs: time is what they cost.
SHARES = ("flops",)
# What a reader of the term's limits looks for first.
ORDER = (OWN, MORE, TERMS, SHARED, UNKNOWN, EASED, NEITHER)


@dataclass(frozen=True, eq=False)
class Limit:
    """Something that costs accuracy or time. base: the claim on what the base alone loses, None where it loses nothing
    by definition; term: that on what the term adds to it. worse: the decision that is one for the worse: a gap that is
    a gain.
    """

    source: Source
    what: str
    base: Claim | None
    term: Claim
    worse: str = "loss"

    @property
    def verdict(self) -> str:
        """Own or shared, as far as the decisions say."""
        if self.base is None:
            return OWN
        loses, changes = self.base["decision"] == self.worse, str(self.term["decision"])
        if self.worse == "gain":
            changes = {"gain": "loss", "loss": "gain"}.get(changes, changes)
        if changes == "loss" and self.base["decision"] == "undecided":
            return TERMS
        if changes == "loss":
            return MORE if loses else OWN
        return {"gain": EASED, "negligible": SHARED}.get(changes, UNKNOWN) if loses else NEITHER

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """What costs, what the base loses, what the term adds, whose limit it is, and the claim that decides it."""
        told = ["–" if one is None else f"{printed(one, unit=True)}: {word(one)}" for one in (self.base, self.term)]
        return self.what, told[0], told[1], self.verdict, f"`{self.term['id']}`"


def limits(sources: Sequence[Source]) -> list[Limit]:
    """For each study of noise or imbalance and each base with a term the costliest level of each curve; the decided
    losses of the term where nothing is perturbed, and of its gain on other networks; the planted cue that its base
    amplifies most; the time and the memory that it adds. The term's own first, the undecided last.
    """
    found = []
    for source in sources:
        if source.study["study"] in ("noisy_labels", "imbalance"):
            found += list(_stressed(source))
        elif source.study["study"] == "dataset_bias":
            found += list(_pulled(source))
        elif source.study["study"] in ("baselines", "fidelity"):
            losses = (one for one in _starting("gain/", source) if one["decision"] == "loss")
            per_class = images(int(source.study["configuration"]["ipc"]))
            found += [Limit(source, f"{one['what']}, {per_class}", None, one) for one in losses]
        else:
            prefixes, worse = ADDED.get(str(source.study["study"]), ((), ""))
            decided = (one for prefix in prefixes for one in _starting(prefix, source) if one["decision"] == worse)
            found += [Limit(source, str(one["what"]), None, one) for one in decided if one["metric"] not in SHARES]
    return sorted(found, key=lambda one: ORDER.index(one.verdict))


def _starting(prefix: str, source: Source) -> list[Claim]:
    return [record for id, record in source.claims.items() if id.startswith(prefix)]


def _stressed(source: Source) -> Iterator[Limit]:
    families = {str(one["label"]): str(one["family"]) for one in source.study.get("conditions") or ()}
    worst: dict[tuple[str, str], tuple[Claim, Claim]] = {}
    for change in _starting("change/", source):
        term, base, level = _parts(change)
        cost = source.claims.get(f"cost/{base}/{change['id'].rpartition('/')[2]}")
        # Noise and imbalance together are a question of their own.
        if cost is None or cost["estimate"] is None or "+" in level:
            continue
        curve = (term, families.get(level, level))
        if curve not in worst or cost["estimate"] < worst[curve][0]["estimate"]:
            worst[curve] = (cost, change)
    for cost, change in worst.values():
        yield Limit(source, f"{_parts(change)[2]}, {str(change['what']).partition(',')[0]}", cost, change)


def _pulled(source: Source) -> Iterator[Limit]:
    """For each arm with the term the correlation at which its base amplifies a planted cue most, beyond random images
    and beyond full data, and every one at which the term widens the gap.
    """
    most: dict[str, tuple[Claim, Claim]] = {}
    for gap in _starting("term-gap/", source):
        (_, term, levels), _, (_, base, _), *_ = gap["terms"]
        at = f"{base}/{gap['id'].rpartition('/')[2]}"
        random, full = (source.claims.get(f"amplified-over-{than}/{at}") for than in ("random", "full"))
        if random is None or full is None:
            continue
        if random["decision"] == full["decision"] == "gain":
            if term not in most or random["estimate"] > most[term][0]["estimate"]:
                most[term] = (random, gap)
        elif gap["decision"] == "gain":
            yield Limit(source, f"{levels[0]}, {str(gap['what']).rpartition(',')[0]}", random, gap, "gain")
    for random, gap in most.values():
        what = f"{gap['terms'][0][2][0]}, {str(gap['what']).rpartition(',')[0]}"
        yield Limit(source, what, random, gap, "gain")


def _parts(change: Claim) -> tuple[str, str, str]:
    """The term's arm, its base's, and the stressed level: the change of a gain is (term - base) there less it clean."""
    (_, term, levels), (_, base, _), *_ = change["terms"]
    return term, base, ", ".join(levels)
