"""Work in threads: in order, reported on, and ended at once."""

from __future__ import annotations

from threading import Event

import pytest

from dasklasso.solvers.newton import side_by_side as module
from dasklasso.solvers.newton.side_by_side import side_by_side


def test_results_are_in_the_order_of_tasks():
    assert side_by_side([lambda k=k: k * k for k in range(20)]) == [k * k for k in range(20)]


def test_who_waits_is_told_while_tasks_run(monkeypatch):
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.001)
    told, seen = Event(), []

    def report(done):
        seen.append(done)
        told.set()

    side_by_side([lambda: told.wait(60)], report)
    assert seen[0] == 0


def test_an_interruption_ends_what_runs_and_begins_nothing_more(monkeypatch):
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.001)
    stop, begun = Event(), []

    def task():
        begun.append(1)
        stop.wait(60)

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([task] * 5000, interrupt, ending=stop.set)
    assert stop.is_set()
    assert len(begun) < 5000


def test_a_task_that_fails_says_so():
    with pytest.raises(ZeroDivisionError):
        side_by_side([lambda: 1 / 0, lambda: 1])
