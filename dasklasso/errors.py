"""What can go wrong, one class each.

Every error that a user can cause or meet derives from :class:`DasklassoError`; its message names
the file, row, column or key, what was found and what was expected, in one line. ``exit_code`` is
what the command line returns: 2 for input that cannot be accepted, 1 for a run that failed.
"""

from __future__ import annotations


class DasklassoError(Exception):
    """Base of every error raised on purpose by dasklasso."""

    exit_code = 2


class OptionError(DasklassoError, ValueError):
    """An option or argument has a value that cannot be used."""


class SourceError(DasklassoError, ValueError):
    """An input table (Parquet, CSV, NPY, HDF5, svmlight) cannot be read as asked."""


class ValueFound(DasklassoError, ValueError):
    """A value in the data cannot be used: NaN, infinity, text, a constant target."""


class StoreError(DasklassoError):
    """A Zarr store is not a dataset that dasklasso can open."""


class WriteFailed(StoreError):
    """Something could not be written: the disk is full, or another process is writing there."""

    exit_code = 1


class ChunkMissing(StoreError):
    """A chunk is not in the store. Zarr would silently read it as the fill value."""


class ChunkCorrupt(StoreError):
    """A chunk's bytes do not match their checksum or cannot be decoded."""


class ModelError(DasklassoError):
    """A saved model cannot be read, or does not fit the data it is applied to."""


class CheckpointError(DasklassoError):
    """A checkpoint cannot be read, or belongs to another problem."""


class MemoryLimitError(DasklassoError):
    """The work cannot be done within the memory it was given."""


class DependencyMissing(DasklassoError, ImportError):
    """An optional package is needed for what was asked, and is not installed."""


class ClusterError(DasklassoError):
    """A scheduler cannot be reached, or the cluster cannot do what was asked."""

    exit_code = 1


class ConvergenceWarning(UserWarning):
    """A solution was returned whose certified gap is above the tolerance asked for."""


class DataWarning(UserWarning):
    """The data are usable, but something in them deserves a look."""
