"""Models in files: circuit, observables, order of parameters and weights in one, read without running any code."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from ._checkpoint import read_checkpoint, write_checkpoint
from ._observables import pauli_sums
from .module import QuantumModule

_KIND = "quantum module"


def save(model: QuantumModule, path: str | Path) -> None:
    """Writes a model to one file: its circuit (QPY), observables, order of parameters, weights and settings.

    The file appears whole or not at all: a kill in the middle leaves an older one as it was.

    Raises:
        TypeError: not a `QuantumModule`; for models that hold one among other layers use ``state_dict``.
    """
    if not isinstance(model, QuantumModule):
        raise TypeError(
            f"model: expected a QuantumModule, got {type(model).__name__}; save its state_dict() with torch.save, and "
            "each QuantumModule inside it with this function"
        )
    buffer = io.BytesIO()
    qpy.dump(model.circuit, buffer)
    # Parameters are told by their place in circuit.parameters, whose order is the same wherever the circuit is read.
    place = {parameter: index for index, parameter in enumerate(model.circuit.parameters)}
    sums = pauli_sums(model.observables, model.circuit.num_qubits)
    write_checkpoint(
        Path(path),
        _KIND,
        {
            "circuit": buffer.getvalue(),
            "observables": [[(one.letters, one.qubits, one.coefficient) for one in strings] for strings in sums],
            "encoding": [place[parameter] for parameter in model.encoding_parameters],
            "variational": [[place[parameter] for parameter in one] for one in model.variational_parameters],
            "names": list(model.variational_names),
            "weights": model.state_dict(),
            "encoding_gradients_flag": model.encoding_gradients_flag,
            "num_threads": (model.num_threads_forward, model.num_threads_backward),
        },
    )


def load(path: str | Path) -> QuantumModule:
    """The model that `save` wrote, on the CPU, with the dtype it had.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or from a newer version.
    """
    content = read_checkpoint(Path(path), _KIND)
    try:
        return _model(content)
    except Exception as error:  # foreign content can fail in any way
        raise ValueError(f"{path} is damaged: its content does not make a model ({error})") from error


def _model(content: dict[str, Any]) -> QuantumModule:
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
    dtypes = {one.dtype for one in content["weights"].values()}
    if dtypes:
        model = model.to(dtypes.pop())
    model.load_state_dict(content["weights"])
    return model


def _operator(strings: Sequence[tuple[str, Sequence[int], float]], circuit: QuantumCircuit) -> SparsePauliOp:
    terms = [(letters, list(qubits), coefficient) for letters, qubits, coefficient in strings]
    return SparsePauliOp.from_sparse_list(terms or [("", [], 0.0)], num_qubits=circuit.num_qubits)
