"""Mutated command lines: valid ones of every command, changed at random by what users mistype and attackers try."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

NUMBERS = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "9999999999",
    "0-9999999999",
    "0x10",
    "1_0",
    "²",
    "٣",
    "1.5.2",
    "1e3",
    "-0.0",
)
TEXTS = (
    "",
    " ",
    "\n",
    "a\nb",
    "\x00",
    "é",
    "\udcff",
    "%s",
    "%2F",
    "{}",
    "..",
    "/",
    "~nouser/x",
    "a" * 300,
    "--",
    "-",
    "=",
)
SHAPES = (
    "a=b",
    "a=",
    "=b",
    "weight=abc",
    "weight=1:2:3",
    "symmetric:rate=2",
    "symmetric:",
    ":",
    "npz:",
    "folder:/",
    "[",
    "']",
)
ADDRESSES = (
    "http://[",
    "databricks",
    "sqlite:///",
    "ray://",
    "127.0.0.1:99999",
    "postgresql://u:p@h/d",
    "file:/x",
    "auto:",
)
# Words that are valid somewhere get past the parser, and reach the plan.
VALID = (
    "1",
    "0-1",
    "dm",
    "dsa",
    "mtt",
    "random",
    "full",
    "digits",
    "symmetric",
    "0.4",
    "weight=0.5",
    "qmc",
    "clean",
    "paper",
)
TOKENS = (*NUMBERS, *TEXTS, *SHAPES, *ADDRESSES, *VALID, *VALID, *VALID)
FLAGS = (
    "--seeds=²",
    "--settings=100000",
    "--ipc=1e9",
    "--base=zzz",
    "--set=ipc=0x10",
    "--set=lr=nan",
    "--classes-as=zz",
    "--out=" + "a" * 300,
    "--dataset=folder:~nouser/x",
    "--dataset=npz:/dev/zero",
    "--tracking-uri=http://[",
    "--perturb=symmetric:rate=nan",
    "--method=mim:base=mim",
    "--range=weight=1:0",
    "--protocol=none",
    "--gpus-per-trial=-0",
    "--cpus-per-trial=inf",
    "--checkpoint-seconds=nan",
    "--address=x",
    "--unknown",
    "--help",
)


def mutated(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """One or two mutations of a command line."""
    line = list(words)
    for _ in range(rng.integers(1, 3)):
        line = _once(line, rng)
    return line


def _once(line: list[str], rng: np.random.Generator) -> list[str]:
    token = TOKENS[rng.integers(len(TOKENS))]
    place = int(rng.integers(len(line))) if line else 0
    word = line[place] if line else ""
    before, after = line[:place], line[place + 1 :]
    cut = int(rng.integers(len(word) + 1))
    changes = (
        lambda: [*before, token, *after],
        lambda: [*before, *after],
        lambda: [*before, word, word, *after],
        lambda: [*before, word[:cut] + token + word[cut:], *after],
        lambda: [*before, word[:cut] + word[cut + 1 :], *after],
        lambda: [*before, word.partition("=")[0] + "=" + token, *after],
        lambda: [*before, FLAGS[rng.integers(len(FLAGS))], word, *after],
        lambda: [one for pair in pairwise([*line, token]) for one in pair][:-1],
        lambda: line[::-1],
    )
    return changes[rng.integers(len(changes))]()
