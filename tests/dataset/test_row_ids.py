"""Ids of rows are kept as digests, by which rows are found whatever their order."""

from __future__ import annotations

import numpy as np

from dasklasso.dataset.row_ids import digests_of_ids, places_among


def test_rows_are_found_by_their_ids():
    ids = digests_of_ids(["c", "x", "a"])
    assert ids.shape == (3, 2)
    assert ids.dtype == np.uint64
    assert places_among(ids, digests_of_ids(["a", "b", "c"])).tolist() == [2, -1, 0]


def test_an_empty_id_is_no_rows():
    assert places_among(digests_of_ids(["", "a"]), digests_of_ids(["a", "", ""])).tolist() == [
        -1,
        0,
    ]
