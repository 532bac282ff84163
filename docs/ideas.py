"""The table of ``docs/what_it_brings.md``, from ``benchmarks/results/passes.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qiskit_torch_module.reproduce.store import factor

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"

IDEAS = {
    "permutation_folding": "CNOTs rename basis states",
    "fusion": "runs: rotations of a qubit as one matrix",
    "diagonal_merging": "phases: all diagonals as one",
    "product_state": "the first layer is a product",
    "halved_start": "two halves instead of one whole",
    "unjoined_halves": "halves that are never joined",
    "symmetry_reduction": "qubits that symmetries settle are left out",
    "shared_prefix": "what no input touches is done once",
    "observable_absorption": "the last layer moves into the observables",
    "all": "all of them together",
}


def measured() -> Mapping[str, Any]:
    """The results of ``python benchmarks passes``."""
    return json.loads((RESULTS / "passes.json").read_text(encoding="utf-8"))


def table() -> str:
    """How many times as long a step takes without each idea: on the circuits that it helps most, and least."""
    circuits = measured()["circuits"]
    lines = ["| idea (pass) | most | least |", "| --- | --- | --- |"]
    for name, idea in IDEAS.items():
        factors = {
            circuit: row["without"][name]["measured"]
            for circuit, row in circuits.items()
            if name in row["without"]
        }
        if factors:
            ends = [pick(factors, key=factors.get) for pick in (max, min)]
            cells = [f"{factor(factors[one])} {one}" for one in ends]
            about = f"{idea} ({name.replace('_', ' ')})"
            lines.append(f"| {about} | {' | '.join(cells)} |")
    return "\n".join(lines)
