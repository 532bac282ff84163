"""What a release must agree about."""

import re
from pathlib import Path

import pytest

from qiskit_torch_module import __version__
from test_engine import python

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "CHANGELOG.md").is_file(), reason="not in the repository")


def test_the_changelog_begins_with_this_version_or_what_follows_it():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(one for one in headings if one != "Unreleased") == __version__
    assert "Unreleased" not in headings[1:]


def test_nothing_else_states_a_version():
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"^version", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)


def test_importing_it_warns_of_nothing_and_takes_nothing_that_few_need():
    done = python(
        """
        import sys, warnings
        import numpy, qiskit, torch
        warnings.simplefilter("error")
        seldom = {"qiskit.qpy", "matplotlib", "sklearn", "typer", "scipy.linalg", "scipy.optimize", "scipy.sparse"}
        before = seldom - set(sys.modules)
        import qiskit_torch_module
        print(sorted(before & set(sys.modules)))
        """
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
