"""Reading the files of a study folder: whatever is wrong with one is an error of one line, where it is read."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from mim4dd.durable import durably
from mim4dd.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
SHOWN = 40  # characters of a wrong value
LARGEST = 2**30  # bytes of a packed file: a few bytes may unpack to more than a machine holds


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file, open for reading; where there is none, what `gzip` made of it: PATH.gz.

    The records of a finished study take an eighth of their room so.
    Raises: FileNotFoundError, or InputError when it cannot be read, here or in the block.
    """
    file = path
    source: IO[bytes]
    try:
        with contextlib.ExitStack() as stack:
            try:
                source = stack.enter_context(open(path, "rb"))
            except FileNotFoundError:
                try:
                    source = cast(IO[bytes], stack.enter_context(gzip.open(packed(path), "rb")))
                    file = packed(path)
                except FileNotFoundError:  # it may have been unpacked between the two
                    source = stack.enter_context(open(path, "rb"))
            yield source
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def contents(path: Path) -> bytes:
    """The bytes of a file, packed or not; none when there is no such file.

    Raises: InputError when it cannot be read.
    """
    with contextlib.suppress(FileNotFoundError), opened(path) as source:
        if not isinstance(source, gzip.GzipFile):
            return source.read()
        data = source.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{source.name} cannot be read: it unpacks to over {LARGEST >> 20} MiB")
        return data
    return b""


def unpack(path: Path) -> None:
    """Make of PATH.gz the file that it was, which then can grow; where the file is there, PATH.gz is older, and goes.

    Raises: InputError or OSError.
    """
    if packed(path).exists():
        if not path.exists():
            durably(path, contents(path))
        packed(path).unlink()


def packed(path: Path) -> Path:
    """What `gzip` names the file that it makes of one."""
    return path.with_name(f"{path.name}.gz")


def parsed(text: bytes) -> Any:
    """The value of a JSON text.

    Raises: ValueError, in one line, for anything else.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def checked(value: Any, shape: type[T]) -> T:
    """A JSON value as a record of a shape: a TypedDict, or a dataclass, which is made of it.

    Raises: ValueError, in one line, for a value of another shape.
    """
    from pydantic import ValidationError

    try:
        # As JSON text, strictly: a list may then stand for a tuple, but no text for a number.
        record: T = _adapter(cast(Hashable, shape)).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, message = ".".join(map(str, first["loc"])), first["msg"]
        got = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
        raise ValueError(f"{place}{': ' if place else ''}{message[0].lower()}{message[1:]}{got}") from error
    return record


def reason(error: Exception) -> str:
    """Why a record cannot be read, in one line."""
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
