"""The words that an option may be: the command line offers them, a job is checked against them."""

from __future__ import annotations

from typing import Any, Literal, get_args

from dasklasso.errors import OptionError

Device = Literal["cpu", "cuda"]
FoldKind = Literal["random", "contiguous", "groups", "column"]
Rule = Literal["min", "1se"]
Criterion = Literal["loss", "auc", "accuracy"]
EmptyChunks = Literal["error", "zero"]
Missing = Literal["error", "mean"]
Unseen = Literal["error", "zero"]
Codec = Literal["auto", "none", "lz4", "zstd"]
Dtype = Literal["auto", "float32", "float64", "uint8", "int8", "uint16", "int16", "int32"]

# Solvers, in the order in which "auto" prefers them, and the modules that have their entries; or
# the entries themselves, of solvers from outside
SOLVERS: dict[str, Any] = {
    "gram": "dasklasso.solvers.gram.entry",
    "newton": "dasklasso.solvers.newton.entry",
    "working_set": "dasklasso.solvers.working_set.entry",
    "fista": "dasklasso.solvers.fista.entry",
    "prox_sgd": "dasklasso.solvers.prox_sgd.entry",
}


def check_word(option: str, found: str, words: Any) -> None:
    """Refuse a word that an option may not be.

    Parameters
    ----------
    words : a Literal of this module

    Raises
    ------
    OptionError
    """
    known = get_args(words)
    if found not in known:
        raise OptionError(f"{option}: {found!r} is none of {', '.join(known)}")
