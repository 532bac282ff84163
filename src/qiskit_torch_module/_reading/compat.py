"""All that differs between the versions of Qiskit (0.44 through 2.x)."""

from __future__ import annotations

import contextvars
import warnings
from concurrent.futures import Future
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

try:
    from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult, StatevectorEstimator
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
except ImportError:  # before Qiskit 1.0
    BaseEstimatorV2 = object
    DataBin = PrimitiveResult = PubResult = StatevectorEstimator = EstimatorPub = None

try:
    from qiskit.primitives import BackendEstimatorV2
except ImportError:  # before Qiskit 1.1
    BackendEstimatorV2 = ()

try:
    from qiskit.primitives import BackendEstimator
except ImportError:  # Qiskit 2 has no V1 primitives
    BackendEstimator = ()

try:
    from qiskit.primitives import BaseSamplerV2, BitArray, StatevectorSampler
    from qiskit.primitives.containers.sampler_pub import SamplerPub
except ImportError:  # before Qiskit 1.0
    BaseSamplerV2 = BitArray = object
    StatevectorSampler = SamplerPub = None

try:
    from qiskit.primitives import SamplerPubResult
except ImportError:  # before Qiskit 1.1
    SamplerPubResult = PubResult or object

try:
    from qiskit.primitives.containers import make_data_bin
except ImportError:  # before Qiskit 1.0; in 1.0 it makes a class for each shape, later it gives DataBin itself
    make_data_bin = None

try:
    from qiskit.primitives import BaseEstimator as BaseEstimatorV1
    from qiskit.primitives import Estimator, EstimatorResult
except ImportError:  # Qiskit 2 has no V1 primitives
    BaseEstimatorV1 = Estimator = EstimatorResult = None

try:
    from qiskit.primitives import BaseSampler as BaseSamplerV1
    from qiskit.primitives import Sampler, SamplerResult
except ImportError:  # Qiskit 2 has no V1 primitives
    BaseSamplerV1 = Sampler = SamplerResult = None

try:
    from qiskit.quantum_info import SparseObservable
except ImportError:  # before Qiskit 1.3
    SparseObservable = None

try:
    from qiskit.circuit.library import DiagonalGate, HamiltonianGate, Initialize, Isometry, UnitaryGate
except ImportError:  # before Qiskit 0.45
    from qiskit.extensions import HamiltonianGate, Initialize, UnitaryGate
    from qiskit.extensions.quantum_initializer.diagonal import DiagonalGate
    from qiskit.extensions.quantum_initializer.isometry import Isometry

try:
    from qiskit.circuit.library import GlobalPhaseGate
except ImportError:  # before Qiskit 0.45
    GlobalPhaseGate = ()

try:
    from qiskit.circuit import AnnotatedOperation, ControlModifier, InverseModifier, PowerModifier
except ImportError:  # before Qiskit 1.0
    AnnotatedOperation = ControlModifier = InverseModifier = PowerModifier = ()

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
from qiskit.circuit.parametervector import ParameterVector, ParameterVectorElement
from qiskit.primitives.primitive_job import PrimitiveJob
from qiskit.providers import Options

# They draw shots, also where exact values are asked for.
BACKEND_ESTIMATORS = tuple([one for one in (BackendEstimator, BackendEstimatorV2) if one])

# What depends on classical values.
CONTROL_FLOW = (BreakLoopOp, ContinueLoopOp, IfElseOp, SwitchCaseOp, WhileLoopOp, Store)

__all__ = [
    "BACKEND_ESTIMATORS",
    "CONTROL_FLOW",
    "KEEPS_RECORDS",
    "AnnotatedOperation",
    "BaseEstimatorV1",
    "BaseEstimatorV2",
    "BaseSamplerV1",
    "BaseSamplerV2",
    "BitArray",
    "BoxOp",
    "ControlModifier",
    "DiagonalGate",
    "EstimatorPub",
    "EstimatorResult",
    "ForLoopOp",
    "GlobalPhaseGate",
    "HamiltonianGate",
    "Initialize",
    "InverseModifier",
    "Isometry",
    "Options",
    "ParameterVectorElement",
    "PowerModifier",
    "PrimitiveJob",
    "PubResult",
    "Sampler",
    "SamplerPub",
    "SamplerPubResult",
    "SamplerResult",
    "SparseObservable",
    "StatevectorEstimator",
    "StatevectorSampler",
    "UnitaryGate",
    "data_bin",
    "drawn_triples",
    "estimates",
    "final_places",
    "identified_parameter",
    "identified_vector",
    "identity_of",
    "is_conditioned",
    "is_plain_gate",
    "num_parameters",
    "primitive_result",
    "pub_metadata",
    "recorded_steps",
    "sampler_metadata",
    "submitted",
    "symbolic_expression",
]


def estimates(values: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]) -> Any:
    """The data of an estimator PUB's result."""
    return data_bin(values.shape, {"evs": values, "stds": errors})


def data_bin(shape: tuple[int, ...], fields: dict[str, Any]) -> Any:
    """The data of a PUB's result."""
    if make_data_bin is not None:
        made = make_data_bin([(name, type(value)) for name, value in fields.items()], shape=shape)
        if made is not DataBin:
            return made(**fields)
    return DataBin(**fields, shape=shape)


def symbolic_expression(expression: Any) -> Any:
    """The expression of symengine or SymPy that Qiskit before 2.1 keeps; None: it keeps none."""
    symbols = getattr(expression, "_symbol_expr", None)
    return symbols if hasattr(symbols, "args") else None


def num_parameters(expression: Any) -> int:
    """Number of parameters of a ``ParameterExpression`` (fast in newer versions)."""
    return expression.num_parameters if _TELLS_NUMBER else len(expression.parameters)


# Qiskit 2.1 keeps its records as a list; since then they are made anew each time, in quadratic time.
KEEPS_RECORDS = hasattr(Parameter("x"), "_symbol_expr")

_TELLS_NUMBER = hasattr(ParameterExpression, "num_parameters")

_REVERSED = {"RSUB": "sub", "RDIV": "div", "RPOW": "pow"}  # their operands come in the other order
_BINARY = {"ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "POW": "pow", **_REVERSED}
_UNARY = {"CONJ": "conjugate"}


def recorded_steps(expression: Any, places: dict[Parameter, int]) -> list[tuple[str, Any]]:
    """How Qiskit 2 records that an expression was built, in postfix order.

    Steps are ("variable", place of a parameter), ("number", value) and (operation, number of operands).

    Args:
        expression: A ``ParameterExpression``.
        places: Where every parameter met so far stands; takes more of them.

    Raises:
        Exception: any, where the record is not as expected. What it says is to be checked in any case: where it is
            empty, it may stand for a parameter or for a number.
    """
    stack: list[list[tuple[str, Any]]] = []
    for step in expression._qpy_replay:
        name = _name_of(step.op)
        left, right = step.lhs, step.rhs
        binary = _BINARY.get(name)
        if binary is None:
            operand = stack.pop() if left is None else _operand(left, places)
            operand.append((_UNARY.get(name) or name.lower(), 1))
            stack.append(operand)
            continue
        # An operand that is not recorded is the last result.
        second = stack.pop() if right is None else _operand(right, places)
        first = stack.pop() if left is None else _operand(left, places)
        if name in _REVERSED:
            first, second = second, first
        first += second
        first.append((binary, 2))
        stack.append(first)
    if not stack:
        (parameter,) = expression.parameters
        return _operand(parameter, places)
    (steps,) = stack
    return steps


@lru_cache(maxsize=64)
def _name_of(operation: Any) -> str:
    return getattr(operation, "name", None) or str(operation).rpartition(".")[2]


def _operand(operand: Any, places: dict[Parameter, int]) -> list[tuple[str, Any]]:
    if isinstance(operand, Parameter):
        return [("variable", places.setdefault(operand, len(places)))]
    return recorded_steps(operand, places) if isinstance(operand, ParameterExpression) else [("number", operand)]


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


# What is in the results of Qiskit's own estimator.
_NAMES_CIRCUIT = tuple(map(int, __version__.split(".")[:2])) >= (1, 2)


def primitive_result(results: list[Any]) -> Any:
    """The result of a V2 call, with the metadata of this Qiskit's own estimator."""
    return PrimitiveResult(results, metadata={"version": 2} if _NAMES_CIRCUIT else None)


def pub_metadata(pub: Any) -> dict[str, Any]:
    """Metadata of an estimator PUB's result, as of this Qiskit's own estimator."""
    if _NAMES_CIRCUIT:
        return {"target_precision": pub.precision, "circuit_metadata": pub.circuit.metadata}
    return {"precision": pub.precision}


def sampler_metadata(pub: Any) -> dict[str, Any]:
    """Metadata of a sampler PUB's result, as of this Qiskit's own sampler."""
    return {"shots": pub.shots, **({"circuit_metadata": pub.circuit.metadata} if _NAMES_CIRCUIT else {})}


def drawn_triples(circuits: Any, observables: Any, rows: Any, shots: Any, seed: Any) -> Any:
    """The result of a V1 call by Qiskit's own estimator, which draws what is random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of V1 itself, from Qiskit 1.2 on
        stochastic = Estimator(options={"shots": shots, "seed": seed})
        return stochastic.run(circuits, observables, rows).result()


def submitted(function: Any, *arguments: Any, at_once: bool = False) -> Any:
    """A job, running in a thread of its own with the context (such as `compiler_passes`) of the caller.

    Args:
        function: What the job does.
        arguments: Arguments of the function.
        at_once: It takes less time than starting a thread, and runs before the job is returned. Errors are raised by
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


def identity_of(parameter: Any) -> UUID:
    """What tells a parameter from others of its name (public since Qiskit 0.45)."""
    identity: UUID = getattr(parameter, "uuid", None) or parameter._uuid
    return identity


def identified_parameter(name: str, identity: UUID) -> Parameter:
    """A parameter that equals another one of that name and identity."""
    try:
        return Parameter(name, uuid=identity)
    except TypeError:  # before Qiskit 0.45
        parameter = Parameter.__new__(Parameter, name, uuid=identity)
        parameter.__init__(name)
        return parameter


def identified_vector(name: str, length: int, root: UUID) -> ParameterVector:
    """A vector whose elements equal those of another one: their identities follow that of its root."""
    try:
        return ParameterVector(name, length, uuid=root)
    except TypeError:  # before Qiskit 2.1
        vector = ParameterVector(name, length)
        vector._root_uuid = root
        vector._params[:] = [_element(vector, index, UUID(int=root.int + index)) for index in range(length)]
        return vector


def _element(vector: ParameterVector, index: int, identity: UUID) -> ParameterVectorElement:
    element = ParameterVectorElement.__new__(ParameterVectorElement, vector, index, uuid=identity)
    element.__init__(vector, index, uuid=identity)
    return element


def final_places(circuit: Any, num_qubits: int) -> list[int] | None:
    """Where each of the qubits of a circuit is at the end of what was made of it; None: it has no layout."""
    layout = circuit.layout
    if layout is None:
        return None
    if hasattr(layout, "final_index_layout"):
        return list(layout.final_index_layout(filter_ancillas=True))
    # Before Qiskit 0.45: where it starts, then where routing has moved that.
    bits = {place: bit for bit, place in layout.input_qubit_mapping.items()}
    places = [layout.initial_layout[bits[number]] for number in range(num_qubits)]
    return places if layout.final_layout is None else [layout.final_layout[circuit.qubits[at]] for at in places]
