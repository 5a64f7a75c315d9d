"""The view of a study's trials that MLflow's web page opens with: knobs and scores as columns, and ready charts.

Stored as the web page's own `share view` stores it (MLflow 3.17, not documented): a tag on the experiment. A version
that does not know it shows its default view, and nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from studies.engine.tracking.mlflow_fields import axis, parameter

KEY = "trials"
TAG = f"mlflow.sharedViewState.{KEY}"
SCORES = ("validation_accuracy", "validation_worst_class_recall", "decodable_information_fraction", "seconds")
CURVES = ("by_iteration/validation_accuracy", "loss/dm", "loss/mim", "gradient_norm/dm", "gradient_norm/mim")


def link(experiment: str, *, charts: bool = False) -> str:
    """Where the view is, below the server's address."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={KEY}&workflowType=machine_learning{mode}"


def state(study: Mapping[str, Any]) -> str:
    """The view's content: best trials first, without the parent runs."""
    declared = study.get("knobs") or {}
    knobs, axes = [parameter(key) for key in declared], [axis(key, declared) for key in declared]
    charts: list[dict[str, Any]] = [
        {"type": "PARALLEL", "selectedParams": axes, "selectedMetrics": [SCORES[0]], "showAllRuns": True}
    ]
    charts += [
        {"type": "SCATTER", "xaxis": {"key": name, "type": "PARAM"}, "yaxis": {"key": SCORES[0], "type": "METRIC"}}
        for name in axes
    ]
    curves = [
        {
            "type": "LINE",
            "metricKey": name,
            "selectedMetricKeys": [name],
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
        }
        | {"scaleType": "linear", "lineSmoothness": 0, "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True}
        | {"selectedXAxisMetricKey": "", "range": {}, "yAxisKey": "metric", "yAxisExpressions": []}
        for name in CURVES
    ]
    sections = {"knobs": ("Accuracy against the knobs", charts), "curves": ("While distilling", curves)}
    return json.dumps(
        {
            "selectedColumns": [
                *(f"params.`{knob}`" for knob in knobs),
                "tags.`condition`",
                "tags.`seed`",
                "tags.`role`",
                "tags.`failed_by`",
                *(f"metrics.`{name}`" for name in SCORES),
            ],
            "searchFilter": "tags.`mim4dd.trial` != ''",
            "orderByKey": f"metrics.`{SCORES[0]}`",
            "orderByAsc": False,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "runsHiddenMode": "SHOW_ALL",
            "compareRunSections": [
                {"uuid": key, "name": title, "display": True, "isReordered": False, "deleted": False}
                for key, (title, _) in sections.items()
            ],
            "compareRunCharts": [
                {"uuid": f"{key}-{place}", "metricSectionId": key, "runsCountToCompare": 100, "deleted": False}
                | {"isGenerated": False}
                | chart
                for key, (_, listed) in sections.items()
                for place, chart in enumerate(listed)
            ],
        }
    )
