"""Documents and their files, mutated: refused in one line, or read as they were, bit for bit.

A case is a kind of document and a number, from which its mutation follows: of bytes, of values,
types and depth of the JSON, of keys, of metadata of arrays, of chunks. Half of those of values are
sealed anew, as by somebody who knows how: they pass the seal, and only schemas stand behind it.
Such a document is authentic and may mean other numbers; what it must not do is raise anything but
our errors, or hang.

    pytest tests/faults/test_mutated_documents.py -m slow -s     prints the table of 10,000 cases
"""

from __future__ import annotations

import json
import shutil
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.array_metadata import metadata_digests
from dasklasso.dataset.dataset import from_arrays, open_dataset
from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import DasklassoError, DataWarning
from dasklasso.files.seal import files_in, sealed
from dasklasso.fit import fit_cv, fit_path
from dasklasso.jobs.job import load_job
from dasklasso.model.path import load_model
from dasklasso.moments.store import find_moments
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.storage.zarr_blocks import read_rows

SOLVERS = {"fista": 4, "newton": 3, "working_set": 4}  # and the scan at which each is ended
CASES = {"manifest": 2500, "model": 2500, "moments": 2500, "job": 1000}
SAMPLE = {"manifest": 30, "model": 30, "moments": 40, "job": 40}
CASES |= {f"checkpoint of {solver}": 500 for solver in SOLVERS}
SAMPLE |= {f"checkpoint of {solver}": 5 for solver in SOLVERS}
SECONDS = 60  # of a case that takes a fraction of one
N = 40
JOB = """
[ingest]
source = "t.csv"
store = "out/s.zarr"
target = "y"
missing = "mean"
[cv]
n_alphas = 20
folds = 4
l1_ratio = 0.5
out = "out/m"
max_scans = 100
[predict]
alpha = 0.1
out = "out/p.csv"
overwrite = true
"""

Numbers = dict[str, bytes]  # what is read, as bytes


@dataclass
class Kind:
    """How one kind of document is found, used and sealed.

    Attributes
    ----------
    folder : the sound one
    document : of it, the file
    inside : keys that lead from the file's JSON to the document
    arrays : of it, the folder with the files that the document is sealed with
    use : reads everything, given a folder like it
    files : digests of files that are not found by their names alone
    mutations : how it is changed
    """

    folder: Path
    document: str
    use: Callable[[Path], Numbers]
    inside: tuple[str, ...] = ()
    arrays: str = "."
    files: Callable[[Path], dict[str, str]] | None = None
    mutations: Any = None
    sound: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """refused, identical, other numbers under a new seal, or what must not be."""

    word: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.word.startswith("FAULT")


# -- what is read ----------------------------------------------------------------------------------


def as_bytes(**arrays: Any) -> Numbers:
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        for name, value in arrays.items()
    }


def use_store(folder: Path) -> Numbers:
    data = open_dataset(str(folder))
    parts = {name: getattr(data, name) for name in ("X", "y", "sample_weight", "fold")}
    rows = {name: read_rows(one, 0, data.n_rows) for name, one in parts.items() if one is not None}
    said = (data.feature_names, data.target_names, data.target_classes, data.fingerprint)
    schema = data.schema and (data.schema.to_json(), data.schema.expected(), data.schema.columns)
    return as_bytes(**rows, said=said, schema=schema, **vars(data.statistics))


def use_model(folder: Path) -> Numbers:
    path = load_model(folder)
    X = np.random.default_rng(5).standard_normal((7, path.n_features))
    predicted = [path.linear_prediction(X, alpha) for alpha in (*path.alphas[:3], path.alphas[-1])]
    return as_bytes(
        coef=path.coef,
        predicted=np.concatenate(predicted),
        at_selected=path.linear_prediction(X),
        summary=path.summary(),
        table=path.table(),
        names=(path.feature_names, path.target_names, path.classes),
    )


def use_moments(folder: Path, fingerprint: str) -> Numbers:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = find_moments(folder, fingerprint, FoldScheme())
    if found is None:  # they are taken anew from the data: the fit is as it would be without them
        said = [str(one.message) for one in caught if issubclass(one.category, DataWarning)]
        raise DasklassoError(said[0] if said else "statistics of these data are not there")
    each = [
        (m.weight, m.count, m.mean.tobytes(), m.products.tobytes(), m.units.tobytes(), m.precision)
        for m in found.moments
    ]
    return as_bytes(fold=found.fold, block=found.block, each=each)


def use_checkpoint(folder: Path, fit: Callable[..., Any]) -> Numbers:
    path = fit(folder, resume=True)
    return as_bytes(coef=path.coef, intercept=path.intercept, gap=path.dual_gaps)


def use_job(folder: Path) -> Numbers:
    job = load_job(folder / "job.toml")
    job.check()
    # paths are below the job's own folder, which is another one in each case
    return as_bytes(stages=repr(job.stages).replace(str(folder), "").encode())


class Stopped(Exception):
    """Ends a fit where a process would be killed."""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, mutations: Any) -> dict[str, Kind]:
    place = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(12)
    frame = pd.DataFrame(rng.standard_normal((N, 3)), columns=list("abc"))
    frame["kind"] = rng.choice(["elm", "oak"], N)
    frame["w"], frame["k"] = rng.random(N) + 0.5, np.arange(N) % 4
    frame["y"] = 2 * frame["a"] - frame["c"] + 0.1 * rng.standard_normal(N)
    frame.to_csv(place / "t.csv", index=False)
    ingest(place / "t.csv", place / "s.zarr", target="y", weight="w", fold="k")
    data = open_dataset(place / "s.zarr")
    run = RunOptions(in_process=True, stats=str(place / "stats"))
    options = FitOptions(n_alphas=5, eps=0.05, solver="gram")
    fit_cv(data, options, CvOptions(folds=3), run).save(place / "m")
    kept = next(head.parent for head in (place / "stats").glob("*/zarr.json"))

    labels = from_arrays(read_rows(data.X, 0, N), np.arange(N) % 3 // 2)

    def fitting(solver: str) -> Callable[..., Any]:
        asked = FitOptions(n_alphas=3, eps=0.05, tol=1e-6, solver=solver, max_scans=200)
        asked = replace(asked, loss="logistic") if solver == "newton" else asked

        def fit(folder: Path, *, resume: bool) -> Any:
            def progress(event: Any) -> None:
                if event.scan == SOLVERS[solver] and not resume and not event.stage:
                    raise Stopped

            there = replace(
                run,
                keep_statistics=False,
                checkpoint=str(folder),
                checkpoint_seconds=1e9 if resume else 0.0,
                resume=resume,
            )
            table = labels if solver == "newton" else data
            return fit_path(table, asked, there, progress=progress)

        return fit

    for solver in SOLVERS:
        with pytest.raises(Stopped):
            fitting(solver)(place / solver, resume=False)
    (place / "job").mkdir()
    (place / "job" / "job.toml").write_text(JOB)
    shutil.copy(place / "t.csv", place / "job" / "t.csv")
    found = {
        "manifest": Kind(
            place / "s.zarr", "zarr.json", use_store, ("attributes", "dasklasso"),
            files=lambda folder: metadata_digests(
                zarr.open_group(folder, mode="r", use_consolidated=False),
                ("X", "y", "sample_weight", "fold"),
            ),
        ),
        "model": Kind(place / "m", "model.json", use_model, arrays="coef.zarr"),
        "moments": Kind(
            place / "stats", f"{kept.name}/zarr.json", lambda at: use_moments(at, data.identity),
            ("attributes", "dasklasso_statistics"), arrays=kept.name,
        ),
        **{
            f"checkpoint of {solver}": Kind(
                place / solver, "state.zarr/zarr.json",
                partial(use_checkpoint, fit=fitting(solver)),
                ("attributes",), arrays="state.zarr",
            )
            for solver in SOLVERS
        },
        "job": Kind(place / "job", "job.toml", use_job),
    }  # fmt: skip
    for name, kind in found.items():
        kind.mutations = mutations
        kind.sound = kind.use(shutil.copytree(kind.folder, place / "copies" / name))
        assert kind.sound
    return found


# -- cases -----------------------------------------------------------------------------------------


def mutate(kind: Kind, folder: Path, rng: np.random.Generator) -> tuple[str, bool]:
    """Change a folder like the sound one; how it was done, and whether it is sealed anew."""
    file = folder / kind.document
    if kind.document.endswith(".toml"):
        return kind.mutations.toml(file, rng), False
    way = str(rng.choice(["tree", "tree", "tree", "bytes", "twice", "metadata", "chunks"]))
    anew = bool(rng.integers(2))
    if way == "bytes":
        content, how = kind.mutations.content(file.read_bytes(), rng)
        file.write_bytes(content)
        return f"bytes {how}", False
    outer = json.loads(file.read_text())
    document = reduce(getitem, kind.inside, outer)
    if way == "twice":
        key = str(rng.choice(list(document)))
        text = json.dumps(document)
        twice = "{" + f"{json.dumps(key)}: 0, " + text[1:]
        file.write_text(json.dumps(outer).replace(text, twice))
        return "key twice", False
    if way == "chunks":
        return kind.mutations.chunks(folder / kind.arrays, rng), False
    if way == "metadata":
        metadata = sorted(set((folder / kind.arrays).rglob("zarr.json")) - {file})
        chosen = metadata[int(rng.integers(len(metadata)))]
        inner = json.loads(chosen.read_text())
        how = f"metadata {kind.mutations.tree(inner, rng)}"
        chosen.write_text(json.dumps(inner))
    elif "state" in document and rng.random() < 0.8:  # of a checkpoint: JSON within JSON
        state = json.loads(document["state"])
        how = f"value {kind.mutations.tree(state, rng)}"
        document["state"] = json.dumps(state)
    else:
        how = f"value {kind.mutations.tree(document, rng)}"
    if anew:
        leave_out = {"zarr.json"} if kind.document.endswith("zarr.json") else set()
        found = None
        if way == "metadata":
            own = files_in(folder / kind.arrays, leave_out=leave_out)
            found = {**document["files"], **kind.files(folder)} if kind.files else own
        document = sealed(document, found)
    where = outer if not kind.inside else reduce(getitem, kind.inside[:-1], outer)
    if kind.inside:
        where[kind.inside[-1]] = document
    else:
        outer = document
    file.write_text(json.dumps(outer))
    return how, anew


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer; 0: no limit."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    if not seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome_of(name: str, kind: Kind, number: int, place: Path, seconds: float) -> Outcome:
    """Run one case in a folder of its own."""
    rng = np.random.default_rng([sum(name.encode()), number])
    folder = place / f"{name}-{number}"
    shutil.copytree(kind.folder, folder)
    how, anew = mutate(kind, folder, rng)
    case = f"{name} {number}, {how}{', sealed anew' if anew else ''}"
    try:
        with time_limit(seconds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = kind.use(folder)
    except DasklassoError as error:
        if "\n" in str(error):
            return Outcome("FAULT: more than a line", f"{case}: {error}")
        return Outcome("refused")
    except Exception as error:
        return Outcome("FAULT: another exception", f"{case}: {type(error).__name__}: {error}"[:300])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if found == kind.sound:
        return Outcome("identical")
    if anew or name == "job":  # what a job says is what is to be done: nothing seals it
        return Outcome("as it says")
    changed = [key for key in found if found[key] != kind.sound.get(key)]
    return Outcome("FAULT: other numbers", f"{case}: {changed}")


def run_cases(
    kinds: dict[str, Kind], name: str, numbers: range, place: Path, seconds: float = 0.0
) -> tuple[Counter[str], list[str]]:
    outcomes = [outcome_of(name, kinds[name], k, place, seconds) for k in numbers]
    return Counter(one.word for one in outcomes), [one.detail for one in outcomes if one.is_fault]


@pytest.mark.parametrize("name", SAMPLE)
def test_of_a_sample_of_mutations_none_gives_other_numbers(name, kinds, tmp_path):
    counts, faults = run_cases(kinds, name, range(SAMPLE[name]), tmp_path)
    assert not faults
    assert counts["refused"] >= SAMPLE[name] // 3


def test_a_mutation_is_the_same_each_time(kinds, tmp_path):
    texts = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        shutil.copytree(kinds["model"].folder, folder)
        mutate(kinds["model"], folder, np.random.default_rng(7))
        texts.append(files_in(folder))
    assert texts[0] == texts[1] != files_in(kinds["model"].folder)


@pytest.mark.slow
@pytest.mark.timeout(0)  # each case has a limit of its own
def test_of_ten_thousand_mutations_none_gives_other_numbers(kinds, tmp_path):
    words = ("refused", "identical", "as it says")
    print(f"\n| kind | cases | {' | '.join(words)} | faults |")
    all_faults = []
    for name, n in CASES.items():
        counts, faults = run_cases(kinds, name, range(n), tmp_path, SECONDS)
        print(f"| {name} | {n} | {' | '.join(str(counts[w]) for w in words)} | {len(faults)} |")
        print(*faults[:50], sep="\n")
        all_faults += faults
    assert not all_faults
