"""The schema that a table's columns gave, once all the rows were seen."""

from __future__ import annotations

from dasklasso.choices import Missing
from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.encoder import Encoder
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.ingest.genotypes import variants_of
from dasklasso.dataset.ingest.stored_type import StoredType
from dasklasso.dataset.manifest import ColumnStatistics
from dasklasso.dataset.schema import Schema, TargetColumn
from dasklasso.dataset.sources.base import TRUTHS, Column, Source
from dasklasso.dataset.sources.reading import Reading


def schema_of_table(
    source: Source,
    roles: Roles,
    known: Survey,
    encoder: Encoder,
    statistics: ColumnStatistics,
    kind: StoredType,
    missing: Missing,
    array: str | None,
    reading: Reading,
) -> Schema:
    """Tell how the columns became features, once all the rows were seen."""
    texts = {column.name for column in roles.features if column.kind == "text"}
    means = statistics.mean.copy()
    schema = Schema(
        feature_names=encoder.feature_names,
        levels={name: known.levels[name] for name in known.levels if name in texts},
        missing_levels=known.missing_levels,
        means=means,
        dtype=str(kind.computed),
        missing=missing,
        types=tuple(column.type_name for column in roles.features),
        targets=tuple(_target(column, known) for column in roles.targets),
        weight=None if roles.weight is None else roles.weight.name,
        fold=None if roles.fold is None else roles.fold.name,
        offset=None if roles.offset is None else roles.offset.name,
        fold_classes=None if roles.fold is None else known.levels.get(roles.fold.name),
        missing_values=known.missing_values.texts,
        dropped=roles.dropped,
        source_format=source.format,
        array=array,
        index_base=source.index_base,
        reading=source.used_reading or reading,
        variants=variants_of(source, encoder.feature_names),
        missing_code=kind.missing_code,
        id=roles.id,
    )
    # the very numbers that missing values were filled with
    for name, mean in known.means.items():
        means[schema.columns[name]] = mean
    return schema


def _target(column: Column, known: Survey) -> TargetColumn:
    """Return a target; if text or boolean with the names of its codes."""
    return TargetColumn(column.name, TRUTHS if column.is_boolean else known.levels.get(column.name))
