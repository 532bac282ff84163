"""How values show themselves: in a line, and as HTML in a notebook."""

import math
import re
import sys
import tempfile
import types
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit

import qiskit_torch_module as qtm
from qiskit_torch_module._core.notebook import in_notebook
from qiskit_torch_module._core.shown import angle, card, folded, in_short
from qiskit_torch_module.circuits import incremental_data_uploading

CIRCUIT, X, W = incremental_data_uploading(3, 1)
ZEROS = torch.zeros(4, 3)
HOSTILE = "<script>alert('x')</script> & \"quoted\""


def module(**options):
    return qtm.QuantumModule(CIRCUIT, X, W, seed_init=0, **options)


def grown():
    start = QuantumCircuit(2)
    start.h([0, 1])
    return qtm.optim.adapt(qtm.QuantumModule(start, None, None, observables=["ZZ"]).double(), ["YI", "YZ"])


def device():
    return qtm.methods.Primitive(qtm.FastEstimator(), precision=0.1)


# What each has to say in a notebook.
SHOWN = {
    "module": (
        module,
        ["QuantumModule", "3 qubits", "(..., 3): individualZ", "variational: 12", "float32", "21 gates"],
    ),
    "module with a method": (lambda: module(method=qtm.methods.Shots(7)), ["Shots(7, gradient=ParameterShift())"]),
    "module with an output": (lambda: module(observables=qtm.outputs.State()), ["(..., 8): State()"]),
    "hybrid": (
        lambda: qtm.HybridModule(CIRCUIT, X, W, 4, 2),
        ["Linear(in_features=4", "35 in all", "quantum: circuit"],
    ),
    "program": (lambda: module()._program, ["num_rotations=18", "π/2", "IIY", "w11"]),
    "explanation": (lambda: qtm.explain(module(), batch_size=48), ["3 qubits, 21 gates", "method native", "chosen"]),
    "probabilities": (lambda: qtm.outputs.Probabilities([0]), ["Probabilities(qubits=(0,)"]),
    "trainable": (lambda: qtm.outputs.Trainable([HOSTILE]), ["&lt;script&gt;"]),
    "native": (qtm.methods.Native, ["State vectors in the native engine"]),
    "mitigation": (lambda: qtm.methods.ZeroNoise(device()), ["ZeroNoise(Primitive(FastEstimator"]),
    "rule": (qtm.methods.SPSA, ["SPSA(directions=8"]),
    "fidelity kernel": (lambda: qtm.kernels.FidelityKernel(CIRCUIT, X, W), ["FidelityKernel", "variational: 12"]),
    "projected kernel": (lambda: qtm.kernels.ProjectedKernel(CIRCUIT, X, W), ["rbf"]),
    "expressibility": (lambda: qtm.analysis.expressibility(module(), pairs=20), ["±", "float64, shape (20,)"]),
    "spectrum": (lambda: qtm.analysis.fourier_spectrum(module()), ["float64, shape (27, 3)"]),
    "algebra": (lambda: qtm.analysis.dynamical_lie_algebra(["XI", "IX", "ZZ"]), ["3, 5, 6", "yes"]),
    "estimator": (qtm.FastEstimator, ["FastEstimator()", "Exact expectation values"]),
    "natural gradient": (lambda: qtm.optim.NaturalGradient(module()), ["damping=0.01", "Rewrites the gradients"]),
    "metric": (lambda: qtm.geometry.fisher_operator(module(), ZEROS), ["Fisher information, shape (12, 12)"]),
    "checkpoint": (
        lambda: qtm.Checkpoint(f"{tempfile.gettempdir()}/run.qtm", module()),
        ["model=QuantumModule", "A file of a training run"],
    ),
    "adapted": (grown, ["float64, shape (2,)"]),
}


class Tags(HTMLParser):
    """The tags of well-formed HTML."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(html):
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_shows_a_table_in_the_colours_of_the_page(name):
    make, words = SHOWN[name]
    one = make()
    html = one._repr_html_()
    tags = read(html)
    assert tags.seen <= {"div", "table", "tr", "th", "td", "details", "summary", "pre"}
    assert not re.search(r"(?<!-)(color|background): (?!inherit|none)", html), "expected no colours of its own"
    for word in words:
        assert word in html or word in tags.text, f"{word} in {tags.text}"
    assert len(repr(one)) < 1600


def own_rule():
    class Own(qtm.methods.Rule):
        plan = num_bindings = None

    return Own()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (qtm.FastEstimator, "FastEstimator()"),
        (
            lambda: qtm.FastEstimator(default_precision=0.1, seed=np.random.default_rng(0), exact=False),
            "FastEstimator(default_precision=0.1, seed=Generator(PCG64), exact=False)",
        ),
        (qtm.FastSampler, "FastSampler()"),
        (lambda: qtm.FastSampler(default_shots=100, seed=1), "FastSampler(default_shots=100, seed=1)"),
        (lambda: qtm.FastQGT(False, num_threads=2), "FastQGT(phase_fix=False, num_threads=2)"),
        (
            lambda: qtm.FastReverseEstimatorGradient("complex"),
            "FastReverseEstimatorGradient(derivative_type='complex')",
        ),
        (
            lambda: qtm.FastReverseSamplerGradient(exact_evolution=True),
            "FastReverseSamplerGradient(exact_evolution=True)",
        ),
        (
            lambda: qtm.optim.NaturalGradient(torch.nn.Sequential(module()), 0.5, "block", 1e-3),
            "NaturalGradient(Sequential of 12 quantum weights, damping=0.5, structure='block', tolerance=0.001)",
        ),
        (
            lambda: qtm.geometry.tensor_operator(module(), ZEROS),
            "MetricOperator(quantum geometric tensor, shape (12, 12), complex64, mean over 4 samples)",
        ),
        (lambda: qtm.methods.Native().prepare(module()._program), "NativeRunner(Native(), num_qubits=3)"),
        (own_rule, "Own()"),
    ],
)
def test_a_line_says_what_it_is_and_its_settings(make, text):
    assert repr(make()) == text


def test_starts_say_how_many_they_are():
    assert "5 starts of QuantumModule" in repr(qtm.optim.many_starts(module(), 5, generator=0))


def test_nothing_public_shows_its_address():
    rooms = (qtm, qtm.analysis, qtm.geometry, qtm.kernels, qtm.optim, qtm.outputs, qtm.methods)
    plain = {
        f"{room.__name__}.{name}"
        for room in rooms
        for name in room.__all__
        if isinstance(kind := getattr(room, name), type) and kind.__repr__ is object.__repr__
    }
    assert not plain, "expected a __repr__, such as that of Shown's children"


def test_large_circuits_are_not_drawn():
    circuit, x, w = incremental_data_uploading(17, 1)
    html = qtm.QuantumModule(circuit, x, w)._repr_html_()
    assert "details" not in html
    assert len(html) < 4000


def test_a_line_of_a_result_holds_no_array():
    found = qtm.analysis.fourier_spectrum(module())
    assert repr(found) == ("FourierSpectrum(frequencies=<float64, shape (27, 3)>, redundancies=<float64, shape (27,)>)")
    assert repr(qtm.explain(module())) == str(qtm.explain(module()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (0.123456, "0.1235"),
        (np.float64(2.0), "2"),
        (12, "12"),
        (torch.zeros(2, 3), "float32, shape (2, 3)"),
        (np.zeros(4), "float64, shape (4,)"),
        (["ZI", None], "ZI, none"),
        (range(3), "range(0, 3)"),
        ({"a": 1.0}, "a: 1"),
        (list(range(20)), "0, 1, 2, 3, 4, 5, 6, 7, … (20 in all)"),
        ("x" * 200, "x" * 119 + "…"),
    ],
)
def test_values_in_short(value, text):
    assert in_short(value) == text


@pytest.mark.parametrize(
    ("radians", "text"),
    [
        (math.pi, "π"),
        (-math.pi, "-π"),
        (math.pi / 2, "π/2"),
        (-3 * math.pi / 4, "-3π/4"),
        (4 * math.pi, "4π"),
        (5 * math.pi / 16, "5π/16"),
        (0.0, "0"),
        (1.0, "1"),
        (0.3, "0.3"),
        (math.pi + 1e-6, "3.14159"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_angles_are_multiples_of_pi_where_they_are_simple_ones(radians, text):
    assert angle(radians) == text


def test_what_a_user_wrote_is_no_html():
    for html in (card(HOSTILE, [(HOSTILE, HOSTILE)]), folded(HOSTILE, HOSTILE)):
        assert "script" not in read(html).seen
        assert HOSTILE in read(html).text


class Display:
    """A notebook's output that may be written anew."""

    def __init__(self, html):
        self.frames = [html]

    def update(self, html):
        self.frames.append(html)


@pytest.fixture
def notebook(monkeypatch):
    """As if IPython showed what this process displays."""
    shown = []

    def display(html, display_id):
        assert display_id
        shown.append(Display(html))
        return shown[-1]

    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=display))
    return shown


def test_a_fit_shows_its_progress_in_a_notebook(notebook, capsys):
    pytest.importorskip("sklearn")
    features = np.random.default_rng(0).normal(size=(20, 2))
    classifier = qtm.sklearn.QuantumClassifier(num_qubits=2, epochs=5, random_state=0, progress=True)
    classifier.fit(features, features[:, 0] > 0)
    (bar,) = notebook
    first, last = bar.frames[0], bar.frames[-1]
    assert "0/5" in read(first).text
    assert f"{classifier.n_iter_}/{classifier.n_iter_}" in read(last).text
    assert re.search(r"loss \d\.\d\d\d", read(last).text)
    assert read(last).seen == {"div", "span", "progress"}
    assert "script" not in last
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_no_notebook(monkeypatch):
    assert not in_notebook()
    shell = types.SimpleNamespace(config={"TerminalIPythonApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert not in_notebook()
