"""The names of arms, which are made here and nowhere else; no code parses one."""

from __future__ import annotations

from collections.abc import Mapping

from mim4dd.methods import METHODS, Mim, mim
from mim4dd.registry import Scalar, knobs

# Values of the term's knobs that make a placebo of it, and what its name then has in place of ` + MIM4DD`.
PLACEBOS: dict[tuple[str, Scalar], str] = {
    (f"method.{knob}", value): f", {words}" for (knob, value), words in mim.PLACEBOS.items()
}


def arm_name(label: str, added: str, configured: Mapping[str, Scalar], *, term: bool) -> str:
    """The name of a base with what is added to it, and the knobs that distinguish it.

    label: the base's name in papers; added: ` + MIM4DD`, what a placebo has in its place, or "" for the base alone;
    configured: knobs by their names in a trial's configuration; term: these are the knobs of the MI term on the base,
    not those of the bare base.
    """
    network = network_name(configured)
    configured = {key: value for key, value in configured.items() if not _of_network(key)}
    of_term = {key: value for key, value in configured.items() if term and not key.startswith("method.base.")}
    of_base = [key for key in configured if key not in of_term and key != "method"]
    details = [_knob_label(key, configured[key]) for key in of_base]
    if added:
        of_term = {k: v for k, v in of_term.items() if k != "method.base" and (k, v) not in PLACEBOS}
        gradnorm = of_term.pop("method.balance", "none") == "gradnorm"
        for key, value in sorted(of_term.items(), key=lambda pair: _order(pair[0])):
            balanced = gradnorm and key == "method.weight"
            details.append(_strength_label(float(value)) if balanced else _knob_label(key, value))
        if gradnorm and "method.weight" not in of_term:
            details.append(_strength_label(Mim().weight))
        elif not of_term:
            details.append("default")
    name = label + added
    name = f"{name} ({', '.join(details)})" if details else name
    return f"{name} on {network}" if network else name


def network_name(configured: Mapping[str, Scalar]) -> str:
    """The network that these knobs name, `convnet:norm=batch`; "" where they name none."""
    if "network" not in configured:
        return ""
    knobs_of = {key.removeprefix("network."): configured[key] for key in configured if key.startswith("network.")}
    texts = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in knobs_of.items()]
    return f"{configured['network']}:{','.join(texts)}" if texts else str(configured["network"])


def _of_network(key: str) -> bool:
    return f"{key}.".startswith("network.")


def label_of(method: str) -> str:
    """A method's name in papers: its `label`, else its registered name."""
    attributes = vars(METHODS.get(method)) if method in METHODS else {}
    return str(attributes.get("label", method.replace("_", "-")))


def _knob_label(key: str, value: Scalar) -> str:
    """`symbol=value`; for a choice its value alone, unless it is of a knob that is named only where it is set."""
    name = key.rpartition(".")[2]
    declared = knobs(Mim).get(name) if not key.startswith("method.base.") else None
    if isinstance(value, str):
        tacit = any(knob.tacit for method in METHODS.names() if (knob := knobs(METHODS.get(method)).get(name)))
        return f"{name}={value}" if tacit else value
    return f"{declared.symbol if declared and declared.symbol else name}={value:g}"


def _strength_label(ratio: float) -> str:
    """ratio: the norm of the term's pixel gradient over that of its base's."""
    return "equal strength" if ratio == 1 else f"ρ={ratio:g}"


def _order(key: str) -> int:
    """The sort key of a knob of the term: its declaration's order, τ first."""
    declared = ["temperature", *(name for name in knobs(Mim) if name != "temperature")]
    name = key.rpartition(".")[2]
    return declared.index(name) if name in declared else len(declared)
