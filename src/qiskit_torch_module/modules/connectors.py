"""Networks of qiskit-machine-learning as arguments of a `QuantumModule`."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any


def arguments_of(network: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """Circuit, parameters, observables and weights of an ``EstimatorQNN``, or of the ``TorchConnector`` around it.

    Args:
        network: One of them.
        given: Names of arguments that were given, which take precedence over the network.

    Raises:
        TypeError: neither of them.
    """
    estimator_network = getattr(network, "neural_network", network)
    wanted = ("circuit", "input_params", "weight_params", "observables")
    if not all(hasattr(estimator_network, name) for name in wanted):
        raise TypeError(
            "qnn: expected an EstimatorQNN of qiskit-machine-learning, or the TorchConnector around it, got "
            f"{type(estimator_network).__name__}; make the QuantumModule from its circuit and observables"
        )
    inputs, weights = list(estimator_network.input_params or ()), list(estimator_network.weight_params or ())
    if not {"encoding_params", "variational_params"} <= set(given):
        inputs, weights = _as_evaluated(estimator_network, inputs, weights)
    arguments = {
        "circuit": estimator_network.circuit,
        "encoding_params": inputs or None,
        "variational_params": weights or None,
        "observables": _sequence(estimator_network.observables),
    }
    if estimator_network is not network and weights:
        arguments["variational_params_initial"] = network.weight.detach().cpu()
    return arguments


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
