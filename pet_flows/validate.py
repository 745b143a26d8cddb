"""Values → a validated model, or one sentence that names what to change."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from pet_flows.errors import PetFlowsError

#: path of a value inside of a model, as pydantic gives it
Place = Sequence[str | int]

#: what pydantic's kinds of error say of a value; the braces take their contexts
_MUST = {
    "greater_than": "be greater than {gt:g}",
    "greater_than_equal": "be at least {ge:g}",
    "less_than": "be less than {lt:g}",
    "less_than_equal": "be at most {le:g}",
    "finite_number": "be a finite number",
    "literal_error": "be {expected}",
    "bool_type": "be true or false",
    "bool_parsing": "be true or false",
    "int_type": "be a whole number",
    "int_parsing": "be a whole number",
    "int_from_float": "be a whole number",
    "int_parsing_size": "be a smaller number",
    "float_type": "be a number",
    "float_parsing": "be a number",
    "string_type": "be text",
    "tuple_type": "be a list",
    "list_type": "be a list",
    "dict_type": "be names with values",
    "model_type": "be names with values",
    "model_attributes_type": "be names with values",
    "path_type": "be the path of a file or folder",
    "too_short": "have at least {min_length} entries",
    "too_long": "have at most {max_length} entries",
}
#: steps of a place that pydantic adds and no user wrote
_INSIDE = ("function-before", "function-after", "nullable", "tagged-union")


def validated[Model: BaseModel](
    model: type[Model], values: Mapping[str, Any], where: Callable[[Place], str] = lambda place: ""
) -> Model:
    """Model of the values.

    Parameters
    ----------
    model
        What the values must fit.
    values
        As a user gave them.
    where
        Place of a wrong value → beginning of the sentence (``"line 7 of oxides.yaml: "``).

    Raises
    ------
    PetFlowsError
        Says which value is wrong, how it must be, and what it was; a misspelt name gets the
        nearest known one.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise PetFlowsError(sentence(error, model, where)) from None


def sentence(error: ValidationError, model: type[BaseModel], where: Callable[[Place], str]) -> str:
    """Say what is wrong with the values of a model, as `validated` does."""
    # a name that does not exist explains more than what follows from it
    found = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
    place = [p for p in found["loc"] if not (isinstance(p, str) and p.startswith(_INSIDE))]
    name = _named(place)
    if found["type"] == "extra_forbidden":
        return unknown(str(place[-1]), names_at(model, place[:-1]), "setting", where(place))
    if found["type"] == "missing":
        return f"{where(place)}{name} is missing: give it a value."
    if found["type"] == "value_error":
        said = str(found["ctx"]["error"])
        return f"{where(place)}{said}{'' if said.endswith('.') else '.'}"
    must = _MUST.get(found["type"])
    context = found.get("ctx", {})
    how = must.format(**context) if must else f"be valid: {str(found['msg']).lower()}"
    return f"{where(place)}{name} must {how} (got {_shown(found['input'])})."


def unknown(name: str, known: Sequence[str], kind: str, where: str = "") -> str:
    """Sentence about a name that does not exist, with the nearest one or all there are.

    >>> unknown("temprature", ["temperature", "steps"], "setting")
    "There is no setting 'temprature': did you mean 'temperature'?"
    """
    said = f"{where}{'there' if where else 'There'} is no {kind} {name!r}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"{said}: did you mean {near[0]!r}?"
    if not known:
        return f"{said}: leave it out."
    return f"{said}: choose from {', '.join(known)}."


def names_at(model: type[BaseModel], place: Place) -> list[str]:
    """Names of the fields at a place inside of a model; none where there is no model."""
    found: Any = model
    for step in place:
        if isinstance(step, int):
            continue
        field = getattr(found, "model_fields", {}).get(step)
        if field is None:
            return []
        found = inner_model(field.annotation)
    return list(getattr(found, "model_fields", {}))


def inner_model(annotation: Any) -> Any:
    """The model in ``Model | None``, ``list[Model]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := inner_model(part)) is not None:
            return found
    return None


def _named(place: Place) -> str:
    """The last name on the way (where that is says `where`), and the number in its list."""
    last = max((n for n, step in enumerate(place) if isinstance(step, str)), default=0)
    numbers = [f"entry {int(n) + 1} of " for n in reversed(place[last + 1 :])]
    return "".join([*numbers, *map(str, place[last : last + 1])])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
