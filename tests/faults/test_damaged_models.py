"""Every file of a model and of a checkpoint, damaged in six ways: refused, or the right numbers."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import DasklassoError
from dasklasso.fit import fit_path
from dasklasso.model.path import FittedPath, load_model
from dasklasso.options import FitOptions, RunOptions

SEED, DAMAGES, SAMPLE = 13, 200, 24
OPTIONS = FitOptions(n_alphas=2, eps=0.3, tol=1e-5, solver="fista")


@dataclass(frozen=True)
class Written:
    """A folder, one of other data, how it is read, and what that must give."""

    folder: Path
    other: Path
    read: Callable[[Path], FittedPath]
    expected: FittedPath


def drawn(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 1)) + 0.5 * rng.standard_normal((60, 5))
    return from_arrays(X, X[:, 0] - X[:, 3] + rng.standard_normal(60))


def resumed(folder: Path) -> FittedPath:
    run = RunOptions(in_process=True, checkpoint=str(folder), checkpoint_seconds=1e9, resume=True)
    return fit_path(drawn(0), OPTIONS, run)


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    def stop(event):
        if event.scan == 6:
            raise Stopped

    models, checkpoints, paths = [], [], []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp(f"written-{seed}")
        paths.append(fit_path(drawn(seed), OPTIONS, RunOptions(in_process=True)))
        paths[-1].save(folder / "m")
        run = RunOptions(in_process=True, checkpoint=str(folder / "c"), checkpoint_seconds=0.0)
        with pytest.raises(Stopped):
            fit_path(drawn(seed), OPTIONS, run, progress=stop)
        models.append(folder / "m")
        checkpoints.append(folder / "c")
    assert paths[0].scans > 6
    assert not np.array_equal(paths[0].coef, paths[1].coef)
    return [Written(*models, load_model, paths[0]), Written(*checkpoints, resumed, paths[0])]


def outcome_of(number, written, damages, at):
    """Do damage ``number`` to a copy, and return what came of it: refused, or right."""
    rng = np.random.default_rng([SEED, number])
    whole, damage = written[number % len(written)], damages[number // len(written) % len(damages)]
    shutil.copytree(whole.folder, at)
    files = sorted(file.relative_to(at) for file in at.rglob("*") if file.is_file())
    file = files[rng.integers(len(files))]
    damage(at / file, whole.other / file, at, rng)
    try:
        found = whole.read(at)
    except DasklassoError as error:
        return "refused" if "\n" not in str(error) else f"{damage.__name__} {file}: {error}"
    assert np.array_equal(found.coef, whole.expected.coef), f"{damage.__name__} {file}"
    assert np.array_equal(found.intercept, whole.expected.intercept), f"{damage.__name__} {file}"
    return "right"


@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_damage_is_refused_or_does_not_matter(number, written, damages, tmp_path):
    assert outcome_of(number, written, damages, tmp_path / "copy") in ("refused", "right")


@pytest.mark.slow
def test_so_are_two_hundred(written, damages, tmp_path):
    table = Counter()
    for number in range(DAMAGES):
        kind = damages[number // len(written) % len(damages)].__name__
        copy = tmp_path / "copy"
        table[kind, outcome_of(number, written, damages, copy)] += 1
        shutil.rmtree(copy, ignore_errors=True)  # a checkpoint goes with a fit that is done
    for damage in damages:
        name = damage.__name__
        print(f"{name:10} refused {table[name, 'refused']:4} right {table[name, 'right']:4}")
    assert {outcome for _, outcome in table} == {"refused", "right"}
    assert sum(table.values()) == DAMAGES
