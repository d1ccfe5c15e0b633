"""Mutations of documents and damages of files, each drawn from a generator of random numbers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest


def places_in(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Places of a JSON tree; of long lists the first and last entries only."""
    found = [here] if here else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places_in(inner, (*here, key))
    elif isinstance(value, list):
        for index in sorted(
            {*range(min(3, len(value))), *range(max(0, len(value) - 2), len(value))}
        ):
            found += places_in(value[index], (*here, index))
    return found


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        tree = tree[step]
    return tree


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def another(value: Any, rng: np.random.Generator) -> Any:
    """A value of the same type, but for that another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + int(rng.choice([-1, 1, 7, -(10**6), 10**6]))
    if isinstance(value, float):
        return float(rng.choice([-value, value * 1.5 + 0.125, value + 1.0, 0.0, 1e300]))
    if isinstance(value, str):
        return str(rng.choice([value[:-1], value + "x", "", value[::-1] + "é"]))
    if isinstance(value, list):
        choice = int(rng.integers(4))
        return [value[::-1], value[:-1], [*value, *value[-1:]], []][choice]
    if isinstance(value, dict):
        return dict(list(value.items())[1:])
    return 0


STRANGE = (
    None, True, -1, 0, 10**30, 10**4000, 2**63, 1e999, float("nan"), -1.5, "", "x" * 5000, "\x00\n",
    "float32", [], {}, [[]], [None] * 20_000, [1.0] * 20_000, {"a": {"b": {}}}, nested(400),
)  # fmt: skip


def mutate_tree(tree: Any, rng: np.random.Generator) -> str:
    """Change one place of a JSON tree; the word for how."""
    places = places_in(tree)
    place = places[int(rng.integers(len(places)))]
    parent, key = at(tree, place[:-1]), place[-1]
    way = str(rng.choice(["value", "value", "type", "type", "removed", "added", "swapped"]))
    if way == "value":
        parent[key] = another(parent[key], rng)
    elif way == "type":
        parent[key] = STRANGE[int(rng.integers(len(STRANGE)))]
    elif way == "removed":
        del parent[key]
    elif way == "added":
        value = STRANGE[int(rng.integers(len(STRANGE)))]
        parent.insert(key, value) if isinstance(parent, list) else parent.update(more=value)
    else:
        others = [one for one in places if one[:-1] == place[:-1]]
        other = others[int(rng.integers(len(others)))][-1]
        parent[key], parent[other] = parent[other], parent[key]
    return way


def mutate_bytes(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Change some bytes of a file; the word for how."""
    data, place = bytearray(content), int(rng.integers(max(1, len(content))))
    way = str(
        rng.choice(["flipped", "flipped", "cut off", "dropped", "not UTF-8", "deep", "digits"])
    )
    if way == "flipped":
        data[place : place + 1] = bytes([data[place] ^ 1 << int(rng.integers(8))]) if data else b""
    elif way == "cut off":
        del data[place:]
    elif way == "dropped":
        del data[place : place + int(rng.integers(1, 9))]
    else:
        filler = {"not UTF-8": b"\xff\xfe", "deep": b"[" * 50_000, "digits": b"9" * 5_000}[way]
        data[place:place] = filler
    return bytes(data), way


def mutate_chunks(folder: Path, rng: np.random.Generator) -> str:
    """Change the chunks of arrays; the word for how."""
    chunks = sorted(f for f in folder.rglob("*") if f.is_file() and "c" in f.parent.parts[-3:])
    one, other = (chunks[int(k)] for k in rng.choice(len(chunks), 2, replace=False))
    way = str(
        rng.choice(["swapped", "swapped", "copied", "cut off", "flipped", "removed", "added"])
    )
    content = one.read_bytes()
    if way == "swapped":
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif way == "copied":
        other.write_bytes(content)
    elif way == "cut off":
        one.write_bytes(content[: int(rng.integers(len(content)))])
    elif way == "flipped":
        place = int(rng.integers(len(content)))
        one.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
    elif way == "removed":
        one.unlink()
    else:
        one.with_name("99").write_bytes(content)
    return f"chunk {way}"


TOML = (
    "1", "-1", "0", "9" * 400, "0x" + "f" * 5_000, "1e400", "nan", "inf", '""', '"\\u0000"', "true",
    "[]", "{}", "{a = {b = 1}}", "1979-05-27", "[[[[1]]]]", "[" * 20_000, '"' + "x" * 5_000 + '"',
    "9" * 5_000, "[1, 'a', 2.0]", '"""a\nb"""',
)  # fmt: skip


def mutate_toml(file: Path, rng: np.random.Generator) -> str:
    """Change one line of a job, or some of its bytes; the word for how."""
    if rng.random() < 0.3:
        content, how = mutate_bytes(file.read_bytes(), rng)
        file.write_bytes(content)
        return f"bytes {how}"
    lines = file.read_text().split("\n")
    k = int(rng.choice([k for k, line in enumerate(lines) if line]))
    key, equals, _ = lines[k].partition(" = ")
    way = str(rng.choice(["value", "value", "value", "removed", "twice", "renamed", "moved"]))
    if way == "value" and equals:
        lines[k] = f"{key} = {TOML[int(rng.integers(len(TOML)))]}"
    elif way == "removed":
        del lines[k]
    elif way == "twice":
        lines.insert(k, lines[k])
    elif way == "moved":
        lines.insert(int(rng.integers(len(lines))), lines.pop(k))
    else:
        lines[k] = lines[k].replace("e", "é").replace("n", "nn")
    file.write_text("\n".join(lines))
    return f"line {way}"


@pytest.fixture(scope="session")
def mutations() -> SimpleNamespace:
    """All of them: ``tree``, ``content``, ``chunks``, ``toml``; each returns the word for how."""
    return SimpleNamespace(
        tree=mutate_tree, content=mutate_bytes, chunks=mutate_chunks, toml=mutate_toml
    )


# -- damages of files: of path, below root; other is the same file of what is as sound -------------


def flip(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def truncate(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def swap(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    """With another file of the same name or of the same folder, if there is one."""
    files = sorted(file for file in root.rglob("*") if file.is_file() and file != path)
    like = [file for file in files if file.parent == path.parent or file.name == path.name]
    partner = (like or files)[rng.integers(len(like or files))]
    one, two = path.read_bytes(), partner.read_bytes()
    path.write_bytes(two)
    partner.write_bytes(one)


def delete(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    path.unlink()


def replace(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    """With the same file of what is as sound; or with noise, where it has none."""
    if other.is_file():
        shutil.copy2(other, path)
    else:
        path.write_bytes(rng.bytes(path.stat().st_size))


def rename(path: Path, other: Path, root: Path, rng: np.random.Generator) -> None:
    """The file, or the folder that it is in."""
    target = path if rng.random() < 0.7 or path.parent == root else path.parent
    target.rename(target.with_name(target.name + "0"))


@pytest.fixture(scope="session")
def damages() -> list[Callable[[Path, Path, Path, np.random.Generator], None]]:
    return [flip, truncate, swap, delete, replace, rename]
