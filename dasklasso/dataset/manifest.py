"""The manifest: what a dataset says about itself, kept as attributes of its Zarr group.

It is written last, by one atomic replace of ``zarr.json``: a store without a manifest is not a
dataset, which is how an interrupted ingest is told from a finished one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dasklasso.dataset.schema import Schema, TargetColumn
from dasklasso.errors import StoreError
from dasklasso.files.documents import shown, validate
from dasklasso.files.seal import SEAL, check_seal, digest_of, sealed

MANIFEST_KEY = "dasklasso"
MANIFEST_VERSION = 2
UNSEALED_VERSION = 1  # of stores that are opened as they are: nothing says what they were


@dataclass(frozen=True)
class ColumnStatistics:
    """Per-column statistics of X, unweighted, each of shape (n_features,).

    Attributes
    ----------
    mean, std, minimum, maximum : float64
        ``std`` is the population standard deviation (divisor n).
    missing : int64
        Number of missing values met (and filled) during ingest.
    """

    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    missing: np.ndarray

    def to_json(self) -> dict[str, list[Any]]:
        return {
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "minimum": self.minimum.tolist(),
            "maximum": self.maximum.tolist(),
            "missing": self.missing.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ColumnStatistics:
        return cls(
            **{
                name: np.asarray(data[name], dtype=np.float64)
                for name in ("mean", "std", "minimum", "maximum")
            },
            missing=np.asarray(data["missing"], dtype=np.int64),
        )


@dataclass(frozen=True)
class Manifest:
    """Everything a dataset records about itself beside its arrays.

    Attributes
    ----------
    n_rows, n_features : int
    feature_names : tuple of str, length n_features
    target_names : tuple of str, length n_targets
    statistics : ColumnStatistics
    origin : dict
        Where the data came from: ``source``, ``format``, ``ingested`` (ISO time), ``versions``.
    fingerprint : str
        A digest of the data's chunk checksums: equal data have equal fingerprints.
    schema : Schema or None
        How the columns of the table became features; None in stores of older versions, and where
        there was no table.
    files : dict of str, or None
        A digest for each of the files that the manifest is sealed with: the metadata of arrays,
        and the checksums of their chunks; None in stores of version 1, which had no seal.
    """

    n_rows: int
    n_features: int
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    statistics: ColumnStatistics
    origin: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    schema: Schema | None = None
    files: Mapping[str, str] | None = None

    @property
    def chunks(self) -> str:
        """Digest of the arrays as they are stored, of each chunk in its place; "" of version 1."""
        return "" if self.files is None else digest_of(self.files)

    @property
    def identity(self) -> str:
        """Digest of the data and, where it is known, of the chunks that they are read from."""
        return identity_of(self.fingerprint, self.chunks)

    @property
    def target_classes(self) -> tuple[tuple[str, ...] | None, ...]:
        """Names of the classes of each target that was text; empty where none was."""
        targets = older_targets(self) if self.schema is None else self.schema.targets
        classes = {target.name: target.classes for target in targets}
        found = tuple(classes.get(name) for name in self.target_names)
        return found if any(found) else ()

    def schema_for(self, dtype: np.dtype) -> Schema:
        """Return the schema; of a store without one what older versions recorded in its place.

        Parameters
        ----------
        dtype : numpy.dtype
            Of X.
        """
        if self.schema is not None:
            return self.schema
        origin = self.origin
        levels = {name: tuple(texts) for name, texts in origin.get("levels", {}).items()}
        classes = origin.get("fold_classes")
        return Schema(
            feature_names=self.feature_names,
            levels=levels,
            missing_levels=frozenset(),
            means=self.statistics.mean,
            dtype=str(dtype),
            missing=origin.get("missing", "error"),
            targets=older_targets(self),
            weight=origin.get("weight"),
            fold=origin.get("fold"),
            offset=origin.get("offset"),
            fold_classes=None if classes is None else tuple(classes),
            dropped=tuple(origin.get("dropped", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON types, sealed if it has files."""
        document = {
            "version": UNSEALED_VERSION if self.files is None else MANIFEST_VERSION,
            "n_rows": self.n_rows,
            "n_features": self.n_features,
            "feature_names": list(self.feature_names),
            "target_names": list(self.target_names),
            "statistics": self.statistics.to_json(),
            "origin": self.origin,
            "fingerprint": self.fingerprint,
            **({} if self.schema is None else {"schema": _schema_json(self.schema)}),
        }
        return document if self.files is None else sealed(document, self.files)

    @classmethod
    def from_json(cls, data: Any, *, where: str) -> Manifest:
        """Read a manifest; ``where`` names the store in errors.

        Raises
        ------
        StoreError
            When the version is not known, an entry is missing, or the manifest is not as it was
            sealed.
        """
        if not isinstance(data, Mapping):
            raise StoreError(f"{where}: the manifest is {shown(data)}, expected an object.")
        version = data.get("version")
        if type(version) is not int or version not in (UNSEALED_VERSION, MANIFEST_VERSION):
            raise StoreError(
                f"{where}: manifest version {shown(version)}, expected {MANIFEST_VERSION}. "
                "Ingest the data again with this version of dasklasso."
            )
        if version != UNSEALED_VERSION or SEAL in data:
            check_seal(data, where=f"{where}: the manifest", error=StoreError)
        from dasklasso.dataset.manifest_document import ManifestDocument

        said = validate(ManifestDocument, data, where=f"{where}: the manifest", error=StoreError)
        if version != UNSEALED_VERSION and said.files is None:
            raise StoreError(f"{where}: the manifest has no entry 'files'.")
        return cls(
            n_rows=said.n_rows,
            n_features=said.n_features,
            feature_names=tuple(said.feature_names),
            target_names=tuple(said.target_names),
            statistics=ColumnStatistics.from_json(data["statistics"]),
            origin=dict(data.get("origin", {})),
            fingerprint=said.fingerprint,
            schema=_schema(data.get("schema"), tuple(said.feature_names), where),
            files=None if version == UNSEALED_VERSION else said.files,
        )


def identity_of(fingerprint: str, chunks: str) -> str:
    """Return what is kept of data under: moments and checkpoints of other chunks never meet."""
    return digest_of([fingerprint, chunks]) if chunks else fingerprint


def older_targets(manifest: Manifest) -> tuple[TargetColumn, ...]:
    """Return the targets as versions recorded them that kept no schema."""
    recorded = manifest.origin.get("target_classes") or {}
    classes = ((name, recorded.get(name)) for name in manifest.target_names)
    return tuple(TargetColumn(name, None if c is None else tuple(c)) for name, c in classes)


def _schema_json(schema: Schema) -> dict[str, Any]:
    return {**schema.to_json(), "means": schema.means.tolist()}


def _schema(data: Any, feature_names: tuple[str, ...], where: str) -> Schema | None:
    if data is None:
        return None
    try:
        means = data.get("means") if isinstance(data, dict) else None
        return Schema.from_json(data, feature_names=feature_names, means=means)
    except ValueError as error:
        raise StoreError(f"{where}: the manifest's schema: {error}.") from None
