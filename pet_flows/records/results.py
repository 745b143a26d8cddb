"""Whether a result is as its property declares it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from pet_flows.properties.registry import properties


def check_result(property: str, result: dict[str, Any], *, complete: bool) -> None:
    """Validate a result against the model of its property.

    Parameters
    ----------
    property
        Name of the property. One that is not installed here can have no complete result.
    result
        Numbers and lists only.
    complete
        Whether every field must be there; what failed or did not converge may have some only,
        and what it has must still be right.

    Raises
    ------
    ValueError
        Names each field that is wrong.
    """
    declared = properties().get(property)
    if declared is None:
        if complete or result:
            raise ValueError(
                f"there is no property {property!r} here, only {', '.join(properties())}"
            )
        return
    try:
        declared.result.model_validate(result)
    except ValidationError as error:
        wrong = [e for e in error.errors() if complete or e["type"] != "missing"]
        if wrong:
            listed = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)
            raise ValueError(f"the result of {property} is not as documented: {listed}") from None
