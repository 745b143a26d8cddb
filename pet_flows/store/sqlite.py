"""The embedded store: a maggma Store on one SQLite file, used where no server is configured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from maggma.core import Sort, Store, StoreError
from monty.json import jsanitize
from pydash import get, has, set_

from pet_flows.settings import absolute
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.sqlite_file import DatabaseFile


class SqliteStore(Store):
    """BSON documents in a SQLite file, queried in MongoDB's language.

    Everything that one process does with one file goes over one connection and one lock: any
    number of stores may name the same file with different collections. A second process that
    wants to write is refused with a sentence that names the first; readers are always let in.

    In a ``jobflow.yaml`` give the store as ``as_dict()`` prints it (``@module``, ``@class``); the
    short form ``type: SqliteStore`` works only where this module was imported before.

    Parameters
    ----------
    path
        Of the file; a relative one starts in the working directory.
    collection_name
        Of the collection in it.
    read_only
        Whether writing is refused; needs no lock.
    **kwargs
        Of maggma's Store: ``key``, ``last_updated_field``, ``last_updated_type``.
    """

    def __init__(
        self,
        path: str,
        collection_name: str = "outputs",
        read_only: bool = False,
        **kwargs: Any,
    ):
        self.path = str(absolute(path))
        self.collection_name = collection_name
        self.read_only = read_only
        self.kwargs = kwargs
        self._coll: SqliteCollection | None = None
        super().__init__(**kwargs)

    @property
    def name(self) -> str:
        """Name of the data source."""
        return f"sqlite://{self.path}/{self.collection_name}"

    @property
    def database(self) -> str:
        """Name of the file, which stands where MongoDB has its database."""
        return Path(self.path).name

    @property
    def _collection(self) -> SqliteCollection:
        if self._coll is None:
            raise StoreError(f"{self.name} is not connected: call connect() first")
        return self._coll

    def connect(self, force_reset: bool = False) -> None:
        """Open the file; for writing it is then locked until :meth:`close`.

        Raises
        ------
        PetFlowsError
            Another process writes it, or it cannot be opened.
        """
        if self._coll is not None:
            if not force_reset:
                return
            self.close()
        file = DatabaseFile.open(Path(self.path), self.read_only)
        self._coll = SqliteCollection(file, self.collection_name)
        if not file.read_only:
            self._coll.create_index(self.key)

    def close(self) -> None:
        """Give the file back; it is closed once no other store of this process uses it."""
        if self._coll is not None:
            self._coll.file.release()
            self._coll = None

    def count(self, criteria: dict | None = None, hint: dict | None = None) -> int:
        """How many documents match; `hint` is for servers."""
        return self._collection.count_documents(criteria)

    def query(
        self,
        criteria: dict | None = None,
        properties: dict | list | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
        hint: dict | None = None,
    ) -> Iterator[dict]:
        """Documents that match, with MongoDB's meaning of every argument."""
        orders = [(key, _direction(value)) for key, value in (sort or {}).items()]
        return self._collection.find(criteria, properties, orders, skip, limit)

    def distinct(
        self, field: str, criteria: dict | None = None, all_exist: bool = False
    ) -> list[Any]:
        """Different values of a field."""
        return self._collection.distinct(field, criteria)

    def update(self, docs: list[dict] | dict, key: list | str | None = None) -> None:
        """Insert documents, or replace those with equal values of `key`; all of them or none."""
        keys = key or self.key
        keys = [keys] if isinstance(keys, str) else list(keys)
        rows = [jsanitize(d, allow_bson=True) for d in (docs if isinstance(docs, list) else [docs])]
        collection = self._collection
        for name in keys:
            collection.create_index(name)
        with collection.file.writing():
            for row in rows:
                collection.replace_one({name: row[name] for name in keys}, row, upsert=True)

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Index a field; `unique` is not enforced beyond ``_id``."""
        self._collection.create_index(key)
        return True

    def groupby(
        self,
        keys: list[str] | str,
        criteria: dict | None = None,
        properties: dict | list | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[dict, list[dict]]]:
        """Documents grouped by the values of `keys`; those without one of them are left out."""
        names = [keys] if isinstance(keys, str) else list(keys)
        wanted = [*properties, *names] if properties else None
        groups: dict[str, tuple[dict, list[dict]]] = {}
        for document in self.query(criteria, wanted, sort, skip, limit):
            if not all(has(document, name) for name in names):
                continue
            values = [get(document, name) for name in names]
            if repr(values) not in groups:
                described: dict = {}
                for name, value in zip(names, values, strict=True):
                    set_(described, name, value)
                groups[repr(values)] = (described, [])
            groups[repr(values)][1].append(document)
        return chain(groups.values())

    def remove_docs(self, criteria: dict) -> None:
        """Remove what matches."""
        self._collection.delete_many(criteria)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SqliteStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def _direction(value: Sort | int) -> int:
    return value.value if isinstance(value, Sort) else int(value)
