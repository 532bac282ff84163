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
    """

    name = "primitive"
    is_exact = False
    prepares_at_once = True

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
        if self.max_circuits is not None and circuit.num_groups > self.max_circuits:
            raise ValueError(
                f"max_circuits: expected at least {circuit.num_groups}, one for each group of observables that are "
                f"measured together, got {self.max_circuits}; allow more, or give fewer observables"
            )
        return PrimitiveRunner(program, self, circuit)

    def _sent(self, pubs: Sequence[Pub]) -> list[Answer]:
        """What came back of a job: all that is sent goes this way."""
        if self.journal is None:
            return read(sent(self.estimator, pubs, self.precision).result(), pubs)
        plain = self.journal.answered(
            self._contents([(pub.circuit, pub.observables, pub.rows, self.precision) for pub in pubs]),
            who_answers(self.estimator),
            lambda: sent(self.estimator, pubs, self.precision),
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


class PrimitiveRunner(Estimated):
    """Sends one circuit at many angles.

    Args:
        program: The program.
        method: The method.
        sent: What is sent for the program.
    """

    method: Primitive

    def __init__(self, program: Program, method: Primitive, sent: DeviceCircuit) -> None:
        super().__init__(program, method, method.rule)
        self.sent = sent
        self.precision = own_precision(method.estimator) if method.precision is None else method.precision
        self._errors = torch.empty(0)  # of the last estimates

    @cached_property
    def unshared(self) -> Runner:
        """The same circuit, with weights that differ from sample to sample."""
        return PrimitiveRunner(self.program.unshared, self.method, self.sent)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """As `Estimated.values`; the method keeps the standard errors."""
        found = super().values(inputs, weights, num_threads, record)
        self.method.standard_errors = self._errors[: len(inputs)]
        return found

    def estimates(self, angles: torch.Tensor, num_threads: int = 0) -> torch.Tensor:
        """Of K settings: one job, or several where that is the limit."""
        rows, varying = self.sent.rows(angles.cpu().numpy()), [*self.sent.varying]
        values = np.tile(self.sent.constants, (len(rows), 1))
        errors = np.zeros_like(values)
        for part in self._jobs(len(rows)):
            pub = Pub(self.sent.circuit, self.sent.observables, rows[part])
            [answer] = self.method._sent([pub])
            places = part if rows.shape[1] else slice(None)  # all settings of no angles are the same
            values[places, varying] += answer.values
            errors[places, varying] = answer.errors
            self.method.spent += self._spending(len(pub.rows))
        self._errors = torch.from_numpy(errors)
        return torch.from_numpy(values).to(angles.device)

    def spending(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], wants: Sequence[bool]) -> Spending:
        """As `Runner.spending`."""
        count = len(inputs)
        if any(wants):
            widths = [inputs.shape[1], *map(len, weights)]
            is_wanted = [want for want, width in zip(wants, widths, strict=True) for _ in range(width)]
            count += self.rule.num_bindings(self.program, len(inputs), is_wanted)
        return self._spending(count)

    def _jobs(self, count: int) -> list[slice]:
        """Which of so many settings go into each job."""
        if not self.sent.observables:
            return []
        count, most = min(count, self._most_settings), self.method.max_circuits
        size = count if most is None else most // self.sent.num_groups
        return [slice(begin, begin + size) for begin in range(0, count, size)] if count else []

    @property
    def _most_settings(self) -> int:
        return 1 << 62 if self.sent.circuit.num_parameters else 1

    def _spending(self, count: int) -> Spending:
        """Of so many settings."""
        jobs = len(self._jobs(count))
        circuits = min(count, self._most_settings) * self.sent.num_groups if jobs else 0
        return Spending(jobs, jobs, circuits, circuits * shots_of(self.precision))
