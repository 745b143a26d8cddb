"""Whether a database is there, knows its user, and lets that one do what is asked."""

from __future__ import annotations

import re
from typing import Any

import pymongo
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from pet_flows.errors import PetFlowsError
from pet_flows.store.patience import ServerAwayError, SlowServerError, brief

#: s to find a server that is there
TIMEOUT = 10.0
#: codes of MongoDB: the user may not do that, user or password are wrong; Atlas has one for both
_NO_RIGHT, _WRONG_USER, _ATLAS = 13, 18, 8000
#: what is said to somebody who gave no name at all
_NOBODY = re.compile(r"requires authentication|without authentication|not logged in", re.IGNORECASE)
#: what systems say where no server listens, or of a name that nobody has
_NOBODY_THERE = re.compile(
    r"refused|not known|no address|name resolution|unreachable|no route", re.IGNORECASE
)


class AccessError(ServerAwayError):
    """A database does not let its user in, or not do what was asked; the job is not at fault."""


def check_server(client: Any, named_in: str, database: str, collection: str) -> None:
    """Ask a MongoDB whether it is there, and lets this user read.

    Parameters
    ----------
    client
        Of pymongo.
    named_in
        File in which to correct the address.
    database, collection
        What will be read. A server answers anybody's ping, whoever may read nothing included.

    Raises
    ------
    ServerAwayError
        It does not answer within 10 s; a SlowServerError, if only that is known.
    AccessError
        It refuses the user.
    """
    try:
        with pymongo.timeout(TIMEOUT):
            client[database][collection].find_one({}, {"_id": 1})
    except (PyMongoError, ConfigurationError) as error:
        if is_refusal(error):
            raise refused(error, named_in) from None
        if error.timeout and not _NOBODY_THERE.search(str(error)):
            raise SlowServerError(
                f"The MongoDB named in {named_in} does not answer within {TIMEOUT:g} s "
                f"({brief(error)}); wait until it has less to do, or correct host and port there."
            ) from None
        raise ServerAwayError(
            f"The MongoDB named in {named_in} does not answer ({brief(error)}); start it, or "
            "correct host and port there."
        ) from None


def is_refusal(error: BaseException) -> bool:
    """Whether a database refused a user, and not a command."""
    return isinstance(error, OperationFailure) and error.code in (_NO_RIGHT, _WRONG_USER, _ATLAS)


def refused(
    error: PyMongoError, named_in: str = "jobflow.yaml or my_launchpad.yaml"
) -> AccessError:
    """Say what a user lacks: a name, the right password, or a right.

    Parameters
    ----------
    error
        For which `is_refusal` holds.
    named_in
        File in which to correct the user.
    """
    said = brief(error)
    if getattr(error, "code", None) != _NO_RIGHT:
        return AccessError(
            f"The MongoDB named in {named_in} does not know this user with this password ({said}): "
            "correct user, password and authentication database there."
        )
    if _NOBODY.search(said):
        return AccessError(
            f"The MongoDB named in {named_in} answers only users that it knows ({said}): give user "
            "and password there."
        )
    return AccessError(
        f"The MongoDB named in {named_in} does not let this user do that ({said}): ask for the "
        "role readWrite on the database, or name another user there."
    )


def said_of(error: PyMongoError) -> PetFlowsError:
    """Give the sentence for what a database said where nobody knew better what to do about it.

    Raises
    ------
    PyMongoError
        The same, where it says nothing about the server or its user: that is our mistake.
    """
    if is_refusal(error):
        return refused(error)
    if isinstance(error, AutoReconnect | ServerSelectionTimeoutError):
        return ServerAwayError(
            f"MongoDB does not answer any more ({type(error).__name__}: {brief(error)}); start the "
            "server, then run the same again: what was stored is kept."
        )
    raise error
