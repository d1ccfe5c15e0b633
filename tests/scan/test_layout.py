"""Layouts: every row and column of X in exactly one place, of at most the bytes asked for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dasklasso.scan.layout import layout_of, split_evenly
from dasklasso.storage.blocks import chunk_bounds

LAYOUTS = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 5000),
        "row_chunk": st.integers(1, 2000),
        "columns": st.integers(1, 500),
        "column_chunk": st.integers(1, 500),
        "itemsize": st.sampled_from([1, 4, 8]),
        "band_bytes": st.integers(1, 1 << 20),
        "divisible": st.booleans(),
    }
)


def layout_from(case):
    return layout_of(
        chunk_bounds(case["rows"], case["row_chunk"]),
        chunk_bounds(case["columns"], case["column_chunk"]),
        case["itemsize"],
        case["band_bytes"],
        divisible=case["divisible"],
    )


@given(case=LAYOUTS)
def test_bands_and_parts_cover_everything_once(case):
    layout = layout_from(case)
    rows = [i for b in range(len(layout.bands)) for i in range(case["rows"])[layout.rows(b)]]
    columns = [j for p in range(len(layout.parts)) for j in range(500)[layout.columns(p)]]
    assert rows == list(range(case["rows"]))
    assert columns == list(range(case["columns"]))
    assert sum(layout.part_widths) == case["columns"]
    assert (layout.n_rows, layout.n_features) == (case["rows"], case["columns"])


@given(case=LAYOUTS)
def test_every_piece_lies_in_its_row_chunk(case):
    layout = layout_from(case)
    bounds = chunk_bounds(case["rows"], case["row_chunk"])
    for (start, stop), chunk in zip(pairwise(layout.row_bounds), layout.row_chunks, strict=True):
        assert bounds[chunk] <= start < stop <= bounds[chunk + 1]
        if not case["divisible"]:
            assert (start, stop) == (bounds[chunk], bounds[chunk + 1])


@given(case=LAYOUTS)
def test_a_band_of_more_than_one_block_is_within_the_bytes_asked_for(case):
    layout = layout_from(case)
    for band, (first, stop) in enumerate(layout.bands):
        rows = layout.rows(band)
        for part, (left, right) in enumerate(layout.parts):
            if stop - first > 1 and right - left > 1:
                size = (rows.stop - rows.start) * layout.part_widths[part] * case["itemsize"]
                assert size <= case["band_bytes"]


def test_columns_are_split_only_where_a_band_cannot_hold_them():
    rows, columns = chunk_bounds(1000, 100), chunk_bounds(40, 10)
    assert len(layout_of(rows, columns, 8, 100 * 40 * 8).parts) == 1
    assert len(layout_of(rows, columns, 8, 100 * 39 * 8).parts) == 2
    assert len(layout_of(rows, columns, 8, 1).parts) == 4


@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=60), pieces=st.integers(1, 80))
def test_an_even_split_covers_everything_once(weights, pieces):
    runs = split_evenly(weights, pieces)
    assert [i for a, b in runs for i in range(a, b)] == list(range(len(weights)))
    assert len(runs) <= pieces
    heaviest = max(sum(weights[a:b]) for a, b in runs)
    assert heaviest <= sum(weights) / min(pieces, len(weights)) + max(weights)
