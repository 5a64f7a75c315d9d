"""What figures show: arms that can be told apart in grey, points, and what is undecided looks so."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from answered import answer_of, folder_of
from made_rows import made_folder, made_row
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from PIL import Image

from studies.answers.baselines.pairs import wins_figure
from studies.answers.ledger import Ledger
from studies.answers.parts.contrasts import by_mean, wins
from studies.answers.parts.drawing import ANCHORS, bars, dodged, percents, points_axis, styles
from studies.answers.parts.heat_maps import INK, Scale, ink_on
from studies.answers.parts.matrix import matrices
from studies.answers.parts.response import Response
from studies.answers.results import Results
from studies.answers.sensitivity.analysis import Analysis
from studies.answers.sensitivity.figures import draw_figures
from studies.engine import statistics
from studies.engine.answer import Figure
from studies.engine.arms import Arm, Setting
from studies.engine.report import _draw
from studies.engine.statistics import Interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.statistics.surface import LEAST_R_SQUARED

Places = set[tuple[int, int]]


def drawn(figure: Figure | None) -> Drawing:
    assert figure is not None
    assert figure.drawing is not None
    return figure.drawing


def hatched(axes: Axes) -> Places:
    """The cells (x, y) with a hatch."""
    marked = [patch for patch in axes.patches if patch.get_hatch()]
    corners = [patch.get_extents().transformed(axes.transData.inverted()) for patch in marked]
    return {(round(float(box.x0 + box.x1) / 2), round(float(box.y0 + box.y1) / 2)) for box in corners}


def texts(axes: Axes, *wanted: str) -> Places:
    """The cells (x, y) with one of these texts."""
    return {
        (round(one.get_position()[0]), round(one.get_position()[1])) for one in axes.texts if one.get_text() in wanted
    }


def test_twenty_arms_have_twenty_styles_in_colour_and_in_grey() -> None:
    arms = {str(k): Arm(str(k), "dm") for k in range(20)} | {name: Arm(name, name) for name in ANCHORS}
    drawn_as = styles(arms)
    assert len({(one.colour, one.marker, one.line) for one in drawn_as.values()}) == 22
    assert len({(one.marker, one.line) for one in drawn_as.values()}) == 22
    assert all(drawn_as[name] == style for name, style in ANCHORS.items())
    assert not {one.marker for one in ANCHORS.values()} & {drawn_as[str(k)].marker for k in range(20)}


def test_colours_of_arms_are_dark_enough_on_white() -> None:
    drawn_as = styles({str(k): Arm(str(k), "dm") for k in range(6)} | {name: Arm(name, name) for name in ANCHORS})
    for one in drawn_as.values():
        red, green, blue = (int(one.colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue))
        luminance = float(np.dot([0.2126, 0.7152, 0.0722], list(linear)))
        assert 1.05 / (luminance + 0.05) >= 3


def test_a_base_alone_is_hollow_and_the_term_on_it_filled() -> None:
    drawn_as = styles({"dm": Arm("dm", "dm"), "mim": Arm("mim", "mim", {"method.base": "dm"}, "dm")})
    assert [drawn_as[key].filled for key in ("dm", "mim")] == [False, True]


@pytest.mark.parametrize(
    ("reach", "value", "text"),
    [
        *((0.001, 0.004, "+0.4"), (0.001, -0.004, "-0.4"), (0.001, 0.0, "0"), (0.001, -1e-12, "0")),
        *((0.03, 0.01, "+1"), (0.03, -0.02, "-2"), (0.9, 0.2, "+20"), (1.2, 1.0, "+100")),
    ],
)
@pytest.mark.parametrize("which", ["x", "y"])
def test_differences_stand_in_points_on_their_axes(reach: float, value: float, text: str, which: str) -> None:
    axes = Drawing().subplots()
    axes.plot([0.0, reach], [0.0, reach])
    points_axis(axes, "x" if which == "x" else "y")
    axis, (low, high) = (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    assert axis.get_major_formatter()(value) == text
    assert low < -0.005
    assert high > 0.005


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.2, 0.4], ["20%", "40%"]),
        ([0.87, 0.875, 0.88], ["87.0%", "87.5%", "88.0%"]),
        ([0.9, 0.925, 0.95], ["90.0%", "92.5%", "95.0%"]),
        ([0.95], ["95%"]),
    ],
)
def test_ticks_in_percent_are_told_as_they_are(ticks: list[float], texts: list[str]) -> None:
    axes = Drawing().subplots()
    axes.set_yticks(ticks)
    told = percents(axes.yaxis)
    assert [told(tick) for tick in ticks] == texts


def test_bars_have_caps_end_at_one_and_leave_out_what_is_missing() -> None:
    axes = Drawing().subplots()
    style = styles({"dm": Arm("dm", "dm")})["dm"]
    means = [Interval(0.9, 0.7, 1.1, 3), Interval(0.5, None, None, 1), Interval(None, None, None, 0)]
    bars(axes, np.arange(3.0), means, style, "DM", fraction=True)
    (container,) = axes.containers
    line, caps, (ends,) = container.lines  # type: ignore[attr-defined]
    assert line.get_marker() == style.marker
    assert len(caps) == 2
    assert ends.get_segments()[0][:, 1] == pytest.approx([0.7, 1.0])
    assert line.get_ydata()[:2] == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("log", [False, True])
def test_arms_of_a_level_stand_side_by_side_and_apart_from_the_next_level(log: bool) -> None:
    x = np.array([1.0, 10.0, 50.0, 100.0, 200.0])
    places = np.array([dodged(x, k, 5, log=log) for k in range(5)])
    assert (np.diff(places, axis=0) > 0).all()
    assert (places[-1, :-1] < places[0, 1:]).all()
    assert dodged(x, 0, 1, log=log) == pytest.approx(x)


@pytest.mark.parametrize("value", [-20.0, -5.0, 0.0, 5.0, 20.0])
def test_text_can_be_read_on_every_colour(value: float) -> None:
    from studies.answers.parts.heat_maps import HeatCell

    colour = Scale(-20.0, 20.0, "PuOr").colour(HeatCell(value))
    grey = float(np.dot([0.299, 0.587, 0.114], colour[:3]))
    assert (grey > 0.4) == (ink_on(colour) == INK)


def test_pairs_are_hatched_exactly_where_the_interval_contains_a_half(tmp_path: Path) -> None:
    """Six seeds: all six wins exclude a half, four of six do not."""
    scores = {"dm": [0.90, 0.91, 0.92, 0.93, 0.94, 0.95], "dc": [0.80, 0.81, 0.82, 0.83, 0.84, 0.85]}
    scores["mtt"] = [0.70, 0.86, 0.72, 0.87, 0.74, 0.75]
    settings, rows = [], {}
    for k, (name, values) in enumerate(scores.items()):
        trials = tuple(f"{name}{seed}" for seed in range(6))
        settings.append(Setting(k, Arm(name, name), {}, trials))
        rows |= {one: made_row(one, {"method": name}, [v] * 2) for one, v in zip(trials, values, strict=True)}
    ledger = Ledger(Results(made_folder(tmp_path, settings, rows, range(6))))
    results = ledger.results
    ledger.family("pairs", [results.against(a, b) for a, b in (("dm", "dc"), ("dm", "mtt"), ("dc", "mtt"))])
    figure = wins_figure(ledger)
    order, open_ = by_mean(results, "test"), set()
    for y, a in enumerate(order):
        for x, b in enumerate(order):
            one = wins(results, results.cell(a), results.cell(b), "test")
            if a != b and (one.low is None or one.high is None or one.low <= 0.5 <= one.high):
                open_.add((x, y))
    assert hatched(drawn(figure).axes[0]) == open_ == {(1, 2), (2, 1)}
    assert figure is not None
    assert "Hatched: the interval contains one half" in figure.caption


def test_gains_are_hatched_and_grey_where_undecided_and_bold_where_decided() -> None:
    ledger = Ledger(Results(folder_of("noise-digits-bases")))
    response = Response(ledger, "balanced", list(ledger.results.arms))
    figure = next(one for one in matrices(response, list(ledger.results.arms)).figures if one and one.name == "bases")
    rulings = [[response.gain(arm, levels) for levels in ledger.results.levels] for arm in response.terms]
    places = [(x, y, one) for y, row in enumerate(rulings) for x, one in enumerate(row)]
    (axes,) = drawn(figure).axes
    assert hatched(axes) == {(x, y) for x, y, one in places if one.decision is Decision.UNDECIDED}
    bold = {tuple(map(round, one.get_position())) for one in axes.texts if one.get_weight() == "bold"}
    assert bold == {(x, y) for x, y, one in places if one.differs}
    colours = np.asarray(axes.images[0].get_array())
    assert all(np.ptp(colours[y, x]) < 0.03 for x, y in hatched(axes))
    assert all(np.ptp(colours[y, x]) > 0.05 for x, y, one in places if one.differs)


def test_undecided_cells_of_the_failure_map_are_hatched() -> None:
    figure = next(one for one in answer_of("noise-digits-bases").figures if one.name == "failures")
    (axes,) = drawn(figure).axes
    assert hatched(axes) == texts(axes, "?") != set()
    assert "hatched: they leave it undecided" in figure.caption


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """That of 64 settings; importances of fewer draws, for they take a minute."""
    few = partial(statistics.knob_importance, resamples=4, permutations=4, trees=4, resample_trees=4)
    ledger = Ledger(Results(folder_of("sensitivity-digits-64x5")))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(statistics, "knob_importance", few)
        return Analysis(ledger, ledger.results.levels[0])


@pytest.mark.slow  # its analysis takes ten seconds
@pytest.mark.parametrize("r_squared", [-0.2, LEAST_R_SQUARED - 0.01, LEAST_R_SQUARED, 0.62])
def test_maps_are_drawn_and_curves_solid_only_where_the_surface_explains_something(
    analysis: Analysis, r_squared: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    surface = analysis.surface
    assert surface is not None
    monkeypatch.setattr(analysis, "surface", replace(surface, fit=replace(surface.fit, r_squared=r_squared)))
    figures = {one.name: one for one in draw_figures(analysis) if one is not None}
    explains = r_squared >= LEAST_R_SQUARED
    assert ("interactions" in figures) == explains
    assert ("no maps of interactions are drawn" in figures["response"].caption) != explains
    drawing = drawn(figures["response"])
    (key,) = drawing.legends
    said = key.get_title().get_text()
    assert f"R² {r_squared:.2f}" in said
    assert ("the curve explains nothing" in said) != explains
    (curve,) = [line for line in drawing.axes[0].lines if str(line.get_label()).startswith("mean over the other")]
    assert curve.get_linestyle() == ("-" if explains else "--")
    assert bool(drawing.axes[0].collections) == explains


def test_gains_along_a_curve_stand_in_points_and_decided_ones_have_a_star() -> None:
    figure = next(one for one in answer_of("noise-digits-bases").figures if one.name == "degradation")
    top, bottom = drawn(figure).axes
    assert bottom.get_ylabel() == "gain over the base (points)"
    assert bottom.yaxis.get_major_formatter()(0.01) == "+1"
    assert top.yaxis.get_major_formatter()(0.5) == "50%"
    assert sum(one.get_text() == "★" for one in bottom.texts) == 3


def test_every_figure_of_a_suite_can_be_written_as_svg() -> None:
    for figure in answer_of("noise-digits-bases").figures:
        if figure.drawing is not None:
            written = io.StringIO()
            figure.drawing.savefig(written, format="svg")
            assert "</svg>" in written.getvalue()


def picture_of(tmp_path: Path, pixels: np.ndarray) -> Image.Image:
    """The PNG of a figure that shows an image, enlarged so that each pixel is a square of its own colour."""
    drawing = Drawing(figsize=(3, 3))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.imshow(pixels, interpolation="nearest")
    _draw(drawing, tmp_path / "picture")
    return Image.open(tmp_path / "picture.png")


def test_charts_and_grey_images_have_a_palette_and_colour_images_their_own_pixels(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = picture_of(tmp_path, np.repeat(grey[..., None], 3, 2))
    assert picture.mode == "P"
    levels = np.unique(np.asarray(picture.convert("L"))).astype(int)
    assert all(np.abs(levels - level).min() <= 2 for level in range(256))
    colours = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    picture = picture_of(tmp_path, colours)
    assert picture.mode != "P"
    shown = set(map(tuple, np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()))
    assert set(map(tuple, colours.reshape(-1, 3).tolist())) <= shown
