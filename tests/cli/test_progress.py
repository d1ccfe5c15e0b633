"""Progress says how far a run is, without slowing it down."""

import pytest

from dasklasso.cli import progress
from dasklasso.cli.progress import Estimate, ScanProgress, clock, describe
from dasklasso.solvers.base import ScanEvent


def event(scan=10, n_done=0, n_alphas=1, worst_gap=1.0, seconds=10.0, **more):
    values = {"n_nonzero": 3, "bytes_read": 10**9, **more}
    return ScanEvent(
        scan=scan,
        n_done=n_done,
        n_alphas=n_alphas,
        worst_gap=worst_gap,
        seconds=seconds,
        **values,
    )


def test_a_run_is_as_far_as_its_alphas():
    estimate = Estimate(tol=1e-6)
    assert estimate.share(event(n_done=3, n_alphas=4)) == 0.75


def test_half_the_digits_of_the_gap_are_half_an_alpha():
    estimate = Estimate(tol=1e-6)
    estimate.share(event(worst_gap=1.0))
    assert estimate.share(event(worst_gap=1e-3)) == pytest.approx(0.5)


def test_the_gap_counts_anew_for_the_next_alpha():
    estimate = Estimate(tol=1e-6)
    estimate.share(event(n_done=0, n_alphas=2))
    estimate.share(event(n_done=0, n_alphas=2, worst_gap=1e-6))
    assert estimate.share(event(n_done=1, n_alphas=2, worst_gap=1e-2)) == 0.5
    share = estimate.share(event(n_done=1, n_alphas=2, worst_gap=1e-4))
    assert share == pytest.approx(0.75)


def test_a_quarter_of_the_way_leaves_three_times_as_long():
    left = Estimate(tol=1e-6).seconds_left(event(n_done=1, n_alphas=4, seconds=20.0))
    assert left == pytest.approx(60.0)


def test_the_time_left_after_a_resume_follows_from_what_this_run_did():
    # 50 of 100 alphas were done before; this run did 10 more in 20 seconds: 40 are left
    estimate = Estimate(tol=1e-6, resumed=True)
    assert estimate.seconds_left(event(scan=200, n_done=50, n_alphas=100, seconds=1.0)) is None
    left = estimate.seconds_left(event(scan=210, n_done=60, n_alphas=100, seconds=21.0))
    assert left == pytest.approx(80.0)


def test_the_bytes_of_an_earlier_run_are_in_no_rate(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ScanProgress(tol=1e-6, resumed=True) as shown:
        for k in (1, 2):
            now = k * 10.0
            shown(event(scan=100 + k, seconds=float(k), bytes_read=10**12 + k * 10**9))
    first, second = capsys.readouterr().err.splitlines()
    assert "GB/s" not in first
    assert "1.00 GB/s" in second


def test_a_quiet_run_shows_nothing(capsys):
    with ScanProgress(tol=1e-6, quiet=True) as shown:
        shown(event())
        shown.announce("Dashboard: there")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("gap", [float("inf"), float("nan"), 1.0, 0.0])
def test_the_first_scan_gives_no_estimate(gap):
    assert Estimate(tol=1e-6).seconds_left(event(scan=1, worst_gap=gap)) is None


def test_a_line_has_scan_alphas_gap_nonzeros_rate_and_eta():
    line = describe(event(scan=12, n_done=3, n_alphas=20, worst_gap=1.234e-4), 1.31e9, 41.0)
    assert line == (
        "scan 12 | 3/20 alphas | gap 1.2e-04 | 3 nonzero | 1.31 GB/s | 0:00:10 so far | ETA 0:00:41"
    )


def test_a_finished_run_has_no_eta():
    assert "ETA" not in describe(event(n_done=1), 0.0, 0.0)


def test_hours_are_shown():
    assert clock(3725) == "1:02:05"


def test_where_there_is_no_terminal_lines_are_few_and_the_last_event_is_among_them(
    capsys, monkeypatch
):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ScanProgress(tol=1e-6) as shown:
        for scan in range(1, 1001):
            now = scan * 0.01
            shown(event(scan=scan, seconds=now))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["scan 1", "scan 501", "scan 1000"]
    assert captured.out == ""


def test_the_rate_is_that_of_the_last_seconds(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    with ScanProgress(tol=1e-6) as shown:
        for seconds, total in [(1, 10**9), (100, 2 * 10**9), (105, 12 * 10**9)]:
            shown(event(seconds=float(seconds), bytes_read=total))
    assert "2.00 GB/s" in capsys.readouterr().err.splitlines()[-1]


def test_the_dashboard_link_is_shown_on_standard_error(capsys):
    with ScanProgress(tol=1e-6) as shown:
        shown.announce("Dashboard: http://127.0.0.1:8787/status")
    assert "127.0.0.1:8787" in capsys.readouterr().err


def test_a_stage_between_scans_says_what_it_does():
    line = describe(event(scan=2, n_done=3, n_alphas=20, stage="in memory"), 0.0, None)
    assert line == "after scan 2, in memory | 3/20 alphas | 0:00:10 so far"
    assert Estimate(tol=1e-6).seconds_left(event(n_done=3, n_alphas=20, stage="x")) is None
