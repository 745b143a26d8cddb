"""Signs of life by the clock of the database server: one clock, however those of machines differ.

A sign is a time that the server itself writes into a document (``$currentDate``), and how old it
is the server says too (``$$NOW``). So whoever comes new to it knows at once who has been silent for
too long, and nobody's clock matters.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

#: sign of somebody who is known to be dead
DECLARED = datetime(1970, 1, 1)
#: signs that may fail to come before who gives them counts as dead
MISSED = 4
#: s beyond the time between two signs for which a late one has to stay the same before it counts:
#: where the server was away, or its clock was set forward, who is alive gives another by then
CONFIRMED = 1.0


def now_in(field: str) -> dict[str, Any]:
    """Operator of an update by which the server writes its time."""
    return {"$currentDate": {field: True}}


def witnessed(field: str) -> str:
    """Where it is kept what the witness said last of somebody who gives no signs (`Silence`)."""
    return f"{field}_witness"


def own_sign(field: str) -> dict[str, Any]:
    """Operators of an update by which somebody gives a sign and needs no witness."""
    return {**now_in(field), "$unset": {witnessed(field): ""}}


def is_declared(sign: datetime) -> bool:
    """Whether a sign is that of somebody who is known to be dead."""
    return sign.replace(tzinfo=None) == DECLARED


def no_later(sign: datetime) -> dict[str, Any]:
    """Criterion of a sign than which none is later; servers may have parts of a ms."""
    return {"$lt": sign + timedelta(milliseconds=1)}


def late(field: str, limit: Any) -> dict[str, Any]:
    """Criterion of documents that have a time, which is longer ago than so many ms."""
    ago = {"$subtract": ["$$NOW", f"${field}"]}
    return {field: {"$type": "date"}, "$expr": {"$gt": [ago, limit]}}


class Silence:
    """Sees which documents of a collection have had no sign of life for too long.

    Parameters
    ----------
    collection
        Of pymongo.
    field
        In which the signs are.
    key
        Field that names a document.
    witness
        Field that changes while somebody is alive who gives no signs: workers of earlier versions.

    Attributes
    ----------
    undecided
        Documents of the last look of which it is not known yet: neither late, nor with a new sign
        since they were seen first.
    suspected
        Of these, how many are late.
    """

    def __init__(self, collection: Any, field: str, key: str = "_id", witness: str = "beat"):
        self._collection, self._field, self._key = collection, field, key
        self._witness, self._said = witness, witnessed(field)
        self._first: dict[Any, datetime] = {}
        self._late: dict[Any, tuple[datetime, float]] = {}
        self.undecided = self.suspected = 0

    def look(self, which: Mapping[str, Any], limit: Any) -> dict[Any, datetime]:
        """Which are silent: name → last sign, by which it can be seen that it still is the last.

        What has no sign gets one now, and whenever its witness has changed: its time begins with
        the first look, whoever's that is.

        Parameters
        ----------
        which
            Query of those that are to give signs.
        limit
            ms of silence that are too long, `MISSED` times that between two signs or more; or an
            expression of MongoDB.
        """
        field, there = f"${self._field}", {"$exists": False}
        first = {**now_in(self._field), "$set": {self._said: None}}
        self._collection.update_many({**which, self._field: there}, first)
        self._hear(which)
        late = {"$gt": [{"$subtract": ["$$NOW", field]}, limit]}
        wanted = {self._key: 1, self._field: 1, "late": late, "limit": {"$add": [limit, 0]}}
        signs: dict[Any, datetime] = {}
        silent: dict[Any, datetime] = {}
        suspected: dict[Any, tuple[datetime, float]] = {}
        now = time.monotonic()
        for document in self._collection.aggregate([{"$match": which}, {"$project": wanted}]):
            if self._field not in document:  # it came since
                continue
            name, sign = document[self._key], document[self._field]
            signs[name] = sign
            if is_declared(sign):
                silent[name] = sign
            elif document["late"]:
                before, since = self._late.get(name, (None, now))
                patience = document["limit"] / 1000 / MISSED + CONFIRMED
                if before == sign and now - since >= patience:
                    silent[name] = sign
                else:
                    suspected[name] = (sign, since if before == sign else now)
        self._late, self.suspected = suspected, len(suspected)
        self._first = {name: self._first.get(name, sign) for name, sign in signs.items()}
        same = [name for name, sign in signs.items() if self._first[name] == sign]
        self.undecided = len([name for name in same if name not in silent])
        return silent

    def _hear(self, which: Mapping[str, Any]) -> None:
        """Give a sign for those whose witness says something new."""
        names = {self._key: 1, self._witness: 1, self._said: 1}
        for document in self._collection.find({**which, self._said: {"$exists": True}}, names):
            said = document.get(self._witness)
            if said != document[self._said]:
                change = {**now_in(self._field), "$set": {self._said: said}}
                self._collection.update_one({self._key: document[self._key]}, change)
