from __future__ import annotations

import numpy as np
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.unchanged import of_one_version
from dasklasso.errors import StoreError


def test_a_store_that_is_replaced_while_it_opens_is_opened_again(tmp_path):
    for name, value in (("s.zarr", 1.0), ("new.zarr", 2.0)):
        group = zarr.create_group(tmp_path / name)
        group.create_array("X", data=np.full((3, 2), value))
        group.create_array("y", data=np.arange(3.0))
    seen = []

    @of_one_version
    def opened(store):
        data = open_dataset(store)
        seen.append(data.X.block(0, 0)[0, 0])
        if len(seen) == 1:
            (tmp_path / "s.zarr").rename(tmp_path / "old.zarr")
            (tmp_path / "new.zarr").rename(tmp_path / "s.zarr")
            raise StoreError("X is neither the old nor the new one")
        return data

    assert opened(tmp_path / "s.zarr").X.block(0, 0)[0, 0] == 2.0
    assert seen == [1.0, 2.0]
