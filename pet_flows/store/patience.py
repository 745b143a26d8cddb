"""Waiting for a database that is away for a while."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import wraps

from pymongo.errors import AutoReconnect, InvalidURI, ServerSelectionTimeoutError

from pet_flows.errors import PetFlowsError
from pet_flows.settings import get_settings

logger = logging.getLogger(__name__)

#: s between attempts: first, and at most
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
#: a secret setting: its name with what stands before its value, and that up to its closing quote,
#: which may be written twice or escaped within; without one up to the end of the line, or of the
#: indented lines that follow > or |
_SECRET = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|token|api_?key)\w*[\"']?\s*[:=]\s*)"
    r"(?:([\"'])(?:\\.|\2\2|(?!\2).)*+\2"
    r"|[|>][-+\d]*[ \t\r]*(?:#[^\n]*)?(?:\n(?:[ \t][^\n]*)?(?=\n|\Z))+"
    r"|[^\n]+)",
    re.IGNORECASE | re.DOTALL,
)


class ServerAwayError(PetFlowsError):
    """A database does not answer: it says nothing about the job that needed it."""


class SlowServerError(ServerAwayError):
    """A database is where it should be, or nobody says that it is not, and takes too long."""


def patient[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Repeat an idempotent function while the server restarts or the network is away.

    A result that took an hour is kept although the database was restarted. What is decorated
    must do no harm when it is done twice: the first attempt may have arrived.

    Raises
    ------
    ServerAwayError
        The server stayed away for ``reconnect_seconds`` of the settings.
    """

    @wraps(function)
    def persistent(*args: P.args, **kwargs: P.kwargs) -> T:
        patience = get_settings().reconnect_seconds
        deadline, pause = time.monotonic() + patience, _FIRST_PAUSE
        while True:
            try:
                return function(*args, **kwargs)
            except (AutoReconnect, ServerSelectionTimeoutError) as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ServerAwayError(
                        f"MongoDB has not answered for {patience:.0f} s ({brief(error)}); start "
                        "the server, then run the same again: what was stored is kept."
                    ) from None
                logger.warning("MongoDB does not answer (%s); trying again", brief(error))
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)

    return persistent


def brief(error: Exception) -> str:
    """First part of an error's message, without passwords; pymongo's would fill a screen."""
    if isinstance(error, InvalidURI):  # which quotes what it took for host or database
        return "the address cannot be read: escape user and password in it, @ as %40 and / as %2F"
    said = str(error)
    for rest in (" (configured timeouts", ", Timeout:", ", full error:"):
        said = said.partition(rest)[0]
    said = re.sub(r"(to execute command) \{ (\w+).*", r"\1 \2", said, flags=re.DOTALL)
    return " ".join(without_secrets(said).split()).rstrip(".")[:200] or "it does not say why"


def without_secrets(text: str) -> str:
    """Text with stars for users and passwords of addresses, and for values of secret settings."""
    # a password may hold whatever separates the parts of an address, if it was not escaped
    return _SECRET.sub(r"\1***", re.sub(r"://[^\n]*@", "://***@", text))
