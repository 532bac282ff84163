"""Zero-noise extrapolation and errors of readout: linear combinations, exact where the noise is as it is assumed."""

import itertools
import math

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Pauli, Statevector
from qiskit.transpiler.preset_passmanagers import generate_preset_pass_manager

import qiskit_torch_module as qtm
from conftest import NIGHTLY
from qiskit_torch_module._reading import compat
from qiskit_torch_module.methods import Native, Primitive, Readout, ZeroNoise
from qiskit_torch_module.methods.folding import folded
from qiskit_torch_module.methods.mitigation import weights_at_zero

if compat.EstimatorPub is None:
    pytest.skip("mitigation is tested through PUBs", allow_module_level=True)

TIGHT = {"rtol": 0.0, "atol": 1e-12}
OBSERVABLES = ["ZZ", "XI", {"IZ": 0.5, "YX": -2.0, "II": 0.25}]


def circuit(num_cx=2):
    """On two qubits, where a depolarized pair commutes with every gate."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 6)
    made = QuantumCircuit(2)
    for q in range(2):
        made.rx(x[q], q)
        made.ry(w[q], q)
    for _ in range(num_cx - 2):
        made.cx(0, 1)
        made.rx(0.3, 0)
    made.cx(0, 1)
    made.rzz(w[2] * x[0], 0, 1)
    for q in range(2):
        made.ry(w[3 + q], q)
    made.rx(w[5], 0)
    return made, x, w


class Noisy(compat.BaseEstimatorV2):
    """The exact values of a device whose noise has a closed form.

    Every gate on two qubits depolarizes, and a measurement of qubit q shrinks <Z> by scales[q] and shifts it.
    """

    def __init__(self, depolarizing=1.0, scales=(1.0, 1.0), offsets=(0.0, 0.0)):
        self.depolarizing, self.readout = depolarizing, [*zip(scales, offsets, strict=True)]
        self.jobs = []

    def run(self, pubs, *, precision=None):
        pubs = [compat.EstimatorPub.coerce(pub) for pub in pubs]
        self.jobs.append(len(pubs))
        return compat.submitted(lambda: [self.answer(pub) for pub in pubs], at_once=True)

    def answer(self, pub):
        two = sum(len(one.qubits) == 2 and one.operation.name != "barrier" for one in pub.circuit)
        rows, observables = np.broadcast_arrays(
            np.arange(pub.parameter_values.size).reshape(pub.parameter_values.shape), np.array(pub.observables)
        )
        states = [Statevector(one) for one in pub.parameter_values.bind_all(pub.circuit).reshape(-1)]
        values = np.zeros(rows.shape)
        for index in np.ndindex(rows.shape):
            for label, factor in observables[index].items():
                values[index] += factor * self.measured(states[rows[index]], label, self.depolarizing**two)
        return compat.PubResult(compat.estimates(values, np.full(values.shape, 0.01)))

    def measured(self, state, label, share):
        """The product of scale * P + offset over the qubits of a word."""
        letters = [(q, letter) for q, letter in enumerate(reversed(label)) if letter != "I"]
        total = 0.0
        for chosen in itertools.product((True, False), repeat=len(letters)):
            part, factor = ["I"] * len(label), 1.0
            for take, (q, letter) in zip(chosen, letters, strict=True):
                scale, offset = self.readout[q]
                factor *= scale if take else offset
                if take:
                    part[-1 - q] = letter
            if factor:
                total += factor * (share * state.expectation_value(Pauli("".join(part))).real if any(chosen) else 1.0)
        return total


def results(method, made=None, batch=2):
    """Values, and all gradients of a sum of them with different weights."""
    made = made or circuit()
    model = qtm.QuantumModule(*made, observables=OBSERVABLES, seed_init=3, method=method).double()
    inputs = torch.linspace(0.1, 0.9, 2 * batch, dtype=torch.float64).reshape(batch, 2).requires_grad_()
    values = model(inputs)
    (values * torch.arange(1.0, 1 + values.numel()).reshape(values.shape)).sum().backward()
    return values.detach(), inputs.grad, model.variational.grad


def constants(values):
    """What the identity contributes, which no noise changes."""
    return torch.tensor([0.0, 0.0, 0.25], dtype=torch.float64).expand_as(values)


@pytest.mark.parametrize(
    ("factors", "extrapolation", "weights"),
    [
        ((1, 3), "linear", [1.5, -0.5]),
        ((1, 3, 5), "linear", [13 / 12, 1 / 3, -5 / 12]),
        ((1, 3, 5), "richardson", [15 / 8, -10 / 8, 3 / 8]),
        ((1, 3, 5), 2, [15 / 8, -10 / 8, 3 / 8]),
        ((1, 2, 3, 4), "quadratic", [2.25, -0.75, -1.25, 0.75]),
        ((2,), 0, [1.0]),
    ],
)
def test_the_weights_are_those_of_polynomials(factors, extrapolation, weights):
    degree = ZeroNoise(Primitive(compat.StatevectorEstimator()), factors, extrapolation).degree
    np.testing.assert_allclose(weights_at_zero(factors, degree), weights, atol=1e-12)


@pytest.mark.parametrize("extrapolation", ["linear", "richardson"])
def test_extrapolated_values_and_gradients_have_the_closed_form(extrapolation):
    share, factors = 0.97, (1, 3, 5)
    exact = results(Native())
    method = ZeroNoise(Primitive(Noisy(share)), factors, extrapolation)
    found = results(method)
    # Values are multiplied by share^(2 f), as two gates are folded, and combined.
    weights = weights_at_zero(factors, method.degree)
    factor = float(weights @ [share ** (2 * f) for f in factors])
    torch.testing.assert_close(found[0], constants(exact[0]) + factor * (exact[0] - constants(exact[0])), **TIGHT)
    for got, gradient in zip(found[1:], exact[1:], strict=True):
        torch.testing.assert_close(got, factor * gradient, rtol=0.0, atol=1e-11)
    assert method.inner.estimator.jobs == [3]  # one job, one PUB for each factor
    assert (method.spent.jobs, method.spent.pubs) == (1, 3)
    bare = results(Primitive(Noisy(share)))
    nearer = {"linear": 5, "richardson": 100}[extrapolation]
    assert nearer * (found[0] - exact[0]).abs().max() < (bare[0] - exact[0]).abs().max()


def test_gradients_are_the_combination_of_those_at_each_factor():
    share, factors = 0.9, (1, 3, 5)
    found = results(ZeroNoise(Primitive(Noisy(share)), factors, "richardson"))
    parts = [results(ZeroNoise(Primitive(Noisy(share)), (factor,), 0)) for factor in factors]
    for got, *each in zip(found, *parts, strict=True):
        combined = sum(w * one for w, one in zip(weights_at_zero(factors, 2), each, strict=True))
        torch.testing.assert_close(got, combined, **TIGHT)


def test_errors_of_readout_are_gone_and_so_are_those_of_gradients():
    exact = results(Native())
    noisy = Noisy(1.0, (0.9, 0.8), (0.03, -0.05))
    method = Readout(Primitive(noisy))
    for got, expected in zip(results(method), exact, strict=True):
        torch.testing.assert_close(got, expected, rtol=0.0, atol=1e-11)
    assert noisy.jobs == [2, 1]  # the calibration, and all the rest
    results(method)
    assert noisy.jobs == [2, 1, 1]
    method.calibrate()
    results(method)
    assert noisy.jobs == [2, 1, 1, 2, 1]
    assert (results(Primitive(noisy))[0] - exact[0]).abs().max() > 0.05


def test_mitigations_compose_either_way():
    def device():
        return Primitive(Noisy(0.97, (0.9, 0.8), (0.03, -0.05)))

    one, other = results(ZeroNoise(Readout(device()))), results(Readout(ZeroNoise(device())))
    plain = results(ZeroNoise(Primitive(Noisy(0.97))))
    for first, second, expected in zip(one, other, plain, strict=True):
        torch.testing.assert_close(first, second, rtol=0.0, atol=1e-11)
        torch.testing.assert_close(first, expected, rtol=0.0, atol=1e-11)


@pytest.mark.parametrize("factor", [1, 1.4, 2, 3, 4.5, 7] if NIGHTLY else [1.4, 3])
@pytest.mark.parametrize("basis", [None, ["rz", "sx", "x", "cz"], ["rz", "sx", "x", "ecr"], ["rz", "rx", "rzz"]])
def test_folded_circuits_do_the_same(basis, factor):
    made = circuit(5)
    manager = basis and generate_preset_pass_manager(1, basis_gates=basis, seed_transpiler=1)
    method = Primitive(qtm.FastEstimator(), precision=0.0, pass_manager=manager)
    method.supports = lambda name, qubits: True
    for got, expected in zip(results(ZeroNoise(method, (factor,), 0), made), results(Native(), made), strict=True):
        torch.testing.assert_close(got, expected, rtol=0.0, atol=1e-9)
    sent = qtm.QuantumModule(*made, method=method)._runners(torch.zeros(1, 2)).sent
    more, has = folded(sent, factor, lambda name, qubits: True)
    two = [
        sum(len(one.qubits) == 2 and one.operation.name != "barrier" for one in c) for c in (sent.circuit, more.circuit)
    ]
    assert two[1] == round(has * two[0])
    assert abs(has - factor) <= 1 / two[0] + 1e-12


def test_a_calibration_is_kept_by_a_checkpoint(tmp_path):
    noisy = Noisy(1.0, (0.9, 0.8), (0.03, -0.05))
    for _ in range(2):
        model = qtm.QuantumModule(*circuit(), observables=OBSERVABLES, method=Readout(Primitive(noisy)))
        checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", model)
        checkpoint.resume()
        model(torch.zeros(1, 2))
        checkpoint.save()
    assert noisy.jobs == [2, 1, 1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Aer with Qiskit 1
def test_noise_of_aer_with_shots():
    """Depolarizing gates and errors of readout: mitigated values are at least five times nearer to the exact ones."""
    try:
        from qiskit.primitives import BackendEstimatorV2
        from qiskit_aer import AerSimulator
        from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
    except ImportError as error:  # none for this version of Qiskit
        pytest.skip(str(error))
    noise = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    noise.add_all_qubit_readout_error(ReadoutError([[0.97, 0.03], [0.08, 0.92]]))
    backend = AerSimulator(noise_model=noise, seed_simulator=7)
    device = Primitive(BackendEstimatorV2(backend=backend, options={"seed_simulator": 7}), precision=0.005)

    def errors(method):
        model = qtm.QuantumModule(*circuit(4), observables=OBSERVABLES, seed_init=3, method=method)
        with torch.no_grad():
            return (model(torch.tensor([[0.2, 0.7]])) - exact).abs().max().item()

    exact = qtm.QuantumModule(*circuit(4), observables=OBSERVABLES, seed_init=3)(torch.tensor([[0.2, 0.7]])).detach()
    assert errors(ZeroNoise(Readout(device, precision=0.002))) < errors(device) / 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda device: ZeroNoise(Native()),
            r"inner: expected a method that sends circuits, such as .*, got Native\(\); what is",
        ),
        (lambda device: Readout("auto"), "inner: expected a method that sends circuits"),
        (lambda device: ZeroNoise(Primitive), "inner: expected a method that sends circuits"),
        (lambda device: ZeroNoise(device, 3), r"factors: expected numbers from 1 on, such as \(1, 3, 5\), got 3"),
        (lambda device: ZeroNoise(device, ()), "factors: expected different numbers from 1 on"),
        (lambda device: ZeroNoise(device, (0.5, 1)), "factors: expected different numbers from 1 on"),
        (lambda device: ZeroNoise(device, (1, 1, 3)), "factors: expected different numbers from 1 on"),
        (lambda device: ZeroNoise(device, (1, math.nan)), "factors: expected a finite number"),
        (
            lambda device: ZeroNoise(device, (1,)),
            "extrapolation: expected a degree below the number of factors, 1, got 'linear'; give 2",
        ),
        (
            lambda device: ZeroNoise(device, (1, 3, 5), "exponential"),
            "or a degree, got 'exponential'; only polynomials make gradients",
        ),
        (lambda device: ZeroNoise(device, (1, 3, 5), -1), "extrapolation: expected a whole number from 0"),
        (lambda device: Readout(device, precision=0), "precision: expected a finite number above 0"),
        (lambda device: Readout(device, most_qubits=0), "most_qubits: expected a whole number from 1 to 16, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make(Primitive(compat.StatevectorEstimator()))


def test_what_cannot_be_mitigated():
    alone, w = QuantumCircuit(1), ParameterVector("w", 1)
    alone.rx(w[0], 0)
    device = Primitive(Noisy())
    with pytest.raises(
        ValueError, match="circuit: expected gates on two qubits, whose noise can be amplified, got none"
    ):
        qtm.QuantumModule(alone, None, w, method=ZeroNoise(device))
    with pytest.raises(ValueError, match=r"factors: expected different ones, .* become \[1.0, 1.0\]; give odd numbers"):
        qtm.QuantumModule(*circuit(), method=ZeroNoise(device, (1, 1.1)))
    with pytest.raises(
        ValueError, match=r"Pauli words on at most 1 qubits, got one on 2, .*Readout\(most_qubits=...\)"
    ):
        qtm.QuantumModule(*circuit(), observables="ZZ", method=Readout(device, most_qubits=1))
    blind = qtm.QuantumModule(*circuit(), method=Readout(Primitive(Noisy(1.0, (0.01, 1.0)))))
    with pytest.raises(
        ValueError, match=r"readout: measurements of qubit 0 hardly tell \|0> from \|1>: <Z> is 0.01 and -0.01"
    ):
        blind(torch.zeros(1, 2))
