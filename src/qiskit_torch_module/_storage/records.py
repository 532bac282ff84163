"""Objects as plain data: what each of their fields holds, and since which version of the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .kinds import Kind, Source, listed, shown


@dataclass(frozen=True)
class Field:
    """What a field holds, and the version of the format that brought it; older texts give it its default."""

    kind: Kind
    since: int = 1


@dataclass(frozen=True)
class Record:
    """An object of a class.

    Attributes:
        record: The class.
        fields: Of the class, as its constructor calls them.
        is_named: Fields stand by name, as where there is one such object; else in a row, as where there are many.
    """

    record: type
    fields: Mapping[str, Field]
    is_named: bool = False

    def write(self, value: Any) -> Any:
        if type(value) is not self.record:
            raise ValueError(f"expected a {self.record.__name__}, got {type(value).__name__}")
        written = {name: field.kind.write(getattr(value, name)) for name, field in self.fields.items()}
        return written if self.is_named else list(written.values())

    def read(self, plain: Any, where: str, source: Source) -> Any:
        known = {name: field for name, field in self.fields.items() if field.since <= source.version}
        if not self.is_named:
            row = listed(plain, where)
            plain = dict(zip(known, row, strict=True)) if len(row) == len(known) else row
        if not isinstance(plain, dict) or plain.keys() != known.keys():
            raise ValueError(f"{where}: expected {', '.join(known)}, got {shown(plain)}")
        return self.record(
            **{name: field.kind.read(plain[name], f"{where}.{name}", source) for name, field in known.items()}
        )
