"""The errors a user can cause, and the reasons that failed records have."""

from __future__ import annotations


class PetFlowsError(Exception):
    """A mistake that one sentence can explain: what is wrong, where, and what to do.

    The command line prints the message alone; nothing else is caught and shortened.
    """


class StructureError(PetFlowsError):
    """One structure cannot be computed; the rest of its batch can.

    Parameters
    ----------
    reason
        Short code stored in the record's ``reason``, such as ``unknown_element``.
    message
        The sentence for a person.
    retryable
        Whether the same input may succeed another time (out of memory, device error).
    """

    def __init__(self, reason: str, message: str, *, retryable: bool = False):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
