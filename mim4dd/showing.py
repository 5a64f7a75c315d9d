"""Records in a few words, for the prompt of Python and for notebooks: never their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

Accuracies = npt.NDArray[np.float64]
MOST = 20  # classes in a table


def images_of(shape: tuple[int, ...], classes: int) -> str:
    """`1294 images of 1x8x8, 10 classes`. shape: [N, channels, H, W]."""
    size = "x".join(map(str, shape[1:]))
    return f"{shape[0]} image{'' if shape[0] == 1 else 's'} of {size}, {classes} class{'' if classes == 1 else 'es'}"


def made_by(config: Mapping[str, Any]) -> str:
    """`mim on dm, seed 0, digits`, as far as a set's configuration says it; "" for an empty one."""
    base = config.get("method.base")
    parts = [config.get("method", ""), f" on {base}" if base else ""]
    named = ["".join(map(str, parts)), f"seed {config['seed']}" if "seed" in config else "", config.get("source", "")]
    return ", ".join(str(one) for one in named if one)


def scored(accuracy: Accuracies) -> str:
    """`61.4%, standard deviation over 5 networks 1.2%`. accuracy: fractions, [networks]."""
    if len(accuracy) < 2:
        return f"{accuracy.mean():.1%}, one network"
    return f"{accuracy.mean():.1%}, standard deviation over {len(accuracy)} networks {accuracy.std(ddof=1):.1%}"


def score_html(split: str, accuracy: Accuracies, recall: Accuracies) -> str:
    """The accuracy as a sentence, and a table of the mean recall of each class, of the first 20 of many.

    Shapes: accuracy [networks]; recall [networks, C].
    """
    recalls = recall.mean(0)[:MOST]
    heads = "".join(f"<th>{c}</th>" for c in range(len(recalls)))
    cells = "".join(f"<td>{'–' if isnan(one) else f'{one:.1%}'}</td>" for one in recalls)
    table = f"<table><tr><th>class</th>{heads}</tr><tr><td>recall</td>{cells}</tr></table>"
    return f"<p>{escape(split)}: accuracy {scored(accuracy)}</p>{table}"
