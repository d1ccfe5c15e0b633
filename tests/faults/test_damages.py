"""Every file of a store and of its kept moments, damaged in six ways: refused, or the right answer.

Each damage is done to a fresh copy, and ``dasklasso fit`` then runs on it in a process of its own.
It must end with exit code 2 and one line, or with the very bits of the sound store's model.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dasklasso
from dasklasso.dataset.ingest.writer import StoreWriter

N, D, ROWS, COLUMNS = 240, 5, 60, 3
SEED, DAMAGES, SAMPLE = 12, 200, 20
SECONDS = 60  # of a fit that takes a fraction of one

# Forks a child for each line of arguments, so that what a fit has read is forgotten with it.
SERVER = """
import json, os, signal, sys
import dasklasso.cli, dasklasso.cli.fit, dasklasso.fit.fit, dasklasso.solvers.quadratic.path

dasklasso.solvers.quadratic.path.load_kernels(5)
for line in sys.stdin:
    arguments, output, seconds = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        try:
            dasklasso.cli.main(arguments)
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(70)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


Damage = Callable[[Path, Path, Path, np.random.Generator], None]


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (minus a signal's number), and all that it printed."""

    code: int
    text: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Outcome]]:
    output = tmp_path_factory.mktemp("output") / "text"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def command(*arguments: object) -> Outcome:
            line = json.dumps([[str(one) for one in arguments], str(output), SECONDS])
            server.stdin.write(line + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
            return Outcome(code, output.read_text(errors="replace"))

        yield command
        server.stdin.close()


def write(path: Path, seed: int, codec: str) -> Path:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D))
    y = X @ np.arange(D) + rng.standard_normal(N)
    with StoreWriter(
        path,
        feature_names=list("abcde"),
        target_names=["t"],
        dtype="float64",
        with_weight=True,
        with_fold=True,
        with_offset=True,
        codec=codec,
        chunk_rows=ROWS,
        chunk_columns=COLUMNS,
    ) as writer:
        writer.write(X, y, rng.random(N), np.arange(N) % 3, offset=rng.random(N))
        writer.finish({})
    return path


@dataclass(frozen=True)
class Place:
    """A store with kept moments, the folder of one of other data, and what a fit must give."""

    folder: Path
    other: Path
    coef: np.ndarray
    intercept: np.ndarray


def fit(run: Callable[..., Outcome], folder: Path) -> Outcome:
    return run("fit", folder / "s.zarr", "--alpha", 0.05, "--out", folder / "m", "--quiet")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Outcome]) -> list[Place]:
    found = []
    for codec in ("none", "lz4"):
        folder, other = (tmp_path_factory.mktemp(name) for name in (codec, f"other-{codec}"))
        write(other / "s.zarr", 1, codec)
        write(folder / "s.zarr", 0, codec)
        assert fit(run, folder).code == 0
        model = dasklasso.load_model(folder / "m")
        shutil.rmtree(folder / "m")
        found.append(Place(folder, other, model.coef, model.intercept))
    return found


# -- damages --------------------------------------------------------------------------------------


def outcome_of(
    number: int, places: list[Place], run: Callable[..., Outcome], damages: list[Damage], at: Path
) -> str:
    """Do damage ``number`` to a copy, and return what came of it: refused, or right."""
    rng = np.random.default_rng([SEED, number])
    place, kind = places[number % len(places)], damages[number // len(places) % len(damages)]
    shutil.copytree(place.folder, at)
    files = sorted(file.relative_to(at) for file in at.rglob("*") if file.is_file())
    # half of them in the store itself, where most files are chunks of X
    folders = sorted({"/".join(file.parts[:2]) for file in files})
    chosen = folders[rng.integers(len(folders))]
    file = rng.choice([str(file) for file in files if str(file).startswith(chosen)])
    kind(at / file, place.other / file, at / Path(file).parts[0], rng)
    found = fit(run, at)
    told = f"{kind.__name__} {file}: exit code {found.code}, {found.text!r}"
    if found.code == 2:
        assert not (at / "m").exists(), told
        assert "Traceback" not in found.text, told
        assert "Error" in found.text, told
        return "refused"
    assert found.code == 0, told
    model = dasklasso.load_model(at / "m")
    assert np.array_equal(model.coef, place.coef), told
    assert np.array_equal(model.intercept, place.intercept), told
    return "right"


@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_damage_is_refused_or_does_not_matter(number, places, run, damages, tmp_path) -> None:
    assert outcome_of(number, places, run, damages, tmp_path / "copy") in ("refused", "right")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # each is a process
def test_so_are_two_hundred(places, run, damages, tmp_path) -> None:
    table: Counter[tuple[str, str]] = Counter()
    for number in range(DAMAGES):
        kind = damages[number // len(places) % len(damages)].__name__
        copy = tmp_path / "copy"
        table[kind, outcome_of(number, places, run, damages, copy)] += 1
        shutil.rmtree(copy)
    for kind in damages:
        name = kind.__name__
        print(f"{name:10} refused {table[name, 'refused']:4} right {table[name, 'right']:4}")
    assert sum(table.values()) == DAMAGES
