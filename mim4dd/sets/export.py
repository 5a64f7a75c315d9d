"""Writes a synthetic set for tools that do not have this library: PNG files, plain tensors, plain arrays."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.durable import durably, encoded, finite
from mim4dd.errors import InputError
from mim4dd.files import shown
from mim4dd.records import Floats, Synthetic
from mim4dd.registry import unknown

Levels = npt.NDArray[np.uint8]
# Characters of a class's name that would not be those of one folder everywhere.
NO_FOLDER = re.compile(r"[/\\:*?\"<>|\x00-\x1f]|^[. ]+|[. ]+$")


def export_set(synthetic: Synthetic, where: Path | str, form: str) -> tuple[str, ...]:
    """Write the set in one of FORMS; returns lines on what was written.

    folder: `CLASS/0000.png` and `set.json`, pixels clipped to [0, 1]; pt: a dictionary of tensors in the space that
    networks are trained in, with its mean, std and whitening; dc: the same images in the layout of DC's public code;
    npz: float32 pixels, not clipped, labels and class names.
    Raises: InputError for an unknown form, a place where something stands already, images that are not finite, or soft
    labels in DC's layout; OSError.
    """
    where = Path(where)
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    require_free(where)
    if not np.isfinite(synthetic.images).all():
        raise InputError("the images must be finite to be exported, as those of a run that diverged are not")
    return FORMS[form](synthetic, where)


def export_image(synthetic: Synthetic, number: int, where: Path | str) -> tuple[str, ...]:
    """Write one image as PNG, its pixels clipped to [0, 1]; returns lines on what was written.

    Raises: InputError for a number that no image has, or a place where something stands already; OSError.
    """
    where, count = Path(where), len(synthetic.labels)
    if not 0 <= number < count:
        raise InputError(f"image must be in [0, {count - 1}], the images of the set, got {number}")
    require_free(where)
    if not np.isfinite(synthetic.images[number]).all():
        raise InputError(f"image {number} must be finite to be exported")
    levels, note = _levels(synthetic.pixels[number : number + 1])
    durably(where, _png(levels[0]))
    return (f"image {number}, of class {synthetic.classes[synthetic.labels[number]]}", note)


def require_free(where: Path) -> None:
    """Raises: InputError where a file or a folder with something in it stands already."""
    if where.is_symlink() or (where.exists() and not (where.is_dir() and not any(where.iterdir()))):
        raise InputError(f"{shown(where)} exists already and is not overwritten; give another place or remove it")


def _levels(pixels: Floats) -> tuple[Levels, str]:
    outside = int(((pixels < 0) | (pixels > 1)).sum())
    levels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return levels, f"numbers clipped to [0, 1]: {outside:,} of {pixels.size:,}"


def _png(levels: Levels) -> bytes:
    from PIL import Image

    image = np.moveaxis(levels, 0, 2)
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if len(levels) == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def folder_names(classes: tuple[str, ...]) -> list[str]:
    """A folder for each class: its name, with its number before it where names could not stand beside each other."""
    names = [NO_FOLDER.sub("_", name) or "_" for name in classes]
    if len({name.casefold() for name in names}) < len(names):
        return [f"{number:04}-{name}" for number, name in enumerate(names)]
    return names


def _folder(synthetic: Synthetic, where: Path) -> tuple[str, ...]:
    levels, note = _levels(synthetic.pixels)
    folders, written = folder_names(synthetic.classes), [0] * len(synthetic.classes)
    files: dict[str, str] = {}
    for image, label in zip(levels, synthetic.labels.tolist(), strict=True):
        file = f"{folders[label]}/{written[label]:04}.png"
        durably(where / file, _png(image))
        files[file] = synthetic.classes[label]
        written[label] += 1
    said = {
        "classes": synthetic.classes,
        "folders": dict(zip(synthetic.classes, folders, strict=True)),
        "files": files,
        "clipped": note,
        "mean": synthetic.mean.tolist(),
        "std": synthetic.std.tolist(),
        "whitened": synthetic.whitening is not None,
        "config": synthetic.config,
        "protocol": synthetic.protocol,
    }
    durably(where / "set.json", encoded(json.dumps(finite(said), ensure_ascii=False, indent=1) + "\n"))
    soft = ("soft labels are left out: a folder is one class",) if synthetic.soft is not None else ()
    return (f"{len(levels)} PNG files of {sum(map(bool, written))} classes", note, *soft)


def _tensors(synthetic: Synthetic) -> dict[str, Any]:
    import torch

    made: dict[str, Any] = {
        "images": torch.tensor(synthetic.images),
        "labels": torch.tensor(synthetic.labels),
        "mean": torch.tensor(synthetic.mean),
        "std": torch.tensor(synthetic.std),
        "classes": list(synthetic.classes),
    }
    if "syn_lr" in synthetic.config:
        made["syn_lr"] = float(synthetic.config["syn_lr"])
    if synthetic.soft is not None:
        made["soft_labels"] = torch.tensor(synthetic.soft)
    if synthetic.whitening is not None:
        made["whitening"] = torch.tensor(synthetic.whitening.forward)
        made["whitening_centre"] = torch.tensor(synthetic.whitening.centre)
    return made


def _pt(synthetic: Synthetic, where: Path) -> tuple[str, ...]:
    tensors = _tensors(synthetic)
    _saved(tensors, where)
    return (f"{len(synthetic.labels)} images, with {', '.join(list(tensors)[1:])}",)


def _dc(synthetic: Synthetic, where: Path) -> tuple[str, ...]:
    if synthetic.soft is not None:
        raise InputError("DC's layout has no place for soft labels; export as pt")
    tensors = _tensors(synthetic)
    _saved({"data": [[tensors["images"], tensors["labels"]]], "accs_all_exps": {}}, where)
    mean, std = synthetic.mean.tolist(), synthetic.std.tolist()
    white = ", then whitened" if synthetic.whitening is not None else ""
    return (
        f"{len(synthetic.labels)} images, standardised by mean {mean}, std {std}{white}, which the file cannot say",
    )


def _saved(value: Any, where: Path) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    durably(where, buffer.getvalue())


def _npz(synthetic: Synthetic, where: Path) -> tuple[str, ...]:
    arrays = {"pixels": synthetic.pixels, "labels": synthetic.labels, "class_names": np.array(synthetic.classes)}
    if synthetic.soft is not None:
        arrays["soft_labels"] = synthetic.soft
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    durably(where, buffer.getvalue())
    return (f"{len(synthetic.labels)} images as float32 pixels, not clipped",)


FORMS: dict[str, Callable[[Synthetic, Path], tuple[str, ...]]] = {
    "folder": _folder,
    "pt": _pt,
    "dc": _dc,
    "npz": _npz,
}
