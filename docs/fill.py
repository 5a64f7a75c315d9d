"""Fills README.md, docs/findings.md and docs/glossary.md from docs/source/: `make docs`.

A source is Markdown with `{{ claim("FOLDER", "ID") }}` where a number belongs, so nobody writes one by hand;
the numbers are the claims of docs/results, and the glossary is that of the reports.

    {{ claim("noise-digits", "mean/balanced/dm/clean") }}           86.7% [86.0, 87.5]
    {{ claim("noise-digits", "gain/" ~ strong ~ "/clean") }}        +1.1 points [+0.8, +1.5]
    {{ claim(...) | bare }}    the same without its unit; | star: and with * where a gain or a loss is decided
    {{ claim(...) | cost }}    what is lost, 53.7 points [47.8, 59.7]; | barecost; | only: the estimate; | p: Holm's
    {{ claim(...) | fine }}    to two digits, without a sign; | low, | high: an end of its interval alone
    {{ claim(...) | word }}    the decision; | says("the term gains"): the text, if it is what was decided
    {{ every("FOLDER", "gain/*", "undecided") }}    the text, if every claim that the pattern meets was decided so
    {{ number("FOLDER", "gain/*") }}                how many claims it meets
    {{ published("mnist", 1, "dc") }}               a published accuracy, with * where it is from memory
    {{ lines("FOLDER") }}                           how many trials the folder has
    {{ short("FOLDER") }}                           its answer in short, as a quotation

A decision's words are those of WORDS: a text that `says` or `every` passes has words of that one decision alone.
Paragraphs and list items are wrapped anew after filling, so a source may break its lines anywhere.

`python docs/fill.py --check` changes nothing and fails where a document is not what its source gives.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from studies.engine.wording import decimal

DOCS = Path(__file__).parent
RESULTS, SOURCES = DOCS / "results", DOCS / "source"
DOCUMENTS = {
    SOURCES / "README.md": DOCS.parent / "README.md",
    SOURCES / "findings.md": DOCS / "findings.md",
    SOURCES / "glossary.md": DOCS / "glossary.md",
}
SCALES = {"percent": 100, "points": 100}
WIDTH = 130
WORDS = {
    "gain": r"gains?|gained|rises?|grows?|better|above|ahead|lifts?",
    "loss": r"loss|losses|lose|loses|lost|costs?|falls?|fallen|worse|below|smaller",
    "negligible": r"no difference",
    "undecided": r"undecided",
}
Claim = dict[str, Any]


@cache
def claims(folder: str) -> dict[str, Claim]:
    """The claims of a folder of docs/results by id."""
    text = (RESULTS / folder / "claims.jsonl").read_text(encoding="utf-8")
    return {held["id"]: held for held in map(json.loads, text.splitlines())}


def claim(folder: str, id: str) -> Number:
    """One claim.

    Raises: KeyError with the nearest ids where there is none.
    """
    import difflib

    held = claims(folder)
    if id not in held:
        near = ", ".join(difflib.get_close_matches(id, held, n=3, cutoff=0.3))
        raise KeyError(f"{folder} claims no {id}; near it: {near}")
    return Number(held[id])


class Number(dict[str, Any]):
    """A claim that prints as its estimate with unit and interval."""

    def __str__(self) -> str:
        return printed(self, unit=True)


def printed(one: Claim, *, unit: bool = False, cost: bool = False, interval: bool = True) -> str:
    """`+1.1 points [+0.8, +1.5]`, `86.7% [86.0, 87.5]`; cost: a fall as what is lost, without signs."""
    if one["estimate"] is None:
        return "–"
    kind, scale = one["unit"], SCALES.get(one["unit"], 1)
    scale, sign = (-scale, "") if cost else (scale, "+" if kind == "points" else "")
    digits = ".1f" if kind in SCALES else ".2f"

    def told(value: float) -> str:
        value = min(1.0, max(0.0, value)) if kind == "percent" else value
        return decimal(scale * value, f"{sign}{digits}")

    names = {"percent": "%", "points": " points"}
    text = told(one["estimate"]) + (names.get(kind, f" {kind}".rstrip()) if unit else "")
    if not interval or one["low"] is None or one["high"] is None:
        return text
    low, high = (one["high"], one["low"]) if cost else (one["low"], one["high"])
    return f"{text} [{told(low)}, {told(high)}]"


def decided(one: Claim) -> bool:
    return one["decision"] in ("gain", "loss")


def p_value(one: Claim) -> str:
    """Holm's p of the difference, to two digits."""
    return "untested" if one["p_adjusted"] is None else f"{one['p_adjusted']:.2g}"


def word(one: Claim) -> str:
    """The decision in words."""
    if one["decision"] == "negligible":
        return "no difference beyond half a point"
    if not decided(one):
        return "undecided"
    size = {"beyond": " of more than half a point", "below": " below half a point"}
    return f"a {one['decision']}{size.get(one['size'], '')}"


def fine(one: Claim) -> str:
    """`0.19 points [0.09, 0.27]`: for spreads and other sizes."""
    scale = SCALES.get(one["unit"], 1)
    estimate, low, high = (
        "" if one[end] is None else decimal(scale * one[end], ".2f") for end in ("estimate", "low", "high")
    )
    text = f"{estimate} {one['unit']}".rstrip()
    return text if one["low"] is None else f"{text} [{low}, {high}]"


def end(one: Claim, which: str) -> str:
    """The lower or the upper end of the interval, with its unit."""
    return printed({**one, "estimate": one[which]}, unit=True, interval=False)


def says(one: Claim, text: str) -> str:
    """The text, if its words are those of the claim's decision.

    Raises: ValueError where they are another's, or promise more than half a point that was not decided.
    """
    bare = re.sub("(beyond|below|more than) half a point", "", text)
    told = [decision for decision, words in WORDS.items() if re.search(rf"\b({words})\b", bare)]
    size = "beyond" if "more than half a point" in text else "below" if "below half a point" in text else ""
    if told != [one["decision"]] or (size and one["size"] != size):
        raise ValueError(f"{one['id']} is {word(one)}; the text says {text!r}")
    return text


def meeting(folder: str, pattern: str) -> list[Claim]:
    """The claims of a folder whose ids the pattern meets.

    Raises: KeyError where there is none.
    """
    met = [held for id, held in claims(folder).items() if fnmatchcase(id, pattern)]
    if not met:
        raise KeyError(f"{folder} claims nothing like {pattern}")
    return met


def every(folder: str, pattern: str, text: str) -> str:
    """The text, if its words are those of the decision of every such claim."""
    for one in meeting(folder, pattern):
        says(one, text)
    return text


def number(folder: str, pattern: str, decision: str = "*") -> int:
    """How many such claims there are, all or those decided so."""
    return sum(fnmatchcase(str(one.get("decision")), decision) for one in meeting(folder, pattern))


def published(dataset: str, ipc: int, method: str) -> str:
    """A published accuracy in percent, with * where it is from memory of the literature."""
    from studies.answers.fidelity.published import PUBLISHED

    cell = PUBLISHED[dataset, ipc, method]
    return f"{cell.accuracy:.1f}{'' if cell.certain else '*'}"


FILTERS = {
    "bare": printed,
    "star": lambda one: printed(one) + ("*" if decided(one) else ""),
    "cost": lambda one: printed(one, unit=True, cost=True),
    "barecost": lambda one: printed(one, cost=True),
    "only": lambda one: printed(one, unit=True, interval=False),
    "p": p_value,
    "word": word,
    "fine": fine,
    "low": lambda one: end(one, "low"),
    "high": lambda one: end(one, "high"),
    "says": says,
}
GIVEN = {"claim": claim, "every": every, "number": number, "published": published}


def lines(folder: str) -> int:
    """The trials of a folder that have a row."""
    return len((RESULTS / folder / "rows.jsonl").read_text(encoding="utf-8").splitlines())


def short(folder: str) -> str:
    """The answer of a folder in short, as a quotation."""
    text = (RESULTS / folder / "answer.md").read_text(encoding="utf-8")
    block = re.search(r"^## In short\n\n(.*?)\n\n## ", text, flags=re.DOTALL | re.MULTILINE)
    if block is None:
        raise ValueError(f"{folder} has no answer in short")
    return f"> {block[1]}"


def wrapped(text: str) -> str:
    """Markdown with its paragraphs and list items wrapped; code, tables, headings and pictures as they are.

    Raises: ValueError where a wrapped line would begin a list, a table or a heading.
    """

    def wrap(paragraph: str) -> str:
        indent = {"- ": "  ", "> ": "> "}.get(paragraph[:2], "")
        kept = re.sub(
            r"`[^`]*`|\[[-+.\d]+, [-+.\d]+\]", lambda held: held[0].replace(" ", "\0"), " ".join(paragraph.split())
        )
        made = textwrap.wrap(
            kept,
            WIDTH,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if wrong := [
            line for line in made[1:] if re.match(r"([-+*#>=|]+|\d+[.)])(\s|$)", line.removeprefix(indent).strip())
        ]:
            raise ValueError(f"wrapped, this line means something else: {wrong[0]}")
        return "\n".join(made).replace("\0", " ")

    blocks = re.split(r"(^```.*?^```$|\n{2,})", text, flags=re.DOTALL | re.MULTILINE)
    for i, block in enumerate(blocks):
        if block.strip() and not block.lstrip("\n").startswith(("```", "|", "#", "!")):
            ends = re.fullmatch(r"(\n*)(.*?)(\n*)", block, flags=re.DOTALL)
            assert ends is not None
            inner = "\n".join(wrap(item) for item in re.split(r"\n(?=- )", ends[2]))
            blocks[i] = ends[1] + inner + ends[3]
    return "".join(blocks)


def filled(source: Path) -> str:
    """A document from its source.

    Raises: KeyError for a claim that there is not; ValueError for a word that is not its decision's; jinja2's
    UndefinedError for a name.
    """
    from jinja2 import Environment, StrictUndefined

    from studies.engine.glossary import GLOSSARY

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    environment.filters |= FILTERS
    text = source.read_text(encoding="utf-8")
    return wrapped(environment.from_string(text).render(lines=lines, short=short, glossary=GLOSSARY, **GIVEN))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where a document differs")
    check = parser.parse_args(words).check
    stale = [document for source, document in DOCUMENTS.items() if document.read_text("utf-8") != filled(source)]
    for document in stale:
        print(f"{document.name} {'is not what its source gives: run make docs' if check else 'is written anew'}")
        if not check:
            source = next(source for source, other in DOCUMENTS.items() if other == document)
            document.write_text(filled(source), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
