"""``dasklasso show``: the alphas, features and columns of a saved model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.messages import say
from dasklasso.cli.parameter_types import Limit
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.model.path import FittedPath

MOST_ROWS = 100  # printed unless more are asked for
INTERCEPT = "(intercept)"  # its name among the features of a table
PLACE = ("chromosome", "position", "effect_allele")  # of a variant


@click.command(
    "show",
    short_help="Print a model's features.",
    epilog=options.example("dasklasso show model --alpha 0.1 --top 10"),
)
@click.argument("model")
@options.model_alpha
@click.option("--top", type=click.IntRange(min=1), help="Only so many features, the largest first.")
@click.option(
    "--limit",
    type=Limit(),
    default=str(MOST_ROWS),
    show_default=True,
    help="Rows to print; --json and --table have all.",
)
@click.option("--alphas", is_flag=True, help="The table of all alphas, whichever is selected.")
@click.option("--schema", is_flag=True, help="The columns that a table to predict for must have.")
@click.option(
    "--score-file",
    metavar="FILE",
    help="Write variant, effect allele and weight, as plink --score reads them.",
)
@options.table
@options.overwrite
@options.as_json
def show_command(
    model: str,
    alpha: str | None,
    top: int | None,
    limit: int | None,
    alphas: bool,
    schema: bool,
    score_file: str | None,
    table: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Print the alphas of MODEL, and the features selected at one.

    The largest coefficient comes first, each times the standard deviation of its column where the
    model knows these: what a feature contributes does not depend on its unit. Without --alpha: at
    the selected or only alpha, else the table of all alphas.
    """
    from dasklasso.files.places import check_places, input_place, output_place
    from dasklasso.files.tables import check_table_file, write_table
    from dasklasso.model.asked_alpha import asked_alpha
    from dasklasso.model.path import load_model
    from dasklasso.model.score_file import write_score_file

    if sum((alphas, alpha is not None, schema)) > 1:
        raise click.UsageError("--alpha, --alphas and --schema: give one of them.")
    if score_file is not None and (alphas or schema):
        raise click.UsageError("--score-file is of one alpha: neither --alphas nor --schema.")
    written = {"table": table, "score-file": score_file}
    check_places(
        {what: output_place(file, what) for what, file in written.items() if file is not None},
        {"model": input_place(model, "model")},
    )
    if table is not None:
        check_table_file(table, overwrite=overwrite)
    path = load_model(model)
    if schema:
        _show_schema(path, model, top, table, overwrite=overwrite, as_json=as_json)
        return
    one = alpha is not None or path.alpha_selected is not None or path.n_alphas == 1
    single = one and not alphas
    at = path.resolve_alpha(asked_alpha(path, alpha)) if single or score_file is not None else 0.0
    if score_file is not None:
        say(notes=write_score_file(path, at, score_file, model=model, overwrite=overwrite).notes())
    if table is not None:
        rows = _table_rows(path, at, top) if single else path.table()
        write_table(rows, table, overwrite=overwrite)
    if as_json:
        summary = {**path.summary(), "model": model}
        if single:
            summary["alpha"] = at
            summary["intercept"] = path.coefficients_at(at)[1].tolist()
            summary["features"] = _features(path, at)[:top]
        echo(json.dumps(summary))
    elif single:
        _print_features(path, at, top, limit)
    else:
        _print_alphas(path, limit)


def _show_schema(
    path: FittedPath,
    model: str,
    top: int | None,
    table: str | None,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    from dasklasso.cli.schema import print_schema, schema_json, schema_rows
    from dasklasso.files.tables import write_table
    from dasklasso.scoring.predict_table import schema_of

    schema, beside = schema_of(path, model), path.covariates
    if table is not None:
        rows = [*schema_rows(schema), *([] if beside is None else schema_rows(beside))]
        write_table(rows, table, overwrite=overwrite)
    if as_json:
        covariates = {} if beside is None else {"covariates": schema_json(beside)}
        echo(json.dumps({"model": model, "schema": schema_json(schema), **covariates}))
        return
    print_schema(schema, top)
    if beside is not None:
        echo("covariates, of a table of their own:")
        print_schema(beside, top)


def _features(path: FittedPath, alpha: float) -> list[dict[str, Any]]:
    """Selected features and their coefficients, one for each target, the largest first.

    Largest is what has the largest ``coef_x_sd``, where the columns' standard deviations are
    known; else the largest coefficient.
    """
    import numpy as np

    coef, _ = path.coefficients_at(alpha)
    used = np.unique(coef.indices[coef.data != 0])
    weights = coef[:, used].toarray().T
    scaled = weights if path.feature_scales is None else weights * path.feature_scales[used, None]
    rows = []
    for i in np.argsort(-np.abs(scaled).max(axis=1, initial=0), kind="stable"):
        row = {"feature": path.feature_names[used[i]], **_place(path, int(used[i]))}
        row["coef"] = weights[i].tolist()
        if path.feature_scales is not None:
            row["coef_x_sd"] = scaled[i].tolist()
        rows.append(row)
    return rows


def _place(path: FittedPath, j: int) -> dict[str, Any]:
    """Where a variant lies and which allele is counted; empty of other features."""
    variants = None if path.schema is None else path.schema.variants
    if variants is None:
        return {}
    if j >= len(variants):  # a covariate
        return dict.fromkeys(PLACE)
    figures = (variants.chromosome[j], variants.position[j], variants.effect[j])
    return dict(zip(PLACE, figures, strict=True))


def _table_rows(path: FittedPath, alpha: float, top: int | None) -> list[dict[str, Any]]:
    """The intercept, then a row for each selected feature; columns for each target."""
    figures = ["coef"] if path.feature_scales is None else ["coef", "coef_x_sd"]
    found = _features(path, alpha)[:top]
    first = {
        "feature": INTERCEPT,
        **{name: None for name in PLACE if found and name in found[0]},
        "coef": path.coefficients_at(alpha)[1].tolist(),
        "coef_x_sd": [None] * path.n_targets,  # the intercept has no column
    }
    rows = []
    for row in [first, *found]:
        flat = {"feature": row["feature"], **{n: row[n] for n in PLACE if n in row}}
        for figure in figures:
            names = _headings(path, figure, "_")
            flat |= dict(zip(names, row[figure], strict=True))
        rows.append(flat)
    return rows


def _headings(path: FittedPath, figure: str, joint: str) -> list[str]:
    """What columns of a figure are called: one, or one for each target."""
    return [figure] if path.y_is_vector else [f"{figure}{joint}{t}" for t in path.target_names]


def _print_features(path: FittedPath, alpha: float, top: int | None, limit: int | None) -> None:
    from dasklasso.cli.tables import print_pairs, print_table

    i = path.grid_index(alpha)
    features = _features(path, alpha)
    _, intercept = path.coefficients_at(alpha)
    gap = "none: interpolated between two alphas" if i is None else f"{path.dual_gap[i]:.2g}"
    pairs = [
        ("alpha", f"{alpha:.8g}"),
        ("dual gap", gap),
        ("intercept", ", ".join(f"{value:.8g}" for value in intercept)),
        ("selected", f"{len(features):,} of {path.n_features:,} features"),
    ]
    for name, classes in zip(path.target_names, path.classes or (), strict=False):
        if classes is not None:
            of = "" if path.y_is_vector or path.predicts_classes else f" of {name}"
            pairs.append((f"classes{of}", ", ".join(str(label) for label in classes)))
    print_pairs(pairs)
    headings, rows = _headings(path, "coef", " "), []
    if path.feature_scales is not None:
        headings += _headings(path, "coef x sd", " ")
    for row in features[:top][:limit]:
        scaled = (f"{value:.4g}" for value in row.get("coef_x_sd", ()))
        place = [str(row[name] or "") for name in PLACE if name in row]
        coefs = (f"{value:.8g}" for value in row["coef"])
        rows.append((row["feature"], *place, *coefs, *scaled))
    if rows:
        places = [name.replace("_", " ") for name in PLACE if name in features[0]]
        print_table(None, ("feature", *places, *headings), rows, left=("feature",))
    if len(features) > len(rows):
        how = "" if top is not None and len(rows) == top else ": --limit all prints them"
        echo(f"{len(features) - len(rows):,} more features, smaller{how}.")


def _print_alphas(path: FittedPath, limit: int | None) -> None:
    from dasklasso.cli.tables import print_table

    columns = zip(path.alphas, path.n_nonzero, path.dual_gap, path.objective, strict=True)
    rows = [(f"{a:.8g}", f"{n:,}", f"{gap:.2g}", f"{value:.8g}") for a, n, gap, value in columns]
    print_table(None, ("alpha", "features", "dual gap", "objective"), rows[:limit])
    if limit is not None and len(rows) > limit:
        echo(f"{len(rows) - limit:,} more alphas, smaller: --limit all prints them.")
    echo("The features at one alpha: dasklasso show MODEL --alpha A")
