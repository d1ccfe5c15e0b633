"""Dates with names of months, months and quarters of a year; and the format that reads them."""

from __future__ import annotations

import re

from dasklasso.dataset.sources.look import Look

_MONTHS = (
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_WEEKDAYS = r"\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b"
# what of a text becomes what of a format: in this order
_DIRECTIVES = [
    (re.compile(pattern, re.IGNORECASE), directive)
    for pattern, directive in (
        (r"\s+", " "),
        (_WEEKDAYS, "%a"),
        (_MONTHS, "%b"),
        (r"\b\d{1,2}:\d{2}:\d{2} ([ap])m$", "%I:%M:%S %p"),
        (r"\b\d{1,2}:\d{2} ([ap])m$", "%I:%M %p"),
        (r"\b\d{2}:\d{2}:\d{2}\b", "%H:%M:%S"),
        (r"\b\d{2}:\d{2}\b", "%H:%M"),
        (r"\b\d{4}\b", "%Y"),
    )
]
_NUMBER = re.compile(r"\b\d{1,2}\b")  # the first is the day, another one the year
_BETWEEN = r"(?:[ /.-]|, ?|\. )"
_DAY = rf"(?:%d{_BETWEEN}%b|%b{_BETWEEN}%d)"
_TIME = r"%[HI]:%M(?::%S)?(?: %p)?"
_FORMAT = re.compile(
    rf"(?:%a,? )?(?:{_DAY}{_BETWEEN}(?:%Y|%y)(?:,? {_TIME})?|%Y{_BETWEEN}{_DAY}(?:,? {_TIME})?"
    rf"|{_DAY} {_TIME} %Y)"
)
_NO_YEAR = re.compile(rf"(?:%a,? )?{_DAY}")
_MONTH_OF_A_YEAR = re.compile(r"(?:0?[1-9]|1[0-2])/\d{4}|(?:0[1-9]|1[0-2])-(?:19|20)\d{2}")
_QUARTER = re.compile(
    r"Q[1-4][ /'-]?(?:\d{4}|\d{2})|\d{4}[ /-]?Q[1-4]|[1-4]Q[ /'-]?(?:\d{4}|\d{2})",
    re.IGNORECASE,
)
_WEEK = re.compile(r"\d{4}[ -]?W\d{2}(?:-?[1-7])?", re.IGNORECASE)
_HAS_MONTH = re.compile(_MONTHS, re.IGNORECASE)


def date_look(text: str) -> Look | None:
    """Return what a date looks like that has names in it or no day; None of other texts."""
    if _MONTH_OF_A_YEAR.fullmatch(text):
        mark = "/" if "/" in text else "-"
        return Look("date", "a month", f"--date {{column}}=days:%m{mark}%Y")
    if _QUARTER.fullmatch(text):
        return Look("date", "a quarter of a year: write its first day")
    if _WEEK.fullmatch(text):
        return Look("date", "a week of a year: write its first day")
    if not _HAS_MONTH.search(text):
        return None
    form = text
    for pattern, directive in _DIRECTIVES:
        form = pattern.sub(directive, form)
    form = _NUMBER.sub("%y", _NUMBER.sub("%d", form, count=1))
    if _FORMAT.fullmatch(form):
        shown = f"'{form}'" if " " in form else form
        return Look("date", "a date", f"--date {{column}}=days:{shown}")
    if _NO_YEAR.fullmatch(form):
        return Look("date", "a day without its year: write the year too")
    return None
