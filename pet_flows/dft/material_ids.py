"""Spellings of the identifier of a material, of which a database has several."""

from __future__ import annotations

import re

#: filled up to eight letters, as only the database itself writes those that were numbers
_FILLED_UP = re.compile(r"(mp|mvc)-aaa[a-z]{5}")
_WRITTEN = re.compile(r"(?P<prefix>mp|mvc)-([a-z]+|\d+)")


def normalized(identifier: str) -> str:
    """Write an identifier as its database first did, to find equal ones; those of others stay.

    What is stored and shown is `shown`.

    The Materials Project writes ``mp-149`` also ``mp-ft`` and ``mp-aaaaaaft``, a number to the
    base 26. emmet's ``AlphaID`` makes them equal, but not their hashes: a dictionary, or ``$in``
    of a query, does not find one by the other.

    Examples
    --------
    >>> normalized("mp-ft"), normalized("mp-149"), normalized("wbm-1-42")
    ('mp-149', 'mp-149', 'wbm-1-42')
    """
    identifier = identifier.strip()
    found = _WRITTEN.fullmatch(identifier)
    if found is None:
        return identifier
    from emmet.core.mpid import AlphaID

    number = int(AlphaID(identifier))  # without the letters that only fill it up
    return str(AlphaID(number, prefix=found["prefix"]).string)


def shown(identifier: str) -> str:
    """Identifier as people know it: as it was given, unless only the database writes it so.

    A name of your own such as ``mp-neg`` is a number to the base 26 as well.

    Examples
    --------
    >>> shown("mp-neg"), shown("mp-aaaaaaft")
    ('mp-neg', 'mp-149')
    """
    identifier = identifier.strip()
    return normalized(identifier) if _FILLED_UP.fullmatch(identifier) else identifier


def spellings(identifier: str) -> list[str]:
    """All ways in which an identifier may be stored: as it is given, and as its database does.

    Examples
    --------
    >>> spellings("mp-149"), spellings("wbm-1-42")
    (['mp-149', 'mp-ft', 'mp-aaaaaaft'], ['wbm-1-42'])
    """
    identifier = identifier.strip()
    found = _WRITTEN.fullmatch(identifier)
    if found is None:
        return [identifier]
    from emmet.core.mpid import AlphaID

    number, prefix = int(AlphaID(identifier)), found["prefix"]
    padded = (str(AlphaID(number, prefix=prefix, padlen=length)) for length in (0, 8))
    return list(dict.fromkeys([identifier, normalized(identifier), *padded]))
