"""Programs as text: what is read is what was written, and nothing else is read."""

import base64
import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

import gate_zoo
from circuits_zoo import encoded, qaoa, random_observables, reuploading
from qiskit_torch_module import compiler_passes
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.output import ExpectationValues
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._reading.expressions import Derived, evaluate
from qiskit_torch_module._reading.polynomials import Polynomial
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module._simulation.states import states_of
from qiskit_torch_module._storage import fields
from qiskit_torch_module._storage.formulas import require_expression
from qiskit_torch_module._storage.kinds import VERSION
from qiskit_torch_module._storage.portable import from_text, to_text
from qiskit_torch_module._storage.records import Record
from qiskit_torch_module.outputs import Entropy, Fidelity, Overlap, Probabilities, Purity, Variance
from qiskit_torch_module.outputs.columns import as_output
from test_layers import lines_run


def programs():
    for case in (reuploading(3, 1), qaoa(4, 2)):
        circuit, observables = case.circuit, random_observables(case.circuit.num_qubits, 3)
        yield compile_program(circuit, observables, list(case.encoding), case.variational)
    x, y = Parameter("x"), Parameter("y")
    circuit = QuantumCircuit(2, global_phase=y)
    circuit.ry((x * y).sin() / (y + 2) + 1e-300, 0)
    circuit.rx((x * y).sin() * y.exp() - x / 3, 1)
    circuit.rz(y.exp() * 0.1, 1)
    circuit.cx(0, 1)
    yield compile_program(circuit, "individualZ", [x], [[y]])
    yield compile_program(encoded(2, [x, 2 * y, y.sin(), 1.0]), "individualZ", [x], [[y]])
    yield compile_program(encoded(3, [x, y]), ["ZXY"], [], [[y, x]])
    with compiler_passes(fusion=False, permutation_folding=False):
        yield compile_program(circuit, ["XY", {"II": 2.5, "ZZ": -0.1}], [], [[y], [x]])
    for output in (
        Probabilities(),
        Probabilities([1, 0], [0, 1, 1, 0], 2),
        as_output(["XY", Purity([0]), Entropy([1], 1.5), Fidelity([1, 0, 0, 0]), Variance({"II": 2.5, "ZX": 1})], 2),
        Overlap(circuit),
    ):
        yield compile_program(circuit, output, [x], [[y]])


PROGRAMS = list(programs())


@pytest.mark.parametrize("program", PROGRAMS)
def test_round_trip(program):
    text = to_text(program)
    assert text.isascii()
    again = from_text(text)
    assert again == program
    assert hash(again) == hash(program)
    assert again.evolution.num_relabellings == program.evolution.num_relabellings
    assert to_text(again) == text


@pytest.mark.filterwarnings("ignore")
def test_round_trip_of_every_gate():
    for name, cls in gate_zoo.operation_classes().items():
        if name in gate_zoo.REFUSED | gate_zoo.IDLE:
            continue
        for operation in gate_zoo.specimens(name, cls)[:1]:
            circuit = QuantumCircuit(max(1, operation.num_qubits))
            circuit.append(operation, range(operation.num_qubits))
            program = compile_program(circuit, "individualZ", list(circuit.parameters), [])
            assert from_text(to_text(program)) == program, name


def test_every_field_is_written():
    """Fails where a class has got a field that no line of the table serialises."""
    records = [one for one in (*vars(fields).values(), *fields.OUTPUTS.values()) if isinstance(one, Record)]
    written = {record.record: record.fields for record in records}
    for record, lines in written.items():
        assert lines.keys() == {field.name for field in dataclasses.fields(record) if field.init}, record
    values = {}
    for part in (PROGRAMS[0].evolution, PROGRAMS[0].output):
        values |= {name: type(getattr(part, name)) for name in written[type(part)]}
    for name, kind in values.items():
        if dataclasses.is_dataclass(kind) and kind is not Polynomial:
            assert kind in written, name


def test_a_text_of_version_1_has_no_frame():
    """It gives what it gave, expectation values, and nothing that needs the qubits of the circuit."""
    content = json.loads(to_text(PROGRAMS[0]))
    content["version"] = 1
    del content["program"]["frame"]
    for name in ("symmetry_reduction", "unjoined_halves"):
        del content["program"]["passes"][name]
    old = from_text(json.dumps(content))
    assert old.evolution.frame is None
    assert old.output == PROGRAMS[0].output
    assert dataclasses.replace(old.evolution, frame=PROGRAMS[0].evolution.frame) == PROGRAMS[0].evolution


def changed(text, change):
    content = json.loads(text)
    change(content["program"])
    return json.dumps(content)


def terms(program, *columns):
    dtypes = ("<i4", "<u4", "<u4", "<f8")
    arrays = [np.asarray(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
    program["observable_terms"] = [[[len(one)], base64.b64encode(one.tobytes()).decode()] for one in arrays]


WRONG = {
    "a million qubits": lambda p: p.update(num_qubits=10**6),
    "no qubit": lambda p: p.update(num_qubits=0),
    "a billion inputs": lambda p: p.update(num_inputs=2**31 - 1),
    "true for a number": lambda p: p.update(num_inputs=True),
    "a number for true": lambda p: p["passes"].update(fusion=1),
    "text for a number": lambda p: p.update(num_weights="1"),
    "no observable": lambda p: p.update(observable_constants=[], observable_terms=[]),
    "a field more": lambda p: p.update(more=1),
    "a field less": lambda p: p.pop("phase"),
    "axis": lambda p: p["rotations"][0].__setitem__(0, 3),
    "mask": lambda p: p["rotations"][0].__setitem__(2, 1 << 29),
    "masks that commute": lambda p: p["rotations"].append([1, 1, 2, []]),
    "a Z that flips": lambda p: p["rotations"].append([2, 1, 1, []]),
    "a row too long": lambda p: p["rotations"][0].append(0),
    "a row too short": lambda p: p["rotations"][0].pop(),
    "a variable that is not there": lambda p: p["rotations"].append([2, 0, 1, [[1.0, 99]]]),
    "a high degree": lambda p: p["rotations"].append([2, 0, 1, [[1.0, 0, 0, 0, 0, 0]]]),
    "variables out of order": lambda p: p["phase"].extend([[1.0, 1, 0]]),
    "a coefficient of nothing": lambda p: p.update(phase=[[0.0, 0]]),
    "one term twice": lambda p: p.update(phase=[[1.0, 0], [1.0, 0]]),
    "an integer coefficient": lambda p: p.update(phase=[[1, 0]]),
    "an observable that is not there": lambda p: terms(p, [99], [0], [1], [1.0]),
    "an observable before the first": lambda p: terms(p, [-1], [0], [1], [1.0]),
    "a term of nothing": lambda p: terms(p, [0], [0], [0], [1.0]),
    "a term of a qubit that is not there": lambda p: terms(p, [0], [0], [1 << 29], [1.0]),
    "a term without a coefficient": lambda p: terms(p, [0], [0], [1], []),
    "a coefficient that is not finite": lambda p: terms(p, [0], [0], [1], [float("nan")]),
    "a frame of one qubit twice": lambda p: p.update(frame=[[1, 1], [1, 1], [False, False]]),
    "a frame beyond the qubits": lambda p: p.update(frame=[[1, 1 << 20], [1, 1 << 20], [False, False]]),
    "half a frame": lambda p: p.update(frame=[[1, 2], [1], [False, False]]),
    "half a mask": lambda p: p["observable_terms"].__setitem__(1, [[1], "AAA="]),
    "a list of masks": lambda p: p["observable_terms"].__setitem__(1, [1]),
    "an unknown operation": lambda p: p.update(derived_inputs=[[[["variable", 0], ["eval", 0]], "a"]]),
    "an operand that is not there": lambda p: p.update(derived_inputs=[[[["variable", 0], ["sin", 1]], "a"]]),
    "itself for an operand": lambda p: p.update(derived_inputs=[[[["sin", 0]], "a"]]),
    "a sine of two": lambda p: p.update(derived_inputs=[[[["variable", 0], ["sin", 0, 0]], "a"]]),
    "a difference of one": lambda p: p.update(derived_inputs=[[[["variable", 0], ["sub", 0]], "a"]]),
    "an empty expression": lambda p: p.update(derived_inputs=[[[], "a"]]),
    "an empty node": lambda p: p.update(derived_inputs=[[[[]], "a"]]),
    "a variable of no number": lambda p: p.update(derived_inputs=[[[["variable", 0.5]], "a"]]),
    "a weight from inputs": lambda p: p.update(derived_weights=[[[["variable", 0]], "a"]]),
    "half a character": lambda p: p.update(derived_inputs=[[[["variable", 0]], "\ud800"]]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused(change):
    text = changed(to_text(PROGRAMS[0]), change)
    with pytest.raises(ValueError, match="compiled program as text: "):
        from_text(text)


WRONG_OUTPUTS = {
    "no name": (0, lambda one: one.pop(0)),
    "an unknown name": (0, lambda one: one.__setitem__(0, "Unknown")),
    "a field more": (0, lambda one: one[1].update(more=1)),
    "a qubit that is not there": (0, lambda one: one[1].update(qubits=[2])),
    "a qubit twice": (0, lambda one: one[1].update(qubits=[1, 1])),
    "no qubit": (0, lambda one: one[1].update(qubits=[])),
    "a shape of nothing": (0, lambda one: one[1].update(output_shape=[4, 0])),
    "a shape without classes": (0, lambda one: one[1].update(output_shape=[3])),
    "a class that is not there": (1, lambda one: one[1].update(output_shape=[1])),
    "classes without a shape": (1, lambda one: one[1].update(output_shape=None)),
    "classes of another number of qubits": (1, lambda one: one[1].update(qubits=[0])),
    "a column twice": (2, lambda one: one[1].update(order=[0, 0, 1, 2, 3])),
    "a column less": (2, lambda one: one[1].update(order=[0, 1, 2, 3])),
    "a list in a list": (2, lambda one: one[1]["outputs"].append(json.loads(json.dumps(one)))),
    "Paulis of other qubits": (2, lambda one: one[1]["paulis"].__setitem__(0, 3)),
    "Paulis of nothing": (2, lambda one: one[1]["paulis"].__setitem__(1, 0)),
    "no order of an entropy": (2, lambda one: one[1]["outputs"][1][1].update(alpha=0.0)),
    "a target of other qubits": (2, lambda one: one[1]["outputs"][2][1]["target"].__setitem__(0, amplitudes(1, 0))),
    "a target of no norm": (2, lambda one: one[1]["outputs"][2][1]["target"].__setitem__(0, amplitudes(1, 1, 1, 1))),
    "a circuit without a frame": (3, lambda one: one[1]["evolution"].update(frame=None)),
    "a circuit of other inputs": (3, lambda one: one[1]["evolution"].update(num_inputs=2)),
    "a circuit of nothing": (3, lambda one: one[1].update(evolution=None)),
}


def amplitudes(*numbers):
    return [[len(numbers)], base64.b64encode(np.array(numbers, "<c16").tobytes()).decode()]


@pytest.mark.parametrize(("which", "change"), WRONG_OUTPUTS.values(), ids=WRONG_OUTPUTS.keys())
def test_outputs_that_are_wrong_are_refused(which, change):
    text = to_text(PROGRAMS[-4 + which])
    with pytest.raises(ValueError, match="compiled program as text: "):
        from_text(changed(text, lambda p: change(p["output"])))


def test_observables_and_another_output_are_refused():
    observables = {
        name: part for name, part in json.loads(to_text(PROGRAMS[0]))["program"].items() if "observable" in name
    }
    with pytest.raises(ValueError, match="expected observables or another output, got both"):
        from_text(changed(to_text(PROGRAMS[-4]), lambda p: p.update(observables)))


def rotation(*row):
    return lambda p: p["rotations"].append(list(row))


def derived(*nodes):
    return lambda p: p.update(derived_inputs=[[list(nodes), "a"]])


def dense(name, place, rest):
    """A matrix or diagonal on the second qubit, in place ``place``."""
    return lambda p: p[name].append([place, [[2], [2], [False]], *rest])


def numbers(count):
    return base64.b64encode(np.zeros(count, "<f8").tobytes()).decode()


# Three qubits, three inputs, 18 weights, five observables: the last that is right, the first that is not.
LIMITS = {
    "mask of a rotation": (rotation(2, 0, 7, []), rotation(2, 0, 8, [])),
    "flips of a rotation": (rotation(0, 7, 1, []), rotation(0, 9, 1, [])),
    "a rotation of nothing": (rotation(2, 0, 1, []), rotation(2, 0, 0, [])),
    "variable of an angle": (rotation(2, 0, 1, [[1.0, 20]]), rotation(2, 0, 1, [[1.0, 21]])),
    "degree of an angle": (rotation(2, 0, 1, [[1.0, 0, 0, 0, 0]]), rotation(2, 0, 1, [[1.0, 0, 0, 0, 0, 0]])),
    "observable of a term": (lambda p: terms(p, [4], [0], [1], [1.0]), lambda p: terms(p, [5], [0], [1], [1.0])),
    "signs of a term": (lambda p: terms(p, [0], [0], [7], [1.0]), lambda p: terms(p, [0], [0], [8], [1.0])),
    "flips of a term": (lambda p: terms(p, [0], [7], [0], [1.0]), lambda p: terms(p, [0], [8], [0], [1.0])),
    "operand of a node": (
        derived(["variable", 0], ["variable", 1], ["add", 0, 1]),
        derived(["variable", 0], ["variable", 1], ["add", 0, 2]),
    ),
    "operands of a difference": (
        derived(["variable", 0], ["sub", 0, 0]),
        derived(["variable", 0], ["sub", 0, 0, 0]),
    ),
    "operands of a variable": (derived(["variable", 0]), derived(["variable", 0, 0])),
    "operands of a sine": (derived(["variable", 0], ["sin", 0]), derived(["variable", 0], ["sin"])),
    "entries of a matrix": (dense("matrices", 0, [2, numbers(8)]), dense("matrices", 0, [2, numbers(10)])),
    "columns of a matrix": (dense("matrices", 0, [1, numbers(4)]), dense("matrices", 0, [4, numbers(16)])),
    "energies of a diagonal": (
        dense("diagonals", 0, [numbers(2), [[1.0, 0]]]),
        dense("diagonals", 0, [numbers(3), [[1.0, 0]]]),
    ),
    "place of a matrix": (
        lambda p: dense("matrices", len(p["rotations"]), [2, numbers(8)])(p),
        lambda p: dense("matrices", len(p["rotations"]) + 1, [2, numbers(8)])(p),
    ),
    "parameter of an expression": (derived(["variable", 20]), derived(["variable", 21])),
}


@pytest.mark.parametrize(("right", "wrong"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_are_where_they_should_be(right, wrong):
    text = to_text(PROGRAMS[0])
    from_text(changed(text, right))
    with pytest.raises(ValueError, match="compiled program as text: "):
        from_text(changed(text, wrong))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "x", "[" * 10**5, '{"a":' * 10**5, "1" * 10**6, "[" + "1" * 10**6, '{"a":1,"a":1}', "NaN"],
)
def test_foreign_text_is_refused(text):
    with pytest.raises(ValueError, match="compiled program as text: "):
        from_text(text)


@pytest.mark.parametrize("operation", ["pow", "add", "sin"])
def test_expressions_of_expressions_take_one_step_for_each(operation):
    def steps(count):
        nodes = [["variable", 0], *([operation, i, i][: 2 if operation == "sin" else 3] for i in range(count))]
        text = changed(to_text(PROGRAMS[0]), lambda p: p.update(derived_inputs=[[nodes, "deep"]]))

        def read_and_evaluated():
            program = from_text(text)
            value = evaluate(
                program.evolution.derived_inputs[0].expression, torch.zeros(program.evolution.num_inputs, 1).unbind()
            )
            assert value.shape == (1,)

        return lines_run(read_and_evaluated)

    assert steps(800) < 3 * steps(400)


def test_an_expression_that_only_qiskit_evaluates_is_not_written():
    derived = Derived((("variable", 0), ("opaque", abs, 0)), "angle")
    with pytest.raises(ValueError, match="cannot be written; write it with functions of ParameterExpression"):
        to_text(Program(dataclasses.replace(PROGRAMS[2].evolution, derived_inputs=(derived,)), PROGRAMS[2].output))


# As version 4 wrote `recorded`. Where what is written changes, raise VERSION, have this read still, and record the new.
RECORDED = (Path(__file__).parent / "data" / "program-4.json").read_text().strip()


def recorded():
    x, w, circuit = Parameter("x"), Parameter("w"), QuantumCircuit(3)
    circuit.ry(2 * x * w, 0)
    circuit.rx(x.sin(), 1)
    circuit.cx(0, 1)
    circuit.unitary(1j * np.eye(8)[[3, 1, 2, 0, 4, 7, 6, 5]], range(3))
    circuit.rz(w + 0.5, 1)
    return compile_program(circuit, ["ZXI", {"III": 0.25, "YII": -0.5}], [x], [[w]])


def test_a_recorded_text_is_read():
    assert from_text(RECORDED) == recorded()


def test_a_text_is_what_was_recorded_of_its_version():
    assert to_text(recorded()) == RECORDED
    assert f'"version":{VERSION},' in RECORDED


@pytest.mark.parametrize("version", [5, 1 << 30])
def test_a_newer_version_says_so(version):
    text = RECORDED.replace('"version":4', f'"version":{version}')
    with pytest.raises(ValueError, match=rf"text: it has version {version}, .* versions up to 4; update"):
        from_text(text)


@pytest.mark.parametrize("version", [0, -1, 4.0, "4", None])
def test_a_version_that_never_was_is_refused(version):
    content = json.loads(RECORDED)
    with pytest.raises(ValueError, match="version: expected an integer from 1 to"):
        from_text(json.dumps({**content, "version": version}))


def test_an_expression_of_a_circuit_has_so_many_steps_at_most():
    """Which are counted before any of them is looked at."""
    with pytest.raises(ValueError, match="^expression: expected 1 to 1048576 steps of expressions"):
        require_expression([None] * 1_048_577)
    with pytest.raises(ValueError, match="^expression: expected a list"):
        require_expression([None] * 1_048_576)


def test_a_number_that_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="float"):
        to_text(Program(PROGRAMS[0].evolution, ExpectationValues((np.inf,), PROGRAMS[0].output.terms)))


def test_random_damage_is_read_as_a_sound_program_or_refused():
    generator, texts = random.Random(1), [to_text(program) for program in PROGRAMS]
    for _ in range(2000):
        text = generator.choice(texts)
        for _ in range(generator.randint(1, 3)):
            at, length = generator.randrange(len(text)), generator.choice([0, 1, 1, 8])
            piece = generator.choice(["", "9", "-", "[", "]", ",", "0.5", "1e999", text[at // 2 : at // 2 + 30]])
            text = text[:at] + piece + text[at + length :]
        try:
            program = from_text(text)
        except ValueError:
            continue
        if program.evolution.num_qubits <= 8:
            _ = engine_of(program if program.expectation_values else states_of(program))
