"""Frozen values out of JSON: what a child sends is never unpickled."""

from dataclasses import fields, is_dataclass
from fractions import Fraction
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")


def revive(kind: type[Kind], plain: Any) -> Kind:
    """The value of a type from `json.dumps(asdict(value), default=str)`: dataclasses, tuples, fractions."""
    return _revived(kind, plain)


def _revived(kind: Any, plain: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: _revived(hints[field.name], plain[field.name]) for field in fields(kind)})
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if kinds[1:] == (...,):
            return tuple(_revived(kinds[0], item) for item in plain)
        return tuple(_revived(each, item) for each, item in zip(kinds, plain, strict=True))
    if NoneType in get_args(kind):
        (given,) = (each for each in get_args(kind) if each is not NoneType)
        return None if plain is None else _revived(given, plain)
    return Fraction(plain) if kind is Fraction else plain
