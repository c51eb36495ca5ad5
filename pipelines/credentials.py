"""URLs with credentials: whole only in this process's memory; whatever is stored or shown has them masked."""

import hashlib
import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from pipelines.errors import UsageError

MASK = "***"
_URL = re.compile(
    r"(?P<scheme>[\w.+:-]+://)(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?",
    re.DOTALL,
)
_USER_IN_TEXT = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_QUERY_IN_TEXT = re.compile(r"(://[^\s?#'\"]+)\?[^\s#'\")]+")
_WITHOUT = ("file://", "memory://")
"""Places without users and queries."""
_WITHOUT_QUERY = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://", "abfss://")
"""Stores where a question mark is a letter like any other, or part of a pattern."""
_MASKED_QUERY = re.compile(rf"{re.escape(MASK)}([0-9a-f]{{8}})?")
"""With a digest of what is behind it; places that were stored before have none."""

_users: dict[str, str] = {}
_queries: dict[str, dict[str, str]] = {}
"""By what they are about and by their masks: an address may give another film for each query."""


@dataclass(frozen=True)
class _Url:
    """A URL in parts, with the marks that belong to them; `user` and `query` are empty if it has none."""

    scheme: str
    user: str
    host: str
    path: str
    query: str
    fragment: str

    @property
    def server(self) -> str:
        """What a user is known to."""
        return self.scheme + self.host

    @property
    def place(self) -> str:
        """What a query is about."""
        return self.server + self.path

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}{user}{self.host}{self.path}{query}{self.fragment}"


def masked(url: str) -> str:
    """The URL with user, password and query masked; they are remembered for `whole`."""
    found = _split(url)
    if found is None:
        return url
    if found.user not in ("", MASK):
        _users[found.server] = found.user
    mask = found.query
    if mask and not _MASKED_QUERY.fullmatch(mask):
        mask = MASK + hashlib.sha256(found.query.encode()).hexdigest()[:8]
        _queries.setdefault(found.place, {})[mask] = found.query
    return str(replace(found, user=found.user and MASK, query=mask))


def whole(url: str) -> str:
    """The URL as it was given; UsageError when this process was never told."""
    found = _split(url)
    if found is None:
        return url
    user = _users.get(found.server, MASK) if found.user == MASK else found.user
    query = _query_behind(found) if _MASKED_QUERY.fullmatch(found.query) else found.query
    if MASK in (user, query):
        raise UsageError(
            f"{hide_secrets(url)}: was given with credentials, which are never stored; "
            "put the whole URL into STYLEREEL_URLS and run again"
        )
    return str(replace(found, user=user, query=query))


def _query_behind(url: _Url) -> str:
    """The query of a masked URL, or the only one known there, as it may have been signed anew since."""
    known = _queries.get(url.place, {})
    only = next(iter(known.values())) if len(known) == 1 else MASK
    return known.get(url.query, only)


def hide_secrets(url: str) -> str:
    """The URL without user, password and query, for people and logs."""
    found = _split(url)
    return url if found is None else found.place


def scrub(text: str) -> str:
    """A text that others wrote, such as an error of a library, with the credentials in it masked."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _QUERY_IN_TEXT.sub(rf"\1?{MASK}", _USER_IN_TEXT.sub(f"{MASK}@", text))


def _split(url: str) -> _Url | None:
    """The parts of a URL that holds a user or a query; None for all other places."""
    found = None if url.startswith(_WITHOUT) else _URL.fullmatch(url)
    parts = _Url(**found.groupdict(default="")) if found else None
    if parts and parts.query and parts.scheme.endswith(_WITHOUT_QUERY):
        parts = replace(parts, path=f"{parts.path}?{parts.query}", query="")
    return parts if parts and (parts.user or parts.query) else None


def _secrets() -> set[str]:
    queries = {query for known in _queries.values() for query in known.values()}
    values = {value for query in queries for _, value in parse_qsl(query)}
    passwords = {user.partition(":")[2] for user in _users.values()}
    found = {*_users.values(), *queries, *passwords, *values}
    return {secret for one in found for secret in (one, unquote(one)) if len(secret) > 3}
