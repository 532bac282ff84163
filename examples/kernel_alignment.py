"""A kernel machine on real data: a feature map whose weights are fitted to the labels, beside one that is not.

Tumours, malignant or benign (Wolberg et al., 569 samples with 30 features, which ship with scikit-learn), of which 200
are trained with and all others tested, in ten random splits. Eight principal components enter a circuit of eight
qubits, three times, between layers of weights. Fidelity kernels of it as it starts, with a common factor for all
features that cross-validation chooses, and after 60 updates towards the labels by `target_alignment` from either, go
to the same support vector machine as the Gaussian kernel (RBF). Cross-validation chooses the width of that, and C for
all of them.

    python examples/kernel_alignment.py [kernel_alignment.svg]      (needs scikit-learn; the picture, matplotlib)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from qiskit_torch_module import plots
from qiskit_torch_module.kernels import FidelityKernel, target_alignment

C, SCALES, WIDTHS = [1, 10, 100, 1000], [0.1, 0.2, 0.5, 1.0], np.logspace(-3, 1, 9)
METHODS = ["as it starts", "aligned", "scale chosen", "scale chosen, then aligned", "RBF", "RBF, all 30 features"]


def build(num_qubits: int, depth: int, scale: float = 1.0, seed: int = 0) -> FidelityKernel:
    """Features enter between layers of weights, with trainable factors that start from a common one."""
    x = ParameterVector("x", num_qubits)
    w, s = ParameterVector("w", 2 * num_qubits * depth), ParameterVector("s", num_qubits * depth)
    circuit, weights, scaling = QuantumCircuit(num_qubits), iter(w), iter(s)
    for _ in range(depth):
        for q in range(num_qubits):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        for q in range(num_qubits):
            circuit.cz(q, (q + 1) % num_qubits)
        for q in range(num_qubits):
            circuit.rx(next(scaling) * x[q], q)
    starts = ["uniform", ("constant", {"val": scale})]
    return FidelityKernel(circuit, x, [w, s], ["weights", "scaling"], starts, seed_init=seed)


def align(kernel: FidelityKernel, features: np.ndarray, labels: np.ndarray, updates: int) -> list[float]:
    """Alignments, one for each update with all samples."""
    optimizer = torch.optim.Adam(kernel.parameters(), lr=0.05)
    samples, alignments = torch.tensor(features, dtype=torch.float32), []
    for _ in range(updates):
        optimizer.zero_grad()
        alignment = target_alignment(kernel, samples, labels, centered=True)
        (-alignment).backward()
        optimizer.step()
        alignments.append(alignment.item())
    return alignments


class Split:
    """Samples to train with and to test with, as the circuit takes them."""

    def __init__(self, samples: np.ndarray, labels: np.ndarray, train: Any, test: Any, num_qubits: int) -> None:
        self.raw, self.labels = (samples[train], samples[test]), (labels[train], labels[test])
        prepared = make_pipeline(StandardScaler(), PCA(num_qubits, whiten=True)).fit(self.raw[0])
        self.features = tuple(prepared.transform(part) for part in self.raw)

    def quantum(self, kernel: FidelityKernel) -> tuple[float, float]:
        """Accuracy in cross-validation, and for the samples to test with."""
        train, test = self.features
        machine = GridSearchCV(SVC(kernel="precomputed"), {"C": C}).fit(kernel.evaluate(train), self.labels[0])
        return machine.best_score_, machine.score(kernel.evaluate(test, train), self.labels[1])

    def gaussian(self, parts: Sequence[np.ndarray]) -> float:
        """Accuracy of the Gaussian kernel for the samples to test with."""
        machine = make_pipeline(StandardScaler(), SVC())
        # Its width for standardised features is in units of their number.
        grid = {"svc__C": C, "svc__gamma": WIDTHS / parts[0].shape[1]}
        return GridSearchCV(machine, grid).fit(parts[0], self.labels[0]).score(parts[1], self.labels[1])


def compare(split: Split, num_qubits: int, depth: int, updates: int, seed: int) -> tuple[list[float], list[float], Any]:
    """Accuracies of all methods; alignments before and after, for training and for testing; both kernels."""
    scales = {split.quantum(build(num_qubits, depth, scale, seed)): scale for scale in SCALES}
    best = scales[max(scales)]  # in cross-validation
    kernels = [build(num_qubits, depth, scale, seed) for scale in (1.0, 1.0, best, best)]
    for kernel in kernels[1::2]:
        align(kernel, split.features[0], split.labels[0], updates)
    accuracies = [split.quantum(kernel)[1] for kernel in kernels]
    accuracies += [split.gaussian(split.features), split.gaussian(split.raw)]
    alignments = [
        target_alignment(kernel, features, labels, centered=True).item()
        for kernel in kernels[:2]
        for features, labels in zip(split.features, split.labels, strict=True)
    ]
    return accuracies, alignments, kernels[:2]


def draw(accuracies: np.ndarray, split: Split, kernels: Sequence[FidelityKernel], path: str) -> None:
    """Accuracies of all splits, and the kernel of one before and after, for samples to test with, class by class."""
    spread = np.linspace(-0.15, 0.15, len(accuracies))
    kinds = (("fidelity kernels", "C0", "o"), ("Gaussian kernels", "C1", "D"))
    with plots.picture(path, 0, height=6) as (figure, _):
        upper, lower = figure.subfigures(2, 1)
        top, others = upper.subplots(), lower.subplots(1, 2)
        for place, column in enumerate(accuracies.T):
            _, color, marker = kinds[place >= 4]
            top.plot(100 * column, place + spread, marker, color=color, alpha=0.5, markersize=4)
            top.plot(100 * column.mean(), place, "|", color=plots.INK, markersize=18, markeredgewidth=2)
        top.set(yticks=range(len(METHODS)), yticklabels=METHODS, xlabel="test accuracy (%)")
        top.invert_yaxis()
        for name, color, marker in kinds:
            top.plot([], [], marker, color=color, alpha=0.5, markersize=4, label=name)
        top.plot(
            [], [], "|", color=plots.INK, markersize=9, markeredgewidth=2, label=f"mean of {len(accuracies)} splits"
        )
        top.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        order = np.argsort(split.labels[1], kind="stable")
        border = (split.labels[1] == 0).sum() - 0.5
        for axis, kernel, title in zip(others, kernels, ("as it starts", "aligned"), strict=True):
            matrix = kernel.evaluate(split.features[1][order])
            image = axis.imshow(matrix, vmin=0, vmax=1, interpolation="none")
            axis.axhline(border, color="white", linewidth=0.8)
            axis.axvline(border, color="white", linewidth=0.8)
            axis.set(xticks=[], yticks=[], title=f"Kernel, {title}", xlabel="malignant | benign")
        lower.colorbar(image, ax=others, shrink=0.9, label="fidelity")


def main(
    splits: int = 10,
    train: int = 200,
    num_qubits: int = 8,
    depth: int = 3,
    updates: int = 60,
    picture: str | None = None,
) -> dict[str, float]:
    """Mean accuracy of every method."""
    samples, labels = load_breast_cancer(return_X_y=True)
    begin = time.perf_counter()
    found, parts = [], StratifiedShuffleSplit(splits, train_size=train, random_state=0).split(samples, labels)
    for seed, (chosen, rest) in enumerate(parts):
        split = Split(samples, labels, chosen, rest, num_qubits)
        found.append((split, *compare(split, num_qubits, depth, updates, seed)))
    accuracies, alignments = np.array([one[1] for one in found]), np.array([one[2] for one in found])
    for name, mean, deviation in zip(METHODS, accuracies.mean(0), accuracies.std(0), strict=True):
        print(f"{name:27s} {mean:.1%} (splits: ±{deviation:.1%})")
    before, tested_before, after, tested_after = alignments.mean(0)
    print(
        f"alignment {before:.2f} to {after:.2f}, of new samples {tested_before:.2f} to {tested_after:.2f}; "
        f"{time.perf_counter() - begin:.0f} s"
    )
    if picture is not None:
        split, _, _, kernels = found[0]
        draw(accuracies, split, kernels, picture)
    return dict(zip(METHODS, accuracies.mean(0).tolist(), strict=True))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
