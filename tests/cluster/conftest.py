"""Stores that every kind of cluster fits, and a scheduler and a worker as programs of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import pytest

from dasklasso.fit import session
from dasklasso.scan.runners import runner_for

STORES = {
    # one part, mapped: several bands, some of several pieces
    "mapped": ({"chunk_rows": 150, "codec": "none"}, 8 * 12 * 100),
    # one part, decoded
    "compressed": ({"chunk_rows": 75, "codec": "zstd"}, 8 * 12 * 150),
    # three parts of columns
    "split": ({"chunk_rows": 200, "chunk_columns": 4, "codec": "none"}, 8 * 4 * 200),
    "split and compressed": (
        {"chunk_rows": 200, "chunk_columns": 4, "codec": "zstd"},
        8 * 4 * 200,
    ),
}


@pytest.fixture(scope="session", params=STORES)
def stored(request, make_store, regression):
    """(dataset, band_bytes): 600 rows, 12 columns, weighted."""
    X, y = regression(600, 12, seed=4)
    weight = np.random.default_rng(4).uniform(0.5, 2.0, len(X))
    options, band_bytes = STORES[request.param]
    return make_store(X, y, weight, **options), band_bytes


@pytest.fixture(scope="package")
def clusters():
    """Runners by their options, each started for the first fit that asks for it, and kept."""
    with ExitStack() as stack:
        opened = {}

        def runner_with(**options):
            key = tuple(sorted(options.items()))
            if key not in opened:
                opened[key] = stack.enter_context(runner_for(dashboard=False, **options))
            return opened[key]

        yield runner_with


@pytest.fixture
def fits_on(clusters, monkeypatch):
    """``fits_on(workers=2)``: where all fits of a test compute, as if they had started it."""

    def choose(**options):
        runner = clusters(**options)
        monkeypatch.setattr(session, "runner_for", lambda *a, **k: nullcontext(runner))

    return choose


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def program(*arguments: str):
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="package")
def scheduler_address():
    """A running ``dask scheduler`` with two ``dask worker`` programs, of 1 and 2 threads."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        port = address.rsplit(":", 1)[1]
        where = ("--host", "127.0.0.1", "--no-dashboard")
        stack.enter_context(program("dask", "scheduler", "--port", port, *where))
        for threads in ("1", "2"):
            more = ("--nthreads", threads, "--no-nanny", "--no-dashboard")
            stack.enter_context(program("dask", "worker", address, *more))
        wait_for_workers(address, 2)
        yield address


def wait_for_workers(address: str, n: int) -> None:
    from distributed import Client

    deadline = time.monotonic() + 60
    while True:
        try:
            with Client(address, timeout=2, set_as_default=False) as client:
                client.wait_for_workers(n, timeout=60)
                return
        except (OSError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
