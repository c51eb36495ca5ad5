"""Numbers of a spec, checked before hours are spent on them."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from math import inf
from typing import Any


def refuse_odd_numbers(spec: Any, positive: Iterable[str] = ()) -> None:
    """ValueError unless each float of a dataclass, or of a mapping in it, is 0 or more; or more than 0."""
    for name in (each.name for each in fields(spec)):
        value = getattr(spec, name)
        for number in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(number, float) and not 0 <= number < inf:
                raise ValueError(f"{name.replace('_', ' ')} must be a number of 0 or more, got {number}")
    for name in positive:
        if not getattr(spec, name) > 0:
            raise ValueError(f"{name.replace('_', ' ')} must be more than 0, got {getattr(spec, name)}")
