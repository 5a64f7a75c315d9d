"""Reading the files of a study folder: whatever is wrong with one is an error of one line, where it is read."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mim4dd.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
SHOWN = 40  # characters of a wrong value


def contents(path: Path) -> bytes:
    """The bytes of a file; none when there is no such file.

    Raises: InputError when it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


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
