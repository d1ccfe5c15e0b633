"""What the schemas of all documents share; imported only where a document is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

LARGEST = 1e150  # of what is squared
MOST_COUNTED = (1 << 63) - 1


class Document(BaseModel):
    """A JSON object whose entries have the types that they say and no others.

    Entries that a schema does not know are let be: later versions may add some.
    """

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


# lists end at their first fault: a long one with as many faults would take minutes to describe
Texts = Annotated[list[str], Field(fail_fast=True)]
Numbers = Annotated[list[float], Field(fail_fast=True)]
# whose squares are numbers too
Moderate = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Moderates = Annotated[list[Moderate], Field(fail_fast=True)]
# null where a number is not known, or not finite
KnownNumbers = Annotated[list[float | None], Field(fail_fast=True)]
Wholes = Annotated[list[int], Field(fail_fast=True)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]
Share = Annotated[float, Field(ge=0, le=1)]
Object = dict[str, Any]
