"""A quantum classifier as a scikit-learn estimator, by skorch: cross-validation, pipelines, grid search.

Needs ``pip install skorch scikit-learn``.
"""

from __future__ import annotations

import torch
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import RealAmplitudes, ZFeatureMap
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch import NeuralNetClassifier

from qiskit_torch_module import HybridModule


def build(seed: int = 0) -> HybridModule:
    """Four qubits between the four features of an iris and its three species."""
    features = ZFeatureMap(4, reps=1).decompose()
    ansatz = RealAmplitudes(4, reps=2).decompose()
    encoding = ParameterVector("features", 4)
    circuit = features.assign_parameters(list(encoding)).compose(ansatz)
    return HybridModule(circuit, encoding, list(ansatz.parameters), input_size=4, output_size=3, seed_init=seed)


def main(epochs: int = 40) -> float:
    """Mean accuracy of five-fold cross-validation."""
    network = NeuralNetClassifier(
        build,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.05,
        max_epochs=epochs,
        train_split=None,
        verbose=0,
    )
    inputs, species = load_iris(return_X_y=True)
    classifier = make_pipeline(MinMaxScaler(), network)
    scores = cross_val_score(classifier, inputs.astype("float32"), species, cv=5)
    print(f"accuracy {scores.mean():.3f} +- {scores.std():.3f}")
    return float(scores.mean())


if __name__ == "__main__":
    main()
