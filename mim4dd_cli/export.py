"""`mim4dd show | export`: a set as a picture, and for tools that do not have this library."""

from __future__ import annotations

import argparse

from mim4dd.errors import InputError
from mim4dd_cli.output import require_writable, storing
from mim4dd_cli.sets import file_of_ours, named_set


def show(arguments: argparse.Namespace) -> int:
    """Run `mim4dd show`; returns the exit status."""
    from mim4dd.durable import durably
    from mim4dd.picture import grid_png

    folder = arguments.out or (arguments.run_folder if arguments.run_folder.is_dir() else None)
    if folder is None and file_of_ours(arguments.run_folder) is None:
        raise InputError(f"nothing is written beside {arguments.run_folder}: give --out, the picture's folder")
    picture = (folder or arguments.run_folder.parent) / "synthetic.png"
    synthetic = named_set(arguments)
    with storing(picture):
        durably(picture, grid_png(synthetic))
    print(picture)
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Run `mim4dd export`; returns the exit status."""
    from mim4dd.sets import export_image, export_set, require_free

    if (arguments.form is None) == (arguments.image is None):
        raise InputError("export needs --as, the form of the whole set, or --image, the number of one image")
    require_free(arguments.out)
    require_writable(
        f"--out {arguments.out}", arguments.out / "set.json" if arguments.form == "folder" else arguments.out
    )
    synthetic = named_set(arguments)
    with storing(arguments.out):
        if arguments.form is None:
            told = export_image(synthetic, arguments.image, arguments.out)
        else:
            told = export_set(synthetic, arguments.out, arguments.form)
    print("\n".join((*told, str(arguments.out))))
    return 0
