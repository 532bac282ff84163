"""Models in files: a file holds exactly what was saved, or is not written; reading it runs no code."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import MOST_THREADS, flag
from .._differentiation.autograd import values as values_of
from .._program.compile import compile_program
from .._program.passes import compiler_passes
from .._program.program import Program
from .._reading.identities import read_parameters, written_parameters
from .._reading.measurements import read_measurements, without_measurements, written_measurements
from .._simulation.choose import AUTO, known, method_of
from .._simulation.columns import with_derived_columns
from .._simulation.native import Native
from .._storage.blueprint import SavedCircuit, blueprint, circuit_of
from .._storage.checkpoint import read_checkpoint, write_checkpoint
from .._storage.container import encoded
from .._storage.kinds import WIDEST
from .._storage.old_files import is_old
from .._storage.portable import from_text, to_text
from ..outputs.columns import as_output
from ..outputs.trainable import taken_apart
from .module import QuantumModule
from .old_models import old_model
from .written import read_observables, require_fit, written_initial, written_observables

_KIND = "quantum module"
_FIELDS = {
    *("program", "circuit", "why_no_circuit", "num_qubits", "observables", "vectors", "parameters"),
    *("names", "sizes", "initials", "trainable", "weights", "like", "encoding_gradients_flag", "num_threads"),
    "method",
    "measurements",
}
_LATER = {"method", "measurements"}  # not there before version 2.1; the second only if there are any
# With more qubits, circuits that compile to other rotations are not compared by their values.
_MOST_COMPARED_QUBITS = 22
_REMEDY = "save its state_dict() with torch.save"

# A circuit never changes: what was checked stays checked.
_blueprints: WeakKeyDictionary[QuantumModule, tuple[dict[str, Any] | None, str]] = WeakKeyDictionary()


def save(model: QuantumModule, path: str | Path) -> None:
    """Writes a model to one file: compiled program, circuit, observables, order of parameters, weights and settings.

    The file is read back before it takes the place of an older one, which stays whole until then: a kill, a full disk
    or something that cannot be written leave it as it was. Mode, owner and symbolic links stay as they are.

    Hooks and initializers that are functions are not saved; `reset_parameters` then starts a loaded model with
    "uniform".

    Args:
        model: A `QuantumModule`, on any device.
        path: The file; folders above it are made.

    Raises:
        TypeError: the path is not a path, or the model is not a `QuantumModule`; for models that hold one among other
            layers use ``state_dict``.
        ValueError: the model holds what cannot be saved; the message says what.
        OSError: the file cannot be written, or is a folder, device or FIFO; the message names it.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> qtm.save(model, "model.qtm")
        >>> torch.equal(qtm.load("model.qtm").variational, model.variational)
        True
    """
    if isinstance(path, torch.nn.Module):
        raise TypeError(f"path: expected the name of a file, got a {type(path).__name__}; use save(model, path)")
    if type(model) is not QuantumModule:
        raise TypeError(
            f"model: expected a QuantumModule, got {type(model).__name__}; save its state_dict() with torch.save, and "
            "each QuantumModule inside it with this function"
        )
    path = _path(path)
    content = _content(model)
    try:
        again = _model(content)
    except Exception as error:  # anything may have been put into the module
        raise ValueError(f"model: it would not be read back as it is ({error}); {_REMEDY}") from error
    _require_same(model, again)
    write_checkpoint(path, _KIND, content)


def load(path: str | Path, trusted: bool = False) -> QuantumModule:
    """The model that `save` wrote, on the CPU, with the dtype it had.

    Args:
        path: The file.
        trusted: It is from a source that may run code on this machine. Only files of the older format need that,
            archives of PyTorch: they hold Qiskit's QPY, which some releases evaluate (CVE-2025-2000), and which can
            name sizes without limit.

    Raises:
        TypeError: an argument is of the wrong kind.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind or version, or needs ``trusted``; the message says which.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> qtm.save(qtm.QuantumModule(circuit, x, w, observables="ZZ"), "model.qtm")
        >>> qtm.load("model.qtm")(torch.zeros(3, 2)).shape
        torch.Size([3, 1])
    """
    path, trusted = _path(path), flag(trusted, "trusted")
    content = read_checkpoint(path, _KIND, trusted)
    try:
        return old_model(content, trusted) if is_old(path) else _model(content)
    except Exception as error:  # foreign content can fail in any way
        raise ValueError(f"{path} cannot be read: its content does not make a model ({error})") from error


def _path(path: Any) -> Path:
    try:
        file = Path(path)
    except TypeError as error:
        raise TypeError(f"path: expected the name of a file as str or Path, got {path!r}") from error
    if "\0" in str(file):
        raise ValueError(f"path: expected the name of a file, got {str(file)!r}, which holds a null character")
    return file


def _content(model: QuantumModule) -> dict[str, Any]:
    listed = _parameters_of(model)
    vectors, parameters = written_parameters(listed)
    plan, why = _checked_blueprint(model, listed)
    measurements = model._final_measurements()
    return {
        "program": to_text(model._program).encode("ascii"),
        "circuit": plan,
        "why_no_circuit": why,
        "num_qubits": model._num_qubits,
        "observables": _written_observables(model),
        "vectors": vectors,
        "parameters": parameters,
        "names": model.variational_names,
        "sizes": [len(chosen) for chosen in model.variational_parameters],
        "initials": [written_initial(initial, "uniform") for initial in model._initials],
        "trainable": _trainable(model),
        "weights": dict(model.state_dict()),
        "like": None if model.variational_ else model._without_weights()[0],
        "encoding_gradients_flag": model.encoding_gradients_flag,
        "method": _written_method(model),
        "num_threads": [model.num_threads_forward, model.num_threads_backward],
        **({"measurements": written_measurements(measurements)} if measurements.bits else {}),
    }


def _trained(model: QuantumModule) -> list[torch.Tensor]:
    """All sets, and the coefficients of sums."""
    return [*model.variational_, *model._coefficients()]


def _trainable(model: QuantumModule) -> list[bool]:
    return [weights.requires_grad for weights in _trained(model)]


def _parameters_of(model: QuantumModule) -> list[Parameter]:
    return [*model.encoding_parameters, *(parameter for chosen in model.variational_parameters for parameter in chosen)]


def _checked_blueprint(model: QuantumModule, listed: Sequence[Parameter]) -> tuple[dict[str, Any] | None, str]:
    """The circuit as plain data, if it compiles to the same program again; or None, and why."""
    plan_and_reason = _blueprints.get(model)
    if plan_and_reason is None:
        plan_and_reason = _blueprints[model] = _new_blueprint(model, listed)
    return plan_and_reason


def _new_blueprint(model: QuantumModule, listed: Sequence[Parameter]) -> tuple[dict[str, Any] | None, str]:
    if isinstance(model._circuit, SavedCircuit):
        return model._circuit.plain, model._circuit.why
    try:
        unmeasured, _ = without_measurements(model._circuit)
        plan = blueprint(unmeasured, listed)
        count = model._program.output_size
        observables = read_observables(_written_observables(model), model._num_qubits, count, listed)
        with compiler_passes(**asdict(model._program.evolution.passes)):
            again = compile_program(
                circuit_of(plan, listed),
                as_output(taken_apart(observables)[0], model._num_qubits),
                model.encoding_parameters,
                model.variational_parameters,
            )
    except Exception as error:  # gates are the code of others, and their definitions may raise anything
        return None, f"it could not be written down ({str(error)[:1000]})"
    if not _agree(model._program, again):
        return None, "it could not be written down so that it comes back as it was"
    return plan, ""


def _agree(program: Program, again: Program) -> bool:
    """Whether two programs are the same, or give the same values; gates may be taken apart in another way."""
    old, new = program.evolution, again.evolution
    same = replace(new, num_relabellings=old.num_relabellings, frame=new.frame if old.frame else None)
    if to_text(Program(same, again.output)) == to_text(program):
        return True
    sizes = [(evolution.num_qubits, evolution.num_inputs, evolution.num_weights) for evolution in (old, new)]
    if sizes[0] != sizes[1] or program.shape != again.shape or old.num_qubits > _MOST_COMPARED_QUBITS:
        return False
    random = np.random.default_rng(0)  # within the domain of most functions
    inputs = torch.from_numpy(random.uniform(0.1, 0.9, (2, old.num_inputs)))
    weights = torch.from_numpy(random.uniform(0.1, 0.9, old.num_weights))
    values = _values(program, inputs, weights)
    return torch.allclose(_values(again, inputs, weights), values, rtol=1e-9, atol=1e-9)


def _values(program: Program, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return values_of(Native().prepare(program), (0, 0), *with_derived_columns(program.evolution, inputs, weights))


def _require_same(model: QuantumModule, again: QuantumModule) -> None:
    """Raises where a loaded model would differ from the one that is saved.

    Raises:
        ValueError: it would; the message says in what.
    """
    same = {
        "program": to_text(again._program) == to_text(model._program),
        "parameters": _parameters_of(again) == _parameters_of(model),
        "names": again.variational_names == model.variational_names,
        "sets of parameters": again.variational_parameters == model.variational_parameters,
        "requires_grad": _trainable(again) == _trainable(model),
        "weights": encoded("", dict(again.state_dict())) == encoded("", dict(model.state_dict())),
        "dtype": [tensor.dtype for tensor in again._without_weights()]
        == [tensor.dtype for tensor in model._without_weights()],
        "method": again.method == model.method,
        "measurements": again._final_measurements() == model._final_measurements(),
        "settings": (again.encoding_gradients_flag, again.num_threads_forward, again.num_threads_backward)
        == (model.encoding_gradients_flag, model.num_threads_forward, model.num_threads_backward),
    }
    for what, holds in same.items():
        if not holds:
            raise ValueError(
                f"model: its {what} would not be read back as they are; save its state_dict() with torch.save"
            )


def _model(content: Mapping[str, Any]) -> QuantumModule:
    if content.keys() | _LATER != _FIELDS:
        odd = sorted(map(str, (content.keys() | _LATER) ^ _FIELDS))
        raise ValueError(f"its fields are not those of a model: {', '.join(odd)[:200]}")
    program = from_text(content["program"].decode("ascii"))
    parameters = read_parameters(content["vectors"], content["parameters"])
    num_inputs, num_weights = program.evolution.num_inputs, program.evolution.num_weights
    sets = _sets(parameters[num_inputs:], content["sizes"])
    if len(parameters) != num_inputs + num_weights:
        raise ValueError(f"{len(parameters)} parameters for {num_inputs} inputs, {num_weights} weights")
    num_qubits, threads, gradients = content["num_qubits"], content["num_threads"], content["encoding_gradients_flag"]
    if type(num_qubits) is not int or not program.evolution.num_qubits <= num_qubits <= WIDEST:
        raise ValueError(f"expected {program.evolution.num_qubits} to {WIDEST} qubits")
    if len(threads) != 2 or any(type(count) is not int or not 0 <= count <= MOST_THREADS for count in threads):
        raise ValueError(f"expected two numbers of threads from 0 to {MOST_THREADS}")
    if gradients not in (None, True, False):
        raise ValueError("expected None, True or False as encoding_gradients_flag")
    stand_in = QuantumCircuit(1)  # its own circuit is compiled already
    for parameter in parameters:
        stand_in.rz(parameter, 0)
    model = QuantumModule(
        stand_in,
        parameters[:num_inputs] or None,
        sets or None,
        content["names"] or None,
        content["initials"] or "uniform",
        seed_init=0,  # leaves the global random state as it is
        num_threads_forward=threads[0],
        num_threads_backward=threads[1],
        encoding_gradients_flag=gradients,
        method=method_of(content.get("method", AUTO)) or AUTO,
    )
    circuit = SavedCircuit(content["circuit"], str(content["why_no_circuit"]), tuple(parameters), num_qubits)
    observables = read_observables(content["observables"], num_qubits, program.output_size, parameters)
    require_fit(observables, num_qubits, program.shape)
    measurements = read_measurements(content.get("measurements"), num_qubits)
    model._restore(program, circuit, observables, measurements)
    model.load_state_dict(content["weights"], assign=True)
    if "_like" in model._buffers:  # the dtype, if there are no weights
        model._buffers["_like"] = content["like"].clone()
    flags = [bool(is_trained) for is_trained in content["trainable"]]
    for weights, is_trained in zip(_trained(model), flags, strict=True):
        weights.requires_grad_(is_trained)
    return model


def _sets(parameters: Sequence[Parameter], sizes: Any) -> list[list[Parameter]]:
    if type(sizes) is not list or any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError("expected sizes of sets of parameters")
    if sum(sizes) != len(parameters):
        raise ValueError(f"sets of {sum(sizes)} parameters, where there are {len(parameters)}")
    ends = list(itertools.accumulate(sizes))
    return [list(parameters[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


_MOST_PROJECTORS = 12  # in a product that is written as all its Pauli strings


def _written_observables(model: QuantumModule) -> Any:
    listed = _parameters_of(model)
    return written_observables(model.observables, model._num_qubits, listed, lambda: _idle_qubits(model))


def _idle_qubits(model: QuantumModule) -> list[int]:
    """Qubits on which the circuit does nothing, as the compiler says; none if the circuit is small.

    A projector is 1 there; written in full, many of them would be more Pauli strings than there is memory for.
    """
    frame = model._program.evolution.frame
    if frame is None or model._num_qubits <= _MOST_PROJECTORS:
        return []
    return [index for index, flip in enumerate(frame.flips) if not flip]


def _written_method(model: QuantumModule) -> str:
    """The name of its method, by which it is looked up again."""
    method = model.method
    if isinstance(method, str):
        return method
    if known().get(method.name) != method:
        # Shots and devices are where they are: no file brings them back.
        registered = "call qtm.methods.register with the method, here and where it is loaded, or " * method.is_exact
        raise ValueError(
            f"model: expected a method that is known by its name, and so is found again, got {method!r}; save "
            "qtm.with_method(model, 'auto'), and give what is loaded its method by qtm.with_method(loaded, method), or "
            f"{registered}{_REMEDY}"
        )
    return method.name
