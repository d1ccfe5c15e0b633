"""Define the options that several commands share, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

import click

from dasklasso.choices import (
    SOLVERS,
    Criterion,
    Device,
    EmptyChunks,
    FoldKind,
    Missing,
    Unseen,
)
from dasklasso.cli.parameter_types import Alpha, Finite, HuberDelta, Registered, Size
from dasklasso.jobs.fit_stage import Rule

F = TypeVar("F", bound=Callable[..., Any])


def choice(literal: Any) -> click.Choice[str]:
    """Offer the values of a Literal, so that they are listed once."""
    return click.Choice(get_args(literal))


def losses() -> Iterable[str]:
    """The names of losses."""
    from dasklasso.objective.losses.registry import LOSSES

    return LOSSES


def penalties() -> Iterable[str]:
    """The names of penalties."""
    from dasklasso.objective.penalties.registry import PENALTIES

    return PENALTIES


def stacked(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Make one decorator of several; the first is the topmost in ``--help``."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def example(text: str) -> str:
    """Make an epilog that keeps its lines."""
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return f"\b\nExample:\n{lines}"


overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there already.")


def is_quiet() -> bool:
    """Whether the command that runs was given ``--quiet``."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def _set_quiet(context: click.Context, param: click.Parameter, value: bool) -> None:
    context.meta[_QUIET] = value


_QUIET = "dasklasso.quiet"
quiet = click.option(
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_set_quiet,
    help="No progress and no notes on standard error; warnings and errors stay.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="End standard output with one JSON object."
)
empty_chunks = click.option(
    "--empty-chunks",
    type=choice(EmptyChunks),
    default="error",
    show_default=True,
    help="What a chunk that is not in the store means.",
)

texts = stacked(
    click.option("--decimal", metavar="MARK", help="Decimal mark, a comma for 3,14 [default: .]."),
    click.option("--thousands", metavar="MARK", help="Between thousands: , . ' _ or space."),
    click.option(
        "--strip",
        multiple=True,
        metavar="TEXT",
        help="Text before or after numbers that is left out, such as $ or %; repeatable.",
    ),
    click.option(
        "--null",
        multiple=True,
        metavar="TEXT",
        help="Text that is a missing value, such as ?; repeatable.",
    ),
    click.option(
        "--date",
        multiple=True,
        metavar="COLUMN=UNIT",
        help="Dates to numbers: days, hours, minutes or seconds since 1970-01-01 UTC, or the year, "
        "month, weekday (Monday is 1) or hour; UNIT:FORMAT, such as days:%d.%m.%Y, where they are "
        "not written as 2020-12-31; repeatable.",
    ),
    click.option(
        "--category",
        multiple=True,
        metavar="COLUMN",
        help="Column whose texts (or whole numbers) are levels, whatever they look like; "
        "repeatable.",
    ),
    click.option(
        "--number",
        multiple=True,
        metavar="COLUMN",
        help="Column of text that is numbers; repeatable.",
    ),
    click.option("--separator", metavar="MARK", help="CSV: , ; | or tab [default: as found]."),
    click.option("--encoding", metavar="NAME", help="CSV: such as cp1252 [default: as found]."),
    click.option("--quote", metavar="MARK", help="CSV: a character, or none [default: as found]."),
)

covariates = click.option(
    "--covariates",
    metavar="STORE|TABLE",
    help="Columns that have no penalty, joined to the rows by their ids; rows without are left "
    "out.",
)
covariates_of_model = click.option(
    "--covariates",
    metavar="STORE|TABLE",
    help="Where the model has covariates: those of the rows, joined by their ids.",
)
id_column = click.option(
    "--id",
    metavar="NAME",
    help="Of a table of covariates: its column of ids [default: as ingested].",
)

cluster = stacked(
    click.option("--memory", type=Size(), help="Limit for all processes together, like 1.5GiB."),
    click.option(
        "--workers", type=click.IntRange(min=1), help="Worker processes [default: threads here]."
    ),
    click.option("--scheduler", metavar="URL", help="A running Dask cluster: tcp://host:8786."),
    click.option("--device", type=choice(Device), default="cpu", show_default=True),
    click.option("--dashboard", is_flag=True, help="Serve the Dask dashboard, for small data too."),
    click.option("--no-dashboard", is_flag=True, help="Do not serve the Dask dashboard."),
    empty_chunks,
)

l1_ratio = click.option(
    "--l1-ratio",
    type=Finite(0, 1),
    default=1.0,
    show_default=True,
    help="Share of L1 in the penalty: 1 is the lasso.",
)

model = stacked(
    click.option("--loss", type=Registered(losses), default="squared", show_default=True),
    click.option(
        "--huber-delta",
        type=HuberDelta(),
        default="auto",
        show_default=True,
        help="Of loss huber: the residual up to which it is squared, in the target's units; auto "
        "is 1.345 of the target's spread.",
    ),
    l1_ratio,
    click.option(
        "--solver", type=click.Choice(("auto", *SOLVERS)), default="auto", show_default=True
    ),
    click.option(
        "--tol",
        type=Finite(min=0, min_open=True),
        default=1e-6,
        show_default=True,
        help="Duality gap to reach, relative to the null model's loss.",
    ),
    click.option(
        "--max-scans",
        type=click.IntRange(min=1),
        default=10_000,
        show_default=True,
        help="Most reads of the data; to certify what they led to may take one more.",
    ),
    click.option("--standardize", is_flag=True, help="Penalise as if columns had unit variance."),
    click.option("--no-intercept", is_flag=True, help="Fit without an intercept."),
    click.option("--positive", is_flag=True, help="Allow no negative coefficient."),
    click.option(
        "--grouped", is_flag=True, help="A feature in or out for all classes together (softmax)."
    ),
    click.option(
        "--penalty",
        type=Registered(penalties),
        help="Its name, instead of --positive or --grouped [default: elastic_net].",
    ),
    click.option(
        "--penalty-factor",
        metavar="FILE",
        help="CSV with feature,factor, or one number per feature (text, NPY). 0: unpenalised.",
    ),
    click.option(
        "--class-weight",
        metavar="balanced|LABEL=W,...",
        help="Weigh rows by class: so that all classes count the same, or as given (others 1).",
    ),
    covariates,
    id_column,
)


def seed(of: str) -> Callable[[F], F]:
    """The seed of what is drawn at random.

    Parameters
    ----------
    of : help on what that is
    """
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=of)


steps = stacked(
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        help="Of solver prox_sgd: most scans of steps.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=256,
        show_default=True,
        help="Of solver prox_sgd: rows of a step.",
    ),
)
stochastic = stacked(steps, seed("Of solver prox_sgd: of the order of rows."))

checkpoint = stacked(
    click.option(
        "--checkpoint",
        metavar="DIR",
        help="Keep the state here while running; one that stands there already is refused, but "
        "for --resume and --overwrite.",
    ),
    click.option(
        "--checkpoint-seconds",
        type=Finite(min=0),
        default=30.0,
        show_default=True,
        help="Least time between two checkpoints.",
    ),
    click.option("--resume", is_flag=True, help="Go on from --checkpoint, of the same fit."),
)

statistics = stacked(
    click.option("--stats", metavar="PATH", help="Where statistics are [default: STORE.stats]."),
    click.option("--no-stats", is_flag=True, help="Neither use nor keep statistics."),
)

grid = stacked(
    click.option("--n-alphas", type=click.IntRange(min=1), default=100, show_default=True),
    click.option(
        "--eps",
        type=Finite(0, 1, min_open=True, max_open=True),
        help="Smallest alpha over the largest [default: 1e-3; 1e-2 where rows are fewer than "
        "features].",
    ),
)
stop_saturated = click.option(
    "--stop-saturated", is_flag=True, help="End the path where it explains nothing more."
)


def alphas(of: str, *, required: bool = False) -> Callable[[F], F]:
    """Chosen alphas.

    Parameters
    ----------
    of : help on what they are
    """
    return click.option(
        "--alpha",
        type=Finite(min=0, min_open=True),
        multiple=True,
        required=required,
        help=of,
    )


l1_ratios = click.option(
    "--l1-ratios",
    type=Finite(0, 1),
    multiple=True,
    help="To choose from, instead of --l1-ratio; may be repeated.",
)


def folds(of: str, seed_of: str, *, default: int | None = 5) -> Callable[[F], F]:
    """How rows are put into folds, and which alpha their errors choose.

    Parameters
    ----------
    of, seed_of : help on what has folds, and what the seed is of
    default : number of folds; None where there need be none
    """
    return stacked(
        click.option(
            "--folds", type=click.IntRange(min=2), default=default, show_default=True, help=of
        ),
        click.option(
            "--fold-kind",
            type=choice(FoldKind),
            default="random",
            show_default=True,
            help="Rows at random; runs of rows; whole groups (the store's fold column); or folds "
            "as that column says.",
        ),
        seed(seed_of),
        click.option(
            "--rule",
            type=choice(Rule),
            default="min",
            show_default=True,
            help="Least mean error, or the largest alpha within a standard error of it.",
        ),
    )


model_alpha = click.option(
    "--alpha",
    type=Alpha(),
    help="Within the model's alphas, as typed from a table; min, 1se: of the cross-validation "
    "[default: the selected or only one].",
)
unseen = click.option(
    "--unseen",
    type=choice(Unseen),
    default="error",
    show_default=True,
    help="A level that training never met is refused, or is none of them: 0 in all its features.",
)
encoding = stacked(
    click.option(
        "--missing",
        type=choice(Missing),
        help="Of a table: refuse missing values, or fill in the mean of the training rows "
        "[default: as in training].",
    ),
    unseen,
    click.option(
        "--offset", metavar="NAME", help="Of a table: the column of offsets [default: as trained]."
    ),
    click.option("--dataset", metavar="PATH", help="Of HDF5 and NPZ: the array that is X."),
)
criterion = click.option(
    "--criterion",
    type=choice(Criterion),
    default="loss",
    show_default=True,
    help="What folds are compared by: the mean loss, or how well labels are ranked or told apart.",
)
table = click.option("--table", metavar="FILE", help="Also write a table: .csv, .parquet or .json.")
out = click.option("--out", required=True, metavar="MODEL", help="Folder the model is saved to.")
