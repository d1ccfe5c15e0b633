"""Where graphs run: in this process, an embedded cluster, processes, a scheduler's workers.

Every :class:`Runner` runs the same graphs and gives the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import psutil

from dasklasso.errors import ClusterError, MemoryLimitError, OptionError
from dasklasso.free_memory import share_free_memory
from dasklasso.scan import tasks
from dasklasso.scan.inline import Key, run_graph
from dasklasso.scan.threads import blas_threads
from dasklasso.storage.mapped_files import Identity
from dasklasso.units import counted

MOST_WORKERS_PER_CORE = 8  # processes; what starts them takes seconds for each
PROCESS_BYTES = 350 << 20  # what Python, Dask and the libraries themselves take in each process


class Runner(Protocol):
    """Runs graphs."""

    def shares(self) -> list[tuple[str | None, int]]:
        """Workers as (address, threads), in a stable order; address None: anywhere."""
        ...

    def cache_bytes(self, block_bytes: int) -> int:
        """Bytes of decoded blocks that each worker process may keep between scans."""
        ...

    def compute(self, *collections: Any) -> tuple[Any, ...]:
        """Run, and return the results to the client."""
        ...

    def persist(self, *collections: Any) -> tuple[Any, ...]:
        """Run and leave the results where they are."""
        ...

    def forget(self, token: str) -> None:
        """Drop the blocks of a data set that workers keep decoded."""
        ...

    def checksums(self, paths: Sequence[str]) -> dict[str, tuple[Identity, int]]:
        """What workers know of chunk files: what they were when read, and their checksum."""
        ...


@dataclass
class InProcess:
    """Runs graphs on threads of this process, without a cluster. For data in memory or small.

    Attributes
    ----------
    threads : int
    memory : int or None
        Bytes for the whole process.
    needed : int
        Of them, what the fit needs apart from cached blocks.
    """

    threads: int
    memory: int | None = None
    needed: int = 0
    _pool: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)

    def shares(self) -> list[tuple[str | None, int]]:
        return [(None, self.threads)]

    def cache_bytes(self, block_bytes: int) -> int:
        return _cache_share(self.memory, 1, self.threads, block_bytes, self.needed)

    def compute(self, *collections: Any) -> tuple[Any, ...]:
        return tuple(
            one.finished([found[key] for key in one.__dask_keys__()])
            for one, found in self._found(collections)
        )

    def persist(self, *collections: Any) -> tuple[Any, ...]:
        return tuple(one.made_of(found) for one, found in self._found(collections))

    def forget(self, token: str) -> None:
        tasks.forget(token)

    def checksums(self, paths: Sequence[str]) -> dict[str, tuple[Identity, int]]:
        return tasks.checksums(paths)

    def _found(self, collections: Sequence[Any]) -> Iterator[tuple[Any, dict[Key, Any]]]:
        """Collections, each with what the graph made of its keys."""
        wanted = [key for one in collections for key in one.__dask_keys__()]
        graphs = [one.builder for one in collections]
        found = run_graph(graphs, wanted, self.threads, self._threads)
        return ((one, found) for one in collections)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="scan")
        return self._pool


class OnCluster:
    """Runs graphs through a ``distributed.Client``.

    Parameters
    ----------
    client : distributed.Client
    memory : int or None
        Bytes for all worker processes together.
    needed : int
        Bytes that the fit needs of each, apart from cached blocks.
    """

    def __init__(self, client: Any, memory: int | None = None, needed: int = 0) -> None:
        self.client = client
        self.memory = memory
        self.needed = needed
        self._shares: list[tuple[str | None, int]] = []

    def shares(self) -> list[tuple[str | None, int]]:
        workers = self.client.nthreads()
        if {address for address, _ in self._shares} != set(workers):
            # workers that left are replaced; workers that are still there read the same bands
            self._shares = sorted(workers.items())
        if not self._shares:
            raise ClusterError(
                f"the scheduler at {self.client.scheduler.address} has no workers; "
                "start some with: dask worker ADDRESS"
            )
        return self._shares

    def cache_bytes(self, block_bytes: int) -> int:
        shares = self.shares()
        threads = max(n for _, n in shares)
        return _cache_share(self.memory, len(shares), threads, block_bytes, self.needed)

    def compute(self, *collections: Any) -> tuple[Any, ...]:
        # blocks return as they are and are put together here: on the cluster that would take
        # another round of tasks, and every round costs milliseconds
        from distributed import futures_of

        placed = self.client.persist(list(collections), optimize_graph=False)
        futures = [{f.key: f for f in futures_of(one)} for one in placed]
        blocks = self.client.gather(futures)
        return tuple(_assemble(one, found) for one, found in zip(placed, blocks, strict=True))

    def persist(self, *collections: Any) -> tuple[Any, ...]:
        return tuple(self.client.persist(list(collections), optimize_graph=False))

    def forget(self, token: str) -> None:
        self.client.run(tasks.forget, token, on_error="ignore")  # workers that are gone hold none

    def checksums(self, paths: Sequence[str]) -> dict[str, tuple[Identity, int]]:
        found = tasks.checksums(paths)
        for known in self.client.run(tasks.checksums, paths, on_error="ignore").values():
            found |= known
        return found


def _assemble(collection: Any, blocks: dict[Any, Any]) -> Any:
    def nested(keys: Any) -> Any:
        return [nested(key) for key in keys] if isinstance(keys, list) else blocks[keys]

    finish, arguments = collection.__dask_postcompute__()
    return finish(nested(collection.__dask_keys__()), *arguments)


def _cache_share(
    memory: int | None, processes: int, threads: int, block_bytes: int, needed: int
) -> int:
    """Bytes that one process may keep decoded, after what it needs to work at all."""
    if memory is None:
        memory = psutil.virtual_memory().available // 3
    working = 3 * threads * block_bytes  # a block being decoded, one computed on, and slack
    return max(0, memory // processes - max(needed, PROCESS_BYTES + working))


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_each(workers: int | None) -> int:
    """Threads of each of so many worker processes on this machine, or of this process for None."""
    return max(1, cores_here() // (workers or 1))


def check_workers(workers: int | None) -> None:
    """Refuse numbers of worker processes that this machine would never start.

    Raises
    ------
    OptionError
    """
    if workers is None:
        return
    if workers < 1:
        raise OptionError(f"workers: {workers:,} found, expected at least 1")
    most = MOST_WORKERS_PER_CORE * cores_here()
    if workers > most:
        raise OptionError(
            f"workers: {workers:,} found, expected at most {most}: this machine lets the process "
            f"use {counted(cores_here(), 'core')}, and more than {MOST_WORKERS_PER_CORE} worker "
            "processes on each only cost memory"
        )


@contextmanager
def runner_for(
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "cpu",
    memory: int | None = None,
    dashboard: bool = True,
    block_bytes: int = 0,
    in_process: bool = False,
    one_thread: bool = False,
    held_here: bool = False,
    needed: int = 0,
    announce: Any = None,
) -> Iterator[Runner]:
    """Open the runner that the options ask for, and close what was opened.

    An existing ``distributed.Client`` of the caller is used, and left open. Else a scheduler's
    address connects to it; ``workers`` starts that many processes; ``in_process`` runs on bare
    threads, without a cluster, or with ``one_thread`` on the caller's alone; else it is a
    LocalCluster of threads in this process. ``held_here`` says that the data are in this
    process's memory, where no other process can read them.
    ``needed`` bytes of each process's memory are for the fit itself; decoded blocks are kept in
    what is left.

    Raises
    ------
    OptionError, ClusterError, MemoryLimitError
    """
    check_workers(workers)
    if workers is not None and scheduler is not None:
        raise OptionError(
            "workers and scheduler: give one of them, a scheduler has its own workers"
        )
    if held_here and (workers is not None or scheduler is not None):
        raise ClusterError(
            "an array in memory can only be read by threads of its own process; for worker "
            "processes or a scheduler put it in a store (dasklasso ingest)"
        )
    cores, processes, threads = cores_here(), workers or 1, threads_each(workers)
    if memory is not None and scheduler is None:
        need = processes * (PROCESS_BYTES + threads * block_bytes)
        if memory < need:
            raise MemoryLimitError(
                f"memory: {memory:,} bytes, but {processes} process(es) of {threads} thread(s) on "
                f"chunks of {block_bytes:,} bytes need at least {need:,}; "
                "give more memory, fewer workers, or ingest with smaller chunks"
            )
    with ExitStack() as stack:
        client = existing_client() if scheduler is None and workers is None else None
        if client is not None:
            yield OnCluster(client, memory, needed)
            return
        share_free_memory()
        # one BLAS thread for each thread that computes: the products of several bands run at once
        stack.enter_context(blas_threads(max(1, cores // threads)))
        if in_process:
            yield InProcess(1 if one_thread else threads, memory, needed)
            return
        stack.enter_context(_quiet())
        client = stack.enter_context(_client(workers, threads, scheduler, device, dashboard))
        if announce is not None and dashboard and (link := _dashboard_link(client, scheduler)):
            announce(f"Dashboard: {link}")
        yield OnCluster(client, memory, needed)


def existing_client() -> Any:
    """The ``distributed.Client`` that the caller's process has made its default, or None."""
    import sys

    if "distributed" not in sys.modules:
        return None  # no client can have been made
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _dashboard_link(client: Any, scheduler: str | None) -> str | None:
    if scheduler is not None:
        return str(client.dashboard_link) if client.dashboard_link else None
    port = client.cluster.scheduler.services["dashboard"].port
    # it listens on this address only, whatever the host is called
    return f"http://127.0.0.1:{port}/status" if port else None


@contextmanager
def _client(
    workers: int | None, threads: int, scheduler: str | None, device: str, dashboard: bool
) -> Iterator[Any]:
    from distributed import Client, LocalCluster
    from distributed.comm import get_address_host

    if scheduler is not None:
        try:
            get_address_host(scheduler)  # a client that fails at this waits before it is gone
        except ValueError as error:
            raise OptionError(
                f"scheduler: {scheduler} found ({error}), expected an address like tcp://host:8786"
            ) from None
        try:
            client = Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(f"scheduler {scheduler}: cannot be reached ({error})") from None
        with client:
            yield client
        return
    address = "127.0.0.1:0" if dashboard else None
    options: dict[str, Any] = {
        "dashboard_address": address,
        # without a dashboard there is still a server, which would be open to the network
        "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0", "dashboard": dashboard},
        "host": "127.0.0.1",
    }
    if device == "cuda":
        with suppress(ImportError):
            from dask_cuda import LocalCUDACluster

            cuda = LocalCUDACluster(n_workers=workers, dashboard_address=address)
            with cuda as cluster, Client(cluster, set_as_default=False) as client:
                yield client
            return
    if workers is None:
        options |= {"n_workers": 1, "processes": False, "threads_per_worker": threads}
        options["worker_class"] = partial(_worker_of_this_machine, dashboard)
        del options["host"]
    else:
        options |= {"n_workers": workers, "processes": True, "threads_per_worker": threads}
    # the worker's own memory limit would spill and pause; what is kept is bounded by the engine
    try:
        started = LocalCluster(memory_limit=0, silence_logs=50, **options)
    except RuntimeError as error:
        if workers is None:
            raise
        raise ClusterError(
            f"workers: {workers} process(es) could not be started. Each of them runs the script "
            "that starts them once more: what it does must be under if __name__ == '__main__'."
        ) from error
    with started as cluster, Client(cluster, set_as_default=False) as client:
        if workers is None:
            _send_at_once(cluster, client)
        yield client


def _worker_of_this_machine(dashboard: bool, /, *args: Any, **options: Any) -> Any:
    """A worker within this process. LocalCluster has no way to say where its pages are served."""
    from distributed import Worker

    served = {"dashboard": dashboard, "dashboard_address": "127.0.0.1:0"}
    return Worker(*args, **options | served)


def _send_at_once(cluster: Any, client: Any) -> None:
    """Have an embedded cluster send each message at once, instead of in batches.

    Distributed gathers messages for 2 to 10 ms before it sends them, which serves thousands of
    small tasks. A scan has few long ones, one after the other: within a process the wait is all
    that a hop costs (measured: 6 ms a hop with it, 0.7 ms without).
    """
    with suppress(AttributeError):  # not of distributed's public interface: only slower without
        scheduler = cluster.scheduler
        streams = [*scheduler.stream_comms.values(), *scheduler.client_comms.values()]
        streams += [worker.batched_stream for worker in cluster.workers.values()]
        for stream in [*streams, client.scheduler_comm]:
            stream.interval = 0.0


@contextmanager
def _quiet() -> Iterator[None]:
    """Settings of Dask for batch jobs: a dead worker is survived, closing is silent."""
    import dask
    import distributed  # noqa: F401  its defaults must be there before they are set aside

    settings = {
        "distributed.scheduler.allowed-failures": 10,
        # a log of the last messages would hold on to their graphs, coefficients and all
        "distributed.admin.low-level-log-length": 0,
        "distributed.comm.timeouts.connect": "30s",
        # arrays as long as w are part of a graph: that is meant
        "distributed.admin.large-graph-warning-threshold": "4GB",
    }
    with dask.config.set(settings):
        yield
