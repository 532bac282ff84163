"""Numbers of shots, samples and the like whose results no memory holds: refused with a remedy, before any is asked for."""

import numpy as np
import pytest
import torch

import qiskit_torch_module as qtm
from qiskit_torch_module import analysis
from qiskit_torch_module._reading import compat
from qiskit_torch_module._simulation.room import gibibytes, require_bytes

MANY = 10**12
needs_v2 = pytest.mark.skipif(compat.SamplerPub is None, reason="this Qiskit has no V2 primitives")

circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
measured = circuit.copy()
measured.measure_all()
MODEL = qtm.QuantumModule(circuit, x, w, seed_init=0)
OUTCOMES = qtm.QuantumModule(circuit, x, w, seed_init=0, observables=qtm.outputs.Probabilities())
ROW = np.zeros(10)


def step(rule):
    model = qtm.QuantumModule(circuit, x, w, method=qtm.methods.Shots(100, rule))
    model(torch.zeros(3, 2))


REFUSED = {
    "sample": (lambda: MODEL.sample(torch.zeros(3, 2), shots=MANY, as_tensor=True), "shots: the bits of 1,000,000,000"),
    "SPSA": (lambda: step(qtm.methods.SPSA(directions=MANY)), "gradient: the angles of 6,000,000,000,000 circuits"),
    "guided": (lambda: step(qtm.methods.GuidedSPSA(directions=MANY)), "gradient: the angles of 4,000,000,000,000"),
    "variance": (lambda: analysis.gradient_variance(MODEL, samples=MANY), "samples: 10 parameters of 1,000,000"),
    "entanglement": (lambda: analysis.entangling_capability(MODEL, samples=MANY), "samples: 10 parameters of 1,000"),
    "pairs": (lambda: analysis.expressibility(MODEL, pairs=MANY), "pairs: 10 parameters of 2,000,000,000,000 samples"),
    "bins": (lambda: analysis.expressibility(MODEL, pairs=9, bins=MANY), "bins: histograms of 1,000,000,000,000 bins"),
    "dimension": (
        lambda: analysis.effective_dimension(OUTCOMES, 1000, torch.rand(9, 2), samples=MANY),
        "samples: 8 parameters of 1,000,000,000,000 samples",
    ),
    "Fourier": (lambda: analysis.fourier_coefficients(MODEL, samples=MANY), "samples: 8 parameters of 1,000,000"),
    "landscape": (
        lambda: qtm.plots.loss_landscape(MODEL, lambda: MODEL(torch.zeros(1, 2)).sum(), resolution=MANY),
        "resolution: 1,000,000,000,000 x 1,000,000,000,000 losses",
    ),
    "qubits": (lambda: qtm.circuits.incremental_data_uploading(MANY, 1), "num_qubits, depth: 1 layers on 1,000,000"),
    "depth": (lambda: qtm.circuits.incremental_data_uploading(2, MANY), "num_qubits, depth: 1,000,000,000,000 layers"),
    "starts": (lambda: qtm.optim.many_starts(MODEL, MANY), "k: the parameters of 1,000,000,000,000 starts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_memory_holds_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(
        ValueError, match=f"^{message}.* GiB, more than the memory budget of .* with set_memory_budget$"
    ):
        call()


SAMPLED = {
    "call": lambda shots: qtm.FastSampler().run([(measured, ROW)], shots=shots),
    "PUB": lambda shots: qtm.FastSampler(seed=1).run([(measured, np.zeros((9, 10)), shots)]),
    "default": lambda shots: qtm.FastSampler(default_shots=shots).run([(measured, ROW)]),
    "several": lambda shots: qtm.FastSampler().run([(measured, ROW)] * 8, shots=shots // 8 + 1),
}


@needs_v2
@pytest.mark.parametrize("name", SAMPLED)
def test_a_sampler_refuses_bits_beyond_the_budget_in_the_call(name, own_budget):
    run = SAMPLED[name]
    own_budget(1 << 20)
    with pytest.raises(
        ValueError, match="^shots: the bits of .* shots take .*; draw fewer, take exact `probabilities`"
    ):
        run((1 << 20) + 1)
    own_budget(1 << 24)
    assert run(1 << 10).result()[0].data.meas.array.nbytes >= 1 << 7


@needs_v2
def test_a_number_of_shots_beyond_all_floats_is_refused():
    with pytest.raises(ValueError, match=r"^shots: the bits of 10,000,.* take .*e\+\d+ GiB"):
        qtm.FastSampler().run([(measured, ROW)], shots=10**400)


@needs_v2
def test_exact_counts_beyond_the_budget_are_refused(own_budget):
    rows = np.zeros((1 << 15, 10))
    own_budget(1 << 19)
    job = qtm.FastSampler(exact=True).run([(measured, rows, 1)])
    with pytest.raises(ValueError, match="^pubs: their exact counts take 0.000977 GiB.*; draw with exact=False"):
        job.result()


def test_gradients_beyond_the_budget_are_refused(own_budget):
    gradient = qtm.FastReverseEstimatorGradient()
    own_budget(1 << 20)
    with pytest.raises(
        ValueError, match="^gradients of 2 observables by 10 parameters at 10,000 rows take 0.00149 GiB"
    ):
        gradient.jacobian(circuit, "individualZ", np.zeros((10_000, 10)))
    assert gradient.jacobian(circuit, "individualZ", np.zeros((1000, 10))).shape == (1000, 2, 10)


def test_room_is_looked_for_where_it_matters(own_budget):
    own_budget(1 << 10)
    require_bytes((1 << 20) - 1, "five", "take four")  # for less, the budget is not asked for
    with pytest.raises(ValueError, match="^five take 0.000977 GiB, more than .*; take four, or raise it with"):
        require_bytes(1 << 20, "five", "take four")
    require_bytes((1 << 26) - 1, "five", "take four", 1 << 26)
    with pytest.raises(ValueError, match="^five take 0.0625 GiB"):
        require_bytes(1 << 26, "five", "take four", 1 << 26)
    own_budget(1 << 20)
    require_bytes(1 << 20, "five", "take four")
    assert gibibytes(3 << 30) == "3 GiB"
