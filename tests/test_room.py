"""Numbers of shots, samples and the like whose results no memory holds: refused with a remedy, before any is asked for."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qiskit_torch_module as qtm
from qiskit_torch_module import analysis
from qiskit_torch_module._reading import compat
from qiskit_torch_module._simulation import choose
from qiskit_torch_module._simulation.room import require_bytes

MANY = 10**12
needs_v2 = pytest.mark.skipif(compat.SamplerPub is None, reason="this Qiskit has no V2 primitives")

circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
measured = circuit.copy()
measured.measure_all()
MODEL = qtm.QuantumModule(circuit, x, w, seed_init=0)
OUTCOMES = qtm.QuantumModule(circuit, x, w, seed_init=0, observables=qtm.outputs.Probabilities())
ROW = np.zeros(10)


def twelve():
    """A circuit of twelve qubits, its inputs and no weights."""
    wide, inputs = QuantumCircuit(12), ParameterVector("x", 12)
    for qubit in range(12):
        wide.ry(inputs[qubit], qubit)
        wide.cx(qubit, (qubit + 1) % 12)
    return wide, inputs, None


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
    "qubits": (lambda: qtm.circuits.incremental_data_uploading(MANY, 1), "num_qubits, depth: 1 layer on 1,000,000"),
    "depth": (lambda: qtm.circuits.incremental_data_uploading(2, MANY), "num_qubits, depth: 1,000,000,000,000 layers"),
    "starts": (lambda: qtm.optim.many_starts(MODEL, MANY), "k: the parameters of 1,000,000,000,000 starts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_memory_holds_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(
        ValueError, match=f"^{message}.* [GT]iB, more than the memory budget of .* with set_memory_budget$"
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
    with pytest.raises(ValueError, match=r"^shots: the bits of 10,000,.* take .*e\+\d+ TiB"):
        qtm.FastSampler().run([(measured, ROW)], shots=10**400)


@needs_v2
def test_exact_counts_beyond_the_budget_are_refused(own_budget):
    rows = np.zeros((1 << 15, 10))
    own_budget(1 << 19)
    job = qtm.FastSampler(exact=True).run([(measured, rows, 1)])
    with pytest.raises(ValueError, match="^pubs: their exact counts take 1 MiB.*; draw with exact=False"):
        job.result()


def test_gradients_beyond_the_budget_are_refused(own_budget):
    gradient = qtm.FastReverseEstimatorGradient()
    own_budget(1 << 20)
    with pytest.raises(ValueError, match="^gradients of 2 observables by 10 parameters at 10,000 rows take 1.53 MiB"):
        gradient.jacobian(circuit, "individualZ", np.zeros((10_000, 10)))
    assert gradient.jacobian(circuit, "individualZ", np.zeros((1000, 10))).shape == (1000, 2, 10)


def test_room_is_looked_for_where_it_matters(own_budget):
    own_budget(1 << 10)
    require_bytes((1 << 20) - 1, "five", "take four")  # for less, the budget is not asked for
    with pytest.raises(ValueError, match="^five take 1 MiB, more than .*; take four, or raise it with"):
        require_bytes(1 << 20, "five", "take four")
    require_bytes((1 << 26) - 1, "five", "take four", 1 << 26)
    with pytest.raises(ValueError, match="^five take 64 MiB"):
        require_bytes(1 << 26, "five", "take four", 1 << 26)
    own_budget(1 << 20)
    require_bytes(1 << 20, "five", "take four")


@pytest.mark.parametrize("method", ["auto", "native"])
def test_a_batch_is_judged_by_its_own_size(method, own_budget):
    state = qtm.QuantumModule(*twelve(), observables=qtm.outputs.State(), method=method)
    own_budget(8 << 20)  # 256 states in float32
    with torch.no_grad():
        for size in (129, 256, 255, 130):
            assert len(state(torch.rand(size, 12))) == size
        refused = "states of 12 qubits take 8.03 MiB in a batch of 257, more than the memory budget of 8 MiB; use .*"
        with pytest.raises(ValueError, match=f"{refused}, or raise it with set_memory_budget"):
            state(torch.rand(257, 12))
        assert len(state(torch.rand(256, 12))) == 256


def test_what_is_chosen_for_some_sizes_is_asked_again_beyond_them(monkeypatch):
    """The choice stands for all sizes of as many bits where it holds for them, else up to those that it was made for."""
    asked = []

    class Few(qtm.methods.Native):
        name = "few"

        def cost(self, program, task):
            asked.append(task.batch_size)
            if task.batch_size > 20:
                return qtm.methods.Refusal(f"{task.batch_size} are too many")
            return qtm.methods.Cost(1e-9)

    monkeypatch.setattr(choose, "_known", {**choose.known(), "few": Few()})
    model = qtm.QuantumModule(circuit, x, w)
    asked.clear()
    steps = [(15, [15]), (8, []), (17, [31, 17]), (16, []), (20, [31, 20]), (18, []), (21, [31, 21]), (22, [])]
    for size, expected in steps:
        name = model._runners(torch.zeros(size, 2)).method.name
        assert (name, asked) == ("few" if size <= 20 else "native", expected)
        asked.clear()
    with pytest.raises(ValueError, match="method 'few': 21 are too many"):
        qtm.QuantumModule(circuit, x, w, method=Few())(torch.zeros(21, 2))


BIT_BY_BIT = {
    "sample": lambda model, x: model.sample(x, 4, 0, as_tensor=True),
    "FastSampler": lambda model, x: torch.tensor(
        qtm.FastSampler(seed=0).run([(measured_of(model), x.numpy(), 4)]).result()[0].data.meas.array
    ),
    "FastSampler, many PUBs": lambda model, x: torch.tensor(
        [
            one.data.meas.array.tolist()
            for one in qtm.FastSampler(seed=0).run([(measured_of(model), row.numpy(), 4) for row in x]).result()
        ]
    ),
    "kernel": lambda model, x: qtm.kernels.FidelityKernel.from_module(model)(x, out=torch.empty(len(x), len(x))),
    "expressibility": lambda model, x: analysis.expressibility(model, len(x), generator=0).value,
}


def measured_of(model):
    wide = model.circuit
    wide.measure_all()
    return wide


@needs_v2
@pytest.mark.parametrize("name", BIT_BY_BIT)
def test_what_is_done_in_parts_fits_a_small_budget(name, own_budget):
    """512 states of 12 qubits take 32 MiB in double precision, 16 MiB in single."""
    model, rows = qtm.QuantumModule(*twelve()), torch.rand(512, 12)
    expected = BIT_BY_BIT[name](model, rows)
    own_budget(8 << 20)
    found = BIT_BY_BIT[name](model, rows)
    torch.testing.assert_close(torch.as_tensor(found), torch.as_tensor(expected), rtol=1e-5, atol=1e-5)


def test_growing_an_ansatz_counts_the_states_that_it_holds(own_budget):
    model = qtm.QuantumModule(*twelve(), observables=["Z" * 12])
    own_budget(2 << 20)
    with pytest.raises(ValueError, match="states of 12 qubits, 4 for each sample, take 2.5 MiB in a batch of 10,"):
        qtm.optim.pool_gradients(model, ["X" * 12], torch.rand(10, 12))
