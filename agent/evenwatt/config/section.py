"""What every section of the configuration is, and which keys it knows."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

__all__ = ["KeyPath", "Section", "WhereWritten", "section_at"]

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top of the file."""


class Section(BaseModel):
    """Keys that stand together in the file; it never changes, and it takes no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {
            key: value for key, value in values.items() if value is not None or key not in cls.model_fields
        }


class WhereWritten:
    """Marks a section whose validator is built when a file has it: most have few, and each takes time."""

    def __get_pydantic_core_schema__(
        self, source: type[Section], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return a schema that asks the section for its own when it is given a value."""
        del handler
        return core_schema.no_info_plain_validator_function(source.model_validate)


def section_at(top: type[Section], path: KeyPath) -> type[Section]:
    """Return the innermost section on the way from `top` along a path.

    Steps that are no key, such as the index of a list or a name that the user chose, lead nowhere else.
    """
    section = top
    for step in path:
        field = section.model_fields.get(str(step))
        section = next(_sections_in(field.annotation), section) if field else section
    return section


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)
