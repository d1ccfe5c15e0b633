"""An ingest that is killed leaves nothing that looks whole, and can simply be run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import OptionError, StoreError


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=300), "price": rng.normal(size=300)})


_STALLED = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the background has none
    "from dasklasso.dataset.ingest.ingest import ingest\n"
    "def stall(done, total):\n"
    "    if done >= 200:\n"
    "        print('stalled', flush=True)\n"
    "        time.sleep(60)\n"
    "ingest(sys.argv[1], sys.argv[2], target='price', progress=stall, overwrite=True)\n"
)


@pytest.fixture
def parts(tmp_path: Path, frame: pd.DataFrame) -> Path:
    (tmp_path / "parts").mkdir()
    for k in range(3):
        frame.iloc[100 * k : 100 * k + 100].to_parquet(tmp_path / "parts" / f"{k}.parquet")
    return tmp_path / "parts"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_ingest_leaves_no_store_and_can_be_run_again(
    tmp_path: Path, parts: Path, frame: pd.DataFrame, how: signal.Signals
) -> None:
    store = tmp_path / "s"
    child = subprocess.Popen(
        [sys.executable, "-c", _STALLED, str(parts), str(store)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "stalled\n"
    with pytest.raises(StoreError, match=f"is writing it: {child.pid} on .*, since 2"):
        ingest(parts, store, target="price")
    os.kill(child.pid, how)
    child.wait(timeout=120)
    child.stdout.close()
    assert not store.exists()
    ingest(parts, store, target="price")
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["y"][...], frame.price)
    assert {path.name for path in tmp_path.iterdir()} == {"parts", "s"}


def test_a_killed_overwrite_leaves_the_old_store(
    tmp_path: Path, parts: Path, frame: pd.DataFrame
) -> None:
    store = tmp_path / "s"
    ingest(parts, store, target="price")
    child = subprocess.Popen(
        [sys.executable, "-c", _STALLED, str(parts), str(store)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "stalled\n"
    child.kill()
    child.wait(timeout=120)
    child.stdout.close()
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["y"][...], frame.price)


def test_a_store_is_not_made_from_itself(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text("{}")
    pd.DataFrame({"a": [1, 2], "y": [1, 2]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(OptionError, match="is the source"):
        ingest(tmp_path, tmp_path, target="y", overwrite=True)
