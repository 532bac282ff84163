"""Models in files of the older format, which hold the circuit in Qiskit's format QPY."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import qiskit
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from .module import QuantumModule

# A difference, quotient or power of a parameter or number and an expression, in formats 13 to 16 of QPY. What Qiskit
# wrote there is right; before 2.4 it reads the operands the wrong way round.
_MISREAD = re.compile(rb"[\x01\x03\x04][pfic].{16}n\0{16}", re.DOTALL)
_MISREAD_FORMATS = range(13, 17)
_MISREADS = tuple(map(int, qiskit.__version__.split(".")[:2])) < (2, 4)


def old_model(content: Mapping[str, Any], trusted: bool) -> QuantumModule:
    """The model of a file of the older format.

    Raises:
        ValueError: the file is not trusted.
        Exception: any, where the content is damaged.
    """
    if not trusted:
        raise ValueError(
            "it is of the older format, an archive of PyTorch with a circuit in QPY, which can make Qiskit run code "
            "(CVE-2025-2000) or take memory without limit; if you trust whoever wrote it, load(path, trusted=True) "
            "reads it, and saving it again makes a file that needs no trust"
        )
    if _MISREADS and content["circuit"][6] in _MISREAD_FORMATS and _MISREAD.search(content["circuit"]):
        raise ValueError(
            "an angle in it is a difference, quotient or power of an expression, which Qiskit before 2.4 reads the "
            f"wrong way round, if at all, and this is {qiskit.__version__}; read it with a later one and save it "
            "again: such a file is read by all"
        )
    from qiskit import qpy  # takes longer to import than this package, and warns of itself in Qiskit 0.45 and 0.46

    (circuit,) = qpy.load(io.BytesIO(content["circuit"]))
    parameters = list(circuit.parameters)

    def chosen(places: Sequence[int]) -> list[Parameter]:
        return [parameters[place] for place in places]

    model = QuantumModule(
        circuit,
        chosen(content["encoding"]) or None,
        [chosen(places) for places in content["variational"]] or None,
        content["names"] or None,
        observables=[_operator(strings, circuit) for strings in content["observables"]],
        num_threads_forward=content["num_threads"][0],
        num_threads_backward=content["num_threads"][1],
        encoding_gradients_flag=content["encoding_gradients_flag"],
    )
    model.load_state_dict(content["weights"], assign=True)
    return model


def _operator(strings: Sequence[tuple[str, Sequence[int], float]], circuit: QuantumCircuit) -> SparsePauliOp:
    terms = [(letters, list(qubits), coefficient) for letters, qubits, coefficient in strings]
    return SparsePauliOp.from_sparse_list(terms or [("", [], 0.0)], num_qubits=circuit.num_qubits)
