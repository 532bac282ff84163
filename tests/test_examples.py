"""Programs that users write: every example runs, shortened, and does what it says."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


def example(name, *modules):
    for module in modules:
        pytest.importorskip(module)
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_drop_in():
    assert example("drop_in", "qiskit_machine_learning")(num_qubits=2, depth=1, batch=2) > 0


def test_skorch_classifier():
    assert example("skorch_classifier", "skorch")(epochs=4) > 0.5


def test_lightning_training():
    assert example("lightning_training", "lightning")(epochs=6) < 0.05


def test_learning_rates():
    assert example("learning_rates", "optuna")(trials=4) < 0.02


def test_differential_equation():
    assert example("differential_equation")(iterations=40) < 0.05


def test_ensemble():
    assert example("ensemble")(members=8, updates=2) > 0  # it compares the ensemble with its members itself
