"""Plans: which solver, how many reads, how much memory, before anything of X is read."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import ChunkCorrupt, MemoryLimitError, OptionError
from dasklasso.fit.choose import choose_solver
from dasklasso.fit.machine import Machine, measure_machine
from dasklasso.fit.plan import plan_fit
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.fista.cost import fista_memory
from dasklasso.solvers.gram.cost import gram_memory
from dasklasso.solvers.newton.cost import newton_limits, newton_memory
from dasklasso.solvers.prox_sgd.cost import sgd_memory
from dasklasso.storage.blocks import MemoryBlocks, chunk_bounds

GIB = 1 << 30
RUN = RunOptions(memory=4 * GIB)
GRAM = FitOptions(solver="gram")


class Table(MemoryBlocks):
    """Any shape at the price of one block: plans look at shapes and chunks only."""

    def __init__(self, shape, *, dtype="float32", rows=50_000, mapped=True):
        super().__init__(np.empty((1, 1), dtype), chunk_bounds(shape[0], rows))
        self.shape, self.column_bounds, self.mapped = shape, (0, shape[1]), mapped

    def block(self, i, j):
        raise AssertionError("X was read")


@pytest.fixture(scope="module")
def table(regression):
    small = from_arrays(*regression(20, 4))
    return lambda *shape, **options: replace(small, X=Table(shape, **options))


# -- the choice ---------------------------------------------------------------------------------


def test_a_tall_table_goes_to_gram(table):
    assert choose_solver(table(10**6, 500), FitOptions(), RUN).solver == "gram"


def test_a_gram_matrix_beyond_the_limit_leaves_fista(table):
    choice = choose_solver(table(10**5, 50_000), FitOptions(), RUN)
    assert choice.solver == "fista"
    assert "does not fit" in choice.why


def test_wide_data_go_to_working_sets(table):
    choice = choose_solver(table(10**3, 50_000), FitOptions(), RUN)
    assert choice.solver == "working_set"
    assert "wider than long" in choice.why


@pytest.mark.parametrize("n_folds", [1, 5])
@pytest.mark.parametrize("loss", ["logistic", "poisson", "huber"])
def test_wide_data_go_to_working_sets_whatever_the_loss(table, loss, n_folds):
    options = FitOptions(loss=loss, huber_delta=1.0)
    choice = choose_solver(table(10**3, 50_000), options, RUN, n_folds=n_folds)
    assert choice.solver == "working_set"
    assert "wider than long" in choice.why


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_working_sets_hold_what_fits(table, loss):
    run = RunOptions(memory=900 << 20)
    options = FitOptions(loss=loss, solver="working_set")
    assert choose_solver(table(3_000, 60_000), options, run).memory <= run.memory


def test_unpenalised_features_beside_other_losses_go_to_working_sets(table):
    options = FitOptions(loss="logistic", penalty_factor=np.eye(50)[0])
    choice = choose_solver(table(10**4, 50), options, RUN, n_folds=5)
    assert (choice.solver, choice.why) == ("working_set", "no other solver can")


def test_folds_of_wide_data_go_to_working_sets(table):
    assert choose_solver(table(10**3, 50_000), FitOptions(), RUN, n_folds=5).solver == "working_set"


def test_few_columns_go_to_gram_though_there_are_fewer_rows(table):
    assert choose_solver(table(300, 500), FitOptions(), RUN).solver == "gram"


def test_wide_data_go_to_gram_where_its_statistics_are_kept(table):
    choice = choose_solver(table(10**3, 5_000), FitOptions(), RUN, statistics_kept=True)
    assert choice.solver == "gram"


def test_folds_of_a_table_too_tall_to_hold_are_refused(table):
    with pytest.raises(MemoryLimitError, match="gram needs"):
        choose_solver(table(10**5, 50_000), FitOptions(), RUN, n_folds=5)


@pytest.mark.parametrize("options", [{"max_scans": 1}, {"solver": "fista"}], ids=str)
def test_gram_is_not_chosen(table, options):
    choice = choose_solver(table(10**6, 50), FitOptions(**options), RUN)
    assert choice.solver == "fista"


def test_folds_of_newton_are_scans_and_products_that_a_plan_counts(table):
    data = table(2 * 10**6, 12)  # too large to be held in memory
    options = FitOptions(loss="logistic", n_alphas=20)
    alone, folded = (plan_fit(data, options, RunOptions(), n_folds=k) for k in (1, 5))
    assert (alone.scans, folded.scans) == (8, 12)
    # five folds are trained on the last five scans, on all 20 alphas
    n, d = data.X.shape
    assert folded.flops - alone.flops >= 4.0 * n * d * 20 * (4 * 6 + 5)


def test_newton_is_chosen_for_a_loss_that_is_no_quadratic(table):
    choice = choose_solver(table(10**6, 50), FitOptions(loss="logistic"), RUN)
    assert choice.solver == "newton"


def test_gram_is_taken_where_it_is_asked_for(table):
    assert choose_solver(table(10**4, 500), GRAM, RUN).solver == "gram"


def test_gram_that_does_not_fit_is_refused_with_figures_and_a_way_out(table):
    expected = (
        r"memory: 4,294,967,296 bytes, but gram needs [\d.]+ GiB for 50,000 features; "
        "use solver fista, or give more memory"
    )
    with pytest.raises(MemoryLimitError, match=expected):
        choose_solver(table(10**4, 50_000), GRAM, RUN)


def test_too_many_folds_are_refused_with_a_way_out(table):
    data = table(10**6, 2_000)
    assert choose_solver(data, FitOptions(), RUN, n_folds=5).solver == "gram"
    with pytest.raises(MemoryLimitError, match="features and 100 folds; ask for fewer folds, or"):
        choose_solver(data, FitOptions(), RUN, n_folds=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "fista"}, "solver: fista cannot cross-validate"),
        ({"loss": "logistic", "solver": "gram"}, "loss: logistic found, but gram needs"),
    ],
)
def test_folds_that_no_solver_can_do_are_refused(table, options, message):
    with pytest.raises(OptionError, match=message):
        choose_solver(table(10**4, 50), FitOptions(**options), RUN, n_folds=5)


def test_half_of_what_is_available_is_the_limit_where_none_is_given(table, monkeypatch):
    need = gram_memory(table(10**6, 1_000), FitOptions(), RunOptions()).total
    for available, solver in ((2 * need, "gram"), (2 * need - 2, "fista")):
        free = type("Memory", (), {"available": available})
        monkeypatch.setattr("psutil.virtual_memory", lambda free=free: free)
        assert choose_solver(table(10**6, 1_000), FitOptions(), RunOptions()).solver == solver


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("need", [gram_memory, fista_memory, sgd_memory])
def test_blocks_that_must_be_decoded_take_memory(table, need):
    mapped, decoded = (table(10**6, 100, mapped=mapped) for mapped in (True, False))
    more = need(decoded, FitOptions(), RUN).per_thread - need(mapped, FitOptions(), RUN).per_thread
    assert more >= 2 * 50_000 * 100 * 4


def test_folds_take_memory_on_every_thread(table):
    data = table(10**6, 500)
    one, five = (gram_memory(data, FitOptions(), RUN, n_folds=k).per_thread for k in (1, 5))
    assert five - one == 4 * 8 * 502**2


def test_large_moments_are_held_once_for_each_fold(table):
    data = table(10**5, 5_000)
    one, ten = (gram_memory(data, FitOptions(), RUN, n_folds=k).once for k in (1, 10))
    assert 13 * 8 * 5_001**2 < ten - one < 20 * 8 * 5_002**2


def test_worker_processes_add_up_to_the_total(table):
    need = gram_memory(table(10**6, 100), FitOptions(), replace(RUN, workers=2))
    driver = gram_memory(table(10**6, 100), FitOptions(), RUN).once
    assert need.total == pytest.approx(2 * need.per_worker + driver, abs=400 << 20)
    assert need.total > 2 * need.per_worker + driver  # the driving process itself


def test_a_band_of_a_very_wide_table_does_not_take_all_columns_at_once(table):
    wide = replace(table(1_000, 10**7), X=Table((1_000, 10**7)))
    wide.X.column_bounds = chunk_bounds(10**7, 10_000)
    assert fista_memory(wide, FitOptions(alphas=(0.1,)), RUN).total < 4 * GIB


# -- the plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "scans"), [(False, 2), (True, 1)])
def test_a_gram_fit_reads_x_twice_or_once_where_statistics_are_kept(table, kept, scans):
    assert plan_fit(table(10**6, 50), FitOptions(), RUN, statistics_kept=kept).scans == scans


@pytest.mark.parametrize("n_alphas", [1, 100])
def test_bytes_are_those_stored_times_scans_whatever_the_alphas(make_store, regression, n_alphas):
    data = make_store(*regression(300, 6), codec="zstd", chunk_rows=50, chunk_columns=4)
    stored = sum(data.X.stored_bytes(i, j) for i in range(6) for j in range(2))
    assert plan_fit(data, FitOptions(n_alphas=n_alphas), RUN).bytes_to_read == 2 * stored


def test_bytes_of_very_many_chunks_are_estimated(make_store, regression, monkeypatch):
    data = make_store(*regression(400, 6), codec="zstd", chunk_rows=10)
    exact = plan_fit(data, FitOptions(), RUN).bytes_to_read
    monkeypatch.setattr("dasklasso.fit.plan.SAMPLED_CHUNKS", 7)
    estimated = plan_fit(data, FitOptions(), RUN).bytes_to_read
    assert estimated == pytest.approx(exact, rel=0.1)


def test_a_plan_reads_nothing_of_x(table):
    plan_fit(table(10**6, 50), FitOptions(), RUN)  # Table.block raises


def test_the_certificate_costs_more_with_more_alphas(table):
    few, many = (plan_fit(table(10**6, 50), FitOptions(n_alphas=n), RUN).flops for n in (10, 110))
    assert many - few == 4 * 10**6 * 50 * 100


def test_given_alphas_count(table):
    assert plan_fit(table(10**6, 50), FitOptions(alphas=(1.0, 0.1)), RUN).n_alphas == 2


def test_fista_says_that_its_scans_are_a_guess(table):
    plan = plan_fit(table(10**4, 50_000), FitOptions(), RUN)
    assert "guess" in plan.note
    assert plan.scans > 2


def test_fista_makes_no_more_scans_than_it_may(table):
    options = FitOptions(solver="fista", max_scans=5)
    assert plan_fit(table(10**6, 50), options, RUN).scans == 5


def test_fista_that_does_not_fit_in_the_memory_given_is_refused(table):
    run = RunOptions(memory=1 << 20)
    with pytest.raises(MemoryLimitError, match="memory: 1,048,576 bytes, but fista needs"):
        plan_fit(table(10**4, 50), FitOptions(), run)


@pytest.mark.parametrize(
    ("epochs", "max_scans", "scans"), [(1, 100, 3), (12, 100, 16), (20, 6, 6), (20, 1, 2)]
)
def test_epochs_are_scans_and_so_are_their_certificates(table, epochs, max_scans, scans):
    options = FitOptions(solver="prox_sgd", epochs=epochs, max_scans=max_scans)
    assert plan_fit(table(10**6, 50), options, RUN).scans == scans


def test_steps_one_after_the_other_take_the_time_of_one_thread(table, monkeypatch):
    options = FitOptions(solver="prox_sgd", epochs=1)
    machine = Machine(1e15, 1e9, 1e15)
    seconds = []
    for threads in (1, 4):
        monkeypatch.setattr(
            "dasklasso.solvers.prox_sgd.cost.workers_and_threads", lambda _, t=threads: (0, t)
        )
        seconds.append(plan_fit(table(10**6, 50), options, RUN, machine=machine).seconds)
    assert seconds[1] == pytest.approx(4 * seconds[0], rel=0.01)


def test_columns_in_parts_are_refused_to_prox_sgd(table):
    options, run = FitOptions(solver="prox_sgd"), replace(RUN, band_bytes=50_000 * 4 * 100)
    wide = table(50_000, 1_000)
    wide.X.column_bounds, wide.X.mapped = tuple(range(0, 1_001, 100)), False
    with pytest.raises(OptionError, match="1,000 features are read in 10 parts: use solver fista"):
        plan_fit(wide, options, run)


def test_time_is_not_guessed_without_a_measurement(table):
    assert plan_fit(table(10**6, 50), FitOptions(), RUN).seconds is None


@pytest.mark.parametrize(
    ("shape", "mapped", "times"),
    [
        ((10**6, 50), True, 1),  # stays in the page cache
        ((10**6, 50), False, 1),  # stays decoded
        ((10**6, 2_000), False, 2),  # 8 GB, but 4 GiB are allowed
        ((10**10, 50), True, 2),
    ],
)
def test_what_fits_in_memory_takes_the_time_of_one_read(table, shape, mapped, times):
    data = table(*shape, mapped=mapped, rows=shape[0] // 100 if mapped else 1_000)
    machine = Machine(1e6, 1e20, 1e20)
    seconds = plan_fit(data, FitOptions(), RUN, machine=machine).seconds
    assert seconds == pytest.approx(times * shape[0] * shape[1] * 4 / 1e6, rel=0.01)


def test_the_slower_of_reading_and_computing_decides_the_time(table):
    data = table(10**6, 50)
    balanced, slow = (
        plan_fit(data, FitOptions(), RUN, machine=Machine(rate, 1e20, 1e9)).seconds
        for rate in (1e20, 1e9)
    )
    assert slow == pytest.approx(balanced + 0.2)  # the first read of 0.2 GB; the second is hidden


def test_float64_data_are_multiplied_in_float64(table):
    machine = Machine(1e15, 1e15, 1e6)
    single, double = (
        plan_fit(table(10**6, 500, dtype=t), FitOptions(), RUN, machine=machine).seconds
        for t in ("float32", "float64")
    )
    assert double > 1.5 * single


def test_a_plan_is_numbers_and_text(table):
    found = plan_fit(table(10**6, 50), FitOptions(), RUN).to_json()
    assert {type(value) for value in found.values()} <= {str, int, float, type(None)}


# -- the machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_rates_are_positive_and_finite(make_store, regression, codec):
    data = make_store(*regression(300, 6), codec=codec, chunk_rows=50)
    machine = measure_machine(data, threads=2, seconds=0.01)
    rates = [machine.bytes_per_second, machine.flops_float32, machine.flops_float64]
    assert np.all(np.isfinite(rates))
    assert min(rates) > 0


def test_a_single_block_can_be_measured():
    data = from_arrays(np.eye(3, dtype=np.uint8)[:, :1], np.arange(3.0))
    assert measure_machine(data, threads=1, seconds=0.01).bytes_per_second > 0


def test_measuring_reads_no_more_than_it_needs(make_store, regression, monkeypatch):
    data = make_store(*regression(300, 6), chunk_rows=10)
    read = []
    block = data.X.block
    monkeypatch.setattr(data.X, "block", lambda i, j: read.append(i) or block(i, j))
    monkeypatch.setattr("dasklasso.fit.machine.READ_BYTES", 5 * 10 * 6 * 8)
    monkeypatch.setattr("dasklasso.fit.machine._multiplying", lambda *_: 1.0)
    measure_machine(data, threads=1, seconds=1e9)
    assert len(read) == 6  # one of them to warm up
    assert len(set(read)) == 6


def test_damage_met_while_measuring_is_named(make_store, regression, tmp_path):
    data = make_store(*regression(300, 6), chunk_rows=300, path=tmp_path / "s")
    file = next(path for path in (tmp_path / "s" / "X" / "c").rglob("*") if path.is_file())
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(ChunkCorrupt, match=re.escape("X/c/0/0")):
        measure_machine(data, threads=1, seconds=0.01)


def test_a_plan_with_too_few_scans_says_that_nothing_is_certified(table):
    plan = plan_fit(table(10**4, 50), replace(GRAM, max_scans=1), RUN)
    assert "max_scans 1: solutions will not be certified" in plan.note


def test_newton_counts_the_sums_that_a_thread_holds_of_a_long_run_of_bands(table):
    options = FitOptions(loss="logistic", n_alphas=20)
    run = replace(RUN, band_bytes=1 << 20)
    few, many = (newton_memory(table(n, 200), options, run).per_thread for n in (10**5, 3 * 10**6))
    hessians = 8 * 201**2 * newton_limits(table(10**5, 200), options, run).nodes
    assert many - few >= 4 * hessians  # 32 times as many bands: five levels more


def test_hessians_of_long_runs_stay_within_twice_their_bytes(table):
    options, run = FitOptions(loss="logistic"), replace(RUN, band_bytes=1 << 20)
    limits = newton_limits(table(10**7, 2000), options, run)
    assert limits.nodes < newton_limits(table(10**3, 2000), options, run).nodes
