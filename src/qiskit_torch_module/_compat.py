"""All that differs between the versions of Qiskit (0.44 through 2.x)."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult, StatevectorEstimator
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
except ImportError:  # before Qiskit 1.0
    BaseEstimatorV2 = object
    DataBin = PrimitiveResult = PubResult = StatevectorEstimator = EstimatorPub = None

try:
    from qiskit.primitives.containers import make_data_bin
except ImportError:  # before Qiskit 1.0, and from 1.1 on
    make_data_bin = None

try:
    from qiskit.primitives import EstimatorResult
except ImportError:  # Qiskit 2 has no V1 primitives
    EstimatorResult = None

try:
    from qiskit.quantum_info import SparseObservable
except ImportError:  # before Qiskit 1.3
    SparseObservable = None

try:
    from qiskit.circuit.library import DiagonalGate, HamiltonianGate, Initialize, UnitaryGate
except ImportError:  # before Qiskit 0.45
    from qiskit.extensions import HamiltonianGate, Initialize, UnitaryGate
    from qiskit.extensions.quantum_initializer.diagonal import DiagonalGate

try:
    from qiskit.circuit import BoxOp
except ImportError:  # before Qiskit 2.0
    BoxOp = ()

try:
    from qiskit.circuit import Store
except ImportError:  # before Qiskit 1.1
    Store = ()

from qiskit import __version__
from qiskit.circuit import (
    BreakLoopOp,
    CircuitInstruction,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    Instruction,
    Parameter,
    ParameterExpression,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.primitives.primitive_job import PrimitiveJob
from qiskit.providers import Options

# What depends on classical values.
CONTROL_FLOW = (BreakLoopOp, ContinueLoopOp, IfElseOp, SwitchCaseOp, WhileLoopOp, Store)

__all__ = [
    "CONTROL_FLOW",
    "BaseEstimatorV2",
    "BoxOp",
    "DiagonalGate",
    "EstimatorPub",
    "EstimatorResult",
    "ForLoopOp",
    "HamiltonianGate",
    "Initialize",
    "Options",
    "PrimitiveJob",
    "PubResult",
    "SparseObservable",
    "StatevectorEstimator",
    "UnitaryGate",
    "estimates",
    "expression_steps",
    "is_conditioned",
    "is_plain_gate",
    "primitive_result",
    "pub_metadata",
    "submitted",
]


def estimates(values: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]) -> Any:
    """The data of an estimator PUB's result (its class is made for each shape in Qiskit 1.0)."""
    if make_data_bin is not None:
        kinds = [("evs", np.ndarray), ("stds", np.ndarray)]
        return make_data_bin(kinds, shape=values.shape)(evs=values, stds=errors)
    return DataBin(evs=values, stds=errors, shape=values.shape)


def expression_steps(expression: Any) -> Iterator[tuple[str, int, Any]]:
    """A ``ParameterExpression`` in postfix order: steps (operation, number of operands, None) or ("leaf", 0, value).

    The value of a leaf is a ``Parameter`` or a number. Before Qiskit 2 expressions are those of symengine or SymPy;
    since then they are Qiskit's own and record how they were built.
    """
    symbols = getattr(expression, "_parameter_symbols", None)
    if symbols is None:
        yield from _replayed(expression)
    else:
        by_name = {parameter.name: parameter for parameter in expression.parameters}
        yield from _symbolic(expression._symbol_expr, by_name)


_SYMBOLIC_NAMES = {"Abs": "abs", "ASin": "asin", "ACos": "acos", "ATan": "atan"}


def _symbolic(node: Any, by_name: dict[str, Any]) -> Iterator[tuple[str, int, Any]]:
    if not node.args:
        name = getattr(node, "name", "")
        yield "leaf", 0, by_name.get(name, node)
        return
    name = type(node).__name__
    if not node.free_symbols:
        yield "leaf", 0, node
        return
    for argument in node.args:
        yield from _symbolic(argument, by_name)
    yield _SYMBOLIC_NAMES.get(name, name.lower()), len(node.args), None


# Operations of Qiskit 2 whose operands come in the other order.
_REVERSED = {"RSUB": "sub", "RDIV": "div", "RPOW": "pow"}
_BINARY = {"ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "POW": "pow"}
_UNARY = {"CONJ": "conjugate"}


def _replayed(expression: Any) -> list[tuple[str, int, Any]]:
    stack: list[list[tuple[str, int, Any]]] = []
    for step in expression._qpy_replay:
        operation = str(step.op).rpartition(".")[2]
        for operand in (step.lhs, step.rhs):
            if operand is not None:
                stack.append(_operand(operand))
        if operation in _REVERSED or operation in _BINARY:
            right, left = stack.pop(), stack.pop()
            if operation in _REVERSED:
                left, right = right, left
            name = _REVERSED.get(operation) or _BINARY[operation]
            stack.append([*left, *right, (name, 2, None)])
        else:
            stack.append([*stack.pop(), (_UNARY.get(operation, operation.lower()), 1, None)])
    if not stack:
        stack.append([("leaf", 0, next(iter(expression.parameters)))])
    return stack[-1]


def _operand(operand: Any) -> list[tuple[str, int, Any]]:
    if isinstance(operand, Parameter) or not isinstance(operand, ParameterExpression):
        return [("leaf", 0, operand)]
    return _replayed(operand)


_empty = Instruction("empty", 0, 0, [])
_CAN_BE_CONDITIONED = hasattr(_empty, "_condition") or hasattr(_empty, "condition")


def is_conditioned(operation: Any) -> bool:
    """Whether a gate depends on classical bits by ``c_if`` (gone in Qiskit 2, deprecated in 1.3)."""
    if not _CAN_BE_CONDITIONED:
        return False
    private = getattr(operation, "_condition", None)
    if private is not None or hasattr(operation, "_condition"):
        return private is not None
    return getattr(operation, "condition", None) is not None


def is_plain_gate(instruction: CircuitInstruction) -> bool:
    """Whether an instruction is a gate of Qiskit's library, unchanged, without controls that are open (Qiskit 2)."""
    return not _CAN_BE_CONDITIONED and instruction.is_standard_gate()


# What one finds in the results of Qiskit's own estimator.
_NAMES_CIRCUIT = tuple(map(int, __version__.split(".")[:2])) >= (1, 2)


def primitive_result(results: list[Any]) -> Any:
    """The result of a V2 call, with the metadata of this Qiskit's own estimator."""
    return PrimitiveResult(results, metadata={"version": 2} if _NAMES_CIRCUIT else None)


def pub_metadata(pub: Any) -> dict[str, Any]:
    """Metadata of an estimator PUB's result, as of this Qiskit's own estimator."""
    if _NAMES_CIRCUIT:
        return {"target_precision": pub.precision, "circuit_metadata": pub.circuit.metadata}
    return {"precision": pub.precision}


def submitted(function: Any, *arguments: Any, at_once: bool = False) -> Any:
    """A job, running in a thread of its own with the context (such as `compiler_passes`) of the caller.

    Args:
        function: What the job does.
        arguments: Arguments of the function.
        at_once: It takes less time than to start a thread: it is done when the job is there. Errors are raised by
            ``result()`` all the same.
    """
    job = PrimitiveJob(function, *arguments)
    if not at_once or not hasattr(job, "_future"):
        job = PrimitiveJob(contextvars.copy_context().run, function, *arguments)
        (job._submit if hasattr(job, "_submit") else job.submit)()  # private from Qiskit 1.0 on
        return job
    done: Future[Any] = Future()
    try:
        done.set_result(function(*arguments))
    except Exception as error:
        done.set_exception(error)
    job._future = done
    return job
