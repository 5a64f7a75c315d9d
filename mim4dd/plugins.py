"""Plug-ins: people's own components, from their files and packages, in every process that needs them.

A plug-in is a Python module that registers components when it is imported. It travels as its source: what is pickled
behind `Plugins` finds them installed where it is unpickled, on a machine that has never seen their files.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, spec_from_loader
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from mim4dd.files import shown
from mim4dd.origins import PLUGINS, REGISTERED
from mim4dd.sources import Source, closure, of_file, of_module

# Installed packages name theirs under this group of entry points.
GROUP = "mim4dd.plugins"


@dataclass(frozen=True)
class Plugin:
    """A module that registers components, with all modules of its folder or package that it imports.

    given: how it was named, for messages.
    """

    module: str
    given: str
    sources: tuple[Source, ...]

    @cached_property
    def digest(self) -> str:
        """12 hex digits of its modules' names and contents: where they lie does not matter."""
        hasher = hashlib.sha256()
        for source in self.sources:
            hasher.update(f"{source.module}\0{len(source.content)}\0".encode() + source.content)
        return hasher.hexdigest()[:12]

    @property
    def identity(self) -> str:
        """`mymethod@1a2b3c4d5e6f`, what a trial records of it."""
        return f"{self.module}@{self.digest}"

    @property
    def registered(self) -> tuple[str, ...]:
        """What it has registered here, `method mydm`."""
        modules = {source.module for source in self.sources}
        return tuple(f"{each.kind} {each.name}" for each in REGISTERED if each.module in modules)


@dataclass(frozen=True)
class Plugins:
    """The plug-ins of a command. Unpickling it installs them, before what was pickled behind it is unpickled."""

    loaded: tuple[Plugin, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return install, (self.loaded,)


def load_plugins(given: Iterable[str] = ()) -> Plugins:
    """Load files (`FILE.py`) and modules, and what installed packages offer as entry points of `mim4dd.plugins`.

    Raises: InputError for one that does not exist, cannot be imported, registers nothing, or takes a name.
    """
    offered: Iterable[EntryPoint] = entry_points(group=GROUP)
    found = [_of_module(point.value.partition(":")[0], f"{point.name} ({point.value})") for point in offered]
    found += [_of_file(Path(text)) if text.endswith(".py") else _of_module(text, text) for text in given]
    return install(tuple({plugin.module: plugin for plugin in found}.values()))


def install(plugins: Sequence[Plugin]) -> Plugins:
    """Import plug-ins in this process from their sources.

    Raises: InputError for one that cannot be imported, registers nothing, or is here already with another content.
    """
    for plugin in plugins:
        for source in plugin.sources:
            known = _FINDER.sources.setdefault(source.module, source)
            if known.content != source.content:
                raise InputError(f"plug-in {plugin.given}: {source.module} was loaded before with another content")
            PLUGINS.setdefault(source.module, plugin.identity)
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        _import(plugin)
        if not plugin.registered:
            raise InputError(
                f'plug-in {plugin.given} registers nothing; put @METHODS.add("name"), or another registry\'s, above a '
                "frozen dataclass"
            )
    return Plugins(tuple(plugins))


def _of_file(path: Path) -> Plugin:
    name, given = path.stem, shown(path)
    if not name.isidentifier():
        raise InputError(f"plug-in {given}: the file's name must be a name of Python, such as my_method.py")
    file = path.absolute()
    spec = None if name in _FINDER.sources else find_spec(name)
    if spec is not None and spec.origin != str(file):
        raise InputError(f"plug-in {given}: there is another module called {name}; rename the file")
    return Plugin(name, given, closure(of_file(name, file, given), file.parent, given))


def _of_module(name: str, given: str) -> Plugin:
    source, root = of_module(name, given)
    return Plugin(name, given, closure(source, root, given))


def _import(plugin: Plugin) -> None:
    """Import a plug-in; whatever it raises becomes one line with the place in its source."""
    try:
        import_module(plugin.module)
    except SyntaxError as error:
        raise InputError(f"plug-in {plugin.given}, line {error.lineno}: {error.msg}") from error
    except SystemExit as error:
        raise InputError(
            f"plug-in {plugin.given} ends the program when it is imported; put its commands under "
            'if __name__ == "__main__"'
        ) from error
    except Exception as error:
        files = {source.file for source in plugin.sources}
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        where = f", line {lines[-1]}" if lines else ""
        reason = " ".join(str(error).split()) or "no message"
        raise InputError(f"plug-in {plugin.given}{where}: {type(error).__name__}: {reason}") from error


class _Finder(MetaPathFinder):
    """Finds the modules of plug-ins, before others of their names."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        source = self.sources.get(fullname)
        if source is None:
            return None
        return spec_from_loader(fullname, _Loader(source), origin=source.file, is_package=source.package)


class _Loader(ExecutionLoader):
    """Loads a module from its source in memory."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_filename(self, fullname: str) -> str:
        return self.source.file

    def get_source(self, fullname: str) -> str:
        return self.source.content.decode()

    def is_package(self, fullname: str) -> bool:
        return self.source.package


_FINDER = _Finder()
