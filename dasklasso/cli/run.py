"""``dasklasso run``: run a batch job from a TOML file."""

from __future__ import annotations

import click

from dasklasso.cli import options
from dasklasso.cli.text import echo


@click.command(
    "run",
    short_help="Run a batch job from a TOML file.",
    epilog=options.example("dasklasso run pipelines/quickstart.toml --set path.tol=1e-8"),
)
@click.argument("job", metavar="JOB.toml")
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.KEY=VALUE", help="Override a key."
)
@options.quiet
def run_command(job: str, overrides: tuple[str, ...]) -> None:
    """Run the stages of JOB.toml: ingest; fit, path, cv or select; predict; score; others.

    Their keys are the options of these commands, with underscores. After score come score_file,
    which is show --score-file, and picture. What is read is relative to the TOML file, what is
    written is relative to the current folder. Nothing is overwritten unless a stage says
    overwrite = true.
    """
    from dasklasso.cli.fit import report, require_convergence, run_with_progress
    from dasklasso.cli.ingest import run_ingest
    from dasklasso.cli.messages import say
    from dasklasso.cli.picture import run_picture
    from dasklasso.cli.score import run_score
    from dasklasso.cli.select import run_select
    from dasklasso.jobs.ingest_stage import IngestStage
    from dasklasso.jobs.job import load_job
    from dasklasso.jobs.picture_stage import PictureStage
    from dasklasso.jobs.predict_stage import PredictStage
    from dasklasso.jobs.score_file_stage import ScoreFileStage
    from dasklasso.jobs.score_stage import ScoreStage
    from dasklasso.jobs.select_stage import SelectStage

    loaded = load_job(job, overrides)
    loaded.check()
    for name, stage in loaded.stages.items():
        echo(f"[{name}]")
        if isinstance(stage, IngestStage):
            run_ingest(stage)
        elif isinstance(stage, PredictStage):
            predicted = stage.run()
            say(notes=predicted.notes)
            echo(f"rows      {predicted.n_rows:,}")
            echo(f"out       {stage.out}")
        elif isinstance(stage, ScoreStage):
            run_score(stage)
        elif isinstance(stage, ScoreFileStage):
            say(notes=stage.run().notes())
            echo(f"out       {stage.out}")
        elif isinstance(stage, PictureStage):
            run_picture(stage)
        elif isinstance(stage, SelectStage):
            run_select(stage)
        else:
            path = run_with_progress(stage)
            report(path, stage.out)
            require_convergence(path, stage)
