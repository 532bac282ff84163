"""Which parameter of the circuit is which variable: bound by identity, in the order the user gave."""

from __future__ import annotations

from collections.abc import Iterable, Reversible, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Parameter, ParameterVector

from .compat import is_plain_gate


def parameter_list(parameters: Iterable[Parameter] | None, argument: str) -> list[Parameter]:
    """The parameters of one set as a list; None is the empty one.

    Raises:
        TypeError: something in the set is not a Parameter, or they have no order.
    """
    if parameters is None:
        return []
    if isinstance(parameters, Parameter):
        parameters = [parameters]
    _refuse_unordered(parameters, argument)
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"{argument}: expected a sequence of qiskit Parameters, got {type(parameters).__name__} ({parameters!r})"
        )
    listed = list(parameters)
    for parameter in listed:
        if not isinstance(parameter, Parameter):
            is_nested = isinstance(parameter, (ParameterVector, list, tuple))
            remedy = "; give all of them in one sequence" if is_nested else ""
            raise TypeError(
                f"{argument}: expected qiskit Parameters, got {type(parameter).__name__} ({parameter!r}){remedy}"
            )
    return listed


def parameter_sets(parameters: Any, argument: str) -> list[list[Parameter]]:
    """Variational parameters as a list of sets: one ParameterVector or flat sequence is a single set."""
    if parameters is None:
        return []
    if isinstance(parameters, (Parameter, ParameterVector)):
        return [parameter_list(parameters, argument)]
    _refuse_unordered(parameters, argument)
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"{argument}: expected a sequence of qiskit Parameters, or of such sets, got {type(parameters).__name__} "
            f"({parameters!r})"
        )
    listed = list(parameters)
    if listed and all(isinstance(parameter, Parameter) for parameter in listed):
        return [listed]
    sets = []
    for index, given in enumerate(listed):
        if isinstance(given, Parameter) or not isinstance(given, Iterable):
            raise TypeError(
                f"{argument}: expected a sequence of parameters or a sequence of such sets, got a mixture of both"
                if isinstance(given, Parameter)
                else f"{argument}: expected qiskit Parameters, got {type(given).__name__} ({given!r})"
            )
        sets.append(parameter_list(given, f"{argument}[{index}]"))
        if not sets[-1]:
            raise ValueError(f"{argument}[{index}]: expected at least one parameter, got an empty set; leave it out")
    return sets


def _refuse_unordered(parameters: Any, argument: str) -> None:
    """Python orders a set of parameters anew in every process, and with it the meaning of values and columns.

    Views of a dict are sets, too, but have an order.
    """
    if isinstance(parameters, AbstractSet) and not isinstance(parameters, Reversible):
        raise TypeError(
            f"{argument}: expected an ordered sequence of parameters, got a {type(parameters).__name__}, whose order "
            "differs from run to run; pass a list, for example "
            "[p for p in circuit.parameters if p in the_set]"
        )


def variable_indices(
    circuit: QuantumCircuit,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]],
    others: Sequence[QuantumCircuit] = (),
) -> dict[Parameter, int]:
    """Variable index of every parameter: the encoding parameters first, then the variational sets.

    Args:
        circuit: Whose parameters all have to be listed.
        encoding: Listed first.
        variational: Listed next.
        others: Other circuits that may use what is listed.

    Raises:
        ValueError: a parameter is listed twice, is not in the circuit, or one of the circuit is not listed.
    """
    listed = [*encoding, *(parameter for parameters in variational for parameter in parameters)]
    indices: dict[Parameter, int] = {}
    for index, parameter in enumerate(listed):
        if parameter in indices:
            raise ValueError(
                f"parameter '{parameter.name}' is listed twice; list every parameter once, as encoding or variational"
            )
        indices[parameter] = index
    present = set(circuit.parameters)
    used = present.union(*(other.parameters for other in others))
    unused = [parameter.name for parameter in listed if parameter not in used]
    if unused:
        raise ValueError(
            f"parameters not in the circuit: {quoted(unused)}; pass the very Parameter objects that the circuit was "
            "built from (a new Parameter of the same name is another one), and leave out those it does not use"
        )
    missing = present - set(indices)
    unlisted = missing - loop_parameters(circuit) if missing else set()
    names = [parameter.name for parameter in circuit.parameters if parameter in unlisted]  # elements by their index
    if names:
        raise ValueError(
            f"parameters of the circuit in neither encoding_params nor variational_params: {quoted(names)}; "
            "list them, or bind them with circuit.assign_parameters"
        )
    return indices


def loop_parameters(circuit: QuantumCircuit) -> set[Parameter]:
    """Parameters that loops give their values; some versions of Qiskit count them among those of the circuit.

    Asked before anything is read: no walk, which would repeat the loops and refuse what cannot be read.
    """
    parameters: set[Parameter] = set()
    unread = [circuit]
    while unread:
        for instruction in unread.pop().data:
            if not is_plain_gate(instruction) and isinstance(instruction.operation, ControlFlowOp):
                unread += instruction.operation.blocks
                parameters.update(param for param in instruction.operation.params if isinstance(param, Parameter))
    return parameters


def quoted(names: Sequence[str]) -> str:
    """Names as errors list them: the first few."""
    shown = ", ".join(f"'{name}'" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
