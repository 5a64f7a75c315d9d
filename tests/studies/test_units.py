"""Units of cost: durations, bytes, operations and ratios in sentences, CSV and LaTeX, and decisions about them."""

from __future__ import annotations

import math

import pytest

from studies.answers.ledger import Ruling, margin
from studies.answers.results import Contrast
from studies.engine.answer import Claim, Quantity, Table
from studies.engine.quoting import printed, says
from studies.engine.statistics.contrasts import judge, three_tests
from studies.engine.tables import csv_text, latex
from studies.engine.units import UNITS
from studies.engine.wording import significant


def logged(unit: str, *numbers: float, n: int = 5) -> Quantity:
    """A quantity stored as logarithms. numbers: estimate, low, high."""
    return Quantity(*map(math.log, numbers), n=n, unit=unit)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (logged("times", 1.13, 1.08, 1.18), "1.13 times [1.08, 1.18]"),
        (logged("times", 0.8765, 0.85, 0.9), "0.876 times [0.850, 0.900]"),
        (logged("times", 12.34, 9.99, 1234.4), "12.3 times [9.99, 1234]"),
        (logged("times", 0.99999), "1.00 times (no interval, n = 5)"),
        (logged("log seconds", 850e-6), "850 µs"),
        (logged("log seconds", 12.3e-3, 11.9e-3, 12.8e-3), "12.3 ms [11.9, 12.8]"),
        (logged("log seconds", 0.9, 0.5, 1.2), "900 ms [500, 1200]"),
        (logged("log seconds", 4.15, 3.9, 4.4), "4.15 s [3.90, 4.40]"),
        (logged("log seconds", 59.96, 58, 62), "60.0 s [58.0, 62.0]"),
        (logged("log seconds", 126, 120, 132), "2.10 min [2.00, 2.20]"),
        (logged("log seconds", 12_240), "3.40 h"),
        (logged("log seconds", 999.6e-6), "1.00 ms"),
        (logged("log seconds", 2e-8), "0.0200 µs"),
        (logged("log bytes", 3.5 * 2**20, 3 * 2**20, 4 * 2**20), "3.50 MiB [3.00, 4.00]"),
        (logged("log bytes", 900), "900 B"),
        (logged("log flops", 1.28e12, 1.27e12, 1.3e12), "1.28 TFLOP [1.27, 1.30]"),
        (Quantity(4.15, 3.9, 4.4, 5, "s"), "4.15 s [3.90, 4.40]"),
        (Quantity(0.0, n=5, unit="s"), "0 s"),
        (Quantity(-0.002, -0.003, 0.001, 5, "s"), "-2.00 ms [-3.00, 1.00]"),
        (Quantity(7_000_000, n=1, unit="bytes"), "6.68 MiB"),
        (Quantity(1536, 1024, 2048, 5, "bytes"), "1.50 KiB [1.00, 2.00]"),
        (Quantity(2.5e9, n=1, unit="flops"), "2.50 GFLOP"),
        (Quantity(None, n=0, unit="log seconds"), "–"),
        (Quantity(221.4, 200.0, 240.0, 5, unit="seconds"), "3:41"),
        (Quantity(0.0, -1e4, 1e4, 2, "log seconds"), "1.00 s [0, inf]"),
    ],
)
def test_a_cost_prints_in_the_unit_that_fits_its_estimate(quantity: Quantity, text: str) -> None:
    assert str(quantity) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (9.996, "10.0"), (99.96, "100"), (12345.6, "12346"), (0.01234, "0.0123"), (0.0, "0"), (-0.0, "0")],
)
def test_significant_digits_never_cut_the_whole_part_and_have_no_exponent(value: float, text: str) -> None:
    assert significant(value) == text


def table() -> Table:
    rows = [
        {"method": "DM", "an iteration": logged("log seconds", 0.0123, 0.0119, 0.0128)}
        | {"peak": logged("log bytes", 2**21), "overhead": logged("times", 1.13, 1.08, 1.18)}
        | {"stored": Quantity(4096, n=5, unit="bytes")},
        {"method": "DC", "an iteration": logged("log seconds", 850e-6), "peak": None, "overhead": None}
        | {"stored": Quantity(10, n=5, unit="bytes")},
    ]
    return Table.of("cost", "Cost", rows, "A note.")


def test_csv_holds_seconds_bytes_and_ratios_not_logarithms() -> None:
    assert csv_text(table()).splitlines() == [
        ",".join(
            [
                "method",
                *(f'"an iteration (geometric mean, s) {part}"' for part in ("mean", "low", "high", "n")),
                *(f'"peak (geometric mean, bytes) {part}"' for part in ("mean", "n")),
                *(f"overhead (ratio) {part}" for part in ("mean", "low", "high", "n")),
                *("stored (bytes) mean", "stored (bytes) n"),
            ]
        ),
        "DM,0.0123,0.0119,0.0128,5,2.09715e+06,5,1.13,1.08,1.18,5,4096,5",
        "DC,0.00085,,,5,,,,,,,10,5",
    ]


def test_latex_names_each_unit_beside_its_number() -> None:
    lines = latex(table(), "x").splitlines()
    assert r"method & an iteration (geometric mean) & peak (geometric mean) & overhead (ratio) & stored \\" in lines
    assert r"DM & 12.3 ms [11.9, 12.8] & 2.00 MiB & 1.13 [1.08, 1.18] & 4.00 KiB \\" in lines
    assert r"DC & 850 $\mu$s & -- & -- & 10.0 B \\" in lines


def ruled(ratios: list[float], size: float = math.log(1.05)) -> Ruling:
    differences = tuple(math.log(ratio) for ratio in ratios)
    (judged,) = judge("alone", [three_tests(differences, margin=size)])
    return Ruling(Contrast("id", "a over b", "iteration", (), differences, 0, (), size, "times"), judged)


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([1.20, 1.21, 1.22, 1.19, 1.2], "larger by more than 5%"),
        ([0.80, 0.81, 0.82, 0.79, 0.8], "smaller by more than 5%"),
        ([1.02, 1.021, 1.022, 1.019, 1.02], "larger by less than 5%"),
        ([0.98, 0.981, 0.982, 0.979, 0.98], "smaller by less than 5%"),
        ([1.04, 1.06, 1.05, 1.055, 1.045], "larger"),
        ([0.99, 1.01, 0.995, 1.005, 1.0], "no difference beyond 5%"),
        ([0.9, 1.2, 1.1, 0.8, 1.3], "undecided"),
    ],
)
def test_a_cost_that_is_larger_is_no_gain(ratios: list[float], words: str) -> None:
    one = ruled(ratios)
    assert one.word == words
    assert one.statement.startswith(words)
    assert str(one.quantity).startswith(f"{math.exp(one.interval.mean or 0):.2f}")
    assert isinstance(one.claim, Claim)
    assert one.claim.estimate == one.interval.mean
    assert one.claim.margin == math.log(1.05)


def test_margins_of_ratios() -> None:
    sizes = {1.05: "5%", 1.005: "0.5%", 1.25: "25%", 2.0: "a factor of 2", 1.5: "a factor of 1.5"}
    for ratio, words in sizes.items():
        assert margin(ruled([1.0] * 5, math.log(ratio)).contrast) == words
    assert UNITS["nats"].margin(0.25) == "0.25 nats"
    assert UNITS[""].margin(0.1) == "0.1"


def test_a_gap_that_changes_is_neither_gain_nor_loss() -> None:
    unit = UNITS["points apart"]
    assert unit.ruling("gain", "beyond", 0.005) == "larger by more than half a point"
    assert unit.ruling("loss", "", 0.005) == "smaller"
    assert unit.ruling("negligible", "", 0.005) == "no difference beyond half a point"
    record = {"id": "gap", "unit": "points apart", "estimate": 0.123, "low": 0.1, "high": 0.15, "margin": 0.005}
    record |= {"decision": "gain", "size": "beyond"}
    assert printed(record, unit=True) == "+12.3 points [+10.0, +15.0]"
    assert says(record, "wider by more than half a point")
    with pytest.raises(ValueError, match="gap is larger by more than half a point"):
        says(record, "narrower")
    with pytest.raises(ValueError, match="gap is larger"):
        says(record, "a gain")
