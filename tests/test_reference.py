"""The reference: everything public is on a page, is documented in full, and its examples run."""

import dataclasses
import doctest
import importlib
import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from qiskit import QuantumCircuit

import qiskit_torch_module as qtm
from qiskit_torch_module._simulation.work import Work
from qiskit_torch_module.cli import app
from qiskit_torch_module.explain import Explanation

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted((DOCS / "api").glob("*.md"))
ROOMS = [
    "analysis",
    "circuits",
    "geometry",
    "initializers",
    "kernels",
    "methods",
    "optim",
    "outputs",
    "plots",
    "quantum_neural_network",
    "sklearn",
]
# What is no class and no function, or is told of with another.
CONSTANTS = {"plots.GRID", "plots.INK", "plots.MUTED", "plots.decimal", "methods.X", "methods.Y", "methods.Z"}
# To be derived from, or by other methods: the page on methods of one's own has the examples.
BASES = {"methods.Estimated", "methods.Method", "methods.Rule", "methods.Runner"}
WIDTH = 80


def names_of(room):
    module = importlib.import_module(f"qiskit_torch_module.{room}")
    own = [name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__]
    return [name for name in getattr(module, "__all__", own) if not name.startswith("_")]


def public():
    """Everything public by its name below the package."""
    found = {name: getattr(qtm, name) for name in qtm.__all__ if not name.startswith("_")}
    for room in ROOMS:
        module = importlib.import_module(f"qiskit_torch_module.{room}")
        found |= {f"{room}.{name}": getattr(module, name) for name in names_of(room)}
    return {name: one for name, one in found.items() if not inspect.ismodule(one) and name not in CONSTANTS}


PUBLIC = public()


def callables():
    """Public classes and functions, and their own public methods; with who documents their arguments."""
    for name, one in PUBLIC.items():
        if "set_memory_budget" not in name:  # of the engine, in C++
            yield name, one
        if inspect.isclass(one):
            for method, function in vars(one).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{method}", function


CALLABLES = dict(callables()) | {"explain.Explanation": Explanation, "explain.Work": Work}


def sections(text):
    """The sections of a docstring in Google's style, each as its lines without their indentation."""
    found, current = {"": []}, ""
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z]\w+:", line):
            current = line[:-1]
            found[current] = []
            continue
        if line and not line.startswith(" "):
            current = ""
        found[current].append(line.removeprefix("    ") if current else line)
    return found


def documented(lines):
    """The names before the colons of a section."""
    entries = [line for line in lines if line and not line.startswith(" ")]
    assert all(":" in entry for entry in entries), entries
    return [name.strip().lstrip("*") for entry in entries for name in entry.partition(":")[0].split(",")]


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_is_on_a_page(name):
    room, _, last = name.rpartition(".")
    module = f"qiskit_torch_module.{room}".rstrip(".")
    on_pages = set()
    for page in PAGES:
        for part in re.split(r"^\.\. currentmodule:: ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            where = part.split("\n", 1)[0]
            on_pages |= {
                (where, found)
                for found in re.findall(r"^\.\. (?:auto\w+|py:function):: (\w+)", part, flags=re.MULTILINE)
            }
    assert (module, last) in on_pages


@pytest.mark.filterwarnings("ignore")  # other libraries' own
@pytest.mark.parametrize("name", CALLABLES)
def test_examples_run(name, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    one = CALLABLES[name]
    known = {"Path": Path, "QuantumCircuit": QuantumCircuit, "dataclass": dataclasses.dataclass, "np": np, "qtm": qtm}
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(one) or "", {**known, "torch": torch}, name, None, 0)
    assert test.examples or not inspect.isclass(one) or name in BASES, f"{name}: expected an example"
    told = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert not told, "".join(told)
    for example in test.examples:
        assert max(map(len, example.source.splitlines())) + 4 <= WIDTH, example.source


def test_classes_to_derive_from_have_their_examples_on_a_page():
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    for name in ("methods.Method", "methods.Runner"):
        assert name in page


@pytest.mark.parametrize("name", CALLABLES)
def test_arguments_are_documented_by_their_names(name):
    one = CALLABLES[name]
    text = inspect.getdoc(one) or ""
    assert text, f"{name}: expected a docstring"
    found = sections(text)
    assert not {"Arguments", "Parameters", "Return", "Raise"} & set(found)
    signature = inspect.signature(one)
    own = [parameter for parameter in signature.parameters if parameter not in ("self", "cls")]
    listed = documented(found.get("Args", []))
    assert set(listed) <= set(own), f"{name} documents arguments that it does not have"
    if inspect.isclass(one) and "Args" in found:
        assert listed == [parameter for parameter in own if parameter in listed], f"{name}: in another order"
        assert set(listed) == set(own), f"{name} leaves arguments out"
    for line in found.get("Attributes", []):  # Sphinx takes several names for a type
        assert line.startswith(" ") or "," not in line.partition(":")[0], f"{name}: {line}"
    for line in found.get("Raises", []):
        if line and not line.startswith(" "):
            for error in line.partition(":")[0].split(","):
                assert re.fullmatch(r"\w*(Error|Exception|Interrupt)", error.strip()), f"{name} raises {line}"


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if inspect.isclass(one)])
def test_sphinx_takes_no_words_of_a_property_for_its_type(name):
    # Where the first line of a property has a colon outside of ``...``, what stands before it becomes the type.
    for attribute, one in vars(PUBLIC[name]).items():
        if isinstance(one, property) and not attribute.startswith("_"):
            first = (inspect.getdoc(one) or "").partition("\n")[0]
            assert ":" not in re.sub(r"``.*?``|`.*?`", "", first), f"{name}.{attribute}: {first}"


def options_of(command, path=()):
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from options_of(inner, (*path, name))
    else:
        yield " ".join(path), [option for parameter in command.params for option in parameter.opts]


def test_the_page_of_the_command_line_has_every_command_and_option():
    page = (DOCS / "api" / "command_line.md").read_text(encoding="utf-8")
    for command, options in options_of(typer.main.get_command(app)):
        assert f"`qtm {command}" in page
        for option in options:
            assert f"`{option}`" in page or not option.startswith("--"), f"qtm {command} {option}"


SITES = runpy.run_path(str(DOCS / "other_sites.py"))


def test_every_link_to_another_site_has_an_anchor(tmp_path):
    for site, (url, file) in SITES["inventories"](tmp_path).items():
        assert url.startswith("https://")
        assert url.endswith("/")
        assert Path(file).read_bytes().startswith(b"# Sphinx inventory version 2\n"), site
