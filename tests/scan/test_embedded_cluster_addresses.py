"""An embedded cluster keeps to itself."""

import psutil
import pytest

from dasklasso.errors import OptionError
from dasklasso.scan.runners import runner_for


def _listening():
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {
        (process.pid, connection.laddr.ip, connection.laddr.port)
        for process in processes
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("workers", [None, 1])
@pytest.mark.parametrize("dashboard", [True, False])
def test_nothing_listens_beyond_this_machine(workers, dashboard):
    before = _listening()
    with runner_for(workers=workers, dashboard=dashboard):
        opened = _listening() - before
    assert opened, "the cluster was not seen"
    assert {ip for _, ip, _ in opened} == {"127.0.0.1"}


def test_a_taken_dashboard_port_is_nothing_to_warn_of(recwarn):
    import socket

    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        except OSError:
            pass  # taken by somebody else: as good
        with runner_for(dashboard=False):
            pass
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("address", ["notaurl", "nothing://here:1"])
def test_what_is_no_address_of_a_scheduler_is_refused_as_an_option(address):
    with (
        pytest.raises(OptionError, match=f"^scheduler: {address} found .* tcp://host:8786$"),
        runner_for(scheduler=address),
    ):
        pass
