"""Kernels take as many instructions as the table says: what makes one slower is seen on any machine."""

import json

import pytest

import kernel_counts
from conftest import NIGHTLY

TOLERANCE = 0.03

pytestmark = [
    pytest.mark.skipif(not NIGHTLY, reason="takes long: QTM_NIGHTLY=1"),
    pytest.mark.skipif(kernel_counts.missing() is not None, reason=f"needs {kernel_counts.missing()}"),
]


def test_kernels_take_the_instructions_that_they_took():
    table = json.loads(kernel_counts.TABLE.read_text())
    if kernel_counts.compiler() != table["compiler"]:
        pytest.skip(f"counted with {table['compiler']}, built with {kernel_counts.compiler()}")
    found = kernel_counts.counts()
    assert found.keys() == table["instructions"].keys()
    for kernel, expected in table["instructions"].items():
        assert found[kernel] == pytest.approx(expected, rel=TOLERANCE), (
            f"{kernel}: {found[kernel]:,} instructions, expected {expected:,}; "
            "if that is meant, python tests/kernel_counts.py and say why in the commit"
        )
