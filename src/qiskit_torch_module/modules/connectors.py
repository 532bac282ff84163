"""Networks of qiskit-machine-learning, as what a `QuantumModule` is made from."""

from __future__ import annotations

from typing import Any


def arguments_of(network: Any) -> dict[str, Any]:
    """Circuit, parameters, observables and weights of an ``EstimatorQNN``, or of the ``TorchConnector`` around it.

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
    found = {
        "circuit": estimator_network.circuit,
        "encoding_params": estimator_network.input_params or None,
        "variational_params": estimator_network.weight_params or None,
        "observables": _sequence(estimator_network.observables),
    }
    if estimator_network is not network and estimator_network.weight_params:
        found["variational_params_initial"] = network.weight.detach().cpu()
    return found


def _sequence(observables: Any) -> Any:
    return list(observables) if isinstance(observables, tuple) else observables
