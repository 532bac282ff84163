"""A search for the learning rates of two parameter sets, by Optuna (``pip install optuna``)."""

from __future__ import annotations

import optuna
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule


def build() -> QuantumModule:
    """Two qubits with trainable rotations and trainable scaling of the inputs."""
    x, w, s = ParameterVector("x", 2), ParameterVector("w", 8), ParameterVector("s", 6)
    circuit = QuantumCircuit(2)
    for layer in range(4):
        for q in range(2):
            circuit.ry(w[2 * layer + q], q)
        circuit.cx(0, 1)
        if layer < 3:
            for q in range(2):
                circuit.rx(s[2 * layer + q] * x[q], q)
    return QuantumModule(circuit, x, [w, s], ["weights", "scaling"], ["uniform", "constant"], 0, observables="ZZ")


def loss_after(weights_rate: float, scaling_rate: float, updates: int = 60) -> float:
    """The loss that training reaches with these learning rates."""
    model = build()
    inputs = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)) * 2
    targets = torch.sin(inputs).prod(dim=1, keepdim=True)
    optimizer = torch.optim.Adam(
        [{"params": [model.weights], "lr": weights_rate}, {"params": [model.scaling], "lr": scaling_rate}]
    )
    for _ in range(updates):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()


def main(trials: int = 40) -> float:
    """The best loss of all trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(
        lambda trial: loss_after(
            trial.suggest_float("weights", 1e-3, 0.3, log=True), trial.suggest_float("scaling", 1e-3, 0.3, log=True)
        ),
        n_trials=trials,
    )
    print(f"loss {study.best_value:.5f} with learning rates {study.best_params}")
    return study.best_value


if __name__ == "__main__":
    main()
