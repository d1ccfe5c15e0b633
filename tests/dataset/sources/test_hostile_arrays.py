"""Hostile files of arrays and columns (NPY, NPZ, HDF5, Parquet): correct data, or one line."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

X = np.arange(12.0).reshape(4, 3)
ROUGH = np.random.default_rng(0).random((400, 3))  # nothing repeats, so nothing shrinks
Y = np.arange(4.0)
READ = (X[:, 1:], X[:, 0])  # where x0 is the target
BIG = 2**53 + 1


# -- NPY --------------------------------------------------------------------------------------


def saved(array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def header(
    shape: str, descr: str = "<f8", body: bytes = X.tobytes(), *, order: bool = False,
    version: tuple[int, int] = (1, 0), length: int | None = None, text: str | None = None,
) -> bytes:  # fmt: skip
    """An NPY file with a header of one's own."""
    said = text or f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    padded = said + " " * (63 - (len(said) + 10) % 64) + "\n"
    n = len(padded) if length is None else length
    size = n.to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + padded.encode() + body


# a pickle that would make a file beside the array when it is loaded
PICKLE = b"cpathlib\nPath\n(S'unpickled'\ntR(touch\n."
NPY: dict[str, tuple[Any, Any]] = {
    "as it should be": (saved(X), READ),
    "big end first": (saved(X.astype(">f8")), READ),
    "Fortran order": (saved(np.asfortranarray(X)), READ),
    "16-bit floats": (saved(X.astype("f2")), READ),
    "long doubles": (saved(X.astype(np.longdouble)), READ),
    "booleans": (saved(X > 3), ((X > 3)[:, 1:], (X > 3)[:, 0])),
    "more bytes than said": (header("(4, 3)", body=X.tobytes() + b"\0" * 99), READ),
    "version 2": (header("(4, 3)", version=(2, 0)), READ),
    "version 3": (header("(4, 3)", version=(3, 0)), READ),
    "version 9": (header("(4, 3)", version=(9, 0)), "is not a readable NPY array: version (9, 0)"),
    "complex numbers": (saved(X + 1j), "has values of type complex128, expected numbers."),
    "dates": (saved(np.zeros((3, 2), "M8[D]")), "has values of type datetime64[D]"),
    "durations": (saved(np.zeros((3, 2), "m8[s]")), "has values of type timedelta64[s]"),
    "text": (saved(np.array([["a", "b"]])), "has values of type <U1, expected numbers."),
    "raw bytes": (saved(np.zeros((3, 2), "V4")), "has values of type |V4, expected numbers."),
    "records": (saved(np.zeros(4, [("a", "f8")])), "objects are never unpickled"),
    "objects": (saved(np.array([[{}]], object)), "holds object, expected numbers (objects are"),
    "objects that do something": (
        header("(4,)", descr="|O", body=PICKLE), "holds object, expected numbers (objects are"),
    "no dimension": (saved(np.array(5.0)), "has no rows (shape ())."),
    "one dimension": (saved(Y), "no column is left as a feature"),
    "three dimensions": (saved(np.zeros((4, 2, 2))), "has shape (4, 2, 2), expected two"),
    "no rows": (saved(np.zeros((0, 3))), "has no rows (shape (0, 3))."),
    "no columns": (saved(np.zeros((3, 0))), "has no columns (shape (3, 0))."),
    "a target beyond 2^53": (
        saved(np.array([[BIG, 1], [2, 3]])), f"row 0, column x0: found {BIG}, expected a number"),
    "a target beyond 2^63": (
        saved(np.array([[2**64 - 1, 1]], np.uint64)), f"row 0, column x0: found {2**64 - 1}"),
    "more rows than bytes": (
        header("(1000000000, 1000)"), "has 224 bytes, expected at least 8000000000128: the file"),
    "a size beyond 64 bits": (header("(9223372036854775807, 9)"), "has 224 bytes, expected at"),
    "a size that wraps to 0": (header("(4611686018427387904, 4)"), "has 224 bytes, expected at"),
    "rows below 0": (header("(-4, 3)"), "is not a readable NPY array: the shape is (-4, 3)"),
    "columns below 0": (header("(4, -3)"), "the shape is (4, -3)"),
    "fractional rows": (header("(4.0, 3)"), "is not a readable NPY array: shape is not valid"),
    "rows that are true": (header("(True, 3)"), "the shape is (True, 3)"),
    "10^8 columns": (header("(1, 100000000)", descr="|u1"), "the file is cut off"),
    "10^11 columns of no row": (header("(0, 100000000000)"), "has no rows"),
    "a header of 4 GiB": (
        header("(4, 3)", version=(2, 0), length=2**32 - 1), "is not a readable NPY array: EOF"),
    "a header of 20 kB": (header("(4, 3" + " " * 20_000 + ")"), "has a header of more than 10,000"),
    "a header that is code": (header("__import__('os')"), "is not a readable NPY array"),
    "a header of parentheses": (header("", text="(" * 9000), "is not a readable NPY array"),
    "a header with more keys": (
        header("", text="{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3), 'x': 1}"),
        "does not contain the correct keys"),
    "a type that there is not": (header("(4, 3)", descr="<f7"), "not a valid dtype descriptor"),
    "another magic": (b"\x93NUMPX\x01\x00", "the magic string is not correct"),
    "4 bytes": (b"\x93NUM", "is not a readable NPY array: EOF: reading magic string"),
    "nothing": (b"", "is not a readable NPY array: EOF: reading magic string"),
}  # fmt: skip


@pytest.mark.parametrize("case", NPY)
def test_npy(
    judge_file: Callable[..., Any], hostile: Any, case: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    content, outcome = NPY[case]
    judge_file(hostile("t.npy", content, outcome, {"target": "x0"}))
    assert not (tmp_path / "unpickled").exists()


# -- NPZ --------------------------------------------------------------------------------------


def packed(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez_compressed(path, **arrays)


def zipped(*members: tuple[str, bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return write


def damaged(write: Callable[[Path], Any], at: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        write(path)
        content = bytearray(path.read_bytes())
        content[at if at >= 0 else len(content) // 2] ^= 255
        path.write_bytes(content)

    return damage


def cut(write: Callable[[Path], Any]) -> Callable[[Path], None]:
    def shorten(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return shorten


def encrypted(path: Path) -> None:
    np.savez(path, X=X, y=Y)
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def stored(path: Path) -> None:
    np.savez(path, X=ROUGH, y=np.arange(400.0))


NPZ: dict[str, tuple[Any, Any]] = {
    "as it should be": (packed(X=X, y=Y), (X, Y)),
    "not compressed": (lambda path: np.savez(path, X=X, y=Y), (X, Y)),
    "Fortran order": (packed(X=np.asfortranarray(X), y=Y), (X, Y)),
    "labels as bytes": (packed(X=X, y=np.array([b"u", b"v"] * 2)), (X, [0, 1, 0, 1])),
    "no X": (packed(z=X), "has no array 'X'. There are: z."),
    "no members": (zipped(), "has no array 'X'. There are none."),
    "rows that differ": (packed(X=X, y=np.arange(5.0)), "t.npz:y: has 5 rows, expected 4"),
    "a target of three dimensions": (packed(X=X, y=np.zeros((4, 1, 1))), "has shape (4, 1, 1)"),
    "a complex target": (packed(X=X, y=Y + 1j), "column y is complex128"),
    "a target of decimal commas": (
        packed(X=X, y=np.array(["1,5", "2,5"] * 2)), "row 0 has '1,5', which looks like a number"),
    "a target beyond 2^53": (packed(X=X, y=np.array([1, 2, 3, BIG])), f"column y: found {BIG}"),
    "objects": (packed(X=np.array([[{}]], object)), "objects are never unpickled"),
    "10^8 columns": (zipped(("X.npy", header("(1, 100000000)", descr="|u1"))), "has 100,000,000"),
    "rows that are not there": (zipped(("X.npy", header("(1000000000, 3)"))), "ends after row 0"),
    "Fortran rows that are not there": (
        zipped(("X.npy", header("(1000000000, 3)", order=True))), "has not the size that its hea"),
    "two members of a name": (
        zipped(("X.npy", header("(4, 3)")), ("X.npy", header("(4, 3)"))), "has two arrays of the"),
    "text": (zipped(("X.npy", b"hello")), "t.npz:X: is not a readable NPY array: EOF"),
    "encrypted": (encrypted, "is encrypted, password required"),
    "a byte changed": (damaged(packed(X=ROUGH), 3000), "t.npz:X: cannot be inflated"),
    "a byte changed, not compressed": (damaged(stored, 3000), "t.npz:X: is damaged: Bad CRC-32"),
    "a header changed, not compressed": (damaged(stored, 100), "t.npz:X: is"),
    "cut off": (cut(stored), "is not a readable NPZ archive"),
    "nothing": (b"", "is not a readable NPZ archive"),
}  # fmt: skip


# an X alone, of which a column is the target
TARGETS = {case: {"target": "x0"} for case in (
    "objects", "10^8 columns", "rows that are not there", "Fortran rows that are not there",
    "two members of a name", "text", "a byte changed")}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", NPZ)
def test_npz(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = NPZ[case]
    judge_file(hostile("t.npz", content, outcome, TARGETS.get(case, {})))


# -- HDF5 -------------------------------------------------------------------------------------


def h5(fill: Callable[[h5py.File], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            fill(file)
            if "y" not in file:
                file["y"] = Y

    return write


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4, 3), dtype="f8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "X", shape=(4, 3))
    file.create_virtual_dataset("X", layout)


def partly(file: h5py.File) -> None:
    file.create_dataset("X", shape=(40, 3), dtype="f8", chunks=(10, 3))[:10] = 1.5
    file["y"] = np.arange(40.0)


def linked(target: Any) -> Callable[[h5py.File], None]:
    def fill(file: h5py.File) -> None:
        file["real"] = X
        file["X"] = target

    return fill


def gzipped(file: h5py.File) -> None:
    file.create_dataset("X", data=ROUGH, compression="gzip", fletcher32=True)
    file["y"] = np.arange(400.0)


TEXT = h5py.string_dtype()
HDF5: dict[str, tuple[Any, Any]] = {
    "as it should be": (h5(lambda f: f.create_dataset("X", data=X)), (X, Y)),
    "big end first": (h5(lambda f: f.create_dataset("X", data=X.astype(">f8"))), (X, Y)),
    "labels": (
        h5(lambda f: (f.create_dataset("X", data=X),
                      f.create_dataset("y", data=np.array(["u", "v"] * 2, object), dtype=TEXT))),
        (X, [0, 1, 0, 1])),
    "an enumeration": (
        h5(lambda f: f.create_dataset("X", data=X.astype("i4"),
                                      dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i4"))), (X, Y)),
    "a link to X": (h5(linked(h5py.SoftLink("/real"))), (X, Y)),
    "a link to nothing": (h5(lambda f: f.__setitem__("X", h5py.SoftLink("/gone"))), "no dataset"),
    "a link to itself": (h5(lambda f: f.__setitem__("X", h5py.SoftLink("/X"))), "no dataset /X"),
    "a link to another file": (
        h5(lambda f: f.__setitem__("X", h5py.ExternalLink("other.h5", "/X"))), "no dataset /X"),
    "values in another file": (
        h5(lambda f: f.create_dataset("X", shape=(4, 3), dtype="f8",
                                      external=[("/etc/hostname", 0, 96)])),
        "t.h5:/X: has its values in another file, which is not read"),
    "virtual": (h5(virtual), "t.h5:/X: is virtual: its values are in other files"),
    "no values at all": (
        h5(lambda f: f.create_dataset("X", shape=(4, 3), dtype="f8")), "no values stored"),
    "some chunks": (h5(partly), "t.h5:/X: 3 of 4 chunks are not in the file"),
    "10^12 rows": (
        h5(lambda f: f.create_dataset("X", shape=(10**12, 3), dtype="f8", chunks=(10**6, 3))),
        "1,000,000 of 1,000,000 chunks are not in the file"),
    "10^8 columns": (
        h5(lambda f: f.create_dataset("X", shape=(1, 10**8), dtype="u1", chunks=(1, 10**8))),
        "1 of 1 chunks are not in the file"),
    "records": (h5(lambda f: f.create_dataset("X", data=np.zeros(4, [("a", "f8")]))), "of type [("),
    "complex numbers": (h5(lambda f: f.create_dataset("X", data=X + 1j)), "type complex128"),
    "text": (h5(lambda f: f.create_dataset("X", data=np.array([[b"a"]] * 4))), "has values of"),
    "labels that are not UTF-8": (
        h5(lambda f: (f.create_dataset("X", data=np.ones((2, 1))),
                      f.create_dataset("y", data=np.array([b"\xff", b"v"])))),
        "row 0, column y: found b'\\xff', expected UTF-8 text."),
    "no dimension": (h5(lambda f: f.create_dataset("X", data=5.0)), "has no rows (shape ())."),
    "no space": (h5(lambda f: f.create_dataset("X", data=h5py.Empty("f8"))), "has no rows."),
    "three dimensions": (
        h5(lambda f: f.create_dataset("X", data=np.zeros((4, 2, 2)))), "has shape (4, 2, 2)"),
    "a group": (h5(lambda f: f.create_group("X")), "has no dataset /X."),
    "a byte changed": (damaged(h5(gzipped), -1), "rows from 0 cannot be read"),
    "a byte of its structure changed": (damaged(h5(gzipped), 824), "t.h5: is"),
    "cut off": (cut(h5(gzipped)), "is not a readable HDF5 file"),
    "nothing": (b"", "is not a readable HDF5 file"),
}  # fmt: skip


@pytest.mark.parametrize("case", HDF5)
def test_hdf5(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = HDF5[case]
    judge_file(hostile("t.h5", content, outcome))


# -- Parquet ----------------------------------------------------------------------------------


def table(column: Any = (1.0, 2.0, 3.0), y: Any = (1.0, 2.0, 3.0)) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table({"a": pa.array(column), "y": pa.array(y)}), path)


def checked(path: Path) -> None:
    columns = {"a": ROUGH[:, 0], "y": ROUGH[:, 1]}
    pq.write_table(pa.table(columns), path, compression="none", write_page_checksum=True,
                   use_dictionary=False)  # fmt: skip


def long_footer(path: Path) -> None:
    table()(path)
    content = bytearray(path.read_bytes())
    content[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(content)


def one(*values: Any) -> tuple[list[list[Any]], list[float]]:
    return [[value] for value in values], [1, 2, 3]


UV = ([[1, 0], [0, 1], [1, 0]], [1, 2, 3])
PARQUET: dict[str, tuple[Any, Any]] = {
    "as it should be": (table(), one(1, 2, 3)),
    "decimals": (table([Decimal("1.50"), Decimal("2.25"), Decimal("-3")]), one(1.5, 2.25, -3)),
    "16-bit floats": (table(np.array([1, 2, 3], "f2")), one(1, 2, 3)),
    "booleans": (table([True, False, True]), one(1, 0, 1)),
    "a dictionary": (table(pa.array(["u", "v", "u"]).dictionary_encode()), UV),
    "large strings": (table(pa.array(["u", "v", "u"], pa.large_string())), UV),
    "records": (table([{"x": 1}] * 3), "column a is struct<x: int64>, expected numbers or text."),
    "lists": (table([[1], [2], [3]]), "column a is list<"),
    "bytes": (table([b"a", b"b", b"c"]), "column a is binary, expected numbers or text."),
    "text that is not UTF-8": (
        table(pa.array([b"\xff", b"a", b"b"]).view(pa.string())), "column a: found bytes that are"),
    "timestamps": (table([datetime.datetime(2020, 1, 1)] * 3), "--date a=days reads it"),
    "dates": (table([datetime.date(2020, 1, 1)] * 3), "--date a=days reads it"),
    "times": (table([datetime.time(1)] * 3), "--date a=hours reads it"),
    "durations": (table([datetime.timedelta(1)] * 3), "column a is duration[us], expected numbers"),
    "nulls only": (table(pa.nulls(3)), "row 0, column a: found a missing value"),
    "a null among booleans": (table([True, None, False]), "row 1, column a: found a missing value"),
    "an empty text": (table(["u", "", "v"]), "row 1, column a: found a missing value"),
    "infinity": (table([1.0, float("inf"), 2.0]), "row 1, column a: found inf"),
    "decimal commas": (table(["1,5", "2,5", "1,5"]), "row 0 has '1,5', which looks like a number"),
    "numbers as text": (table(["1", "2", "1"]), "--number a reads it; --category a takes all"),
    "a target beyond 2^53": (table(y=[1, 2, BIG]), f"row 2, column y: found {BIG}, expected a"),
    "a target with a null": (table(y=[1.0, None, 2.0]), "row 1, column y: found a missing value"),
    "a target of dates": (table(y=[datetime.date(2020, 1, 1)] * 3), "--date y=days reads it"),
    "no rows": (table(pa.array([], pa.float64()), pa.array([], pa.float64())), "has no rows"),
    "no columns": (lambda path: pq.write_table(pa.table({}), path), "has no column 'y'"),
    "equal names": (
        lambda path: pq.write_table(pa.table([[1.0], [2.0], [3.0]], names=["a", "a", "y"]), path),
        "columns 0 and 1 are both named 'a'"),
    "a byte changed": (damaged(checked, 1000), "cannot be read"),
    "a footer longer than the file": (long_footer, "is not a readable Parquet file"),
    "cut off": (cut(checked), "is not a readable Parquet file"),
    "only the magic": (b"PAR1PAR1", "is not a readable Parquet file"),
    "nothing": (b"", "is not a readable Parquet file"),
}  # fmt: skip


@pytest.mark.parametrize("case", PARQUET)
def test_parquet(judge_file: Callable[..., Any], hostile: Any, case: str) -> None:
    content, outcome = PARQUET[case]
    judge_file(hostile("t.parquet", content, outcome, {"target": "y"}))


@pytest.fixture(autouse=True)
def _no_file_is_left_open() -> Iterator[None]:
    yield
    assert not h5py.h5f.get_obj_ids(types=h5py.h5f.OBJ_FILE)
