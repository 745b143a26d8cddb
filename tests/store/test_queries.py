# ruff: noqa: E501  (tables of queries are read along their lines)
"""The embedded store answers every query as MongoDB does, with and without an index."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pymongo
import pytest
from bson import ObjectId

from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.sqlite_file import DatabaseFile

DAY = datetime(2026, 1, 1, 12, 0, 0, 123456)
DOCUMENTS = [
    {"_id": "a", "n": 1, "x": 1.5, "elements": ["Si"], "s": {"k": "p", "d": {"e": 1}}, "day": DAY},
    {"_id": "b", "n": 2, "x": -2.5, "elements": ["Si", "O"], "s": {"k": "q"}, "flag": True},
    {"_id": "c", "n": 10, "elements": [], "sources": [{"campaign": "c1", "tags": ["t", "u"]}]},
    {
        "_id": "d", "n": None, "elements": ["O"], "x": 0.0, "text": "Élan", "day": DAY - timedelta(2),
        "sources": [{"campaign": "c1", "id": "m1"}, {"campaign": "c2", "id": "m2", "fw": 3}],
    },
    {
        "_id": "e", "text": "elan", "x": 2, "flag": False, "m": [[1, 2], [3, 4]],
        "sources": [{"campaign": "c2", "id": "m1"}, {"campaign": None}],
    },
    {"_id": ObjectId("65a000000000000000000000"), "n": 3, "text": "10", "v": [5, 1, 9], "day": DAY},
    {"_id": 7, "n": 10, "v": [2, 3], "s": {"k": ["p", "r"]}, "text": "a.b"},
    {"_id": "h", "n": 2**40, "v": 4, "s": None, "l": [{"n": 1, "z": 5}, {"n": 5, "z": 1}]},
]  # fmt: skip
INDEXES = (
    "n",
    "x",
    "elements",
    "s.k",
    "sources.campaign",
    "sources.id",
    "text",
    "day",
    "v",
    "flag",
)

QUERIES = [
    {}, {"_id": "a"}, {"_id": 7}, {"_id": ObjectId("65a000000000000000000000")},
    {"_id": {"$in": ["a", "b", "zz", 7]}}, {"n": 10}, {"n": 10.0}, {"n": None},
    {"n": {"$exists": False}}, {"n": {"$exists": True}}, {"n": {"$gt": 2}}, {"n": {"$gte": 2, "$lt": 10}},
    {"n": {"$ne": 10}}, {"n": {"$nin": [1, None]}}, {"n": {"$in": [1, None]}}, {"n": {"$lte": 2}},
    {"x": {"$gt": -3, "$lt": 1}}, {"x": 2}, {"x": {"$not": {"$gt": 0}}},
    {"elements": "Si"}, {"elements": ["Si"]}, {"elements": []}, {"elements": {"$all": ["Si", "O"]}},
    {"elements": {"$size": 1}}, {"elements": {"$in": ["O", "Li"]}}, {"elements": {"$ne": "Si"}},
    {"elements": {"$nin": ["Si"]}}, {"elements.0": "Si"}, {"elements.1": "O"},
    {"s.k": "p"}, {"s.k": {"$exists": True}}, {"s": {"k": "q"}}, {"s.d.e": 1}, {"s.k": {"$in": ["q", "r"]}},
    {"s": None}, {"s": {"$type": "object"}}, {"flag": True}, {"flag": False},
    {"sources.campaign": "c1"}, {"sources.campaign": "c1", "sources.id": "m1"},
    {"sources": {"$elemMatch": {"campaign": "c2", "id": "m1"}}},
    {"sources": {"$elemMatch": {"campaign": "c1", "id": "m2"}}},
    {"sources": {"$not": {"$elemMatch": {"campaign": "c2"}}}},
    {"sources.campaign": None}, {"sources.campaign": {"$exists": True}}, {"sources.tags": "u"},
    {"sources.0.campaign": "c2"}, {"sources.1.id": "m2"}, {"sources.campaign": {"$ne": "c1"}},
    {"$or": [{"n": 1}, {"elements": "O"}]}, {"$or": [{"n": 1}, {"unknown": 3}]},
    {"$and": [{"n": {"$gt": 1}}, {"elements": "Si"}]}, {"$nor": [{"n": 10}, {"x": 2}]},
    {"$or": [{"$and": [{"n": 2}, {"x": -2.5}]}, {"sources.campaign": "c2"}], "text": "elan"},
    {"text": {"$regex": "^e"}}, {"text": {"$regex": "^E", "$options": "i"}}, {"text": re.compile("lan$")},
    {"text": {"$gt": "a"}}, {"text": {"$in": [re.compile("^É"), "10"]}}, {"text": 10}, {"text": "10"},
    {"text": {"$not": re.compile("an")}}, {"day": DAY}, {"day": {"$lt": DAY}}, {"day": {"$gte": DAY}},
    {"day": DAY.replace(tzinfo=UTC)}, {"day": DAY.replace(tzinfo=timezone(timedelta(hours=2)))},
    {"v": 4}, {"v": {"$gt": 4}}, {"v": {"$elemMatch": {"$gt": 1, "$lt": 3}}},
    {"v": [2, 3]}, {"v.0": 2}, {"m": 1}, {"m.1": [3, 4]}, {"l.n": 5, "l.z": 5},
    {"l": {"$elemMatch": {"n": 1, "z": {"$gt": 3}}}}, {"l": {"n": 1, "z": 5}}, {"l.n": {"$gt": 4}},
    {"n": {"$gt": 2**39}}, {"n": {"$gt": "a"}}, {"text": {"$gt": 5}},
]  # fmt: skip

# where the Java server differs from MongoDB's manual, what the manual says
BY_THE_MANUAL = [
    ({"v": {"$gt": 1, "$lt": 3}}, ["65a000000000000000000000", "7"]),
    ({"m": [1, 2]}, ["e"]),
    ({"m.0": 1}, ["e"]),
]

SORTS = [
    [("_id", 1)], [("n", 1), ("_id", 1)], [("n", -1), ("_id", -1)], [("x", -1), ("_id", 1)],
    [("v", 1), ("_id", 1)], [("v", -1), ("_id", 1)], [("s.k", 1), ("_id", 1)],
    [("text", 1), ("_id", 1)], [("day", -1), ("n", 1), ("_id", 1)], [("flag", 1), ("_id", 1)],
]  # fmt: skip

PROJECTIONS = [
    ["n"], {"n": 1, "_id": 0}, {"n": 0}, {"_id": 0}, {"_id": 1}, {"s.k": 1}, {"s.k": 0},
    {"sources.campaign": 1}, {"sources.campaign": 0, "n": 0}, ["s.d.e", "sources.id"], {"m.x": 1},
    {"sources": {"$elemMatch": {"campaign": "c2"}}}, {"unknown.x": 1}, {"v.0": 1},
]  # fmt: skip


@pytest.fixture(params=["without index", "with index"])
def embedded(request, tmp_path):
    file = DatabaseFile.open(tmp_path / "x.db")
    collection = SqliteCollection(file, "x")
    for number, document in enumerate(DOCUMENTS):
        if request.param == "with index" and number == 4:  # some are there before, some after
            for field in INDEXES:
                collection.create_index(field)
        collection.insert_one(document)
    yield collection
    file.release()


@pytest.fixture
def server(mongodb_uri, mongodb_database):
    with pymongo.MongoClient(mongodb_uri) as client:
        collection = client[mongodb_database].x
        collection.insert_many(DOCUMENTS)
        yield collection


def test_the_same_documents_match(embedded, server):
    different = {}
    for query in QUERIES:
        expected = sorted(str(d["_id"]) for d in server.find(query))
        found = sorted(str(d["_id"]) for d in embedded.find(query))
        counted = embedded.count_documents(query)
        if found != expected or counted != len(expected):
            different[str(query)] = (found, expected, counted)
    assert different == {}


@pytest.mark.parametrize(("query", "expected"), BY_THE_MANUAL)
def test_what_the_manual_says(embedded, query, expected):
    assert sorted(str(d["_id"]) for d in embedded.find(query)) == expected


def test_slices_of_lists(embedded):
    found = embedded.find({"v": 9}, {"v": {"$slice": 2}, "_id": 0})
    assert next(found)["v"] == [5, 1]


def test_the_same_order(embedded, server):
    different = {}
    for sort in SORTS:
        for skip, limit in ((0, 0), (2, 3)):
            expected = [d["_id"] for d in server.find({}, sort=sort, skip=skip, limit=limit)]
            found = [d["_id"] for d in embedded.find({}, sort=sort, skip=skip, limit=limit)]
            if found != expected:
                different[str((sort, skip, limit))] = (found, expected)
    assert different == {}


def test_the_same_fields(embedded, server):
    different = {}
    for projection in PROJECTIONS:
        expected = {str(d.get("_id", d)): d for d in server.find({}, projection)}
        found = {str(d.get("_id", d)): d for d in embedded.find({}, projection)}
        if found != expected:
            different[str(projection)] = (found, expected)
    assert different == {}


@pytest.mark.parametrize("field", ["elements", "n", "s.k", "sources.campaign", "v", "flag", "day"])
def test_the_same_values(embedded, server, field):
    def ordered(values):
        return sorted(values, key=lambda v: (str(type(v)), str(v)))

    assert ordered(embedded.distinct(field)) == ordered(server.distinct(field))
    query = {"n": {"$gt": 1}}
    assert ordered(embedded.distinct(field, query)) == ordered(server.distinct(field, query))


UPDATES = [
    ({"_id": "a"}, {"$set": {"n": 5, "s.k": "new"}, "$inc": {"x": 1}}),
    ({"_id": "d", "sources": {"$not": {"$elemMatch": {"id": "m1"}}}}, {"$push": {"sources": {"id": "m1"}}}),
    ({"_id": "d", "sources": {"$not": {"$elemMatch": {"id": "m9"}}}}, {"$push": {"sources": {"id": "m9"}}}),
    ({"_id": "b"}, {"$addToSet": {"elements": {"$each": ["O", "H", "H"]}}}),
    ({"_id": "c", "n": {"$in": [1, 2]}}, {"$set": {"n": 0}}),
    ({"_id": "e"}, {"$unset": {"text": ""}, "$set": {"day": DAY}}),
]  # fmt: skip


def test_updates_have_the_same_effect(embedded, server):
    for query, update in UPDATES:
        one, other = embedded.update_one(query, update), server.update_one(query, update)
        assert (one.matched_count, one.modified_count) == (
            other.matched_count, other.modified_count,
        )  # fmt: skip
    one = embedded.update_one({"_id": "new", "k": 1}, {"$set": {"n": 1}}, upsert=True)
    other = server.update_one({"_id": "new", "k": 1}, {"$set": {"n": 1}}, upsert=True)
    assert one.upserted_id == other.upserted_id == "new"
    assert {str(d["_id"]): d for d in embedded.find()} == {str(d["_id"]): d for d in server.find()}
    assert embedded.count_documents({"n": 5}) == 1
    assert embedded.count_documents({"n": 1}) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"n": {"$in": 5}},
        {"$or": {"n": 1}},
        {"$and": [1]},
        {"$or": []},
        {"n": {"$like": 1}},
        {"$x": 1},
        {"$expr": {"$gt": ["$n"]}},
    ],
)
def test_what_is_no_query_is_refused(embedded, server, query):
    for collection in (embedded, server):
        with pytest.raises(pymongo.errors.OperationFailure):
            list(collection.find(query))


def test_code_in_queries_is_not_run(embedded):
    for query in ({"$where": "1"}, {"$or": [{"$where": "1"}]}):
        with pytest.raises(pymongo.errors.OperationFailure, match="where"):
            list(embedded.find(query))
