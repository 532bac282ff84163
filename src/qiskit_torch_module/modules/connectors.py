"""Networks of qiskit-machine-learning as arguments of a `QuantumModule`."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from .._reading.measurements import without_measurements
from ..outputs.probabilities import Probabilities


def arguments_of(network: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """Circuit, parameters, observables and weights of a network, or of the ``TorchConnector`` around it.

    Args:
        network: An ``EstimatorQNN``, a ``SamplerQNN`` or a connector.
        given: Names of arguments that were given, which take precedence over the network.

    Raises:
        TypeError: none of them.
        ValueError: a ``SamplerQNN`` of a circuit that was transpiled, or whose circuit or ``interpret`` cannot be used.
    """
    inner = getattr(network, "neural_network", network)
    has_parts = all(hasattr(inner, name) for name in ("circuit", "input_params", "weight_params"))
    if not has_parts or not (hasattr(inner, "observables") or hasattr(inner, "interpret")):
        raise TypeError(
            "qnn: expected an EstimatorQNN or SamplerQNN of qiskit-machine-learning, or the TorchConnector around it, "
            f"got {type(inner).__name__}; make the QuantumModule from its circuit and observables"
        )
    inputs, weights = list(inner.input_params or ()), list(inner.weight_params or ())
    if not {"encoding_params", "variational_params"} <= set(given):
        inputs, weights = _as_evaluated(inner, inputs, weights)
    arguments = {"circuit": inner.circuit, "encoding_params": inputs or None, "variational_params": weights or None}
    if "observables" not in given:
        is_estimator = hasattr(inner, "observables")
        arguments["observables"] = _sequence(inner.observables) if is_estimator else _probabilities(inner)
    if inner is not network and weights:
        arguments["variational_params_initial"] = network.weight.detach().cpu()
    return arguments


def _probabilities(network: Any) -> Probabilities:
    """What a ``SamplerQNN`` makes of outcomes: its classes of the numbers that are written into the classical bits."""
    circuit = network.circuit
    if getattr(circuit, "layout", None) is not None:
        raise ValueError(
            "qnn: expected a network of a circuit as it was written, got one that was transpiled; simulation needs no "
            "transpiled circuit: make the network without pass_manager"
        )
    _, measurements = without_measurements(circuit)
    bits = measurements.bits
    if not circuit.clbits:  # the network measures all
        bits = tuple(range(circuit.num_qubits))
    qubits = sorted({qubit for qubit in bits if qubit is not None})
    if not qubits:
        raise ValueError("qnn: expected a circuit that measures, got classical bits without measurements")
    outcomes = np.arange(1 << len(qubits), dtype=object)
    numbers = 0 * outcomes
    for bit, qubit in enumerate(bits):
        if qubit is not None:
            numbers += (outcomes >> qubits.index(qubit) & 1) << bit
    classes = np.asarray([network.interpret(number) for number in numbers])
    shape = tuple(network.output_shape)
    is_plain = classes.shape == shape and np.array_equal(classes, outcomes)
    options: dict[str, Any] = {} if is_plain else {"interpret": classes, "output_shape": shape}
    return Probabilities(tuple(qubits), **options)  # type: ignore[abstract]  # frozen dataclasses have a hash


def _as_evaluated(network: Any, inputs: list[Any], weights: list[Any]) -> tuple[list[Any], list[Any]]:
    """Parameters of inputs and weights, each in the order in which the network gives them values.

    Before version 0.8 of qiskit-machine-learning a network gives its inputs, then its weights, to
    ``circuit.parameters``, whatever ``input_params`` and ``weight_params`` say; later it evaluates a circuit whose
    parameters were renamed to stand in the order that they say.
    """
    evaluated = list(getattr(getattr(network, "_circuit", None), "parameters", ()))
    if evaluated == [*inputs, *weights] or set(evaluated) != {*inputs, *weights}:
        return inputs, weights
    warnings.warn(
        "qnn: this network gives values to circuit.parameters by position, as qiskit-machine-learning before 0.8 does, "
        "not in the order of its input_params and weight_params; the module computes what the network computes. For "
        "what they say, give from_qnn encoding_params=qnn.input_params and variational_params=qnn.weight_params",
        UserWarning,
        stacklevel=4,
    )
    return evaluated[: len(inputs)], evaluated[len(inputs) :]


def _sequence(observables: Any) -> Any:
    return list(observables) if isinstance(observables, tuple) else observables
