"""The README's table of run times, from ``benchmarks/results/fig1.json``: ``python docs/make_tables.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from qiskit_torch_module.reproduce.report import by_system
from qiskit_torch_module.reproduce.store import described
from qiskit_torch_module.reproduce.systems import (
    PENNYLANE,
    PROJECT,
    QML_REVERSE,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    median,
)
from qiskit_torch_module.reproduce.systems import VERSION_1 as OLD

ROOT = Path(__file__).parent.parent
RIVALS = {
    "TensorCircuit-NG (JAX)": TENSORCIRCUIT,
    "PennyLane (JAX)": PENNYLANE,
    "TensorFlow Quantum": TENSORFLOW_QUANTUM,
    "version 1.0": OLD,
    "qiskit-machine-learning, reverse": QML_REVERSE,
}
_PART = re.compile(
    r"(<!-- run times: docs/make_tables.py -->\n).*?(<!-- end -->)", re.DOTALL
)


def table() -> str:
    """Milliseconds of a training step, and the factor of the fastest rival."""
    results = json.loads(
        (ROOT / "benchmarks" / "results" / "fig1.json").read_text(
            encoding="utf-8"
        )
    )
    points = by_system(results)
    ours = points[PROJECT.label]
    lines = [
        f"{described(results)}:",
        "",
        "| qubits, batch | this package | "
        + " | ".join(RIVALS)
        + " | fastest rival / this |",
        "| --- |" + " ---: |" * (len(RIVALS) + 2),
    ]
    for value, point in sorted(ours.items()):
        own = median(point, "step")
        times = [
            points.get(one.label, {}).get(value) for one in RIVALS.values()
        ]
        found = [None if one is None else median(one, "step") for one in times]
        cells = ["" if one is None else _rounded(one) for one in found]
        fastest = min((one for one in found if one is not None), default=None)
        factor = "" if fastest is None else _rounded(fastest / own)
        lines.append(
            f"| {value}, {point['batch']} | {_rounded(own)} | "
            + " | ".join(cells)
            + f" | {factor} |"
        )
    return "\n".join(lines) + "\n"


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 99.5 else f"{number:.2g}"


def written(text: str) -> str:
    """The README with the table of the results."""
    found, count = _PART.subn(lambda match: match[1] + table() + match[2], text)
    if count != 1:
        raise ValueError("the README has no place for the table")
    return found


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(
        written(readme.read_text(encoding="utf-8")), encoding="utf-8"
    )
