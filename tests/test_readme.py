"""The Python in the README runs and does what it says."""

import re
from pathlib import Path

import pytest
import torch
from qiskit.circuit import library

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="the README is not beside the tests")
def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    first, second, _, module, _ = blocks
    if not hasattr(library, "real_amplitudes"):  # functions since Qiskit 1.3
        first = first.replace("real_amplitudes", "RealAmplitudes").replace("z_feature_map", "ZFeatureMap")
    torch.manual_seed(0)
    scope: dict = {"print": lambda *_: None}
    exec(first, scope)
    assert scope["loss"].item() < 1e-4
    exec(second, scope)
    assert [name for name, _ in scope["model"].named_parameters()] == ["first", "last"]
    exec(module, {**scope, "circuit": scope["data"].compose(scope["ansatz"]), "start": [0.1] * 8})
