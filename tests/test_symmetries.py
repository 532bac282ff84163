"""Qubits that symmetries settle: found where they are, left alone where not, and nothing changes but the time."""

import itertools
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import Pauli, SparsePauliOp

import qiskit_torch_module as qtm
from circuits_zoo import qaoa
from conftest import NIGHTLY
from judgement import Judgement
from qiskit_torch_module import FastReverseEstimatorGradient, QuantumModule, _engine
from qiskit_torch_module._program import cache
from qiskit_torch_module._program.program import Program
from reference import batch_values


@pytest.fixture(params=["flips", "turned back"])
def wherever_possible(request, monkeypatch):
    """Whatever it costs; and the other way round where quarter turns were moved."""
    prefers = 1e-6 if request.param == "flips" else -1e-6

    def effort(program, batch_size=1, in_series=False):
        return program.evolution.num_qubits + prefers * len(program.evolution.rotations)

    monkeypatch.setattr(Program, "effort", effort)
    monkeypatch.setattr(cache, "_programs", OrderedDict())  # others have their engines already


def sector(num_qubits, num_symmetries, seed, num_words=14, breaks=False):
    """Rotations about random words that commute with some that are +1 on the first state, some of them ladders."""
    rng = np.random.default_rng(seed)
    circuit, x, w = QuantumCircuit(num_qubits), ParameterVector("x", 2), ParameterVector("w", 3)
    in_superposition = rng.random(num_qubits) < 0.5
    for q in np.flatnonzero(in_superposition):
        circuit.h(int(q))
    own = ["X" if one else "Z" for one in in_superposition]
    kept = [
        Pauli(
            "".join(letter if take else "I" for letter, take in zip(own, rng.random(num_qubits) < 0.6, strict=True))[
                ::-1
            ]
        )
        for _ in range(num_symmetries)
    ]
    free = [x[0], x[1] * w[0], w[1], 2.5 * w[2] - 0.4, np.pi / 2, -np.pi, 0.7]
    for _ in range(num_words):
        word = Pauli("".join(rng.choice(list("IXYZ"), num_qubits)))
        if str(word) == "I" * num_qubits or not (breaks or all(word.commutes(one) for one in kept)):
            continue
        angle = free[rng.integers(len(free))]
        letters = str(word)[::-1]
        on = [q for q, letter in enumerate(letters) if letter != "I"]
        if rng.random() < 0.5:
            circuit.append(PauliEvolutionGate(SparsePauliOp(str(word).replace("I", "")), angle / 2), on)
            continue
        before = QuantumCircuit(num_qubits)
        for q in on:
            {"X": before.h, "Y": before.sx, "Z": before.id}[letters[q]](q)
        for q, other in itertools.pairwise(on):
            before.cx(q, other)
        circuit.compose(before, inplace=True)
        circuit.rz(angle, on[-1])
        circuit.compose(before.inverse(), inplace=True)
    if rng.random() < 0.3:
        circuit.h(int(rng.integers(num_qubits)))
    used = set(circuit.parameters)
    return circuit, [p for p in x if p in used], [p for p in w if p in used]


@pytest.mark.filterwarnings("ignore")  # that of SciPy, by Qiskit
@pytest.mark.parametrize("seed", range(1000 if NIGHTLY else 14))
def test_sectors_of_random_circuits(seed, wherever_possible, float64):
    """Every third circuit with rotations that leave the sector."""
    circuit, inputs, weights = sector(1 + seed % (6 if NIGHTLY else 5), seed % 4, seed, breaks=seed % 3 == 0)
    if weights:
        Judgement(circuit, inputs, weights, seed, batch_values).assert_agrees()


def chain(n, closed=True):
    w, circuit = ParameterVector("w", 40), QuantumCircuit(n)
    circuit.h(range(n))
    index = itertools.count()
    for _ in range(3):
        for q in range(n - 1 + closed):
            circuit.rzz(w[next(index) % 40], q, (q + 1) % n)
        circuit.rx(w[next(index) % 40], range(n))
    used = [p for p in w if p in circuit.parameters]
    return circuit, used, SparsePauliOp(["Z" * 2 + "I" * (n - 2), "X" + "I" * (n - 1)], [1.0, 0.5])


def excitations(n):
    """Singles and doubles that keep the number of particles in each half of the orbitals, from two of them filled."""
    w, circuit = ParameterVector("w", 6), QuantumCircuit(n)
    half = n // 2
    circuit.x([0, half])
    for k, (i, a) in enumerate([(0, half - 1), (half, n - 1), (0, 1), (half, half + 1)]):
        between = "Z" * (a - i - 1)
        word = SparsePauliOp(["X" + between + "Y", "Y" + between + "X"], [0.5, -0.5])
        circuit.append(PauliEvolutionGate(word, w[k]), range(i, a + 1))
    double = SparsePauliOp(
        ["XYXX", "YXYY", "XXXY", "YYYX", "XXYX", "YYXY", "YXXX", "XYYY"], [1, -1, 1, -1, -1, 1, -1, 1]
    )
    circuit.append(PauliEvolutionGate(double, w[4]), [0, half - 1, half, n - 1])
    return circuit, [*w][:5], SparsePauliOp(["Z" + "I" * (n - 1), "X" * n, "I" * n], [1.0, 2.0, 3.0])


CASES = [(chain(9), 1), (chain(9, closed=False), 1), (excitations(8), 2)]


@pytest.mark.parametrize(("case", "settled"), CASES, ids=["ring", "open chain", "excitations"])
def test_symmetries_that_are_found(case, settled, wherever_possible, instruction_set):
    """Values, first and second derivatives, in both precisions, batched and spread: those of all qubits."""
    circuit, weights, observable = case
    initial = np.random.default_rng(0).uniform(-2, 2, len(weights))
    found = []
    for acts in (True, False):
        with qtm.compiler_passes(symmetry_reduction=acts):
            model = QuantumModule(circuit, None, weights, observables=observable, variational_params_initial=initial)
        program = model._program
        assert program.evolution.num_qubits - program.simulated.evolution.num_qubits == acts * settled
        for dtype in (torch.float32, torch.float64):
            at = model.variational.detach().to(dtype).requires_grad_()

            def value(one, model=model):
                return torch.func.functional_call(model, {"variational": one}, ()).squeeze()

            slope = torch.autograd.grad(value(at), at, create_graph=True)[0]
            curve = torch.autograd.grad(slope[0] + slope[-1], at)[0]
            found.append([value(at).detach(), slope.detach(), curve])
    for dtype, own, expected in zip((torch.float32, torch.float64), found[:2], found[2:], strict=True):
        for one, other in zip(own, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4 if dtype == torch.float32 else 1e-11, rtol=1e-5)


def test_data_in_a_sector(wherever_possible):
    case = qaoa(3, 2)
    with qtm.compiler_passes(symmetry_reduction=False):
        plain = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0, observables="ZZI").double()
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0, observables="ZZI").double()
    found = []
    for one in (model, plain):
        inputs = torch.linspace(-1, 1, 3 * 11, dtype=torch.float64).reshape(11, 3).requires_grad_()
        one(inputs).sin().sum().backward()
        found.append([inputs.grad, *(set_.grad for set_ in one.parameters())])
    assert model._program.simulated.evolution.num_qubits == 2
    for own, expected in zip(*found, strict=True):
        torch.testing.assert_close(own, expected)


def test_one_rotation_breaks_them():
    circuit, weights, observable = chain(9)
    circuit.rz(weights[0], 4)
    model = QuantumModule(circuit, None, weights, observables=observable)
    assert model._program.simulated is model._program


def test_few_qubits_are_fewer_yet():
    circuit, weights, observable = chain(3)
    model = QuantumModule(circuit, None, weights, observables=observable)
    assert model._program.simulated.evolution.num_qubits == 2


def ring(n):
    """QAOA of two layers with a ring, whose energy it reads."""
    w, circuit = ParameterVector("w", 4), QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(2):
        for q in range(n):
            circuit.rzz(w[2 * layer], q, (q + 1) % n)
        circuit.rx(w[2 * layer + 1], range(n))
    return circuit, [*w], [(q, (q + 1) % n) for q in range(n)]


def pairs_of_open_chain(n):
    return *chain(n, closed=False)[:2], [*itertools.combinations(range(n), 2)]


@pytest.mark.parametrize("case", [ring(16), pairs_of_open_chain(16)], ids=["halves", "pairs"])
def test_diagonals_that_are_read_stay_diagonals(case):
    """Among few rotations, one flip for each of many terms takes longer than what is won, as does a lost start."""
    circuit, weights, pairs = case
    n = circuit.num_qubits
    observable = SparsePauliOp.from_sparse_list([("ZZ", [*pair], 1.0) for pair in pairs], n)
    program = QuantumModule(circuit, None, weights, observables=observable)._program
    assert program.simulated is program
    assert not program.expectation_values.terms.x.any()


def test_imaginary_derivatives_see_phases(wherever_possible):
    """Of words that are nothing but a phase in the sector, too."""
    circuit, weights, observable = chain(5)
    circuit.append(PauliEvolutionGate(SparsePauliOp("XXXXX"), weights[0]), range(5))
    rows = np.random.default_rng(1).uniform(-2, 2, (2, len(weights)))
    found = []
    for acts in (True, False):
        with qtm.compiler_passes(symmetry_reduction=acts):
            gradient = FastReverseEstimatorGradient(derivative_type="complex")
            job = gradient.run([circuit] * 2, [observable] * 2, rows.tolist())
            found.append(np.array(job.result().gradients))
    np.testing.assert_allclose(*found, atol=1e-11)
    assert np.abs(found[0].imag).max() > 0.1


def test_nothing_but_diagonals():
    """No state but the first is reached; one qubit is left."""
    w, circuit = ParameterVector("w", 2), QuantumCircuit(3)
    circuit.rzz(w[0], 0, 1)
    circuit.rz(w[1], 2)
    model = QuantumModule(circuit, None, w, observables=["ZII", "XII", "IZZ"])
    assert model().tolist() == [1.0, 0.0, 1.0]
    model().sum().backward()
    assert not model.variational.grad.any()


def test_it_is_explained():
    circuit, weights, observable = chain(12)
    said = qtm.explain(QuantumModule(circuit, None, weights, observables=observable))
    assert (said.num_simulated_qubits, said.num_settled_qubits) == (11, 1)
    assert "1 qubit settled by symmetries" in str(said)
    whole = replace(said, num_settled_qubits=0, num_simulated_qubits=12)
    assert "0 qubits settled" in str(whole)


def test_a_module_keeps_what_its_passes_were(tmp_path):
    circuit, weights, observable = chain(12)
    with qtm.compiler_passes(symmetry_reduction=False):
        model = QuantumModule(circuit, None, weights, observables=observable)
    qtm.save(model, tmp_path / "model.qtm")
    assert qtm.load(tmp_path / "model.qtm")._program.simulated.evolution.num_qubits == 12


def test_a_phase_of_few_angles_is_summed_over_energies(instruction_set):
    """As by a transform, which more angles take: one of two, with factors, in proportion and not."""
    w, circuit = ParameterVector("w", 8), QuantumCircuit(8)
    circuit.h(range(8))
    circuit.ry(0.3, range(8))
    angles = [w[0], -2.5 * w[0], 0.3 * w[0] + 1.0, w[1] * w[2], 2 * w[1] * w[2], w[3]]
    for layer in range(2):
        for k in range(12):
            circuit.rzz(
                angles[k % len(angles)] if layer else w[k % 8],
                k % 8,
                (3 * k + 1) % 8 if k % 8 != (3 * k + 1) % 8 else (k + 1) % 8,
            )
        circuit.rx(w[7], range(8))
    observable = SparsePauliOp(["ZZIIIIII", "IIZIZIII", "IIIIIZIZ", "IZIIIIII"], [1.0, -0.3, 2.0, 0.7])
    _engine.poison_scratch(True)
    initial = np.random.default_rng(2).uniform(-1, 1, 8)
    for dtype, atol in ((torch.float32, 1e-4), (torch.float64, 1e-11)):
        found = []
        for method in ("native", "pytorch"):
            model = QuantumModule(
                circuit, None, w, observables=observable, variational_params_initial=initial, method=method
            ).to(dtype)
            value = model()
            value.sum().backward()
            found.append([value.detach(), model.variational.grad])
        for own, expected in zip(*found, strict=True):
            torch.testing.assert_close(own, expected, atol=atol, rtol=1e-5)
