"""Kernels: all are listed, compiled ahead by ``warm``, and loaded for large problems only."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import dasklasso
from dasklasso.cli import main
from dasklasso.kernels import MODULES, registered
from dasklasso.objective.penalties.elastic_net import ElasticNet
from dasklasso.solvers.quadratic.face import Face, minimise
from dasklasso.solvers.quadratic.face_factor import FRESH_FROM, FaceFactor
from dasklasso.solvers.quadratic.groups import Groups, minimise_groups
from dasklasso.solvers.quadratic.path import Quadratic, solve_path
from dasklasso.solvers.quadratic.subproblem import Subproblem
from dasklasso.solvers.quadratic.sweep import COMPILED_FROM

PACKAGE = Path(dasklasso.__file__).parent


def modules_that_import(name: str, wanted: str) -> set[str]:
    """Modules of the package with an import of ``name``, or of ``wanted`` from it."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                continue
            if names & {name, f"{name}.{wanted}"}:
                found.add(".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts))
    return found


def test_every_module_with_kernels_is_listed():
    assert modules_that_import("dasklasso.kernels", "kernel") == set(MODULES)


def test_numba_is_imported_where_kernels_are_compiled_only():
    assert modules_that_import("numba", "njit") == {"dasklasso.kernels"}


def test_paths_of_few_features_import_no_numba():
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from dasklasso.solvers.quadratic.path import Quadratic, solve_path\n"
        "from dasklasso.objective.penalties.elastic_net import ElasticNet\n"
        "q = Quadratic(np.eye(30) + 0.5, np.arange(30.0), 1e4)\n"
        "found = solve_path(q, ElasticNet.of(1.0), np.array([9.0, 1.0]), tol=1e-6)\n"
        "assert found.coef.any() and found.gap.max() <= 1e-6\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_solved_compiles_what_is_registered_and_nothing_else():
    d = COMPILED_FROM
    X = np.random.default_rng(0).standard_normal((2 * d, d))
    gram, ones = X.T @ X / len(X), np.ones(d)
    quadratic = Quadratic(gram, gram @ np.where(np.arange(d) < 9, 1.0, 0.0), 20.0)
    solve_path(quadratic, ElasticNet.of(0.9), np.array([0.5, 0.1, 0.001]), tol=1e-6)
    for dtype in (np.float32, np.float64):
        free = np.zeros(d, bool)
        minimise(Face(gram.astype(dtype), -quadratic.linear, 0.0 * ones, 0.1 * ones, free), 1e-3)
        pairs = np.arange(0, d + 1, 2)
        groups = Groups(
            gram.astype(dtype), -quadratic.linear, 0.0 * ones, pairs, 0.1 * ones[: d // 2]
        )
        minimise_groups(groups, 1e-3)
    diagonal = gram.diagonal().copy()
    problem = Subproblem(
        gram, quadratic.linear, diagonal, ones, 0.0 * ones, np.arange(d), 20.0, False, True
    )
    factor, some = FaceFactor(d), np.arange(FRESH_FROM)
    factor.credit = 1e9
    factor.grow(problem, some, ones)
    factor.apply(some, ones[some], diagonal[some])
    for kernel in registered():
        assert len(kernel.dispatcher.signatures) == len(kernel.signatures), kernel.name


@pytest.fixture(scope="module")
def warmed(tmp_path_factory) -> list[str]:
    """What ``dasklasso warm`` says, of a process that has an empty cache, then of another."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("numba"))}
    command = [sys.executable, "-m", "dasklasso", "warm"]
    return [
        subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, **environment}
        ).stdout
        for _ in range(2)
    ]


def test_warm_compiles_every_signature_of_every_kernel(warmed):
    lines = warmed[0].splitlines()
    expected = [kernel.name for kernel in registered() for _ in kernel.signatures]
    assert [f"dasklasso.{line.split()[0]}" for line in lines[:-1]] == expected
    assert all("compiled" in line for line in lines[:-1])
    assert lines[-1].startswith(f"{len(expected)} loops ready in ")


def test_what_warm_compiled_is_there_for_the_next_process(warmed):
    assert all("was there" in line for line in warmed[1].splitlines()[:-1])


def test_warm_says_what_it_is_for():
    assert "NUMBA_CACHE_DIR" in CliRunner().invoke(main, ["warm", "--help"]).output
