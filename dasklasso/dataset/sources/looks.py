"""What a text looks like that is no plain number, and the option that reads it as what it is."""

from __future__ import annotations

import re
import shlex

from dasklasso.dataset.sources.date_looks import date_look
from dasklasso.dataset.sources.invisible import character_names, code_point, is_invisible
from dasklasso.dataset.sources.look import Look
from dasklasso.dataset.sources.quantities import quantity_look, says_truth
from dasklasso.dataset.sources.reading import MISSING, SPACES, spelled_number

_DIGITS = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_NULLS = frozenset(
    {*MISSING, "?", "??", "-", "--", "---", ".", "..", "*", "#", "x", "na", "n.a.", "N.A.", "n.a",
     "#NA", "#VALUE!", "#DIV/0!", "#REF!", "none", "nil", "missing", "Missing", "MISSING", "NIL",
     "unknown", "Unknown", "UNKNOWN", "<NA>", "NaT", "\\N", "(null)", "null.", "—", "–", "_"}
)  # fmt: skip
_TOTALS = frozenset({"total", "totals", "grand total", "subtotal", "sub-total", "sum", "overall"})
# that stand for nothing else, also among words
_ALWAYS_NULL = frozenset(
    {"?", "??", "-", "--", "---", ".", "..", "#NA", "#N/A", "N/A", "n/a", "n.a.", "N.A.", "<NA>",
     "NaN", "nan", "NULL", "null", "\\N", "(null)", "#VALUE!", "#DIV/0!", "—", "–"}
)  # fmt: skip


PLAIN = Look("number", "a number", "--number {column}")
POINTED = Look("number", "a number with a decimal point, others have a comma: write all alike")
PADDED = Look("number", "a number with zeros before it, as codes have", "--number {column}")
_PATTERNS: list[tuple[re.Pattern[str], Look]] = [
    (re.compile(pattern), Look(*look))
    for pattern, *look in (
        (r"[+-]?\d{1,3}(,\d{3}){2,}(\.\d*)?|[+-]?\d{1,3}(,\d{3})+\.\d*",
         "number", "a number with commas between thousands", "--thousands ,"),
        (r"[+-]?\d{1,2}(,\d{2})+,\d{3}(\.\d*)?", "number",
         "a number with commas between lakhs and thousands", "--thousands ,"),
        (r"[+-]?[1-9]\d{0,2},\d{3}", "number",
         "a number with a comma between thousands, or a decimal comma",
         "--thousands , (or --decimal ,)", False),
        (r"[+-]?\d{1,3}(\.\d{3})+,\d*", "number",
         "a number with a decimal comma and points between thousands",
         "--decimal , --thousands ."),
        (r"[+-]?\d{1,3}(\.\d{3}){2,}", "number", "a number with points between thousands",
         "--decimal , --thousands ."),
        (r"[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+\.?\d*", "number",
         "a number with spaces between thousands", "--thousands space"),
        (r"[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+,\d*", "number",
         "a number with a decimal comma and spaces between thousands",
         "--decimal , --thousands space"),
        (r"[+-]?\d{1,3}(['\u2019]\d{3})+\.?\d*", "number",
         "a number with apostrophes between thousands", '--thousands "\'"'),
        (r"[+-]?\d{1,3}(_\d{3})+\.?\d*", "number", "a number with _ between thousands",
         "--thousands _"),
        (r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", "number", "a number with a decimal comma",
         "--decimal ,"),
        (rf"[-+]?[$€£¥₹]\s*{_DIGITS}|{_DIGITS}\s*[$€£¥₹]", "number", "an amount of money",
         "--strip {mark}"),
        (r"[-+]?[$€£¥₹]\s*[-+]?\d{1,3}(,\d{3})+(\.\d*)?|[-+]?\d{1,3}(,\d{3})+(\.\d*)?\s*[$€£¥₹]",
         "number", "an amount of money with commas between thousands",
         "--strip {mark} --thousands ,"),
        (r"[-+]?[$€£¥₹]\s*[-+]?[\d.]+,\d*|[-+]?[\d.]+,\d*\s*[$€£¥₹]", "number",
         "an amount of money with a decimal comma", "--strip {mark} --decimal ,"),
        (rf"{_DIGITS}\s*[%‰]", "number", "a percentage", "--strip {mark}"),
        (r"[-+]?\d+,\d*\s*[%‰]", "number", "a percentage with a decimal comma",
         "--strip {mark} --decimal ,"),
        (r"\(\s*[$€£¥₹]?\s*\d[\d.,' ]*\)", "number",
         "a number in parentheses, as accounts have those below 0: write it with a minus", ""),
        (r"\u2212\s*\d[\d.]*([eE][+-]?\d+)?", "number", "a number with a typeset minus",
         "--number {column}"),
        (r"[+-]?\d+\.?\d*[dD][+-]?\d+", "number", "a number with D for its exponent: write E", ""),
        (r"[+-]?0[xX][0-9a-fA-F]+(\.[0-9a-fA-F]*)?([pP][+-]?\d+)?", "number",
         "a hexadecimal number: write it in decimal", ""),
        (r"\d{4}[-/.](0[1-9]|1[0-2])([-/.]\d{2})?"
         r"([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|[+-]\d{2}:?\d{2})?)?", "date", "a date",
         "--date {column}=days"),
        (r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?", "date", "a time",
         "--date {column}=hours"),
        (r"\d+:\d{2}(:\d{2}(\.\d+)?)?", "date", "a duration: write it as a number", ""),
        (r"\d{1,2}:\d{2} [aApP][mM]", "date", "a time", "--date {column}=hours:'%I:%M %p'"),
        (r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s?[aApP]\.?[mM]\.?", "date", "a time",
         "--date {column}=hours:FORMAT", False),
        (r"\d{1,2} ?-?[A-Za-z]{3}[a-z]*\.? ?-?\d{2,4}", "date", "a date",
         "--date {column}=days:FORMAT", False),
        (r"[A-Z][a-z]{2,8}\.? \d{4}", "date", "a date", "--date {column}=days:FORMAT", False),
        (r"\d[\d.,]*-", "number", "a number with its minus after it: write it before", ""),
        (r"[A-Z][a-z]{2}-\d{2}", "date", "a date", "--date {column}=days:%b-%y"),
        (r"[A-Z][a-z]{2}-\d{4}", "date", "a date", "--date {column}=days:%b-%Y"),
        (r"[A-Z][a-z]{2,8}\.? \d{1,2}, ?\d{4}", "date", "a date",
         "--date {column}=days:FORMAT", False),
        (r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}", "date", "a date", "--date {column}=days:FORMAT", False),
    )
]  # fmt: skip
_DAY_OR_MONTH_FIRST = re.compile(
    r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})([ T]\d{1,2}:\d{2}(:\d{2})?)?"
)
_PADDED = re.compile(r"[+-]?0[0-9]+")
_MARK = re.compile(r"[$€£¥₹%‰]")


def look_of(text: str, decimal: str = ".") -> Look | None:
    """Return what a text looks like, by the decimal mark that was given; None of a word."""
    stripped = text.strip()
    if stripped in _NULLS:
        return Look("null", "a missing value", null_option(text))
    if any(map(is_invisible, text)) and (look := _of_invisible(text)) is not None:
        return look
    if is_padded(stripped):
        return PADDED
    if spelled_number(stripped) is not None:
        return POINTED if decimal == "," and "." in stripped else PLAIN
    if not any(map(str.isnumeric, stripped)):
        return _of_lines(text)  # a word: every pattern has a digit
    for pattern, look in _PATTERNS:
        if pattern.fullmatch(stripped):
            mark = _MARK.search(stripped)
            option = look.option.replace("{mark}", _quoted(mark[0]) if mark else "")
            return Look(look.kind, look.what, option, look.is_sure)
    match = _DAY_OR_MONTH_FIRST.fullmatch(stripped)
    if match:
        return _date_of(match)
    if stripped.isdecimal():
        return Look("number", "a number in digits of another script", "")
    return date_look(stripped) or quantity_look(stripped, look_of) or _of_lines(text)


def is_padded(text: str) -> bool:
    """Tell whether a text is a whole number with zeros before it: a postal code, more likely."""
    return _PADDED.fullmatch(text) is not None


def null_option(text: str) -> str:
    """Return the option that takes a text for a missing value."""
    shown = code_point(text) if len(text) == 1 and is_invisible(text) else _quoted(text)
    return f"--null{'=' if text.startswith('-') else ' '}{shown}"


def is_always_null(text: str) -> bool:
    """Tell whether a text stands for a missing value also in a column of words."""
    return text.strip() in _ALWAYS_NULL or all(map(is_invisible, text))


def remedies(look: Look | None, text: str, column: str) -> str:
    """Say what to do about a text that is no number in a column of numbers."""
    found = f"{null_option(text)} where it stands for a missing value"
    if spelled_number(text.strip()) is not None and any(mark in text for mark in "\r\n"):
        found = "It has a line end in it: take that out"
    elif reason := why_no_row(text, column):
        found = f"{reason[0].upper()}{reason[1:]}"
    elif look is not None and look.kind != "null" and look != PLAIN:
        option = look.option.replace("{column}", _quoted(column))
        found = f"{option} reads {look.what}" if option else f"It looks like {look.what}"
    elif look is None and says_truth(text):
        found = "It says yes or no where others are numbers: write them alike"
    return f"{found}; --category {_quoted(column)} where the column is no number."


def why_no_row(text: str, column: str) -> str | None:
    """Say why a text that is no number shows that its row is none of the data; None elsewhere."""
    if text.strip() == column.strip():
        return "the row is the header again, delete it"
    if text.strip().casefold().rstrip(":") in _TOTALS:
        return "the row is one of totals, delete it"
    return None


def _of_invisible(text: str) -> Look | None:
    """Return the look of a number that has characters nobody sees in or beside it."""
    seen = "".join(c for c in text if not is_invisible(c)).strip()
    if not seen:
        return Look("null", "a missing value: nothing in it can be seen", null_option(text))
    if (look := look_of(seen)) is None or look.kind != "number":
        return None
    inside = text.strip(SPACES)
    if any(mark in inside for mark in SPACES[1:]) and look in (PLAIN, PADDED):
        return None  # between thousands
    hidden = [c for c in dict.fromkeys(inside) if is_invisible(c) and c not in SPACES]
    strips = " ".join(f"--strip {code_point(c)}" for c in hidden)
    more = look.option if look not in (PLAIN, PADDED) else "" if hidden else look.option
    beside = hidden or [c for c in dict.fromkeys(text) if is_invisible(c)]
    what = f"{look.what} with {character_names(beside)}, which cannot be seen"
    return Look("number", what, " ".join(filter(None, (strips, more))), look.is_sure)


def _of_lines(text: str) -> Look | None:
    if ("\n" in text or "\r" in text) and any(mark in text for mark in ",;\t|"):
        return Look(
            "lines",
            "several rows, as where a quote is not closed",
            "--quote none (quotes are then part of the texts)",
        )
    if "\0" in text:
        return Look("lines", "no text at all, as it has a NUL character")
    return None


def _date_of(match: re.Match[str]) -> Look:
    first, mark, second, year = match[1], match[2], match[3], match[4]
    y = "%Y" if len(year) == 4 else "%y"
    time = "" if match[5] is None else f"{match[5][0]}%H:%M" + (":%S" if match[6] else "")
    day_first = f"%d{mark}%m{mark}{y}{time}"
    month_first = f"%m{mark}%d{mark}{y}{time}"
    option = "--date {column}=days:"
    if int(first) > 12 or mark == ".":
        return Look("date", "a date", option + _format(day_first))
    if int(second) > 12:
        return Look("date", "a date", option + _format(month_first))
    return Look("date", "a date", f"{option}{day_first} (or {month_first})", False)


def _format(form: str) -> str:
    return f"'{form}'" if " " in form else form


def _quoted(text: str) -> str:
    """Return a text as a shell takes it; what cannot be seen is spelled out, as Bash has it."""
    if text.isprintable():
        return shlex.quote(text)
    spelled = text.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"$'{spelled}'"
