"""``dasklasso picture``: draw coefficients of features that are pixels as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dasklasso.cli import options
from dasklasso.cli.parameter_types import Alpha
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.jobs.picture_stage import PictureStage


@click.command(
    "picture",
    short_help="Draw coefficients of pixels as images.",
    epilog=options.example(
        "dasklasso picture model --shape 28x28 --out pictures --scores scores.csv"
    ),
)
@click.argument("model")
@click.option("--shape", required=True, metavar="HxW", help="Height and width, like 28x28.")
@click.option("--out", required=True, metavar="FOLDER", help="Of the PNGs, one for each alpha.")
@click.option("--alpha", type=Alpha(), help="Draw only this one; min, 1se: as chosen.")
@click.option(
    "--label",
    multiple=True,
    metavar="TEXT",
    help="Above an image, one for each in order [default: the classes or targets].",
)
@click.option(
    "--scores",
    metavar="FILE",
    help="A table that score --all-alphas wrote: accuracies are in the pictures.",
)
@options.overwrite
def picture_command(**values: Any) -> None:
    """Draw the coefficients of MODEL, whose features are the pixels of images.

    An image for each class or target: red above 0, blue below, on one scale. Pixels come row by
    row, or where the numbers in their names say. Needs matplotlib: pip install 'dasklasso[plot]'.
    """
    from dasklasso.jobs.picture_stage import PictureStage

    run_picture(PictureStage(**values))


def run_picture(stage: PictureStage) -> None:
    """Run a stage, and print how many pictures there are."""
    from dasklasso.units import counted

    echo(f"{counted(stage.run(), 'picture')} in {stage.out}")
