"""Training in PyTorch Lightning, with a learning rate of its own for each parameter set (``pip install lightning``)."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch.utils.data import DataLoader, TensorDataset

from qiskit_torch_module import QuantumModule


def reuploading(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, list[ParameterVector]]:
    """Data re-uploading: trainable rotations and trainable scaling of the inputs."""
    x = ParameterVector("x", num_qubits)
    weights, scaling = ParameterVector("w", num_qubits * (depth + 1)), ParameterVector("s", num_qubits * depth)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(weights[layer * num_qubits + q], q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cz(q, (q + 1) % num_qubits)
            for q in range(num_qubits):
                circuit.rx(scaling[layer * num_qubits + q] * x[q], q)
    return circuit, x, [weights, scaling]


class Regression(lightning.LightningModule):
    """Fits a function of three variables."""

    def __init__(self) -> None:
        super().__init__()
        circuit, x, sets = reuploading(3, 3)
        self.model = QuantumModule(
            circuit, x, sets, ["weights", "scaling"], ["uniform", "constant"], seed_init=0, observables="ZZZ"
        )

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """Mean squared error."""
        inputs, targets = batch
        loss = torch.nn.functional.mse_loss(self.model(inputs), targets)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """Scaling learns faster than the rotations."""
        return torch.optim.Adam(
            [{"params": [self.model.weights], "lr": 0.02}, {"params": [self.model.scaling], "lr": 0.05}]
        )


def main(epochs: int = 40) -> float:
    """The last loss."""
    torch.manual_seed(0)
    inputs = torch.rand(256, 3) * 2 - 1
    targets = torch.cos(inputs.sum(dim=1, keepdim=True)) * 0.8
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Regression(), DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True))
    loss = float(trainer.callback_metrics["loss"])
    print(f"loss {loss:.5f}")
    return loss


if __name__ == "__main__":
    main()
