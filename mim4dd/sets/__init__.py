"""Distilled sets of other people's code: read into a `Synthetic`, and written for theirs to read."""

from mim4dd.sets.export import FORMS, export_image, export_set, require_free
from mim4dd.sets.reading import file_of, read_set, set_size
from mim4dd.sets.spaces import SPACES

__all__ = ["FORMS", "SPACES", "export_image", "export_set", "file_of", "read_set", "require_free", "set_size"]
