"""Any estimator of Qiskit as a method: simulators, backends, hardware."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .._core.arguments import noise_precision, whole_number
from .._program.own_angles import unknown_circuit
from .._program.program import Program
from .._simulation.method import Cost, Method, Refusal, Runner, Spending, Task
from .circuit_runner import CircuitRunner
from .contents import Contents, who_answers
from .device import DeviceCircuit, device_circuit
from .estimated import Estimated
from .estimators import Answer, Pub, backend_of, own_precision, read, require_estimator, samples, sent, shots_of
from .journal import Journal
from .rules import Rule, rule_of


class Primitive(Method):
    """Expectation values from an estimator of Qiskit, and gradients from more of them: nothing is simulated here.

    The circuit is transpiled once, when the model is made, and the observables are moved to where its qubits have gone.
    Every rotation has an angle of its own there, a plain parameter; expressions, shared parameters and the chain rule
    are PyTorch's. A training step is one job of one PUB: values and all that gradients need, at once.

    Args:
        estimator: Any V2 estimator (``StatevectorEstimator``, ``BackendEstimatorV2``, those of qiskit-aer and
            qiskit-ibm-runtime, ...), or a V1 estimator where Qiskit has them.
        gradient: "parameter_shift": two circuits for every rotation that matters and every sample; "spsa": a few for
            every sample, however many rotations there are; "guided_spsa": both; or a rule such as
            `qtm.methods.SPSA`.
        precision: Standard error that each value is to have; None: as the estimator has it; 0: exact, where it is.
        pass_manager: What makes the circuit one for the device, with a ``run``; None: Qiskit's preset of level 2 for
            the backend of the estimator, and none where that has no backend.
        max_circuits: Most circuits of a job: settings of angles times groups of observables that are measured together.
            What is more is sent in several jobs. None: no limit.
        journal: Keeps what was sent and what came back, so that a run which was killed goes on where it was: a
            `qtm.methods.Journal`, or the name of its file. None: nothing is kept.

    Attributes:
        spent: Jobs, PUBs, circuits and shots so far.
        standard_errors: Of the values of the last call, as the estimator tells them, shape (B, M); None: there was no
            call yet.

    Raises:
        TypeError: an argument is of the wrong kind, such as a sampler.
        ValueError: an argument cannot be used.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> device = qtm.methods.Primitive(qtm.FastEstimator(), precision=0.0)
        >>> model = qtm.QuantumModule(circuit, x, w, method=device, seed_init=0)
        >>> model(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
        >>> device.spent.jobs
        1
    """

    name = "primitive"
    is_exact = False
    prepares_at_once = True
    sends_circuits = True

    def __init__(
        self,
        estimator: Any,
        *,
        gradient: str | Rule = "parameter_shift",
        precision: float | None = None,
        pass_manager: Any = None,
        max_circuits: int | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
    ) -> None:
        require_estimator(estimator)
        rule = rule_of(gradient)
        assert isinstance(rule, Rule)
        self.estimator, self.rule = estimator, rule
        self.precision = None if precision is None else noise_precision(precision, "precision")
        if self.precision == 0.0 and samples(estimator):
            raise ValueError(
                f"precision: expected a positive number, as {type(estimator).__name__} samples, got 0; a precision of "
                "0.02 takes 2500 shots, and precision=None is what the estimator has by default"
            )
        if pass_manager is not None and not callable(getattr(pass_manager, "run", None)):
            raise TypeError(
                f"pass_manager: expected an object with a run(circuit), got {pass_manager!r}; give "
                "qiskit.transpiler.generate_preset_pass_manager(optimization_level=2, backend=...)"
            )
        self.pass_manager = pass_manager
        self.max_circuits = None if max_circuits is None else whole_number(max_circuits, "max_circuits", 1)
        self.journal = journal if journal is None or isinstance(journal, Journal) else Journal(journal)
        self._contents = Contents()
        self.spent = Spending()
        self.standard_errors: torch.Tensor | None = None

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """Refused where there is no circuit to send; seconds are not known: a device has a queue."""
        refusal = Estimated.refusal(program)
        if refusal is not None:
            return refusal
        fault = unknown_circuit(program.evolution)
        return Cost(math.inf) if fault is None else Refusal(fault)

    def prepare(self, program: Program) -> PrimitiveRunner:
        """A runner with the circuit that is sent."""
        circuit = device_circuit(program, backend_of(self.estimator), self.pass_manager)
        runner = PrimitiveRunner(program, self, circuit)
        runner.spending_of([circuit], 1)  # raises where the limit is too low for any
        return runner

    def _sent(self, pubs: Sequence[Pub], precision: float | None) -> list[Answer]:
        """What came back of a job: all that is sent goes this way."""
        if self.journal is None:
            return read(sent(self.estimator, pubs, precision).result(), pubs)
        plain = self.journal.answered(
            self._contents([(pub.circuit, pub.observables, pub.rows, precision) for pub in pubs]),
            who_answers(self.estimator),
            lambda: sent(self.estimator, pubs, precision),
            lambda result: [vars(answer) for answer in read(result, pubs)],
        )
        return [Answer(**answer) for answer in plain]

    def __deepcopy__(self, memo: dict[int, Any]) -> Primitive:
        return self  # of a connection there is no copy

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        precision = "" if self.precision is None else f", precision={self.precision}"
        return f"Primitive({type(self.estimator).__name__}, gradient={self.rule!r}{precision})"


class PrimitiveRunner(CircuitRunner):
    """Sends one circuit at many angles.

    Args:
        program: The program.
        method: The method.
        sent: What is sent for the program.
    """

    method: Primitive

    def __init__(self, program: Program, method: Primitive, sent: DeviceCircuit) -> None:
        super().__init__(program, method, method.rule, sent)
        self.precision = own_precision(method.estimator) if method.precision is None else method.precision

    @cached_property
    def unshared(self) -> Runner:
        """The same circuit, with weights that differ from sample to sample."""
        return PrimitiveRunner(self.program.unshared, self.method, self.sent)

    def answers(self, circuits: Sequence[DeviceCircuit], angles: torch.Tensor) -> list[Answer]:
        """Values of the observables of circuits at K settings: one job, or several where that is the limit.

        Args:
            circuits: Each with observables of its own.
            angles: Of all rotations of the program, shape (K, R).
        """
        settings = angles.cpu().numpy()
        rows = [one.rows(settings) for one in circuits]
        found = [Answer(*np.zeros((2, len(settings), len(one.observables)))) for one in circuits]
        for part in self._jobs(circuits, len(settings)):
            pubs = [Pub(one.circuit, one.observables, its[part]) for one, its in zip(circuits, rows, strict=True)]
            places = part if _varies(circuits) else slice(None)  # all settings of no angles are the same
            for whole, answer in zip(found, self.method._sent(pubs, self.method.precision), strict=True):
                whole.values[places], whole.errors[places] = answer.values, answer.errors
            self.method.spent += self._spending(circuits, part.stop - part.start)
        return found

    def plain_answers(self, circuits: Sequence[DeviceCircuit], precision: float | None) -> list[Answer]:
        """Of circuits without angles, in one job."""
        self.method.spent += self._spending(circuits, 1)
        pubs = [Pub(one.circuit, one.observables, np.zeros((1, 0))) for one in circuits]
        return self.method._sent(pubs, self.method.precision if precision is None else precision)

    def supports(self, name: str, qubits: Sequence[int]) -> bool:
        """Whether the device has a gate."""
        target = getattr(backend_of(self.method.estimator), "target", None)
        return target is None or bool(target.instruction_supported(name, tuple(qubits)))

    def spending_of(self, circuits: Sequence[DeviceCircuit], count: int) -> Spending:
        """What `answers` at so many settings take."""
        jobs = self._jobs(circuits, count)
        return sum((self._spending(circuits, part.stop - part.start) for part in jobs), Spending())

    def _jobs(self, circuits: Sequence[DeviceCircuit], count: int) -> list[slice]:
        """Which of so many settings go into each job."""
        groups, most = sum(one.num_groups for one in circuits), self.method.max_circuits
        count = count if _varies(circuits) else min(count, 1)
        if not groups or not count:
            return []
        size = count if most is None else most // groups
        if size == 0:
            raise ValueError(
                f"max_circuits: expected at least {groups}, one for each group of observables that are measured "
                f"together, got {most}; allow more, or give fewer observables"
            )
        return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]

    def _spending(self, circuits: Sequence[DeviceCircuit], count: int) -> Spending:
        """Of one job."""
        number = count * sum(one.num_groups for one in circuits)
        return Spending(1, len(circuits), number, number * shots_of(self.precision))


def _varies(circuits: Sequence[DeviceCircuit]) -> bool:
    return any(one.circuit.num_parameters for one in circuits)
