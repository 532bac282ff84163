"""A compiled circuit as text, for files and exported graphs: read without running code, and refused where it is wrong.

What a text holds stands in `fields`, what its parts have to do with each other in `soundness`.
"""

from __future__ import annotations

import json
from typing import Any

from .._core.strict_json import parsed_json
from .._program.output import ExpectationValues, Output, State
from .._program.program import Program
from .fields import EVOLUTION, OBSERVABLES, NamedOutput
from .kinds import MAX_STEPS, VERSION, Integer, Source
from .soundness import require_sound

_FORMAT = "qiskit-torch-module program"
# How the fields of observables begin, beside those of the evolution; the field of another output.
_OBSERVABLE, _OTHER = "observable_", "output"


def to_text(program: Program) -> str:
    """A program as text (ASCII), which `from_text` reads in any later release.

    Raises:
        ValueError: the program holds something that cannot be written, such as a number that is not finite.
    """
    content = {"format": _FORMAT, "version": VERSION, "program": _written_program(program)}
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> Program:
    """The program that `to_text` wrote: no code is run, and memory is bounded by the length of the text.

    Raises:
        ValueError: the text is damaged, no program, or from a newer version; the message says where and what.
    """
    try:
        content = parsed_json(text)
        program = _read_program(_program_in(content), Source(content["version"], MAX_STEPS + len(text)))
        require_sound(program, len(text))
    except ValueError as error:
        raise ValueError(f"compiled program as text: {error}") from error
    return program


def _program_in(content: Any) -> Any:
    """The program that is named by format and version of a text."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"expected the format '{_FORMAT}'")
    version = Integer(1, 1 << 30).read(content.get("version"), "version", Source())
    if version > VERSION:
        raise ValueError(
            f"it has version {version}, this release reads versions up to {VERSION}; update qiskit-torch-module"
        )
    if content.keys() != {"format", "version", "program"}:
        raise ValueError(f"expected format, version and program, got {sorted(content)}")
    return content["program"]


def _written_program(program: Program) -> dict[str, Any]:
    """The fields of its evolution, and those of its observables under names of their own.

    No observables: it reads the state, or another output, which is then there by itself.
    """
    output = program.output if isinstance(program.output, ExpectationValues) else ExpectationValues.none()
    renamed = {_OBSERVABLE + name: written for name, written in OBSERVABLES.write(output).items()}
    content = {**EVOLUTION.write(program.evolution), **renamed}
    if isinstance(program.output, Output) and not isinstance(program.output, State):
        content[_OTHER] = written_output(program.output)
    return content


def _read_program(plain: Any, source: Source) -> Program:
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, value in plain.items() if isinstance(plain, dict) else ():
        parts[name.startswith(_OBSERVABLE)][name.removeprefix(_OBSERVABLE)] = value
    other = parts[0].pop(_OTHER, None)
    evolution = EVOLUTION.read(parts[0], "program", source)
    output = OBSERVABLES.read(parts[1], "program", source)
    if other is None:
        return Program(evolution, output if output.constants else State())
    if output.constants:
        raise ValueError("program: expected observables or another output, got both")
    return Program(evolution, NamedOutput().read(other, f"program.{_OTHER}", source))


def written_output(output: Output) -> list[Any]:
    """An output as plain data.

    Raises:
        ValueError: it is none of this package.
    """
    return NamedOutput().write(output)


def read_output(plain: Any) -> Output:
    """The output that `written_output` wrote.

    Raises:
        ValueError: it is damaged.
    """
    return NamedOutput().read(plain, "output", Source())
