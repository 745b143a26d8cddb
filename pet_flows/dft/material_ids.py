"""One spelling for the identifier of a material, however a database writes it."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(?P<prefix>mp|mvc)-([a-z]+|\d+)")


def normalized(identifier: str) -> str:
    """Write an identifier as its database first did; those of others stay as they are.

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
