"""The bytes of an input file: unpacked, decoded, and recognized where they are something else."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

PACKED: dict[str, Callable[..., IO[Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
"""How a file with such an ending is opened."""

_PACKED_BEGIN = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00"}
_ARCHIVES = {b"PK\x03\x04": "zip archive", b"7z\xbc\xaf\x27\x1c": "7z archive"}
_WEB_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body|<\?xml)", re.IGNORECASE)
_POINTER = re.compile(rb"/annex/objects/|version https://git-lfs\.github\.com/spec/")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Marks at the beginning of a text → how it is encoded."""

_NO_ENDS = str.maketrans(dict.fromkeys("\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
"""Where Python ends a line and no file does."""


class DamagedError(ValueError):
    """A file, or part of one, that cannot be understood.

    Parameters
    ----------
    message
        What follows the name of the file in a sentence, with the advice: ``"is a web page: ..."``.
    reason
        Code of the failed record.
    """

    def __init__(self, message: str, reason: str = "unreadable"):
        super().__init__(message)
        self.reason = reason


def unpack(path: Path) -> IO[bytes]:
    """Open a file, compressed or not, to read the bytes that were meant."""
    return PACKED.get(path.suffix, open)(path, "rb")


def read_text(path: Path) -> str:
    """Read a text file, compressed or not.

    It is UTF-8 unless its first bytes mark another encoding; bytes that are neither become '�'.
    Lines end in a line feed, whether they end in that, in a carriage return or in both there; what
    `str.splitlines` of the parsers would cut them at besides becomes a blank.
    """
    with unpack(path) as file:
        content = file.read()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    text = content.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_NO_ENDS)


def first_line(error: Exception) -> str:
    """Say in one line what a parser complained of."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, EOFError):
        return "it was cut off"
    if isinstance(error, OverflowError):
        return "a number in it is too large"
    if isinstance(error, MemoryError | RecursionError):
        return "it is larger or deeper nested than can be read"
    if isinstance(error, TypeError | AttributeError | IndexError | AssertionError):
        return "it is not built as such a file is"  # what Python says then helps nobody
    if "inhomogeneous shape" in str(error) or "could not broadcast" in str(error):
        return "rows of its numbers are not as long as they should be"
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return (
        "it was cut off" if lines[0].startswith("buffer is smaller") else lines[0][:200].rstrip(".")
    )


def quoted(said: str) -> str:
    """Quote what a file says, as much of it as a sentence can hold."""
    return repr(said) if len(said) <= 40 else f"{said[:40]!r}..."


def refuse_disguised(path: Path, kind: str, *, binary: bool) -> None:
    """Refuse what only bears the name of a structure file.

    Parameters
    ----------
    path
        An existing file.
    kind
        What its name says it is.
    binary
        Whether files of this kind hold more than text.

    Raises
    ------
    DamagedError
        It is compressed and not called so or the reverse, an archive, a web page, no text, or
        stands for a file that is not there.
    """
    if path.is_symlink() and not path.exists():
        raise DamagedError(
            f"is a link to {os.readlink(path)}, which is not there: fetch that file (where "
            "git-annex or DataLad keep it: git annex get) or correct the link.",
            "missing_file",
        )
    with path.open("rb") as raw:
        begin = raw.read(64)
    if _POINTER.match(begin):
        raise DamagedError(
            "only says where git-annex or Git LFS keep its content: fetch that (git annex get, "
            "git lfs pull).",
            "missing_file",
        )
    if path.suffix in PACKED and not begin.startswith(_PACKED_BEGIN[path.suffix]):
        raise DamagedError(f"is not compressed: take {path.suffix} off its name.")
    if path.suffix not in PACKED:
        for ending, mark in _PACKED_BEGIN.items():
            if begin.startswith(mark):
                raise DamagedError(f"is compressed: rename it to {path.name}{ending}.")
    for mark, name in _ARCHIVES.items():
        if begin.startswith(mark):
            raise DamagedError(f"is a {name}: unpack it and give what it holds.")
    with unpack(path) as file:
        begin = file.read(4096)
    if _WEB_PAGE.match(begin.removeprefix(codecs.BOM_UTF8)):
        raise DamagedError(f"is a web page, no {kind}: download the file itself.")
    if not binary and b"\x00" in begin and not begin.startswith(tuple(_MARKS)):
        raise DamagedError(f"holds binary data, no {kind}: restore or remove it.")
