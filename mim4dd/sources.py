"""The source of a module and of what it imports from its own folder or package."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mim4dd.errors import InputError
from mim4dd.files import opened, shown


@dataclass(frozen=True)
class Source:
    """A module's source. package: whether modules lie below it. file: where it lay, for tracebacks."""

    module: str
    file: str
    content: bytes
    package: bool = False


def of_file(module: str, file: Path, given: str) -> Source:
    """A module in a file. given: how it was named.

    Raises: DataError when it cannot be read; InputError for content that is no UTF-8.
    """
    with opened(file) as stream:
        content = stream.read()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"plug-in {given}: {shown(file)} must be UTF-8 text ({error.reason})") from error
    return Source(module, str(file), content, file.name == "__init__.py")


def of_module(module: str, given: str) -> tuple[Source, Path]:
    """A module that Python finds by its name, and the folder in which its topmost package lies.

    Raises: InputError when there is none, or it has no source.
    """
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"plug-in {given}: {reason}; a file is named as FILE.py") from error
    if spec is None:
        raise InputError(f"plug-in {given}: Python finds no module {module}; a file is named as FILE.py")
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise InputError(f"plug-in {given}: {module} must be a module with Python source")
    file = Path(spec.origin)
    source = of_file(module, file, given)
    return source, file.parents[module.count(".") + source.package]


def closure(first: Source, root: Path, given: str) -> tuple[Source, ...]:
    """The module and all of the folder `root` that it imports, in functions too, directly or not, sorted by name.

    Of a folder of installed packages only those of its own topmost package: the others are dependencies, which every
    machine has to have.
    """
    installed = str(root) in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    found, waiting = {first.module: first}, [first]
    while waiting:
        source = waiting.pop()
        for name in [*_parents(source.module), *_imported(source, given)]:
            top = name.partition(".")[0]
            if name in found or (top != first.module.partition(".")[0] and (installed or not _is_local(top, root))):
                continue
            file = _file_of(name, root)
            if file is not None:
                found[name] = of_file(name, file, given) if file.is_file() else Source(name, str(file), b"", True)
                waiting.append(found[name])
    return tuple(found[name] for name in sorted(found))


def _is_local(top: str, root: Path) -> bool:
    """Whether an import of this name means a module of the folder, and not one of Python or of an installed package."""
    spec = find_spec(top)
    return spec is None or (spec.origin or "").startswith(f"{root}/")


def _file_of(name: str, root: Path) -> Path | None:
    """The file of a module below a folder; the folder of a package without `__init__.py`; None for neither."""
    path = root.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return path if path.is_dir() else None


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _imported(source: Source, given: str) -> Iterator[str]:
    """The modules that a module may import; names that are no modules among them.

    Raises: InputError for source that Python cannot parse.
    """
    try:
        tree = ast.parse(source.content, source.file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{given}, line {line}" if line else given
        raise InputError(f"plug-in {place}: {getattr(error, 'msg', error)}") from error
    package = source.module.split(".") if source.package else source.module.split(".")[:-1]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
        for name in filter(None, names):
            yield from [*_parents(name), name]
