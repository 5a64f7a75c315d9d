"""Kinds of things that go wrong on somebody's machine, each tried as a user would meet it."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from invariant import ROOT, Ended, run
from PIL import Image

RESULT = ROOT / "docs" / "results" / "mtt-rate-mnist"  # a study folder of six trials
TINY = ("iterations=1", "evaluation.epochs=1", "evaluation.networks=1", "network.width=8")
SETTINGS = tuple(f"--set={knob}" for knob in TINY)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"


@dataclass(frozen=True)
class Kind:
    """One kind. before: what happened at first; tries: does it in an empty folder, and says how each command ended."""

    name: str
    tried: str
    before: str
    tries: Callable[[Path], Sequence[Ended]]


def mim4dd(folder: Path, *words: str, **variables: str) -> Ended:
    return run(["-m", "mim4dd_cli", *words], folder, **variables)


def study(folder: Path, name: str, *words: str, **variables: str) -> Ended:
    return run([str(ROOT / "studies" / f"{name}.py"), *words, "--dry-run"], folder, **variables)


def sync(folder: Path, *words: str) -> Ended:
    return run(["-m", "studies.engine.tracking", "sync", str(RESULT), *words], folder)


def distil(folder: Path, dataset: str, *words: str) -> Ended:
    return mim4dd(folder, "distill", "--dataset", dataset, *SETTINGS, *words, "--out", "run")


def images(folder: Path, *, classes: int = 2, each: int = 10, size: int = 8, suffix: str = "png") -> Path:
    """A folder of grey images, of which no two are equal."""
    rng = np.random.default_rng(0)
    for number in range(classes):
        (folder / "data" / f"class{number}").mkdir(parents=True)
        for image in range(each):
            levels = rng.integers(0, 256, (size, size), dtype=np.uint8)
            Image.fromarray(levels).save(folder / "data" / f"class{number}" / f"{image}.{suffix}")
    return folder / "data"


def no_image(make: Callable[[Path], object], folder: Path) -> list[Ended]:
    """A folder of images, one of which is something else."""
    folder.mkdir(parents=True, exist_ok=True)
    one = images(folder) / "class0" / "x.png"
    make(one)
    return [distil(folder, "folder:data")]


def each_of(*tries: Callable[[Path], Sequence[Ended]]) -> Callable[[Path], Sequence[Ended]]:
    """All of these, each in a folder of its own."""

    def tried(folder: Path) -> list[Ended]:
        ended = []
        for number, one in enumerate(tries):
            own = folder / str(number)
            own.mkdir()
            ended += one(own)
        return ended

    return tried


def zeros(folder: Path) -> list[Ended]:
    """A small file of 3 GB of zeros."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1_000_000, 1, 55, 55)}
    )
    with zipfile.ZipFile(folder / "zeros.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("train_images.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(3025):
                member.write(bytes(1_000_000))
        labels = io.BytesIO()
        np.save(labels, np.arange(1_000_000) % 10)
        archive.writestr("train_labels.npy", labels.getvalue())
    return [distil(folder, "npz:zeros.npz")]


def large_images(folder: Path) -> list[Ended]:
    for number in range(12):
        path = folder / "data" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("1", (13_000, 13_000)).save(path)
    return [distil(folder, "folder:data")]


def left_out(folder: Path) -> list[Ended]:
    """Images under other suffixes and in sub-folders."""
    data = images(folder)
    (data / "class0" / "0.png").rename(data / "class0" / "0.heic")
    (data / "class1" / "more").mkdir()
    (data / "class1" / "0.png").rename(data / "class1" / "more" / "0.png")
    return [distil(folder, "folder:data")]


def same_images(folder: Path) -> list[Ended]:
    """Test images that are training images too."""
    data = images(folder)
    for part in ("train", "test"):
        shutil.copytree(data, folder / "both" / part)
    return [distil(folder, "folder:both")]


def photos(folder: Path) -> list[Ended]:
    """Photographs of two sizes, one of them turned by its EXIF orientation."""
    data = images(folder)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (24, 16)).save(data / "class0" / "turned.jpg", exif=exif)
    return [distil(folder, "folder:data"), distil(folder, "folder:data", "--set", "size=8")]


def deep(folder: Path) -> list[Ended]:
    """Images of 16 bits."""
    data = images(folder)
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(data / "class0" / "deep.png")
    return [distil(folder, "folder:data")]


def palettes(folder: Path) -> list[Ended]:
    data = images(folder)
    image = Image.new("P", (8, 8))
    image.info["transparency"] = bytes(range(256))
    image.save(data / "class0" / "palette.png")
    return [distil(folder, "folder:data")]


def moved(folder: Path) -> list[Ended]:
    """A run of a relative path, evaluated from another folder; then with other pixels under the same name."""
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    data = images(folder / "here")
    first = distil(folder / "here", "folder:data")
    elsewhere = mim4dd(folder / "there", "evaluate", str(folder / "here" / "run"))
    Image.new("L", (8, 8)).save(data / "class0" / "0.png")
    return [first, elsewhere, mim4dd(folder / "here", "evaluate", "run")]


def no_terminal(folder: Path) -> list[Ended]:
    """A class name that the terminal cannot show."""
    (images(folder) / "class0").rename(folder / "data" / "café")
    made = mim4dd(folder, "distill", "--dataset", "folder:data", *SETTINGS, "--out", "run", PYTHONIOENCODING="ascii")
    return [made, mim4dd(folder, "evaluate", "run", PYTHONIOENCODING="ascii")]


def at_once(folder: Path) -> list[Ended]:
    """Three processes that send a study to MLflow, in a folder without a database."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(sync, [folder] * 3))


def odd_folder(folder: Path) -> list[Ended]:
    ended = []
    for name in ("feature%2Fx", "what?now", "a#b c"):
        (folder / name).mkdir()
        ended.append(sync(folder / name))
        assert (folder / name / "mlflow.db").exists(), sorted(folder.rglob("*.db"))
    return ended


def damaged_store(folder: Path) -> list[Ended]:
    (folder / "mlflow.db").write_bytes(b"SQLite format 3\0" + bytes(512))
    return [sync(folder)]


def intruders(folder: Path) -> list[Ended]:
    """Packages of our names in the current folder, first on the path."""
    (folder / "cluster.py").write_text("x = 1\n")
    (folder / "perturbations").mkdir()
    (folder / "perturbations" / "__init__.py").write_text("")
    path = os.pathsep.join([str(folder), str(ROOT)])
    return [study(folder, "sensitivity"), study(folder, "sensitivity", PYTHONPATH=path)]


def words(*lines: tuple[str, ...]) -> Callable[[Path], Sequence[Ended]]:
    """Command lines of studies: the study's name, then its arguments."""
    return lambda folder: [study(folder, *line) for line in lines]


KINDS = (
    Kind(
        "an image file that is something else",
        "EPS, FIFO, a link to /dev/zero, a link to itself, a folder",
        "Ghostscript started; hung for ever; read until memory ended; tracebacks",
        each_of(
            *(
                partial(no_image, make)
                for make in (
                    lambda path: path.write_bytes(EPS),
                    os.mkfifo,
                    lambda path: path.symlink_to("/dev/zero"),
                    lambda path: path.symlink_to(path.name),
                    Path.mkdir,
                )
            )
        ),
    ),
    Kind(
        "a name that is not UTF-8",
        "an image whose name has the byte 0xff",
        "traceback",
        partial(no_image, lambda path: Image.new("L", (8, 8)).save(os.fsdecode(bytes(path.parent) + b"/\xff.png"))),
    ),
    Kind("data that do not fit into memory", "3 MB of npz, 3 GB of zeros", "memory ended", zeros),
    Kind("images that do not fit into memory", "12 PNG of 13,000 x 13,000 pixels", "memory ended", large_images),
    Kind("images that are left out", "another suffix; a sub-folder", "nothing was said", left_out),
    Kind("photographs", "two sizes, EXIF orientation; then size=8", "orientation ignored", photos),
    Kind("16-bit images", "a grey PNG of 16 bits", "grey refused, RGB cut to 8 bits in silence", deep),
    Kind("palette images", "transparency for each colour", "a warning of Pillow's", palettes),
    Kind("test images that are training images", "test is a copy of train", "nothing was said", same_images),
    Kind(
        "a run whose data are elsewhere, or others",
        "evaluated from another folder; one image replaced",
        "not found; a score and status 0",
        moved,
    ),
    Kind("a terminal that is not UTF-8", "ascii, a class called café", "the study died", no_terminal),
    Kind("one database, made by three at once", "three syncs, no mlflow.db", "broken, once for ever", at_once),
    Kind(
        "a folder whose name is no URL",
        "feature%2Fx, what?now, a#b c",
        "60 s; a database in the folder above",
        odd_folder,
    ),
    Kind("a damaged database", "its first 528 bytes", "a traceback of alembic's", damaged_store),
    Kind(
        "numbers without an end",
        "--seeds 0-9999999999, --settings 100000, --seeds ², --ipc 10^12",
        "memory ended, minutes, tracebacks",
        words(
            ("sensitivity", "--seeds", "0-9999999999"),
            ("sensitivity", "--settings", "100000"),
            ("noisy_labels", "--seeds", "²"),
            ("baselines", "--ipc", "1000000000000"),
        ),
    ),
    Kind(
        "names that no file system takes",
        "an OUT of 300 letters, folder:~nouser/x, http://[",
        "tracebacks",
        words(
            ("sensitivity", "--out", "a" * 300),
            ("imbalance", "--dataset", "folder:~nouser/x"),
            ("imbalance", "--tracking-uri", "http://["),
        ),
    ),
    Kind(
        "what no arm uses",
        "baselines --set weight=abc, fidelity --base zzz, --set ipc=0x10, --classes-as zz",
        "accepted, ignored",
        words(
            ("baselines", "--set", "weight=abc"),
            ("fidelity", "--base", "zzz"),
            ("sensitivity", "--set", "ipc=0x10"),
            ("sensitivity", "--classes-as", "zz"),
        ),
    ),
    Kind("our names in the user's folder", "cluster.py, perturbations/", "ImportError", intruders),
)
