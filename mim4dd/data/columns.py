"""The image and label columns of parquet and Arrow files, as the `datasets` library describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.capacity import require_capacity
from mim4dd.errors import DataError
from mim4dd.files import opened, shown
from mim4dd.pixels import Integers, as_whole
from mim4dd.registry import unknown

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

# With pyarrow's own errors, which derive from these; the last ones are of features that the library cannot make.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    EOFError,
    RecursionError,
)


@dataclass(frozen=True)
class Rows:
    """One split's rows.

    Shapes: images [N], each the bytes of an image file; labels [N]. classes: their names, None where the files say
    none.
    """

    images: pa.ChunkedArray
    labels: Integers
    classes: tuple[str, ...] | None


def require_library() -> None:
    """Raises: DataError when the `datasets` library is not installed."""
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise DataError(f"hf: needs the library datasets ({error}): pip install 'mim4dd[hf]'") from error


def read_rows(root: Path, splits: Mapping[str, Sequence[Path]], image: str, label: str) -> dict[str, Rows]:
    """The rows of each split. image, label: the names of the columns, "" to find them by their types.

    Raises: DataError for files that are damaged or differ, for columns that are missing or could be several, for rows
    without an image or a label, and for more than fits in memory; UnknownNameError for a column that does not exist.
    """
    files = [path for paths in splits.values() for path in paths]
    features = {path: _features(path) for path in files}
    first = features[files[0]]
    columns = (_image_column(root, first, image), _label_column(root, first, label))
    for path, found in features.items():
        if [found.get(name) for name in columns] != [first[name] for name in columns]:
            raise DataError(f"{shown(path)} must have the columns {' and '.join(columns)} of {shown(files[0])}")
    require_capacity(f"{shown(root)}, read,", sum(_column_bytes(path, columns) for path in files))
    names = getattr(first[columns[1]], "names", None)
    rows = {}
    for split, paths in splits.items():
        images_of, labels_of = zip(*(_read(path, columns) for path in paths), strict=True)
        place = shown(root / split)
        images = _image_bytes(f"{place}: {shown(columns[0])}", images_of)
        labels = _labels(f"{place}: {shown(columns[1])}", labels_of)
        if not len(labels):
            raise DataError(f"{place} must have rows, got none")
        rows[split] = Rows(images, labels, None if names is None else tuple(names))
    return rows


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except UNREADABLE as error:
        reason = shown(" ".join(str(error).split())[:200]) or type(error).__name__
        raise DataError(f"{shown(path)} cannot be read, it may be damaged: {reason}") from error


@contextmanager
def _stream(path: Path) -> Iterator[pa.RecordBatchStreamReader]:
    import pyarrow as pa

    with opened(path), _reading(path), pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
        yield stream


def _features(path: Path) -> Features:
    """What the columns of a file are."""
    from datasets import Features

    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        with opened(path) as file, _reading(path):
            return Features.from_arrow_schema(parquet.read_schema(file))
    with _stream(path) as stream, _reading(path):
        return Features.from_arrow_schema(stream.schema)


def _column_bytes(path: Path, columns: Sequence[str]) -> int:
    """What the columns of a file take in memory."""
    if path.suffix != ".parquet":
        return path.stat().st_size
    import pyarrow.parquet as parquet

    with opened(path) as file, _reading(path):
        described = parquet.ParquetFile(file).metadata
        groups = [described.row_group(number) for number in range(described.num_row_groups)]
        parts = [group.column(number) for group in groups for number in range(group.num_columns)]
        return sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in columns)


def _read(path: Path, columns: Sequence[str]) -> list[pa.ChunkedArray]:
    """The columns of a file, checked: offsets of a damaged one could lead out of its memory."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        with opened(path) as file, _reading(path):
            table = parquet.ParquetFile(file).read(columns=list(columns))
    else:
        with _stream(path) as stream, _reading(path):
            table = stream.read_all().select(list(columns))
    with _reading(path):
        table.validate(full=True)
        return [table.column(name) for name in columns]


def _image_column(root: Path, features: Features, name: str) -> str:
    from datasets import Image

    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    return _chosen(root, features, "image", name, images, "with the feature Image")


def _label_column(root: Path, features: Features, name: str) -> str:
    from datasets import ClassLabel, Value

    classes = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    whole = [column for column, feature in features.items() if isinstance(feature, Value) and "int" in feature.dtype]
    column = _chosen(root, features, "label", name, classes or whole, "of ClassLabel or whole numbers")
    if column not in classes + whole:
        raise DataError(
            f"{shown(root)}: {shown(column)} must be ClassLabel or whole numbers, got {_told(features[column])}; "
            "encode it with class_encode_column"
        )
    return column


def _chosen(root: Path, features: Features, key: str, name: str, candidates: list[str], kind: str) -> str:
    """The column that is named, or the only candidate."""
    if name:
        if name not in features:
            raise unknown("column", shown(name), map(shown, features))
        return name
    if len(candidates) != 1:
        every = ", ".join(f"{shown(column)} ({_told(feature)})" for column, feature in features.items())
        got = f"{' and '.join(map(shown, candidates))}; set the knob {key} to one of them"
        remedy = " (class_encode_column makes one of texts)" if key == "label" else ""
        raise DataError(
            f"{shown(root)} must have one {key} column {kind}, got {got if candidates else f'none of {every}{remedy}'}"
        )
    return candidates[0]


def _told(feature: Any) -> str:
    """A feature in a few words."""
    return shown(str(getattr(feature, "dtype", type(feature).__name__)))


def _image_bytes(name: str, arrays: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """The bytes of each image file, of all chunks."""
    import pyarrow as pa

    chunks = []
    for chunk in [chunk for array in arrays for chunk in array.chunks]:
        nested = pa.types.is_struct(chunk.type) and chunk.type.get_field_index("bytes") >= 0
        content = chunk.field("bytes") if nested else chunk
        if content.type not in (pa.binary(), pa.large_binary()):
            raise DataError(f"{name} must hold the bytes of image files, got {shown(str(chunk.type))}")
        if chunk.null_count or content.null_count:
            raise DataError(
                f"{name} must hold the bytes of every image, got rows that are empty or only name a file; write the "
                "set again with to_parquet or save_to_disk where its image files are"
            )
        chunks.append(content)
    return pa.chunked_array(chunks, type=chunks[0].type if chunks else pa.binary())


def _labels(name: str, arrays: Sequence[pa.ChunkedArray]) -> Integers:
    import pyarrow as pa

    for array in arrays:
        if not pa.types.is_integer(array.type):
            raise DataError(f"{name} must hold whole numbers, got {shown(str(array.type))}")
        if array.null_count:
            raise DataError(f"{name} must hold a label for every image, got rows without; leave them out")
    labels = np.concatenate([array.to_numpy() for array in arrays])
    if (labels < 0).any():
        raise DataError(f"{name} must hold a label for every image, got {labels.min()}, as where labels are held back")
    return as_whole(name, labels, len(labels))
