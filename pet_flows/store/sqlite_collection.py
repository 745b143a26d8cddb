"""Documents in a SQLite file, addressed as in pymongo; mongomock's engine evaluates the queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
from bson import ObjectId
from mongomock_ng.filtering import BsonComparable, iter_key_candidates
from pymongo.errors import DuplicateKeyError, WriteError
from pymongo.results import UpdateResult

from pet_flows.store.meaning import Document, applies, checked, sort_key, updated
from pet_flows.store.projection import project
from pet_flows.store.sqlite_file import DatabaseFile
from pet_flows.store.sqlite_index import indexed_values, narrow

#: documents decoded at a time
_CHUNK = 200


class SqliteCollection:
    """One collection of a `DatabaseFile`, with the methods of pymongo's that are used here.

    Parameters
    ----------
    file
        Open file, shared with the other collections.
    name
        Of the collection.
    """

    def __init__(self, file: DatabaseFile, name: str):
        self.file = file
        self.name = name
        quoted = name.replace('"', '""')
        self._documents, self._index = f'"{quoted}"', f'"{quoted}:index"'
        self._fields_table = f'"{quoted}:fields"'
        if name not in file.fields:
            self._prepare()

    @property
    def fields(self) -> set[str]:
        """Paths that are indexed."""
        return self.file.fields.get(self.name, set())

    def find(
        self,
        filter: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        sort: Iterable[tuple[str, int]] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Documents that match, as they were when the iteration began or later."""
        criteria = checked(filter)
        orders = list(sort or [])
        if orders:
            found = self._matching(criteria)
            keyed = [([sort_key(doc, *order) for order in orders], id_) for id_, doc in found]
            for position in reversed(range(len(orders))):
                reverse = orders[position][1] < 0
                keyed.sort(key=lambda entry, n=position: entry[0][n], reverse=reverse)  # type: ignore[misc]
            documents = self._load(
                [id_ for _, id_ in keyed][skip : skip + limit if limit else None]
            )
        else:
            documents = self._matching(criteria, skip, limit)
        for _, document in documents:
            yield project(document, projection) if projection else document

    def find_one(
        self,
        filter: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | Sequence[str] | None = None,
    ) -> Document | None:
        """First document that matches, or None."""
        return next(self.find(filter, projection, limit=1), None)

    def count_documents(self, filter: Mapping[str, Any] | None = None) -> int:
        """How many documents match."""
        criteria = checked(filter)
        candidates, exact = self._candidates(criteria)
        if exact or not criteria:
            return len(candidates)
        return sum(1 for _ in self._matching(criteria))

    def distinct(self, field: str, filter: Mapping[str, Any] | None = None) -> list[Any]:
        """Different values of a field, the elements of lists each by itself, in BSON's order."""
        found: dict[bytes, Any] = {}
        for document in self.find(filter):
            for there in iter_key_candidates(field, document):
                for value in there if isinstance(there, list) else [there]:
                    if isinstance(value, str | int | float | bool | datetime | ObjectId | dict) or (
                        value is None
                    ):
                        found.setdefault(bson.encode({"": value}), value)
        return sorted(found.values(), key=BsonComparable)

    def insert_one(self, document: Mapping[str, Any]) -> Any:
        """Put a new document.

        Returns
        -------
        ``_id``

        Raises
        ------
        DuplicateKeyError
            There is one with this ``_id``.
        """
        new = {"_id": ObjectId(), **document}
        with self.file.writing():
            if next(self._matching({"_id": new["_id"]}), None) is not None:
                raise DuplicateKeyError(f"{self.name} has a document with _id {new['_id']!r}")
            self._write(None, new)
        return new["_id"]

    def update_one(
        self, filter: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = False
    ) -> UpdateResult:
        """Apply MongoDB's update operators to the first document that matches."""
        criteria = checked(filter)
        with self.file.writing():
            found = next(self._matching(criteria), None)
            if found is None and not upsert:
                return UpdateResult({"n": 0, "nModified": 0}, True)
            id_, old = found or (None, None)
            new = updated(old, criteria, update, upsert)
            changed = new != old
            if changed:
                self._write(id_, new)
        answer = {"n": 1, "nModified": int(changed and old is not None)}
        return UpdateResult(answer if old is not None else {**answer, "upserted": new["_id"]}, True)

    def replace_one(
        self, filter: Mapping[str, Any], document: Mapping[str, Any], upsert: bool = False
    ) -> UpdateResult:
        """Replace the first document that matches; ``_id`` stays.

        Raises
        ------
        WriteError
            The new document has another ``_id``.
        """
        criteria = checked(filter)
        with self.file.writing():
            found = next(self._matching(criteria), None)
            if found is None:
                if not upsert:
                    return UpdateResult({"n": 0, "nModified": 0}, True)
                named = criteria.get("_id")
                known = {} if named is None or isinstance(named, Mapping) else {"_id": named}
                new = self.insert_one({**known, **document})
                return UpdateResult({"n": 1, "nModified": 0, "upserted": new}, True)
            id_, old = found
            if document.get("_id", old["_id"]) != old["_id"]:
                raise WriteError(f"_id {old['_id']!r} of {self.name} cannot become another one")
            self._write(id_, {"_id": old["_id"], **document})
        return UpdateResult({"n": 1, "nModified": 1}, True)

    def delete_many(self, filter: Mapping[str, Any]) -> int:
        """Remove what matches; returns how many."""
        with self.file.writing() as db:
            ids = [(id_,) for id_, _ in self._matching(checked(filter))]
            db.executemany(f"DELETE FROM {self._documents} WHERE id=?", ids)
            db.executemany(f"DELETE FROM {self._index} WHERE id=?", ids)
        return len(ids)

    def create_index(self, keys: str | Sequence[tuple[str, int]]) -> None:
        """Index a field, or each field of a compound index."""
        for field in [keys] if isinstance(keys, str) else [name for name, _ in keys]:
            if field in self.fields or self.file.read_only:
                continue
            with self.file.writing() as db:
                for id_, document in self._matching({}):
                    self._index_document(id_, document, {field})
                db.execute(f"INSERT OR IGNORE INTO {self._fields_table} VALUES (?)", (field,))
            self.file.fields[self.name].add(field)

    def _prepare(self) -> None:
        """Make the tables where they are missing; learn what is indexed."""
        if not self.file.read_only:
            with self.file.writing() as db:
                db.execute(
                    f"CREATE TABLE IF NOT EXISTS {self._documents}"
                    "(id INTEGER PRIMARY KEY, document BLOB NOT NULL)"
                )
                db.execute(
                    f"CREATE TABLE IF NOT EXISTS {self._index}(field TEXT, value, id INTEGER,"
                    " PRIMARY KEY (field, value, id)) WITHOUT ROWID"
                )
                quoted = self._index.replace(':index"', ':by_id"')
                db.execute(f"CREATE INDEX IF NOT EXISTS {quoted} ON {self._index}(id)")
                db.execute(
                    f"CREATE TABLE IF NOT EXISTS {self._fields_table}(field TEXT PRIMARY KEY)"
                )
        elif not self._exists():
            return
        rows = self.file.rows(f"SELECT field FROM {self._fields_table}")
        self.file.fields[self.name] = {field for (field,) in rows}
        self.create_index("_id")

    def _exists(self) -> bool:
        """Whether the collection's tables are there; a reader may come before the first writer."""
        sql = "SELECT count(*) FROM sqlite_master WHERE name=?"
        return bool(self.file.rows(sql, (f"{self.name}:fields",))[0][0])

    def _candidates(self, criteria: Document) -> tuple[list[int], bool]:
        """Row ids that may match, and whether they all do."""
        if self.name not in self.file.fields:
            if not self._exists():
                return [], True
            self._prepare()
        narrowed = narrow(criteria, self.fields, self._index)
        where = f" WHERE {narrowed.sql}" if narrowed.sql else ""
        sql = f"SELECT id FROM {self._documents}{where} ORDER BY id"
        return [id_ for (id_,) in self.file.rows(sql, narrowed.arguments)], narrowed.exact

    def _matching(
        self, criteria: Document, skip: int = 0, limit: int = 0
    ) -> Iterator[tuple[int, Document]]:
        """Row ids and documents that match, in the order of insertion."""
        candidates, exact = self._candidates(criteria)
        if exact or not criteria:
            yield from self._load(candidates[skip : skip + limit if limit else None])
            return
        seen = 0
        for id_, document in self._load(candidates):
            if applies(criteria, document):
                seen += 1
                if seen > skip:
                    yield id_, document
                if limit and seen >= skip + limit:
                    return

    def _load(self, ids: Sequence[int]) -> Iterator[tuple[int, Document]]:
        """Decode documents in the given order; those removed meanwhile are left out."""
        size = 1  # the first is often all that is wanted
        start = 0
        while start < len(ids):
            chunk = ids[start : start + size]
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT id, document FROM {self._documents} WHERE id IN ({marks})"
            rows = dict(self.file.rows(sql, list(chunk)))
            for id_ in chunk:
                if id_ in rows:
                    yield id_, bson.decode(rows[id_])
            start, size = start + size, _CHUNK

    def _write(self, id_: int | None, document: Document) -> None:
        """Insert or replace one row with its index entries, inside a transaction."""
        content = bson.encode(document)
        with self.file.writing() as db:
            if id_ is None:
                sql = f"INSERT INTO {self._documents}(document) VALUES (?)"
                id_ = db.execute(sql, (content,)).lastrowid
            else:
                sql = f"UPDATE {self._documents} SET document=? WHERE id=?"
                db.execute(sql, (content, id_))
                db.execute(f"DELETE FROM {self._index} WHERE id=?", (id_,))
            assert id_ is not None
            self._index_document(id_, document, self.fields)

    def _index_document(self, id_: int, document: Document, fields: set[str]) -> None:
        entries = [(f, value, id_) for f in fields for value in indexed_values(document, f)]
        with self.file.writing() as db:
            db.executemany(f"INSERT OR IGNORE INTO {self._index} VALUES (?,?,?)", entries)
