"""Files that a knob names: read once, then identified by name and content, not by their path."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mim4dd.errors import DataError, KnobError

DIGITS = 10
RECORDED = re.compile(rf"(.+)@([0-9a-f]{{{DIGITS}}})")


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a file; `tag`, its NAME@DIGEST, is recorded in results."""

    name: str
    suffix: str
    data: bytes

    @property
    def tag(self) -> str:
        return f"{self.name}@{digest(self.data)}"


def digest(data: bytes) -> str:
    """The first hex digits of the content's sha256."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def read_content(knob: str, file: str, suffixes: tuple[str, ...]) -> Content:
    """Read the file that a knob names. A recorded NAME@DIGEST is looked for as NAME in the working folder.

    Raises: KnobError for a name that cannot be used; DataError when the file is missing, unreadable or another.
    """
    listed = " or ".join((", ".join(suffixes[:-1]), suffixes[-1]))
    if not file:
        raise KnobError(f"{knob} must name a {listed} file, got none; give file=PATH")
    recorded = None if os.path.isfile(os.path.expanduser(file)) else RECORDED.fullmatch(file)
    path = Path(os.path.expanduser(recorded[1] if recorded else file))
    if path.suffix not in suffixes:
        raise KnobError(f"{knob} must name a {listed} file, got '{file}'")
    if "," in path.name or " + " in path.name:
        raise KnobError(f"{knob} must name a file without ',' and ' + ' in its name, got '{path.name}'; rename it")
    if recorded and not os.path.isfile(path):
        raise DataError(f"{knob} '{file}' identifies a file without its path; give the path of {path.name}")
    try:
        content = Content(path.name, path.suffix, path.read_bytes())
    except OSError as error:
        raise DataError(f"{knob} must name a file that can be read, got '{file}': {error.strerror}") from error
    if recorded and content.tag != f"{path.name}@{recorded[2]}":
        raise DataError(f"{knob} '{file}' differs from the {path.name} here, {content.tag}; give its path")
    return content
