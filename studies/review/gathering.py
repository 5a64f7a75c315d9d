"""What finished studies say of each item: their claims, counted by decision, and the status of the item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from studies.engine.folder import StudyFolder, images_of
from studies.engine.quoting import Claim, printed, word
from studies.engine.reading import checked, contents, parsed, reason
from studies.engine.shapes import ClaimRecord
from studies.engine.units import UNITS
from studies.engine.wording import plural
from studies.review.items import ITEMS, Evidence, Item
from studies.review.words import Answer

# Claims of one kind that are spelt out; the others are counted.
SPELT = 4
ANSWERED, UNDECIDED, MEASURED = "answered", "undecided", "measured"
PARTLY, ARGUED, OPEN = "partly answered", "argued", "not run"


@dataclass(frozen=True, eq=False)
class Source:
    """A finished study: its folder, study.json, claims by id, and its answer in short, "" where it has none."""

    path: Path
    study: Mapping[str, Any]
    claims: Mapping[str, Claim]
    short: str

    @property
    def name(self) -> str:
        return self.path.name

    @staticmethod
    def read(path: Path) -> Source:
        """A finished study from its folder.

        Raises: InputError for a folder without an answer, or whose claims rest on trials that have no row.
        """
        folder = StudyFolder.read(path, unfinished=True)
        file = path / "claims.jsonl"
        if not file.is_file() and not contents(file):
            raise InputError(f"{path} has no answer yet; write it with: python -m studies.answers {path}")
        try:
            records = [parsed(line) for line in contents(file).splitlines()]
            checked(records, list[ClaimRecord])
            if lone := next((each for each in records if _of_a_gain(each) and len(each["terms"]) < 2), None):
                raise ValueError(f"{lone['id']} has {plural(len(lone['terms']), 'term')}")
            if unknown := next((record for record in records if record["unit"] not in UNITS), None):
                raise ValueError(f"{unknown['id']} is in {unknown['unit']!r}, which is no unit")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"the claims of {path} cannot be read ({reason(error)})") from error
        _require_rows(folder, {trial for record in records for trial in record["trials"]}, path)
        return Source(path, folder.study, {record["id"]: record for record in records}, in_short(path / "answer.md"))


def _of_a_gain(record: Claim) -> bool:
    """Whether it is a contrast of a term and its base, see `studies.review.limitations`."""
    return str(record["id"]).startswith(("change/", "term-gap/"))


def _require_rows(folder: StudyFolder, trials: set[str], path: Path) -> None:
    """Raises: InputError for claims that rest on trials without a row: not run yet, or no longer there."""
    missing = sorted(trials - folder.rows.keys())
    if not missing:
        return
    way = f"write its answer again with: python -m studies.answers {path}"
    if folder.planned.keys() >= set(missing):
        way = f"it is not finished: leave it out, or continue it with: {folder.study['command']}"
    raise InputError(f"{path}: {plural(len(missing), 'trial')} of its claims have no row, such as {missing[0]}; {way}")


def in_short(file: Path) -> str:
    """The answer in short that stands in an answer.md, "" for none."""
    if not file.is_file():
        return ""
    _, heading, after = contents(file).decode("utf-8", "replace").partition("## In short\n")
    return after.partition("\n## ")[0].strip() if heading else ""


@dataclass(frozen=True)
class Statement:
    """What the claims of one kind say in one study: the first of them spelt out, and the number of each decision.

    counts: by the decision's words, "" for estimates.
    """

    kind: str
    counts: Mapping[str, int]
    claims: tuple[Claim, ...]

    @property
    def heading(self) -> str:
        """`34 contrasts: a gain in 1, undecided in 33`, `44 estimates`, or both."""
        estimates = self.counts.get("", 0)
        contrasts = {words: count for words, count in self.counts.items() if words}
        # What is decided first.
        told = ", ".join(
            f"{words} in {count}" for words, count in sorted(contrasts.items(), key=lambda one: one[0] == "undecided")
        )
        parts = [f"{plural(sum(contrasts.values()), 'contrast')}: {told}"] if contrasts else []
        return "; ".join([*parts, *([plural(estimates, "estimate")] if estimates else [])])

    @property
    def decided(self) -> bool:
        """Whether it has a contrast that is decided: an estimate is none."""
        return any(words not in ("", "undecided") for words in self.counts)

    @property
    def undecided(self) -> bool:
        return "undecided" in self.counts


@dataclass(frozen=True, eq=False)
class Found:
    """What one study contributes to an item."""

    source: Source
    evidence: Evidence
    statements: tuple[Statement, ...]

    @property
    def decided(self) -> bool:
        return any(one.decided for one in self.statements)


@dataclass(frozen=True, eq=False)
class Entry:
    """An item with what was found on it.

    missing: the evidence that no folder holds and what no study can decide, in words; answer: what somebody says of it,
    with pictures.
    """

    item: Item
    found: tuple[Found, ...]
    missing: tuple[str, ...]
    answer: Answer = ()

    @property
    def status(self) -> str:
        if not self.found:
            return ARGUED if self.item.argued else OPEN
        if self.missing:
            return PARTLY
        statements = [statement for one in self.found for statement in one.statements]
        if any(one.decided for one in statements):
            return ANSWERED
        return UNDECIDED if any(one.undecided for one in statements) else MEASURED

    @property
    def why(self) -> str:
        """What the status means here, in words."""
        decided = len({one.source.path for one in self.found if one.decided})
        many = len({one.source.path for one in self.found})
        told = ["in words, without a measurement"] if self.status == ARGUED else []
        if many:
            told.append(f"{decided} of {many} {'studies decide' if many > 1 else 'study decides'} something of it")
        return "; ".join([*told, *self.missing])

    @property
    def counts(self) -> list[str]:
        """All contrasts and estimates of each kind, over the studies that have them."""
        kinds: dict[str, list[Statement]] = {}
        for found in self.found:
            for statement in found.statements:
                kinds.setdefault(statement.kind, []).append(statement)
        return [f"`{kind}` in {_studies(len(all_of))}: {_total(all_of).heading}" for kind, all_of in kinds.items()]


def _studies(count: int) -> str:
    return "one study" if count == 1 else f"{count} studies"


def _total(statements: Sequence[Statement]) -> Statement:
    """The sum of statements of one kind."""
    return Statement(statements[0].kind, sum((Counter(one.counts) for one in statements), Counter()), ())


def gathered(sources: Sequence[Source], answers: Mapping[str, Answer]) -> list[Entry]:
    """Every item of the review with what the studies say of it. answers: in words, by item."""
    return [replace(_entry(item, sources), answer=answers.get(item.id, ())) for item in ITEMS]


def _entry(item: Item, sources: Sequence[Source]) -> Entry:
    found, missing = [], []
    for evidence in item.evidence:
        here = list(_found(evidence, sources))
        found += here
        missing += _absent(evidence, here, sources)
    if found and item.open:
        missing.append(f"open: {item.open}")
    return Entry(item, tuple(found), tuple(dict.fromkeys(missing)))


def _absent(evidence: Evidence, found: Sequence[Found], sources: Sequence[Source]) -> list[str]:
    """What no folder holds of the evidence: the study, a kind of claim, or a data set."""
    script = f"studies/{evidence.study}.py"
    runs = [source for source in sources if source.study["study"] == evidence.study]
    if not runs:
        return [f"no run of {script} is among these folders"]
    there = {statement.kind for one in found for statement in one.statements}
    told = []
    if lacking := [f"`{kind}`" for kind in evidence.claims if kind not in there]:
        told.append(f"no run of {script} here claims {' or '.join(lacking)}")
    on = {images_of(one.source.study["configuration"]) for one in found}
    if elsewhere := [name for name in evidence.data if name not in on]:
        told.append(f"no run of {script} here is on {' or '.join(elsewhere)}")
    return told


def _found(evidence: Evidence, sources: Sequence[Source]) -> Iterator[Found]:
    for source in sources:
        if source.study["study"] == evidence.study:
            statements = tuple(filter(None, (_statement(pattern, source) for pattern in evidence.claims)))
            if statements:
                yield Found(source, evidence, statements)


def _statement(pattern: str, source: Source) -> Statement | None:
    claims = [record for id, record in source.claims.items() if fnmatchcase(id, pattern)]
    if not claims:
        return None
    counts = Counter(word({**record, "size": ""}) if record["decision"] else "" for record in claims)
    # What is decided comes first, the largest first in its unit.
    first = sorted(claims, key=lambda record: (record["decision"] in ("", "undecided"), -_extent(record)))
    return Statement(pattern, counts, tuple(first[:SPELT]))


def _extent(record: Claim) -> float:
    """How large an estimate is in its unit: of a contrast the distance from none, of seconds and bytes themselves."""
    stored, unit = record["estimate"], UNITS[record["unit"]]
    if stored is None:
        return -math.inf
    return stored if unit.log and not unit.ratio else abs(stored)


def spelt(record: Claim) -> str:
    """A claim as a sentence that says no more than it: what, how much, with its interval, n and decision."""
    text = f"{record['what']}: {printed(record, unit=True)} (n = {record['n']}"
    if not record["decision"]:
        return f"{text})"
    return f"{text}; {word(record)})"
