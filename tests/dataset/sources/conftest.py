"""One judge of hostile files: what is read is right, or there is one line that says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dasklasso.dataset.ingest.ingest import IngestReport, ingest
from dasklasso.errors import DasklassoError

LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class Hostile:
    """A file and what must become of it.

    ``outcome`` is a part of the one line that refuses it, or what must be read: X and y.
    """

    name: str
    content: bytes | Callable[[Path], Any]
    outcome: str | tuple[Any, Any]
    options: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def judge_file(tmp_path: Path) -> Callable[[Hostile], IngestReport | None]:
    """Ingest a hostile file and judge what becomes of it."""

    def judge(case: Hostile) -> IngestReport | None:
        source = tmp_path / case.name
        if isinstance(case.content, bytes):
            source.write_bytes(case.content)
        else:
            case.content(source)
        before = sorted(tmp_path.iterdir())
        if not isinstance(case.outcome, str):
            report = ingest(source, tmp_path / "store", **case.options)
            stored = zarr.open_group(tmp_path / "store", mode="r")
            X, y = case.outcome
            np.testing.assert_allclose(stored["X"][...], X, rtol=1e-6)
            np.testing.assert_array_equal(stored["y"][...], y)
            return report
        with pytest.raises(DasklassoError) as caught:
            ingest(source, tmp_path / "store", **case.options)
        message = str(caught.value).replace(f"{tmp_path}/", "")
        assert message.startswith((case.name, "--"))
        assert case.outcome in message
        assert "\n" not in message
        assert len(message) <= LONGEST_MESSAGE
        assert sorted(tmp_path.iterdir()) == before, "something was left behind"
        return None

    return judge


@pytest.fixture(scope="session")
def hostile() -> type[Hostile]:
    return Hostile
