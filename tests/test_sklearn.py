"""Classifiers and regressors that scikit-learn takes for its own."""

import importlib
import io
import pickle
import re
import sys

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import NIGHTLY
from qiskit_torch_module import HybridModule, QuantumModule
from qiskit_torch_module._core.extras import how_to_install
from qiskit_torch_module.sklearn import QuantumClassifier, QuantumRegressor

SMALL = {} if NIGHTLY else {"num_qubits": 2, "depth": 1, "epochs": 25, "learning_rate": 0.1}
QUICK = {"num_qubits": 2, "depth": 1, "epochs": 3, "random_state": 0}
KINDS = [QuantumClassifier, QuantumRegressor]


@pytest.mark.filterwarnings("ignore")  # the library's own, of what is not installed
@parametrize_with_checks([QuantumClassifier(**SMALL), QuantumRegressor(**SMALL)])
def test_scikit_learn_takes_it_for_its_own(estimator, check):
    check(estimator)


def blobs(count=60, classes=3, seed=0):
    random = np.random.RandomState(seed)
    labels = np.arange(count) % classes
    return np.eye(3)[labels] + 0.3 * random.randn(count, 3), labels


def circuit():
    x, w = ParameterVector("x", 3), ParameterVector("w", 6)
    made = QuantumCircuit(3)
    for q in range(3):
        made.ry(w[q], q)
        made.rx(x[q], q)
    made.cx(0, 1)
    made.cx(1, 2)
    for q in range(3):
        made.ry(w[3 + q], q)
    return made, x, w


@pytest.mark.parametrize(("load", "least"), [(load_iris, 0.94), (load_wine, 0.94)])
def test_defaults_learn(load, least):
    """Accuracies of five folds, features as they are."""
    scores = cross_val_score(QuantumClassifier(random_state=0), *load(return_X_y=True), cv=5)
    assert scores.mean() > least


def test_a_regressor_learns_a_curve():
    x = np.linspace(-3, 3, 200)[:, None]
    y = 1000 + 50 * np.sin(2 * x[:, 0])
    fitted = QuantumRegressor(random_state=0).fit(x[::2], y[::2])
    assert fitted.score(x[1::2], y[1::2]) > 0.98
    both = QuantumRegressor(random_state=0).fit(x, np.stack([y, 2 * x[:, 0]], 1))
    assert both.predict(x).shape == (200, 2)
    assert both.score(x, np.stack([y, 2 * x[:, 0]], 1)) > 0.95


def test_labels_of_every_kind():
    inputs, labels = blobs()
    names = np.array(["rot", "grün", "blau"])
    settings = {**QUICK, "epochs": 60, "learning_rate": 0.1}
    by_number = QuantumClassifier(**settings).fit(inputs, labels)
    by_name = QuantumClassifier(**settings).fit(inputs, names[labels])
    assert by_name.classes_.tolist() == sorted(names)
    assert by_name.score(inputs, names[labels]) > 0.9
    for values in (labels.astype(np.int8) - 100, labels > 0, names[labels].astype(object)):
        assert set(QuantumClassifier(**QUICK).fit(inputs, values).predict(inputs)) <= set(values)
    probabilities = by_number.predict_proba(inputs)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_allclose(np.log(probabilities), by_number.predict_log_proba(inputs))
    np.testing.assert_array_equal(by_number.classes_[probabilities.argmax(1)], by_number.predict(inputs))


def test_pipelines_grid_search_and_pickles():
    inputs, labels = blobs()
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), QuantumClassifier(**QUICK)),
        {"quantumclassifier__depth": [1, 2], "quantumclassifier__epochs": [2, 8]},
        cv=KFold(2, shuffle=True, random_state=0),
    ).fit(inputs, labels)
    assert set(search.best_params_) == {"quantumclassifier__depth", "quantumclassifier__epochs"}
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(inputs), search.predict_proba(inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_fits_go_on_after_a_pickle(kind):
    inputs, labels = blobs()
    known = {"classes": [0, 1, 2]} if kind is QuantumClassifier else {}
    first = kind(**QUICK, batch_size=16).partial_fit(inputs, labels, **known)
    second = pickle.loads(pickle.dumps(first))
    for one in (first, second):
        one.partial_fit(inputs, labels)
    np.testing.assert_array_equal(first.predict(inputs), second.predict(inputs))
    for mine, theirs in zip(first.model_.parameters(), second.model_.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_random_state_decides(kind):
    inputs, labels = blobs()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second, other = (kind(**{**QUICK, "random_state": seed}).fit(inputs, labels) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert first.loss_curve_ == second.loss_curve_ != other.loss_curve_
    generator = np.random.RandomState(1)
    assert kind(**{**QUICK, "random_state": generator}).fit(inputs, labels).loss_curve_ == first.loss_curve_


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fits_are_the_epochs_of_a_fit(kind):
    inputs, labels = blobs()
    fitted = kind(**QUICK, batch_size=16).fit(inputs, labels)
    step = kind(**QUICK, batch_size=16)
    for _ in range(3):
        step.partial_fit(inputs, labels, **({"classes": [0, 1, 2]} if kind is QuantumClassifier else {}))
    np.testing.assert_allclose(step.loss_curve_, fitted.loss_curve_, rtol=1e-12)
    assert step.n_iter_ == 3


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_keeps_the_best_weights(kind):
    """The loss of what is held out is the least there was."""
    inputs, labels = blobs(90)
    labels = np.where(np.arange(90) % 4 == 0, np.random.RandomState(1).randint(0, 3, 90), labels)  # noise to overfit
    settings = {"epochs": 300, "early_stopping": True, "validation_fraction": 0.3, "random_state": 0}
    fitted = kind(**settings, weight_decay=0.0).fit(inputs, labels)
    assert fitted.n_iter_ < 300
    best = int(np.argmin(fitted.loss_curve_))
    assert best < fitted.n_iter_ - 1
    shorter = kind(**{**settings, "epochs": best + 1}, weight_decay=0.0).fit(inputs, labels)
    for mine, theirs in zip(fitted.model_.parameters(), shorter.model_.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_training_ends_where_nothing_changes():
    inputs, labels = blobs()
    fitted = QuantumClassifier(**{**QUICK, "epochs": 500}, tol=10.0, n_iter_no_change=4).fit(inputs, labels)
    assert fitted.n_iter_ == 5


def test_class_weights():
    inputs, labels = blobs(90, 2)
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:5]])
    inputs, labels = inputs[few] + 0.5 * np.random.RandomState(0).randn(50, 3), labels[few]
    settings = {**QUICK, "epochs": 40}
    found = {
        str(kind): (QuantumClassifier(**settings, class_weight=kind).fit(inputs, labels).predict(inputs) == 1).mean()
        for kind in (None, "balanced", {1: 100.0})
    }
    assert found["None"] < found["balanced"] < found["{1: 100.0}"]
    balanced = QuantumClassifier(**settings, class_weight="balanced").fit(inputs, labels)
    by_hand = QuantumClassifier(**settings, class_weight={0: 1 / 45, 1: 1 / 5}).fit(inputs, labels)
    np.testing.assert_allclose(balanced.loss_curve_, by_hand.loss_curve_)


def test_circuits_of_ones_own():
    """Between linear layers, and alone; clones are equal."""
    inputs, labels = blobs()
    own = QuantumClassifier(*circuit(), epochs=40, random_state=0)
    assert isinstance(clone(own).fit(inputs, labels).model_, HybridModule)
    assert clone(own).fit(inputs, labels).score(inputs, labels) > 0.9
    alone = clone(own).set_params(observables=["ZII", "IZI", "IIZ"], standardize=False).fit(inputs, labels)
    assert isinstance(alone.model_, QuantumModule)
    with torch.no_grad():
        expected = torch.softmax(alone.model_(torch.from_numpy(inputs)), 1)
    np.testing.assert_allclose(alone.predict_proba(inputs), expected.numpy())
    regressor = QuantumRegressor(*circuit(), observables="ZZZ", standardize=False, epochs=3).fit(inputs, labels)
    assert np.abs(regressor.predict(inputs)).max() <= 1
    assert regressor.predict(inputs).shape == (60,)


def test_the_progress_bar(monkeypatch):
    """On the standard error stream, with losses, and as long as training was."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    inputs, labels = blobs()
    QuantumClassifier(**QUICK).fit(inputs, labels)
    assert stream.getvalue() == ""
    QuantumClassifier(**QUICK, progress=True, early_stopping=True, validation_fraction=0.2).fit(inputs, labels)
    text = stream.getvalue()
    assert "3/3" in text
    assert "loss 1." in text
    assert "validation 1." in text


WRONG = {
    "one class": (lambda c, x, y: c().fit(x, np.zeros(len(x))), ValueError, "at least two classes"),
    "one class with weights": (lambda c, x, y: c().fit(x, y, y == 0), ValueError, "at least two classes"),
    "no epochs": (lambda c, x, y: c(epochs=0).fit(x, y), ValueError, "epochs"),
    "half a qubit": (lambda c, x, y: c(num_qubits=0.5).fit(x, y), TypeError, "num_qubits"),
    "a rate below zero": (lambda c, x, y: c(learning_rate=-1).fit(x, y), ValueError, "learning_rate"),
    "a rate far too high": (lambda c, x, y: c(learning_rate=1e300).fit(x, y), ValueError, "."),
    "a flag of text": (lambda c, x, y: c(early_stopping="yes").fit(x, y), TypeError, "early_stopping"),
    "weights of classes": (lambda c, x, y: c(class_weight="even").fit(x, y), ValueError, "class_weight"),
    "weights below zero": (lambda c, x, y: c().fit(x, y, -np.ones(len(x))), ValueError, "sample_weight"),
    "weights of others": (lambda c, x, y: c().fit(x, y, np.ones(3)), ValueError, "sample_weight"),
    "no classes": (lambda c, x, y: c().partial_fit(x, y), ValueError, "classes"),
    "one class to come": (lambda c, x, y: c().partial_fit(x, y * 0, classes=[0]), ValueError, "at least two"),
    "a class that is unknown": (lambda c, x, y: c().partial_fit(x, y, classes=[0, 1]), ValueError, r"\[2\]"),
    "other classes": (
        lambda c, x, y: c().partial_fit(x, y, [0, 1, 2]).partial_fit(x, y, [0, 1, 2, 3]),
        ValueError,
        "first call",
    ),
    "held out in parts": (
        lambda c, x, y: c(early_stopping=True).partial_fit(x, y, [0, 1, 2]),
        ValueError,
        "early_stopping",
    ),
    "nothing to hold out": (lambda c, x, y: c(early_stopping=True).fit(x[:4], y[:4]), ValueError, "early_stopping"),
    "parameters without a circuit": (
        lambda c, x, y: c(encoding_params=circuit()[1]).fit(x, y),
        ValueError,
        "circuit",
    ),
    "too few observables": (lambda c, x, y: c(*circuit(), observables=["ZII"]).fit(x, y), ValueError, "observables"),
    "features without a parameter": (
        lambda c, x, y: c(*circuit(), observables=["ZII", "IZI", "IIZ"]).fit(x[:, :2], y),
        ValueError,
        "encoding_params",
    ),
    "not a number": (lambda c, x, y: c().fit(x * np.nan, y), ValueError, "NaN"),
    "numbers for labels": (lambda c, x, y: c().fit(x, y + 0.5), ValueError, "continuous"),
    "not fitted": (lambda c, x, y: c().predict(x), NotFittedError, "fitted"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_said(name):
    act, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        act(lambda *given, **options: QuantumClassifier(*given, **{**QUICK, **options}), *blobs())


@pytest.mark.parametrize("dtype", [np.str_, np.float64, np.int8, np.bool_])
def test_messages_name_labels_as_users_do(dtype):
    """And no types of NumPy."""
    inputs, labels = blobs(classes=2)
    labels = labels.astype(dtype)
    kind = QuantumClassifier(**QUICK)
    other = np.array([0, 1, 2]).astype(dtype)
    calls = [
        lambda: clone(kind).fit(inputs, labels[[0] * len(labels)]),
        lambda: clone(kind).partial_fit(inputs, labels, classes=labels[:1]),
        lambda: clone(kind).partial_fit(inputs, labels, classes=labels[:2]).partial_fit(inputs, labels, classes=other),
        lambda: clone(kind).set_params(class_weight={labels[0]: np.float64(-1)}).fit(inputs, labels),
    ]
    for call in calls if dtype is not np.bool_ else [*calls[:2], calls[3]]:
        with pytest.raises(ValueError, match="got|expected") as caught:
            call()
        assert not re.search(r"np\.|numpy|array\(|dtype", str(caught.value))


def test_a_regressor_keeps_its_targets():
    inputs, labels = blobs()
    fitted = QuantumRegressor(**QUICK).partial_fit(inputs, labels)
    with pytest.raises(ValueError, match="targets of each sample"):
        fitted.partial_fit(inputs, np.stack([labels, labels], 1))


def test_without_scikit_learn_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "qiskit_torch_module.sklearn")
    with pytest.raises(ModuleNotFoundError, match=re.escape(how_to_install("sklearn"))):
        importlib.import_module("qiskit_torch_module.sklearn")


def test_fits_in_several_threads_leave_the_threads_of_pytorch():
    from concurrent.futures import ThreadPoolExecutor

    inputs, labels = blobs()
    before = torch.get_num_threads()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda seed: QuantumClassifier(**{**QUICK, "random_state": seed}).fit(inputs, labels), range(6)))
    assert torch.get_num_threads() == before
