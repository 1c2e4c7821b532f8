"""Engines behind the one index that :mod:`~wheelhouse_builder.adapters.router` makes of several; their answers name the true places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from packaging.pylock import Pylock

from wheelhouse_builder.adapters.router import Client, Place, Router
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.resolve.engine import Answer, Engine, Question, Unsolvable
from wheelhouse_builder.spec import Index, newest_upload


@contextmanager
def routed(client: Client, indexes: Sequence[Index], exclude_newer: str | None) -> Iterator[Router | None]:
    """The router that these indexes need; None where one index, all of it, is what resolvers understand by themselves."""
    if len(indexes) == 1 and exclude_newer is None and not indexes[0].folder and not indexes[0].projects:
        yield None
        return
    newest = newest_upload(exclude_newer, datetime.now(UTC)) if exclude_newer else None
    with Router(client, places_of(indexes), newest) as router:
        yield router


def places_of(indexes: Sequence[Index]) -> list[Place]:
    """The spec's indexes as places, in their order."""
    return [
        Place(url=index.url, folder=index.folder, projects=index.projects, login=index.password_variable is not None) for index in indexes
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Routed:
    """An engine that sees the router, and nothing else, as its index."""

    engine: Engine
    router: Router

    def answer(self, question: Question) -> Answer:
        """See :class:`~wheelhouse_builder.resolve.engine.Engine`. An index that failed is told in its own words."""
        try:
            answer = self.engine.answer(replace(question, index=Index(url=self.router.url), login=self.router.login))
        except IndexFailure as failure:
            raise next(iter(self.router.failures), failure) from failure
        if self.router.failures:
            raise self.router.failures[0]
        return answer if isinstance(answer, Unsolvable) else self._with_true_places(answer)

    def _with_true_places(self, pylock: Pylock) -> Pylock:
        document: dict[str, Any] = dict(pylock.to_dict())
        for package in document["packages"]:
            for file in package.get("wheels", ()):
                file["url"] = self.router.true_url(file["url"])
        return Pylock.from_dict(document)
