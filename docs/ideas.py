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
    "symmetry_reduction": "qubits that symmetries settle are left out",
    "shared_prefix": "what no input touches is done once",
    "observable_absorption": "the last layer moves into the observables",
    "all": "all of them",
}


def measured() -> Mapping[str, Any]:
    """The results of ``python benchmarks passes``."""
    return json.loads((RESULTS / "passes.json").read_text(encoding="utf-8"))


def table() -> str:
    """How many times as long a step takes without each idea: where it helps most and least, and in between."""
    circuits = measured()["circuits"]
    lines = [
        "| idea, and its pass | most | least | reference circuit |",
        "| --- | --- | --- | ---: |",
    ]
    for name, idea in IDEAS.items():
        factors = {
            circuit: row["without"][name]["measured"]
            for circuit, row in circuits.items()
            if name in row["without"]
        }
        if factors:
            most, least = (
                pick(factors, key=factors.get) for pick in (max, min)
            )
            lines.append(
                f"| {idea}: `{name}` | {factor(factors[most])}, {most} | {factor(factors[least])}, {least} "
                f"| {factor(factors['reference'])} |"
            )
    return "\n".join(lines)
