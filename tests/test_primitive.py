"""Primitive: Qiskit's estimators of every kind against the adjoint gradient, and what they are asked for."""

import copy
import functools
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap
from qiskit.transpiler.preset_passmanagers import generate_preset_pass_manager

import qiskit_torch_module as qtm
from circuits_zoo import cases, random_observables, reuploading
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.frame import expectation_values_in, sums_on_qubits
from qiskit_torch_module._program.own_angles import own_angles
from qiskit_torch_module._reading import compat
from qiskit_torch_module._reading.observables import pauli_sums
from qiskit_torch_module.methods import SPSA, Primitive, Spending
from test_estimated import ansatz, gradients_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

V2 = compat.EstimatorPub is not None
TIGHT = {"rtol": 0.0, "atol": 1e-9}
BASIS = ["rz", "sx", "cx"]


def exact():
    """Qiskit's own: V1 where that is all it has."""
    return compat.StatevectorEstimator() if V2 else compat.Estimator()


def aer(**options):
    try:
        from qiskit_aer.primitives import EstimatorV2
    except ImportError:  # it is not there, or of another Qiskit
        pytest.skip("no qiskit-aer for this Qiskit")
    return EstimatorV2(options=options or None)


@functools.cache
def moved(level=1):
    """To seven qubits in a line, starting in the middle of it: layouts move, and there are ancillas."""
    line = CouplingMap([[0, 2], [2, 4], [4, 6], [6, 5], [5, 3], [3, 1]])
    line.make_symmetric()
    return generate_preset_pass_manager(
        level, basis_gates=BASIS, coupling_map=line, seed_transpiler=1, approximation_degree=1.0
    )


def primitive(estimator=None, **options):
    return Primitive(estimator or exact(), precision=0.0, **options)


def on_device(**options):
    """Values of the transpiled circuit, exact: layout, ancillas and basis are those of a device."""
    return primitive(pass_manager=moved(), **options)


def sent(model):
    """What a model sends."""
    return model._runners(torch.zeros(1, model.input_size, dtype=torch.float64)).sent


@pytest.mark.parametrize(
    ("name", "options"), [("reuploading", {}), ("qaoa", {"max_circuits": 20}), ("fixed_and_free", {})]
)
def test_ansaetze(name, options):
    """Several sets of weights, products of weights and inputs, several observables, the idle line of a circuit."""
    case, size = reuploading(3, 1) if name == "reuploading" else cases(3)[name], 4
    circuit = QuantumCircuit(size)
    circuit.compose(case.circuit, [2, 0, 3], inplace=True)
    observables = random_observables(size, 1)[:3]
    found, expected = (
        gradients_of(circuit, case.encoding, case.variational, observables, method, batch=1)
        for method in (on_device(**options), "native")
    )
    torch.testing.assert_close(found, expected, **TIGHT)


# What is sent.


@pytest.mark.parametrize("num_qubits", [2, 5])
def test_observables_are_written_on_the_qubits_of_the_circuit_again(num_qubits):
    for case in cases(num_qubits).values():
        sums = pauli_sums(random_observables(num_qubits, 3), num_qubits)
        program = compile_program(case.circuit, "individualZ", case.encoding, case.variational)
        frame = program.evolution.frame
        again = sums_on_qubits(frame, expectation_values_in(frame, sums))
        kept = [[string for string in strings if string.letters] for strings in sums]
        assert [*again] == kept


def gates(circuit):
    return Counter(instruction.operation.name for instruction in circuit.data)


def test_a_circuit_stays_as_deep_as_it_was():
    """CX gates stay where they are, fixed gates as they are; what has parameters becomes rotations."""
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.ccz(0, 1, 2)
    circuit.barrier()
    for qubit in range(3):
        circuit.ry(a * b, qubit)
        circuit.cx(qubit, qubit + 1)
    circuit.crz(a, 0, 3)
    circuit.swap(1, 2)
    circuit.ecr(0, 1)
    model = qtm.QuantumModule(circuit, [a], [b], observables="ZZZZ", method=primitive())
    own = own_angles(model._program.evolution).circuit
    assert own.depth(lambda one: len(one.qubits) > 1) <= 1 + circuit.depth(lambda one: len(one.qubits) > 1)
    expected = {"h": 4, "ccz": 1, "barrier": 1, "ry": 3, "cx": 3, "rz": 1, "rzz": 1, "swap": 1, "ecr": 1}
    assert gates(own) == expected
    assert len(own.parameters) == 5


def test_angles_of_a_device_are_plain_parameters():
    model = qtm.QuantumModule(*ansatz(), observables="ZZZ", method=on_device())
    circuit = sent(model).circuit
    assert set(gates(circuit)) <= set(BASIS)
    assert circuit.num_qubits == 7
    params = [param for one in circuit.data for param in one.operation.params]
    assert all(isinstance(param, (Parameter, float)) for param in params)
    assert [one.name for one in circuit.parameters] == sorted(one.name for one in circuit.parameters)


@pytest.mark.parametrize(
    "basis", [["u1", "u2", "u3", "cx"], ["u", "cz"], ["rz", "sx", "x", "ecr"], ["r", "rzz"], ["rx", "ry", "p", "rxx"]]
)
def test_every_basis(basis):
    """Angles go where the transpiler has put them: into others, sums, and global phases."""
    circuit, x, w = ansatz(2, 1)
    manager = generate_preset_pass_manager(2, basis_gates=basis, seed_transpiler=1, approximation_degree=1.0)
    options = {"observables": ["ZX", "YI"], "seed_init": 0}
    model = qtm.QuantumModule(circuit, x, w, method=primitive(pass_manager=manager), **options)
    rows = torch.rand(1, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(rows), qtm.with_method(model, "native")(rows))
    assert set(gates(sent(model).circuit)) <= set(basis)


@pytest.mark.parametrize("name", ["reuploading", "qaoa"])
def test_it_is_as_deep_as_the_circuit_transpiled_by_itself(name):
    """But for routing, which is a heuristic."""
    case = cases(4)[name]
    manager = generate_preset_pass_manager(2, basis_gates=BASIS, seed_transpiler=1, approximation_degree=1.0)
    method = primitive(pass_manager=manager)
    model = qtm.QuantumModule(case.circuit, case.encoding, case.variational, method=method)
    of_pairs = lambda one: len(one.qubits) > 1  # noqa: E731
    assert sent(model).circuit.depth(of_pairs) <= manager.run(case.circuit).depth(of_pairs)


def test_it_is_transpiled_once():
    class Counting:
        def __init__(self):
            self.inner, self.runs = moved(), 0

        def run(self, circuit):
            self.runs += 1
            return self.inner.run(circuit)

    manager = Counting()
    model = qtm.QuantumModule(*ansatz(), observables=["ZZZ", "XII"], method=primitive(pass_manager=manager))
    for size in (1, 5):
        model(torch.rand(size, 3)).sum().backward()
    rows = torch.rand(2, 3)
    torch.func.vmap(lambda w: torch.func.functional_call(model, {"variational": w}, (rows,)))(torch.rand(2, 7))
    assert manager.runs == 1


class Spy(compat.StatevectorEstimator if V2 else compat.Estimator):
    """Counts calls of run, and what is in them."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def run(self, *arguments, **options):
        self.calls.append(arguments)
        return super().run(*arguments, **options)


def test_a_step_is_one_call():
    spy = Spy()
    circuit, x, w = ansatz()
    observables = ["ZZZ", SparsePauliOp(["XII", "III", "IYZ"], [0.5, 2.0, -1.0]), "III"]
    method = primitive(spy)
    model = qtm.QuantumModule(circuit, x, w, observables=observables, method=method, seed_init=0)
    rows = torch.rand(4, 3, requires_grad=True)
    cost = model.cost(rows)
    assert spy.calls == []
    (model(rows) ** 2).sum().backward()
    assert len(spy.calls) == 1
    settings = 4 * (1 + 2 * 13)  # one of 14 rotations is not felt
    assert method.spent == cost == Spending(1, 1, 2 * settings)  # XII and IYZ are measured together
    if V2:
        [[pub]] = spy.calls[0]
        assert len(pub[1]) == 2  # the identity is known
        assert pub[2].shape == (settings, 1, 14)
    else:
        assert len(spy.calls[0][0]) == 2 * settings
    with torch.no_grad():
        assert model.cost(rows) == Spending(1, 1, 8)
        model(rows)
    model.variational.requires_grad_(False)
    assert model.cost(rows).circuits < cost.circuits  # some rotations turn by weights alone
    assert len(spy.calls) == 2


def test_spsa_costs_the_same_for_any_number_of_weights():
    circuit, x, w = ansatz()
    method = primitive(Spy(), gradient=SPSA(directions=3, step=1e-3, generator=0))
    model = qtm.QuantumModule(circuit, x, w, observables="ZZZ", method=method)
    rows = torch.rand(5, 3)
    assert model.cost(rows) == Spending(1, 1, 5 * (1 + 2 * 3))
    model(rows).sum().backward()
    assert method.spent == model.cost(rows)


def test_a_limit_splits_jobs():
    method = primitive(Spy(), max_circuits=20)
    model = qtm.QuantumModule(*ansatz(), observables=["ZZZ", "XII"], method=method)
    rows = torch.rand(3, 3)
    cost = model.cost(rows)
    model(rows).sum().backward()
    assert method.spent == cost
    assert cost.jobs == cost.pubs == len(method.estimator.calls) == -(-cost.circuits // 20)


@pytest.mark.parametrize("observables", ["ZZ", "II"])
def test_circuits_without_angles_run_once(observables):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    method = primitive(Spy())
    model = qtm.QuantumModule(circuit, method=method, observables=observables)
    assert model().tolist() == [1.0]
    assert len(method.estimator.calls) == method.spent.circuits == model.cost().circuits == (observables == "ZZ")


def test_more_qubits_than_anybody_simulates():
    """Devices have them: nothing of it is simulated here."""
    size, w = 50, ParameterVector("w", 50)
    circuit = QuantumCircuit(size)
    for qubit in range(size):
        circuit.ry(w[qubit], qubit)
    for qubit in range(size - 1):
        circuit.cx(qubit, qubit + 1)
    estimator = aer(backend_options={"method": "matrix_product_state"})
    observables = ["I" * (size - 2) + "ZI", "I" * (size - 1) + "Z"]
    model = qtm.QuantumModule(circuit, None, w, observables=observables, method=primitive(estimator)).double()
    values = model()
    cosines, sines = torch.cos(model.variational.detach()), torch.sin(model.variational.detach())
    torch.testing.assert_close(values.detach(), torch.stack([cosines[0] * cosines[1], cosines[0]]), **TIGHT)
    values[0].backward()
    torch.testing.assert_close(model.variational.grad[:2], -sines[:2] * cosines[:2].flip(0), **TIGHT)
    assert model.method.spent.circuits == 5
    assert not model.variational.grad[2:].any()


# Estimators that sample.


def small_device():
    """Five qubits in a line, of the kind that this Qiskit has; it simulates itself."""
    if not V2:
        return pytest.importorskip("qiskit.providers.fake_provider").FakeManilaV2()
    from qiskit.providers.fake_provider import GenericBackendV2

    return GenericBackendV2(5, basis_gates=BASIS, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=1)


def sampling(precision=0.05):
    """Qiskit's estimator for backends: V2 from 1.1 on."""
    from qiskit import primitives

    backend = small_device()
    if hasattr(primitives, "BackendEstimatorV2"):
        return primitives.BackendEstimatorV2(
            backend=backend, options={"seed_simulator": 3, "default_precision": precision}
        )
    shots = round(precision**-2)
    return primitives.BackendEstimator(backend, options={"seed_simulator": 3, "shots": shots}, skip_transpilation=True)


@pytest.mark.filterwarnings("ignore")
def test_a_backend_within_its_standard_errors():
    """One that has noise, too: errors of gates are small against those of a few shots."""
    circuit, x, w = ansatz()
    options = {"observables": ["ZIZ", SparsePauliOp(["IXI", "III"], [0.5, 2.0])], "seed_init": 0}
    method = Primitive(sampling(), precision=0.05)
    model = qtm.QuantumModule(circuit, x, w, method=method, **options).double()
    native = qtm.with_method(model, "native")
    rows = torch.full((1, 3), 0.4, dtype=torch.float64)
    assert model.cost(rows).shots == 400 * model.cost(rows).circuits
    values, expected = model(rows), native(rows)
    errors = method.standard_errors
    assert errors.shape == values.shape
    assert (errors[:, 0] > 0.02).all()
    assert ((values - expected).abs() < 5 * errors + 0.05).all()
    found, wanted = (torch.autograd.grad(one.sum(), model.variational)[0] for one in (values, expected))
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=0.4)


@pytest.mark.filterwarnings("ignore")
def test_the_precision_of_the_estimator_is_what_none_means():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    assert qtm.QuantumModule(circuit, method=Primitive(sampling(0.1))).cost() == Spending(1, 1, 1, 100)


@pytest.mark.filterwarnings("ignore")
def test_estimators_of_a_service():
    """Those of qiskit-ibm-runtime run a fake backend themselves; nothing of theirs is imported by name."""
    runtime = pytest.importorskip("qiskit_ibm_runtime")
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    kind = getattr(runtime, "EstimatorV2", None) or runtime.Estimator
    estimator = kind(mode=FakeManilaV2(), options={"simulator": {"seed_simulator": 3}})
    circuit, x, w = ansatz(2, 1)
    method = Primitive(estimator, precision=0.1)
    model = qtm.QuantumModule(circuit, x, w, method=method, seed_init=0).double()
    rows = torch.full((1, 2), 0.4, dtype=torch.float64)
    values = model(rows)
    torch.testing.assert_close(values, qtm.with_method(model, "native")(rows), rtol=0.0, atol=0.5)
    values.sum().backward()
    assert method.spent == model.cost(rows)
    assert sent(model).circuit.num_qubits == 5
    with pytest.raises(ValueError, match="precision: expected a positive number, as Estimator.* samples, got 0"):
        Primitive(estimator, precision=0)


# What a journal keeps.


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_was_killed_sends_nothing_again(tmp_path):
    """Draws of a backend: the second run has those of the first, and goes on with its own."""

    class Service(type(sampling())):
        calls = 0

        def run(self, *arguments, **options):
            type(self).calls += 1
            return super().run(*arguments, **options)

    def steps(count):
        estimator = sampling()
        estimator.__class__ = Service
        circuit, x, w = ansatz(2, 1)
        method = Primitive(estimator, precision=0.2, journal=tmp_path / "run.sqlite")
        model = qtm.QuantumModule(circuit, x, w, method=method, seed_init=0).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.full((2, 2), 0.4, dtype=torch.float64)).sum().backward()
            optimizer.step()
        method.journal.close()
        return model.variational.tolist()

    first = steps(2)
    assert steps(2) == first
    assert Service.calls == 2
    assert steps(3) != first
    assert Service.calls == 3


# Moving a model.


def test_a_model_is_moved():
    circuit, x, w = ansatz()
    model = qtm.QuantumModule(circuit, x, w, observables="ZZZ", seed_init=0)
    moved_model = qtm.with_method(model, primitive())
    rows = torch.rand(2, 3)
    assert model.method == "auto"
    assert moved_model.method.name == "primitive"
    assert moved_model.variational is model.variational
    torch.testing.assert_close(moved_model(rows), model(rows))
    with torch.no_grad():
        model.variational.add_(0.1)
    torch.testing.assert_close(moved_model(rows), model(rows))
    assert qtm.with_method(moved_model, "native").method.name == "native"
    assert model.cost(rows) == Spending()


def test_a_module_that_holds_models_is_moved():
    circuit, x, w = ansatz()
    hybrid = qtm.HybridModule(circuit, x, w, 2, 1, seed_init=0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), hybrid)
    method = primitive()
    moved_network, rows = qtm.with_method(network, method), torch.rand(2, 2)
    assert moved_network[0] is network[0]
    assert moved_network[1].preprocessing is hybrid.preprocessing
    assert [*moved_network.parameters()] == [*network.parameters()]
    torch.testing.assert_close(moved_network(rows), network(rows))
    assert hybrid.quantum.method == "auto"
    assert moved_network[1].cost(rows) == moved_network[1].quantum.cost(torch.rand(2, 3, requires_grad=True))
    (moved_network(rows) ** 2).sum().backward()
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    (network(rows) ** 2).sum().backward()
    torch.testing.assert_close(gradients, [parameter.grad for parameter in network.parameters()])


def test_a_model_that_was_loaded_is_moved(tmp_path):
    circuit, x, w = ansatz()
    model = qtm.QuantumModule(circuit, x, w, observables=["ZZZ", "XYI"], seed_init=0)
    qtm.save(model, tmp_path / "model")
    loaded, rows = qtm.load(tmp_path / "model"), torch.rand(2, 3)
    for again in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(qtm.with_method(again, primitive())(rows), model(rows))


def test_what_is_said_of_it(tmp_path):
    model = qtm.QuantumModule(*ansatz(), method=primitive())
    assert "takes as long as who computes elsewhere, chosen" in str(qtm.explain(model))
    with pytest.raises(ValueError, match=r"save qtm.with_method\(model, 'auto'\), and give"):
        qtm.save(model, tmp_path / "model")
    with pytest.raises(TypeError, match="model: expected one that is not compiled yet; move the model, then call"):
        qtm.with_method(torch.compile(model), "native")


def test_a_copy_keeps_its_estimator():
    model = qtm.QuantumModule(*ansatz(), method=primitive())
    assert copy.deepcopy(model).method.estimator is model.method.estimator


# What cannot be.


class Made:
    """A pass manager that does what it is told."""

    def __init__(self, run):
        self.run = run


def without_layout(circuit):
    made = moved().run(circuit)
    again = QuantumCircuit(made.num_qubits)
    again.compose(made, inplace=True)
    return again


def same_size(circuit):
    """Of as many qubits, all of them elsewhere."""
    again = QuantumCircuit(circuit.num_qubits)
    return again.compose(circuit, [*reversed(range(circuit.num_qubits))])


def squared(circuit):
    again, angle = QuantumCircuit(circuit.num_qubits), circuit.parameters[0]
    again.ry(angle * angle, 0)
    return again


def kind(name):
    from qiskit import primitives

    return getattr(primitives, name, None) or getattr(primitives, name.removeprefix("Statevector"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Primitive(kind("StatevectorEstimator")), TypeError, r"got the class .*Estimator; give .*Estimator\(\.\.\.\)"),
        (lambda: Primitive(kind("StatevectorSampler")()), TypeError, r"got a sampler, .*Sampler; give the estimator"),
        (lambda: Primitive(small_device()), TypeError, r"got a backend, .*; give BackendEstimatorV2\(backend=\.\.\.\) of it"),
        (lambda: Primitive(3), TypeError, r"estimator: expected an estimator of Qiskit, such as .*, got int"),
        (lambda: Primitive(exact(), precision=-0.1), ValueError, r"precision: expected a finite number, at least 0"),
        (lambda: Primitive(sampling(), precision=0), ValueError, r"precision: expected a positive number, as .* samples, got 0; a precision of 0.02 takes 2500 shots"),
        (lambda: Primitive(exact(), gradient="exact"), ValueError, r"gradient: expected one of 'parameter_shift'"),
        (lambda: Primitive(exact(), pass_manager="level 2"), TypeError, r"pass_manager: expected an object with a run"),
        (lambda: Primitive(exact(), journal=3), TypeError, r"journal: expected the name of a file, got 3"),
        (lambda: Primitive(exact(), max_circuits=0), ValueError, r"max_circuits: expected a whole number from 1"),
        (lambda: qtm.with_method("model", "native"), TypeError, r"model: expected a torch.nn.Module, got str"),
        (lambda: qtm.with_method(torch.nn.Linear(1, 1), "native"), ValueError, r"model: expected a QuantumModule, or a module that holds one, got Linear"),
    ],
)  # fmt: skip
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "size", "observables", "message"),
    [
        (lambda: Primitive(sampling(), pass_manager=Made(lambda circuit: circuit)), 3, "ZZZ", r"pass_manager: it made a circuit with 'ry' on qubits \[0\], where the device has no such gate \(it knows cx, .*\); leave pass_manager out"),
        (lambda: primitive(pass_manager=Made(without_layout)), 3, "ZZZ", r"pass_manager: it made a circuit of 7 qubits of one of 3, and lost the layout, .*; leave pass_manager out"),
        (lambda: primitive(pass_manager=Made(same_size)), 3, "IIZ", r"pass_manager: the circuit that it made, .*, give other values .*; leave pass_manager out"),
        (lambda: primitive(pass_manager=Made(squared)), 3, "IIZ", r"pass_manager: it made angles that are more than sums of the given ones; leave"),
        (lambda: primitive(pass_manager=Made(lambda circuit: None)), 3, "IIZ", r"pass_manager: expected a QuantumCircuit from its run\(\), got NoneType"),
        (lambda: Primitive(sampling()), 6, "ZZZZZZ", r"circuit: expected gates on at most 5 qubits, as many as the device has, got gates on 6; use a larger device"),
        (lambda: primitive(max_circuits=2), 3, ["ZZZ", "XXX", "YYY"], r"max_circuits: expected at least 3, one for each group of observables .*, got 2; allow more"),
        (lambda: primitive(), 3, qtm.outputs.State(), r"method 'primitive': it estimates expectation values of Paulis, not State.*; give Paulis"),
    ],
)  # fmt: skip
def test_what_a_device_does_not_take(method, size, observables, message):
    """It is said when the model is made."""
    circuit, x, w = ansatz(size)
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        qtm.QuantumModule(circuit, x, w, observables=observables, method=method())
    assert "\n" not in str(raised.value)


def test_a_circuit_that_is_not_known():
    """That of a file which holds what the circuit was compiled to alone."""
    model = copy.deepcopy(qtm.QuantumModule(*ansatz()))
    model._circuit = None
    with pytest.raises(ValueError, match="the model comes from a file that does not hold its circuit; build the model"):
        qtm.with_method(model, primitive())


def test_derivatives_of_gradients_are_refused():
    model = qtm.QuantumModule(*ansatz(), method=primitive())
    (slope,) = torch.autograd.grad(model(torch.rand(1, 3)).sum(), model.variational, create_graph=True)
    with pytest.raises(NotImplementedError, match="method 'primitive' has first gradients only; use method='auto'"):
        slope.sum().backward()


def test_values_that_are_not_finite():
    class Broken(Spy):
        def run(self, *arguments, **options):
            job = super().run(*arguments, **options)
            result = job.result()
            (result[0].data.evs if V2 else result.values)[...] = np.nan
            return job

    model = qtm.QuantumModule(*ansatz(), method=primitive(Broken()))
    with pytest.raises(ValueError, match="estimator: expected finite values, and got others"):
        model(torch.rand(1, 3))
