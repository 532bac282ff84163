"""Errors of measurements: how large they are on each qubit, and Pauli words without them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, SparsePauliOp

from .device import DeviceCircuit
from .estimators import Answer

# Below this, measurements tell next to nothing, and their errors would be amplified without limit.
_LEAST_SCALE = 0.05

# A word, as its letter on each of its qubits.
_Word = tuple[tuple[int, str], ...]


class Calibration:
    """How measurements of qubits are off: <Z> as measured is scale * <Z> + offset."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, float]] = {}

    def __getitem__(self, qubit: int) -> tuple[float, float]:
        return self._known[qubit]

    def clear(self) -> None:
        """Forgets all qubits."""
        self._known.clear()

    def learn(
        self,
        qubits: Iterable[int],
        num_qubits: int,
        supports: Callable[[str, Sequence[int]], bool],
        ask: Callable[[Sequence[DeviceCircuit]], Sequence[Answer]],
    ) -> None:
        """Asks for what is not known of some qubits.

        Args:
            qubits: Of the device.
            num_qubits: Its number of qubits.
            supports: Whether it has a gate, by name and qubits.
            ask: Sends circuits without parameters, in one job.

        Raises:
            ValueError: a qubit cannot be flipped, or measurements of it tell nothing.
        """
        new = sorted({*qubits} - self._known.keys())
        if not new:
            return
        empty, flipped = (QuantumCircuit(num_qubits) for _ in range(2))
        for qubit in new:
            for gate in _flip(qubit, supports):
                getattr(flipped, gate)(qubit)
        observables = [_operator(((qubit, "Z"),), num_qubits) for qubit in new]
        zeros, ones = (answer.values[0] for answer in ask([_plain(one, observables) for one in (empty, flipped)]))
        for qubit, zero, one in zip(new, zeros.tolist(), ones.tolist(), strict=True):
            scale = (zero - one) / 2
            if scale < _LEAST_SCALE:
                raise ValueError(
                    f"readout: measurements of qubit {qubit} hardly tell |0> from |1>: <Z> is {zero:.3g} and "
                    f"{one:.3g}; use other qubits of the device, or more shots"
                )
            self._known[qubit] = scale, (zero + one) / 2

    def state_dict(self) -> dict[str, Any]:
        """What is known, for a checkpoint."""
        return {"qubits": dict(self._known)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what was known."""
        self._known = {int(qubit): (float(scale), float(offset)) for qubit, (scale, offset) in state["qubits"].items()}


def _flip(qubit: int, supports: Callable[[str, Sequence[int]], bool]) -> list[str]:
    for gates in (["x"], ["sx", "sx"]):
        if supports(gates[0], [qubit]):
            return gates
    raise ValueError(
        f"readout: the device has neither 'x' nor 'sx' on qubit {qubit}, to prepare |1>; leave Readout out"
    )


def _plain(circuit: QuantumCircuit, observables: Sequence[SparsePauliOp]) -> DeviceCircuit:
    count = len(observables)
    return DeviceCircuit(
        circuit, np.zeros((0, 0)), np.zeros(0), tuple(observables), tuple(range(count)), np.zeros(count), 1
    )


def _operator(word: _Word, num_qubits: int) -> SparsePauliOp:
    label = ["I"] * num_qubits
    for qubit, letter in word:
        label[num_qubits - 1 - qubit] = letter
    return SparsePauliOp(Pauli("".join(label)))


class Terms:
    """The words that observables are made of, and all that is left of these when some of their qubits are left out.

    Args:
        sent: The circuit with the observables.
        most_qubits: On how many qubits a word may be.

    Attributes:
        sent: The circuit with the words as observables.
        qubits: On which qubits they are.

    Raises:
        ValueError: a word is on more.
    """

    def __init__(self, sent: DeviceCircuit, most_qubits: int) -> None:
        self._terms = [
            (number, _word(pauli), float(np.real(coefficient)))
            for number, observable in enumerate(sent.observables)
            for pauli, coefficient in zip(observable.paulis, observable.coeffs, strict=True)
        ]
        widest = max((word for _, word, _ in self._terms), key=len, default=())
        if len(widest) > most_qubits:
            raise ValueError(
                f"observables: expected Pauli words on at most {most_qubits} qubits, got one on {len(widest)}, which "
                f"is made of 2^{len(widest)} without errors of readout; give fewer qubits, or Readout(most_qubits=...)"
            )
        words = {part for _, word, _ in self._terms for part, _ in _parts(word) if part}
        self._place = {word: place for place, word in enumerate(sorted(words))}
        self._num_observables = len(sent.observables)
        self.qubits = {qubit for word in self._place for qubit, _ in word}
        count = len(self._place)
        self.sent = replace(
            sent,
            observables=tuple([_operator(word, sent.circuit.num_qubits) for word in self._place]),
            varying=tuple(range(count)),
            constants=np.zeros(count),
        )

    def corrected(self, answer: Answer, calibration: Calibration) -> Answer:
        """Values of the observables, from those of the words."""
        weights, constants = self._combination(calibration)
        return Answer(answer.values @ weights.T + constants, np.sqrt(answer.errors**2 @ weights.T**2))

    def _combination(self, calibration: Calibration) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        weights = np.zeros((self._num_observables, len(self._place)))
        constants = np.zeros(self._num_observables)
        for number, word, coefficient in self._terms:
            for part, left_out in _parts(word):
                factor = coefficient
                for qubit, _ in part:
                    factor /= calibration[qubit][0]
                for qubit, _ in left_out:
                    scale, offset = calibration[qubit]
                    factor *= -offset / scale
                if part:
                    weights[number, self._place[part]] += factor
                else:
                    constants[number] += factor
        return weights, constants


def _word(pauli: Any) -> _Word:
    letters = pauli.to_label()[::-1]
    return tuple([(qubit, letter) for qubit, letter in enumerate(letters) if letter != "I"])


def _parts(word: _Word) -> Iterator[tuple[_Word, _Word]]:
    """Every part of a word, with what is left out of it."""
    for chosen in itertools.product((True, False), repeat=len(word)):
        yield tuple(itertools.compress(word, chosen)), tuple(itertools.compress(word, [not one for one in chosen]))
