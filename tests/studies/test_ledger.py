"""The ledger: each contrast is judged once, in its family, and every part of an answer gets the same ruling of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_rows import factors_of, lost, made_folder, made_row

from studies.answers.ledger import Ledger, Part, Ruling, margin
from studies.answers.parts.response import Response
from studies.answers.results import Cell, Contrast, Results
from studies.engine.answer import Sentence, Table, points
from studies.engine.arms import Arm, Curve, Factor, Level, Planned, cross, with_controls
from studies.engine.folder import StudyFolder
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import Decision, judge, three_tests
from studies.engine.wording import decimal, images, plural

SEEDS = range(8)
LIGHT = Factor(
    "light",
    (Level("day"), *(Level(name, {"dark": at}, at, "dark") for name, at in (("dusk", 1.0), ("night", 3.0)))),
    (Curve("dark", "darkness", "darkness", unit="hour"),),
)
ARMS = (Arm("random", "random"), Arm("dm", "dm"), Arm("mim:base=dm", "mim", {"method.base": "dm"}))
TERM, BASE, FLOOR = "mim:base=dm", "dm", "random"
AT = {"day": ("day",), "dusk": ("dusk",), "night": ("night",)}


def accuracies(factor: Factor = LIGHT) -> dict[tuple[str, str], np.ndarray]:
    """Two networks a set, [seeds, networks], by arm and level: the term gains by day and loses by night."""
    rng, means = np.random.default_rng(0), {FLOOR: 0.5, BASE: 0.6, TERM: 0.63}
    return {
        (arm, level.label): means[arm]
        - 0.02 * (level.at or 0) * (2 if arm == TERM else 1)
        + rng.normal(0, 0.004, (len(SEEDS), 2))
        for arm in means
        for level in factor.levels
    }


def folder_of(path: Path, factor: Factor = LIGHT) -> StudyFolder:
    values = accuracies(factor)
    planned = [Planned(arm, {"method": arm.method}) for arm in ARMS]
    settings, trials = cross(planned, (factor,), SEEDS)
    configs = {trial.hash: trial.config for trial in trials}
    rows = {
        trial: made_row(trial, configs[trial], values[one.arm.key, one.levels[factor.name]][seed])
        for one in settings
        for seed, trial in enumerate(one.trials)
    }
    return made_folder(path, with_controls(settings), rows, SEEDS, **factors_of(factor))


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return folder_of(tmp_path)


@pytest.fixture
def results(folder: StudyFolder) -> Results:
    return Results(folder)


def sets(arm: str, level: str) -> np.ndarray:
    return accuracies()[arm, level].mean(axis=1)


# Contrasts


def test_a_gain_its_change_and_a_cost_are_paired_by_seed(results: Results) -> None:
    gain, cost = results.gain(TERM, AT["night"]), results.cost(BASE, AT["night"])
    change = results.change(TERM, AT["night"])
    by_night, by_day = sets(TERM, "night") - sets(BASE, "night"), sets(TERM, "day") - sets(BASE, "day")
    assert gain.differences == pytest.approx(by_night)
    assert cost.differences == pytest.approx(sets(BASE, "night") - sets(BASE, "day"))
    assert change.differences == pytest.approx(by_night - by_day)
    assert len(change.trials) == 4 * len(SEEDS)
    assert results.gain(TERM).differences == pytest.approx(by_day)


@pytest.mark.parametrize(
    ("curve", "x"),
    [
        (Curve("dark", "darkness", "darkness"), [0, 1, 3]),
        (Curve("dark", "darkness", "darkness", units=10.0), [0, 10, 30]),
        (Curve("dark", "darkness", "darkness", upto=2.0), [0, 1]),
        (Curve("dark", "darkness", "darkness", scale="log", origin=1.0), [0, 0, np.log10(3)]),
    ],
)
def test_a_slope_is_each_seeds_least_squares_line(curve: Curve, x: list[float], tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, replace(LIGHT, curves=(curve,)))))
    found = Response(ledger, "test", [BASE, TERM])
    values = accuracies()
    for slope in found.slopes:
        y = [values[slope.arm, level.label].mean(axis=1) for level in LIGHT.levels[: len(x)]]
        expected = np.polyfit(x, np.array(y), 1)[0]
        # A slope over one step is the cost of that step, whose terms stand the other way round.
        assert slope.ruling.contrast.differences == pytest.approx(expected)
        assert slope.ruling.interval.mean == pytest.approx(expected.mean())
        line = np.polyval(np.polyfit(x, np.mean(y, axis=1), 1), x)
        misfit = np.abs(np.mean(y, axis=1) - line).max() if len(x) > 2 else None
        assert slope.misfit == pytest.approx(misfit)
    assert [slope.arm for slope in found.slopes] == list(ledger.results.arms)


def test_a_slope_that_is_a_cost_is_judged_once(tmp_path: Path) -> None:
    factor = replace(LIGHT, levels=LIGHT.levels[:2])
    ledger = Ledger(Results(folder_of(tmp_path, factor)))
    found = Response(ledger, "test", [BASE])
    (slope,) = (one.ruling for one in found.slopes if one.arm == BASE)
    cost = found.cost(BASE, AT["dusk"])
    assert slope.judged == cost.judged
    assert slope.judged.family == "costs"
    assert found.size("slopes") == 0
    values = accuracies(factor)
    costs = values[BASE, "day"] - values[BASE, "dusk"]
    assert str(found.costs()[0]).startswith(
        f"The cost of darkness per hour, up to dusk, is: DM {100 * costs.mean():.1f} points ["
    )
    assert cost.decision is Decision.LOSS


def test_cells_that_cancel_and_the_order_of_cells_make_no_other_contrast(results: Results) -> None:
    a, b, c = (Cell(arm, AT["day"]) for arm in (TERM, BASE, FLOOR))
    one = results.contrast("one", "", (1.0, a), (-1.0, b))
    for terms in (
        [(-1.0, b), (1.0, a)],
        [(-1.0, a), (1.0, b)],
        [(1.0, a), (1.0, c), (-1.0, b), (-1.0, c)],
        [(0.5, a), (-1.0, b), (0.5, a)],
    ):
        assert results.contrast("other", "", *terms).key == one.key
    for terms in ([(1.0, a), (-1.0, c)], [(1.0, a), (-0.5, b)], [(1.0, a), (1.0, b)]):
        assert results.contrast("other", "", *terms).key != one.key
    assert results.contrast("other", "", (1.0, a), (-1.0, b), metric="validation").key != one.key


def test_trials_that_diverged_or_failed_are_lost_pairs_and_the_others_decide(folder: StudyFolder) -> None:
    whole = Ledger(Results(folder)).family("gains", [Results(folder).gain(TERM)])[0]
    assert (whole.interval.n, whole.lost) == (8, 0)
    for arm, seed, status in ((TERM, 0, "diverged"), (BASE, 1, "error"), (BASE, 0, "diverged")):
        trial = Results(folder).trials(Cell(arm, AT["day"]))[seed]
        folder.rows[trial] = lost(folder.rows[trial], status)
    results = Results(folder)
    (ruling,) = Ledger(results).family("gains", [results.gain(TERM)])
    assert (ruling.interval.n, ruling.lost, ruling.contrast.absent) == (6, 2, 0)
    expected = (sets(TERM, "day") - sets(BASE, "day"))[2:]
    assert ruling.interval.mean == pytest.approx(expected.mean())
    assert ruling.decision is Decision.GAIN
    assert (ruling.claim.n, ruling.claim.planned) == (6, 8)
    ended = {status: results.ended(Cell(BASE, AT["day"]), status) for status in ("ok", "diverged", "error", "missing")}
    assert ended == {"ok": 6, "diverged": 1, "error": 1, "missing": 0}


def test_nothing_is_decided_before_every_pair_has_run(folder: StudyFolder) -> None:
    for arm, seed in ((TERM, 0), (BASE, 0), (BASE, 7)):
        del folder.rows[Results(folder).trials(Cell(arm, AT["day"]))[seed]]
    results = Results(folder)
    (ruling,) = Ledger(results).family("gains", [results.gain(TERM)])
    assert results.ended(Cell(BASE, AT["day"]), "missing") == 2
    assert (ruling.decision, ruling.interval.n, ruling.lost) == (Decision.UNDECIDED, 6, 2)
    assert ruling.statement == "undecided, because 2 of 8 pairs have not run yet"
    assert (ruling.claim.p, ruling.claim.decision) == (None, "undecided")
    # What the missing rows do not concern is decided.
    (other,) = Ledger(results).family("others", [results.gain(TERM, AT["night"])])
    assert other.decision is Decision.LOSS


# The ledger


def test_a_contrast_has_one_family_whichever_end_comes_first(results: Results) -> None:
    ledger = Ledger(results)
    ledger.family("gains", [results.gain(TERM)])
    for again in (results.gain(TERM), results.against(TERM, BASE), results.against(BASE, TERM)):
        with pytest.raises(ValueError, match="is judged already"):
            ledger.family("others", [again])
    with pytest.raises(ValueError, match="is judged already"):
        Ledger(results).family("twice", [results.against(BASE, FLOOR), results.against(FLOOR, BASE)])
    taken = results.contrast(results.gain(TERM).id, "another", (1.0, Cell(TERM, AT["day"])))
    with pytest.raises(ValueError, match="is judged already"):
        ledger.family("others", [taken])
    with pytest.raises(KeyError):
        ledger[results.gain(TERM, AT["night"])]


def test_one_gain_on_two_metrics_is_two_contrasts(results: Results) -> None:
    ledger = Ledger(results)
    ledger.family("on test", [results.gain(TERM)])
    (other,) = ledger.family("on validation", [results.gain(TERM, metric="validation")])
    assert other.claim.id == f"{results.gain(TERM).id}/validation"
    assert ledger[results.gain(TERM)].judged.family == "on test"
    assert ledger[results.gain(TERM, metric="validation")].judged.family == "on validation"


def test_each_family_is_corrected_by_itself(results: Results) -> None:
    ledger = Ledger(results)
    contrasts = [results.gain(TERM, levels) for levels in AT.values()]
    rulings = ledger.family("gains", contrasts)
    expected = judge("gains", [three_tests(one.differences, margin=one.margin) for one in contrasts])
    assert [one.judged for one in rulings] == expected
    assert {one.judged.family_size for one in rulings} == {3}
    (alone,) = ledger.family("floor", [results.against(BASE, FLOOR)])
    assert (alone.judged.family_size, alone.judged.difference) == (1, alone.judged.tested.difference)
    assert [ledger[one] for one in contrasts] == rulings
    assert ledger.rulings == (*rulings, alone)


def test_the_rest_keeps_what_earlier_families_decided(results: Results) -> None:
    ledger = Ledger(results)
    (gain,) = ledger.family("gains", [results.gain(TERM)])
    pairs = [results.against(*pair) for pair in ((BASE, TERM), (BASE, FLOOR), (TERM, FLOOR))]
    rulings = ledger.rest("other pairs", pairs)
    assert [(one.judged.family, one.judged.family_size) for one in rulings] == [
        *(("gains", 1), ("other pairs", 2), ("other pairs", 2))
    ]
    assert ledger[results.gain(TERM)] == gain
    assert rulings[0].decision is Decision.LOSS
    assert gain.decision is Decision.GAIN
    assert len(ledger.rulings) == 3
    assert ledger.rest("nothing new", pairs) == rulings


def test_the_other_way_round_is_the_same_ruling_flipped(results: Results) -> None:
    ledger = Ledger(results)
    for levels, word, opposite in ((AT["day"], "gain", "loss"), (AT["night"], "loss", "gain")):
        one = ledger.family(f"gains {levels}", [results.gain(TERM, levels)])[0]
        other = ledger[results.against(BASE, TERM, levels)]
        assert (one.decision, other.decision) == (word, opposite)
        assert one.interval.low is not None
        assert one.interval.high is not None
        ends = (other.interval.mean, other.interval.low, other.interval.high)
        assert ends == pytest.approx((-(one.interval.mean or 0), -one.interval.high, -one.interval.low))
        assert other.contrast.differences == pytest.approx(results.against(BASE, TERM, levels).differences)
        assert other.contrast.terms == results.against(BASE, TERM, levels).terms
        assert other.claim.what == results.against(BASE, TERM, levels).what
        assert (other.judged.difference, other.judged.size) == (one.judged.difference, one.judged.size)
        assert other.claim.id == one.claim.id
        # The same cells in another order are not the other way round.
        turned = results.contrast("turned", "", *one.contrast.terms[::-1])
        assert ledger[turned] is one


def test_an_answer_has_every_claim_once_and_what_its_parts_say(results: Results) -> None:
    ledger = Ledger(results)
    gains = ledger.family("gains", [results.gain(TERM, levels) for levels in AT.values()])
    for _ in range(2):
        mean, claim = ledger.claimed_mean(results.cell(BASE))
        ledger.mean(results.cell(BASE))
    estimate = ledger.estimate("spread", "between sets", 0.1, None, None, 8, "points")
    empty, held = Table("empty", "", ("a",), ()), Table("held", "", ("a",), ((1,),))
    answer = ledger.compose(
        Part([Sentence("One."), None], [empty, held, None], notes=["n", ""], summary={"a": 1.0, "b": None}),
        Part([Sentence("Two.")], notes=["n", "m"], summary={"c": float("nan")}, failed={"t": ["no_gain"]}),
        Part(failed={"t": ["unstable"]}),
    )
    ids = [one.id for one in answer.claims]
    assert len(set(ids)) == len(ids) == 5
    assert set(answer.claims) == {*(one.claim for one in gains), claim, estimate}
    assert claim.estimate == mean.mean == pytest.approx(sets(BASE, "day").mean())
    assert (claim.n, claim.planned, len(claim.trials)) == (8, 8, 8)
    assert list(map(str, answer.sentences)) == ["One.", "Two."]
    assert answer.tables == (held,)
    assert answer.notes[:1] == ("n",)
    assert answer.notes.count("n") == answer.notes.count("m") == 1
    assert answer.summary == {"a": 1.0}
    assert answer.failed == {"t": ["no_gain", "unstable"]}


# Words


def contrast(differences: np.ndarray, size: float = 0.005, unit: str = "points", absent: int = 0) -> Contrast:
    return Contrast("id", "what", "test", (), tuple(differences), absent, (), size, unit)


def ruled(one: Contrast) -> Ruling:
    (judged,) = judge("alone", [three_tests(one.differences, margin=one.margin, absent=one.absent)])
    return Ruling(one, judged)


def spread(mean: float, sd: float, n: int = 8) -> np.ndarray:
    """n differences of exactly this mean and standard deviation."""
    raw = np.linspace(-1, 1, n)
    return mean + sd * raw / raw.std(ddof=1)


@pytest.mark.parametrize(
    ("size", "unit", "words"),
    [
        (0.005, "points", "half a point"),
        (0.01, "points", "1 point"),
        (0.015, "points", "1.5 points"),
        (0.1, "points", "10 points"),
        (0.25, "nats", "0.25 nats"),
        (0.005, "points of H(Y)", "half a point of H(Y)"),
        (0.01, "points of H(Y)", "1 point of H(Y)"),
        (0.02, "points of H(Y)", "2 points of H(Y)"),
    ],
)
def test_a_margin_in_words(size: float, unit: str, words: str) -> None:
    assert margin(contrast(spread(0, 1), size, unit)) == words
    assert ruled(contrast(spread(0.2 * size, 0.4 * size), size, unit)).statement == f"no difference beyond {words}"


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        (spread(0.02, 0.005), "a gain of more than half a point"),
        (spread(-0.02, 0.005), "a loss of more than half a point"),
        (spread(0.002, 0.001), "a gain below half a point"),
        (spread(-0.002, 0.001), "a loss below half a point"),
        (spread(0.005, 0.002), "a gain"),
        (spread(-0.005, 0.002), "a loss"),
        (spread(0.001, 0.002), "no difference beyond half a point"),
        (np.zeros(8), "no difference beyond half a point"),
        (spread(0.001, 0.02), "undecided"),  # |t| < 1: no forecast is worth anything
        (spread(0.5, 0.001, 4), "undecided, because 4 pairs are too few to decide"),
        (spread(0.5, 0.001, 2)[:1], "undecided, because 1 pair is too few to decide"),
        (np.full(8, np.nan), "undecided, because 0 pairs are too few to decide"),
        (np.full(8, 0.02), "undecided, because every pair differs by the same amount"),
    ],
)
def test_every_decision_in_words(differences: np.ndarray, words: str) -> None:
    one = ruled(contrast(differences))
    assert one.statement == words
    assert one.word == words.partition(",")[0]
    assert one.differs == words.startswith(("a gain", "a loss"))
    assert str(one.starred) == one.points + ("*" if one.differs else "")
    assert str(one.quantity) == one.points


def test_an_undecided_contrast_says_how_many_pairs_would_decide() -> None:
    one = ruled(contrast(spread(0.005, 0.008)))
    assert one.judged.needed is not None
    assert one.judged.needed[1] is None  # the interval holds 0: no number is enough
    assert one.statement == f"undecided, with {one.judged.needed[0]} or more pairs needed to decide"
    close = Ruling(one.contrast, replace(one.judged, needed=(9, 1_040)))
    assert close.statement == "undecided, with 9 to 1,040 pairs needed to decide"
    assert Ruling(one.contrast, replace(one.judged, needed=(9, 9))).needed == "9"


@pytest.mark.parametrize(("cost", "zero"), [(False, "0.0 points [-0.7, +0.6]"), (True, "0.0 points [-0.6, 0.7]")])
def test_what_rounds_to_zero_has_no_sign(cost: bool, zero: str) -> None:
    for mean in (-0.0004, 0.0, 0.0004):
        assert points(Interval(mean, -0.007, 0.006, 5), cost=cost) == zero
    assert points(Interval(0.005, -0.0004, 0.01, 5)) == "+0.5 points [0.0, +1.0]"
    assert points(Interval(-0.0012, None, None, 1)) == "-0.1 points (no interval, n = 1)"
    assert (decimal(-0.04), decimal(0.004, "+.2f"), decimal(-0.005, "+.3f")) == ("0.0", "0.00", "-0.005")


def test_nouns_agree_with_their_numbers() -> None:
    assert [plural(n, "set") for n in (0, 1, 2, 1_200)] == ["0 sets", "1 set", "2 sets", "1,200 sets"]
    assert (images(1), images(10)) == ("1 image per class", "10 images per class")
