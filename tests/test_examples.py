"""Programs that users write: every example runs, shortened, and does what it says."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own


def example(name, *modules):
    for module in modules:
        pytest.importorskip(module)
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


@pytest.fixture
def paper(monkeypatch):
    """The programs of the paper, which import a module beside them."""
    monkeypatch.syspath_prepend(EXAMPLES / "paper")
    yield lambda name, *modules: example(f"paper/{name}", *modules)
    sys.modules.pop("circuits", None)


def test_drop_in():
    assert example("drop_in", "qiskit_machine_learning")(num_qubits=2, depth=1, batch=2) > 0


def test_drop_in_sampler():
    assert example("drop_in_sampler", "qiskit_machine_learning")(num_qubits=2, depth=1, batch=2, repeats=1) > 0


def test_one_job():
    (jobs, pubs, circuits), ours = example("one_job", "qiskit_machine_learning.gradients", "qiskit_aer")(2, 1, 2)
    assert jobs == 2
    assert [*ours] == [1, 1, 2 * (1 + 2 * 6)]  # the last phases are not felt
    assert pubs > 30
    assert circuits > ours[2]


def test_to_hardware():
    modules = ("qiskit_aer", "qiskit_ibm_runtime", "sklearn")
    losses = example("to_hardware", *modules)(updates=5, updates_on_device=1, batch_size=1, tested=6)
    assert len(losses) == 4
    assert all(0 < loss < 4 for loss in losses.values())


def test_skorch_classifier():
    assert example("skorch_classifier", "skorch")(epochs=4) > 0.5


def test_lightning_training():
    assert example("lightning_training", "lightning")(epochs=6) < 0.05


def test_learning_rates():
    assert example("learning_rates", "optuna")(trials=4) < 0.02


def test_differential_equation(tmp_path):
    picture = tmp_path / "pendulum.svg"
    assert example("differential_equation", "matplotlib")(iterations=160, picture=str(picture)) < 0.02
    assert picture.stat().st_size > 10_000


def test_vortices(tmp_path):
    picture = tmp_path / "vortices.svg"
    assert example("vortices", "matplotlib")(iterations=200, picture=str(picture)) < 0.06
    assert picture.stat().st_size > 10_000


def test_born_machine(tmp_path):
    picture = tmp_path / "born_machine.svg"
    assert example("born_machine", "matplotlib")(updates=150, picture=str(picture)) < 0.5
    assert picture.stat().st_size > 10_000


def test_natural_gradient(tmp_path):
    picture = tmp_path / "natural_gradient.svg"
    left = example("natural_gradient", "matplotlib")(starts=1, updates=50, picture=str(picture))
    assert left["natural gradient"] < 1e-3 < left["Adam"]
    assert picture.stat().st_size > 10_000


def test_state_preparation(tmp_path):
    picture = tmp_path / "state_preparation.svg"
    infidelities = example("state_preparation", "matplotlib")(updates=60, picture=str(picture))
    assert len(infidelities) == 3
    assert max(infidelities.values()) < 0.05
    assert picture.stat().st_size > 10_000


def test_parity_classifier(tmp_path):
    picture = tmp_path / "parity_classifier.svg"
    assert example("parity_classifier", "matplotlib")(updates=100, picture=str(picture)) > 0.85
    assert picture.stat().st_size > 10_000


def test_kernel_alignment(tmp_path):
    """Alignment makes a kernel that tells classes apart of one that does not."""
    picture = tmp_path / "kernel_alignment.svg"
    run = example("kernel_alignment", "matplotlib", "sklearn")
    accuracies = run(splits=1, train=60, num_qubits=6, updates=30, picture=str(picture))
    assert accuracies["aligned"] > accuracies["as it starts"] + 0.02
    assert min(accuracies["aligned"], accuracies["RBF"]) > 0.85
    assert picture.stat().st_size > 10_000


def test_entanglement(tmp_path):
    """No layer entangles nothing; more of them do as random states, whose entropy Page's formula gives."""
    picture = tmp_path / "entanglement.svg"
    curves = example("entanglement", "matplotlib")(sizes=(4, 6), deepest=20, count=64, picture=str(picture))
    random = np.random.default_rng(0).normal(size=(2, 2000, 8, 8))
    spectra = np.linalg.svd(random[0] + 1j * random[1], compute_uv=False) ** 2
    spectra /= spectra.sum(1, keepdims=True)
    mean = -(spectra * np.log2(spectra)).sum(1).mean()
    assert abs(example("entanglement").__globals__["page"](6) - mean) < 0.01
    assert all(abs(means[0]) < 1e-6 and means[3] < 0.9 * means[-1] for means in curves.values())
    assert abs(curves[6][-1] - mean) < 0.1
    assert picture.stat().st_size > 10_000


def test_expressibility(tmp_path):
    """Circuits have as many parameters as in the paper's table; what it found is found again."""
    picture = tmp_path / "expressibility.svg"
    results = example("expressibility", "matplotlib")(pairs=1000, deepest=1, picture=str(picture))
    build = example("expressibility").__globals__["build"]
    counts = [8, 8, 11, 11, 28, 28, 19, 19, 4, 8, 12, 12, 16, 16, 8, 11, 11, 12, 12]
    assert [build(number).num_parameters for number in range(1, 20)] == counts
    once = {number: results[number, 1] for number in range(1, 20)}
    divergence = {number: one.value for number, (one, _) in once.items()}
    for turned, phased in ((4, 3), (6, 5), (8, 7), (14, 13), (17, 16), (19, 18)):  # controlled RX and RZ
        assert divergence[turned] < divergence[phased]
    assert divergence[18] < divergence[3] + 0.02  # a ring, a line
    assert divergence[19] < divergence[4]
    assert max(divergence, key=divergence.get) == 9
    assert min(divergence, key=divergence.get) == 6
    assert once[1][1].value == pytest.approx(0, abs=1e-12)
    assert once[9][1].value == pytest.approx(1, abs=1e-12)
    assert picture.stat().st_size > 10_000


def test_ensemble():
    assert example("ensemble")(members=8, updates=2) > 0  # it compares the ensemble with its members itself


def test_paper_runtime(paper):
    assert min(paper("runtime")(num_qubits=3, depth=1, batch=4)) > 0


def test_paper_digits(paper):
    losses = paper("digits", "sklearn")(updates=60)
    assert sum(losses[-10:]) < sum(losses[:10])


def test_paper_cartpole(paper):
    returns = paper("cartpole", "gymnasium")(updates=15, longest=100)
    assert sum(returns[-3:]) > sum(returns[:3])


def test_paper_with_qiskit_machine_learning(paper):
    modules = ("qiskit_machine_learning.gradients", "sklearn", "gymnasium")
    assert min(paper("runtime_qml", *modules)(num_qubits=2, depth=1, batch=2)) > 0
    assert len(paper("digits_qml", *modules)(num_qubits=2, depth=1, updates=2, batch=2)) == 2
    assert len(paper("cartpole_qml", *modules)(updates=1, episodes=1, longest=5)) == 1


def test_imaginary_time(tmp_path):
    """More layers follow more closely."""
    picture = tmp_path / "imaginary_time.svg"
    main = example("imaginary_time", "matplotlib", "qiskit_algorithms")
    curves = main(num_qubits=4, depths=(1, 2), until=1.0, steps=25, picture=str(picture))
    assert curves[2].infidelities[-1] < curves[1].infidelities[-1] < 0.1
    assert all(curve.energies[-1] < curve.energies[0] for curve in curves.values())
    assert picture.stat().st_size > 10_000


def test_growing_ansatz(tmp_path):
    """The known energies of lithium hydride: of Hartree and Fock, and correlated."""
    picture = tmp_path / "growing_ansatz.svg"
    errors = example("growing_ansatz", "matplotlib")(most=2, counts=(2,), picture=str(picture))
    assert errors[0] == pytest.approx(0.0205, abs=2e-4)
    assert errors[2] < 0.005 < errors[1]
    assert picture.stat().st_size > 10_000
