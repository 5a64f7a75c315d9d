"""What somebody says of the items in words, with the pictures that show it: a Markdown file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

from mim4dd.errors import InputError
from studies.engine.reading import contents
from studies.review.items import ITEMS


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    caption: str
    file: Path


Answer = tuple[str | Picture, ...]
"""Markdown, and the pictures between, in their order."""
PREFACE = ""


def answers_in(file: Path) -> dict[str, Answer]:
    """The answers of a file, by item: what stands below each heading `## S1`, and under PREFACE what stands above them.

    A paragraph `![caption](FOLDER/figures/NAME.png)` is a picture, its path being that from the file.

    Raises: InputError for a file that cannot be read, has no answer, one that is empty, given twice or of no item, or a
    picture that is no PNG or SVG file.
    """
    if not file.is_file():
        raise InputError(f"--answers {file} is no file")
    try:
        text = "\n".join(contents(file).decode("utf-8-sig").splitlines()) + "\n"
    except UnicodeDecodeError as error:
        raise InputError(f"--answers {file} is not UTF-8 at byte {error.start}") from error
    above, *parts = re.split(r"^## +(\w+).*\n", text, flags=re.MULTILINE)
    answers: dict[str, Answer] = {}
    for id, answer in zip(parts[::2], map(str.strip, parts[1::2]), strict=True):
        if id not in {item.id for item in ITEMS}:
            raise InputError(f"--answers {file} has a heading '## {id}', which is no item; known are S1, Q1, C1a, ...")
        if id in answers or not answer:
            raise InputError(f"--answers {file} has {'two answers' if id in answers else 'no answer'} below '## {id}'")
        answers[id] = _blocks(answer, file)
    if not answers:
        raise InputError(f"--answers {file} has no heading such as '## S1'")
    preface = _blocks(re.sub(r"\A\s*# .*\n", "", above).strip(), file)  # without the title
    if any(isinstance(one, Picture) for one in preface):
        raise InputError(
            f"--answers {file} has a picture above its first answer; put it below a heading such as '## S1'"
        )
    return {PREFACE: preface, **answers} if any(preface) else answers


def _blocks(text: str, file: Path) -> Answer:
    """Lists and tables stay whole: only a picture ends a text."""
    found = [_block(block, file) for block in re.split(r"\n{2,}", text)]
    runs = groupby(found, key=lambda block: isinstance(block, str))
    return tuple(chain.from_iterable(["\n\n".join(map(str, run))] if words else run for words, run in runs))


def _block(text: str, file: Path) -> str | Picture:
    found = re.fullmatch(r"!\[(.*)\]\((\S+)\)", text, flags=re.DOTALL)
    if found is None:
        return text
    path = file.parent / found[2]
    if not path.is_file() or path.suffix not in (".png", ".svg"):
        raise InputError(f"--answers {file} shows {found[2]}, which is no PNG or SVG file")
    return Picture(" ".join(found[1].split()), path)
