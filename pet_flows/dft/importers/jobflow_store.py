"""The documents of a jobflow store → references, read with projections and only where new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.dft.importers.found import Found, JobFacts, date_of
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.job_documents import KINDS, DocumentKind, kind_of_output
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import LeftOut, Read, Unchanged
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.documents import value_at
from pet_flows.store.locate import connect_configured, open_job_store
from pet_flows.store.writes import chunks

if TYPE_CHECKING:
    from jobflow import JobStore

#: documents that are read at once
_AT_ONCE = 50
#: outputs with a class, and those of equations of state, which have none
_WANTED = {
    "$or": [
        {"output.@class": {"$in": [name for kind in KINDS for name in kind.classes]}},
        {"output.relax.volume": {"$exists": True}},
    ]
}
_HEAD = (
    "uuid", "index", "name", "completed_at", "metadata", "output.@class", "output.dir_name",
    *(f"output.{name}" for kind in KINDS for name in kind.parts_fields),
)  # fmt: skip


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of all calculations in a store.

    Parameters
    ----------
    source
        ``jobflow``, the store of one's own jobflow.yaml (or the embedded one), or the path of
        such a file.
    """
    store = open_job_store(read_only=True) if source == "jobflow" else _of_file(Path(source))
    try:
        yield from read_job_store(store, options, known)
    finally:
        store.close()


def read_job_store(store: JobStore, options: Options, known: Known) -> Iterator[Read]:
    """References of all calculations in a connected JobStore; of each job its last run.

    What is unchanged since it was read (``completed_at`` and index of the run) is not read again.
    Strained, displaced and scaled cells are no references by themselves.
    """
    documents = _Documents.of(store, options.query)
    parts = documents.parts()
    for reason, heads in parts.items():
        for head in heads:
            yield LeftOut(head.title, reason)
    left_out = {head.key for heads in parts.values() for head in heads}
    wanted = [head for head in documents.heads if head.key not in left_out]
    unchanged = known.unchanged([documents.origin(head, options) for head in wanted])
    for head in wanted:
        if n := unchanged.get(documents.origin(head, options).identity):
            yield Unchanged(head.title, n)
    changed = [head for head in wanted if documents.origin(head, options).identity not in unchanged]
    for kind in KINDS:
        for chunk in chunks([head for head in changed if head.kind is kind], _AT_ONCE):
            contents = documents.read(kind.fields, chunk)
            for head in chunk:
                found = documents.found(head, contents.get(head.key, {}), options)
                yield from attempt(head.title, partial(kind.references, found))


@dataclass(frozen=True)
class _Head:
    """What is known of a calculation before its document is read."""

    uuid: str
    index: int
    number: int | None
    """of the document, where the output of a job is a list of them"""
    name: str
    completed_at: Any
    metadata: Mapping[str, Any]
    output: Mapping[str, Any]
    kind: DocumentKind

    @property
    def key(self) -> tuple[str, int | None]:
        return self.uuid, self.number

    @property
    def title(self) -> str:
        number = "" if self.number is None else f" #{self.number + 1}"
        return f"{self.name} {self.uuid}{number}".strip()

    @property
    def folder(self) -> str | None:
        return self.output.get("dir_name")


@dataclass
class _Documents:
    """The jobs of a store that are of a kind we know, each with its last run."""

    store: JobStore
    heads: list[_Head]
    by_name: dict[str, list[_Head]]
    """by uuid, and by folder"""
    seen: dict[tuple[str, int | None], JobFacts | None] = field(default_factory=dict)

    @classmethod
    def of(cls, store: JobStore, query: Mapping[str, Any] | None) -> _Documents:
        heads = _heads(store, {"$and": [_WANTED, dict(query)]} if query else _WANTED)
        by_name: dict[str, list[_Head]] = {}
        for head in heads:
            for name in filter(None, (head.uuid, head.folder)):
                by_name.setdefault(name, []).append(head)
        return cls(store, heads, by_name)

    def parts(self) -> dict[str, list[_Head]]:
        """Jobs of which elastic, phonon and EOS documents were made, by what they are."""
        found: dict[str, dict[Any, _Head]] = {}
        for head in self.heads:
            if head.kind.parts is None:
                continue
            for one in self._named(*head.kind.parts(head.output)):
                if one.kind.facts is not None:
                    found.setdefault(head.kind.part, {})[one.key] = one
        return {reason: list(heads.values()) for reason, heads in found.items()}

    def _named(self, uuids: Sequence[str], folders: Sequence[str]) -> Iterator[_Head]:
        yield from (head for name in (*uuids, *folders) for head in self.by_name.get(name, ()))

    def origin(self, head: _Head, options: Options) -> Origin:
        return options.origin(name=head.title, **self._where(head))

    def _where(self, head: _Head) -> dict[str, Any]:
        docs = self.store.docs_store
        return {
            "database": getattr(docs, "database", None),
            "collection": getattr(docs, "collection_name", None),
            # documents of one list are told apart by their names
            "uuid": head.uuid if head.number is None else None,
            "index": head.index,
            "dir_name": head.folder,
            "completed_at": head.completed_at,
        }

    def read(self, names: Sequence[str], heads: Sequence[_Head]) -> dict[Any, Mapping[str, Any]]:
        """Documents by key, only those of their fields that are wanted."""
        fields = ["uuid", "index", *(f"output.{name}" for name in names)]
        criteria = {"uuid": {"$in": list({head.uuid for head in heads})}}
        outputs = {
            (document["uuid"], int(document.get("index") or 1)): document.get("output") or {}
            for document in self.store.docs_store.query(criteria, fields)
        }
        found = {}
        for head in heads:
            output = outputs.get((head.uuid, head.index), {})
            found[head.key] = output if head.number is None else output[head.number]
        return found

    def found(self, head: _Head, content: Mapping[str, Any], options: Options) -> Found:
        return Found(
            content=content,
            name=head.title,
            options=options,
            origin=self._where(head),
            metadata=head.metadata,
            blob=self.blob,
            further=lambda names: self.read(names, [head])[head.key],
            jobs=partial(self.facts, options),
        )

    def facts(
        self, options: Options, uuids: Sequence[str], folders: Sequence[str]
    ) -> JobFacts | None:
        """What the first of these jobs says that are in the store; None if none is."""
        head = next(self._named(uuids, folders), None)
        if head is None:  # a query may have left them out
            named = {"uuid": list(uuids), "output.dir_name": list(folders)}
            criteria = [{name: {"$in": values}} for name, values in named.items() if values]
            more = _heads(self.store, {"$and": [_WANTED, {"$or": criteria}]}) if criteria else []
            head = next(iter(more), None)
        if head is None or head.kind.facts is None:
            return None
        if head.key not in self.seen:
            content = self.read(head.kind.fields, [head])[head.key]
            self.seen[head.key] = head.kind.facts(self.found(head, content, options))
        return self.seen[head.key]

    def blob(self, value: Any) -> Any:
        """What a document has in an additional store, fetched once; other values as they are."""
        key = value_at(value, "blob_uuid")
        if key is None:
            return value
        name = str(value.get("store") or "data")
        # get(): indexing jobflow's defaultdict would make a store in memory
        data = getattr(self.store, "additional_stores").get(name)  # noqa: B009
        if data is None:
            raise PetFlowsError(
                f"The JobStore has no additional store {name!r}, where parts of the document are: "
                "give the jobflow.yaml with which it was written."
            )
        document = data.query_one({"blob_uuid": key}, ["data"])
        if document is None:
            raise PetFlowsError(
                f"The additional store {name!r} has no {key}, which is a part of the document: "
                "restore it, or compute it again."
            )
        return document["data"]


def _heads(store: JobStore, criteria: Mapping[str, Any]) -> list[_Head]:
    """Documents of jobs, each of the last run."""
    last: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for document in store.docs_store.query(dict(criteria), list(_HEAD)):
        uuid, index = str(document.get("uuid")), int(document.get("index") or 1)
        if uuid not in last or last[uuid][0] < index:
            last[uuid] = index, document
    heads = []
    for uuid, (index, head) in last.items():
        output = head.get("output")
        several = output if isinstance(output, list) else [output]
        for number, one in enumerate(several):
            kind = kind_of_output(one) if isinstance(one, Mapping) else None
            if kind is None:
                continue
            heads.append(
                _Head(
                    uuid,
                    index,
                    number if isinstance(output, list) else None,
                    str(head.get("name") or ""),
                    date_of(head.get("completed_at")),
                    head.get("metadata") or {},
                    one,
                    kind,
                )
            )
    return heads


def _of_file(path: Path) -> JobStore:
    """JobStore of a jobflow.yaml, or of a file that describes only the store.

    Raises
    ------
    PetFlowsError
        It describes none.
    """
    from jobflow import JobStore
    from monty.serialization import loadfn

    try:
        content = loadfn(str(path.expanduser()), cls=None)
        spec = content.get("JOB_STORE", content)
        decode: Any = JobStore.from_dict if "@class" in spec else JobStore.from_dict_spec
        store: JobStore = decode(spec)
    except Exception as error:  # yaml, monty, maggma and pydantic each raise their own
        first = (str(error).splitlines() or [""])[0]
        raise PetFlowsError(
            f"{path} describes no JobStore ({type(error).__name__}: {first}): write it like "
            "configs/jobflow.yaml of pet-flows."
        ) from None
    connect_configured(store)
    return store
