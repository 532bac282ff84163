"""``qtm reproduce``: it measures, checks, resumes, and writes tables and plots."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from conftest import NIGHTLY
from qiskit_torch_module.cli import app
from qiskit_torch_module.reproduce import ablation, cartpole, digits, figures, learning, report, systems
from qiskit_torch_module.reproduce.experiments import EXPERIMENTS, Run
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import Settings, Store, Task, factor, plain

pytestmark = pytest.mark.filterwarnings("ignore")  # matplotlib's and gymnasium's own


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "results", tmp_path / "no environments", quick=True)


def test_a_run_goes_on_where_it_was_interrupted(tmp_path):
    calls = []

    def task(number):
        def run(done):
            if number == 2 and calls.count(2) == 0:
                calls.append(2)
                raise KeyboardInterrupt
            calls.append(number)
            return {"before": len(done)}

        return Task(str(number), run)

    tasks = [task(number) for number in range(4)]
    with pytest.raises(KeyboardInterrupt):
        list(Store(tmp_path / "one.json", quick=False).measure(tasks))
    store = Store(tmp_path / "one.json", quick=False)
    assert [one.key for one in store.missing(tasks)] == ["2", "3"]
    assert [key for key, _ in store.measure(tasks)] == ["2", "3"]
    assert calls == [0, 1, 2, 2, 3]
    assert json.loads((tmp_path / "one.json").read_text())["points"]["3"] == {"before": 3}


def test_results_of_another_machine_or_length_are_not_mixed(tmp_path):
    path = tmp_path / "one.json"
    list(Store(path, quick=True).measure([Task("a", lambda done: {})]))
    with pytest.raises(ValueError, match="expected full results"):
        Store(path, quick=False)
    results = json.loads(path.read_text())
    results["machine"]["processor"] = "abacus"
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match="measured with processor 'abacus'"):
        Store(path, quick=True)


@pytest.mark.parametrize("circuit", ["reference", "policy", "digits"])
def test_the_runner_of_this_package(circuit, tmp_path):
    spec = Spec(3, depth=2, batch=4, circuit=circuit, repetitions=2, least_seconds=0.0)
    single, double = (systems.measure(one, spec, tmp_path, 100) for one in systems.SYSTEMS[:2])
    assert len(single["step"]["times"]) == 2
    assert systems.disagreement(double, single, is_exact=True) is None
    double["step_check"][1] += 0.1
    assert "step: checksums differ" in systems.disagreement(double, single, is_exact=True)


def test_a_runner_that_fails_is_reported(tmp_path):
    found = systems.measure(systems.PROJECT, Spec(40, batch=1), tmp_path, 100)
    assert "qubits" in found["error"]


def test_figures_stop_where_a_smaller_size_took_too_long(settings):
    tasks = figures.tasks("fig2", replace(settings, limit=0.0))
    small, large = (one for one in tasks if one.key.startswith(f"{systems.PROJECT.label} @"))
    second = large.run({small.key: small.run({})})
    assert "longer than 0 s" in second["skipped"]


def test_a_figure_with_rivals_has_factors(settings, tmp_path):
    point = {"batch": 48, "forward": {"times": [1.0, 2.0, 3.0]}, "step": {"times": [2.0, 4.0, 6.0]}}
    slow = {"batch": 48, "forward": {"times": [10.0]}, "step": {"times": [100.0]}, "scaled_by": 48}
    results = {**Store(tmp_path / "x.json", quick=True).results, "date": "2026-01-01"}
    results["points"] = {
        "a": {"system": systems.PROJECT.label, "value": 4, **point},
        "b": {"system": "rival", "value": 4, **slow},
        "c": {"system": "rival", "value": 6, "error": "out of breath"},
    }
    table, picture = report.write("fig1", results, tmp_path / "fig1")
    text = table.read_text()
    assert "| rival | ~100 (25×) |" in text
    assert "- c: out of breath" in text
    assert picture.stat().st_size > 10_000


def test_cartpole_learns():
    pytest.importorskip("gymnasium")
    found = cartpole.train(range(3, 9), (0.01, 0.1), 12)
    returns, steps = np.array(found["returns"]), np.array(found["steps"])
    assert returns.shape == steps.shape == (12, 6)
    np.testing.assert_allclose(returns * cartpole.EPISODES_A_BATCH, steps, atol=0.1)
    assert returns[-3:].mean() > 3 * returns[:2].mean()


def test_the_policies_of_seeds_are_apart():
    policies, one = cartpole.Policies(range(3)), cartpole.Policies(range(1, 2))
    observations = torch.rand(4, 4)
    owners = torch.full((4,), 1)
    torch.testing.assert_close(policies(observations, owners), one(observations, torch.zeros(4, dtype=torch.long)))
    policies(observations, owners)[:, 0].log().sum().backward()
    assert policies.weights.grad[1].abs().sum() > 0
    assert policies.weights.grad[[0, 2]].abs().sum() == 0


def test_steps_to_solve():
    returns = np.full((12, 2), 500.0)
    returns[:, 1] = 474.0
    returns[0, 0] = 0.0
    steps = np.full((12, 2), 10)
    np.testing.assert_equal(cartpole.steps_to_solve(returns, steps), [110, np.inf])


def test_returns_are_discounted_sums():
    pytest.importorskip("gymnasium")
    import gymnasium

    policies = cartpole.Policies(range(1))
    environment = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point")
    environment.reset(seed=0)
    rollout = cartpole.play(policies, environment, 1, torch.Generator().manual_seed(0))
    assert len(rollout.returns) == rollout.lengths.sum()
    longest = rollout.lengths.max()
    expected = sum(cartpole.DISCOUNT**k for k in range(longest))
    assert rollout.returns.max().item() == pytest.approx(expected, rel=1e-5)
    assert rollout.returns[-1].item() == pytest.approx(1.0, abs=1e-5)


def test_the_report_of_learning(settings, tmp_path):
    run = {"scheme": next(iter(learning.SCHEMES)), "rates": [0.01, 0.1], "seeds": [0, 3], "seconds": 2.0}
    curve = {"returns": np.full((12, 3), 490.0).tolist(), "steps": np.full((12, 3), 4900).tolist()}
    results = {**Store(tmp_path / "x.json", quick=True).results, "date": "2026-01-01"}
    results["points"] = {"a": {**run, **curve}, "b": {**run, **curve, "scheme": "grid"}}
    table, picture = learning.learning_report(results, tmp_path / "fig3")
    assert "| 3 | 100% | 49k (49k, 49k) | 490 ± 0 | 2 |" in table.read_text()
    assert picture.exists()


def test_digits_train(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "_SMALL", 250 if NIGHTLY else 120)  # updates
    task = next(one for one in digits.tasks(settings) if one.key.startswith("0.02"))
    found = task.run({})
    assert found["test_accuracy"][-1][1] > 0.6
    results = {**Store(tmp_path / "x.json", quick=True).results, "date": "2026-01-01", "points": {task.key: found}}
    table, _ = digits.report(results, tmp_path / "tab2")
    assert "the paper, version 1.0 (its machine) | 69.8 | 838" in table.read_text()


def test_machines_are_merged(settings, tmp_path):
    points = {
        "avx2, 2 @ 4": {"instruction_set": "avx2", "threads": 2, "qubits": 4, "forward": 1.0, "step": 2.0},
        "avx2, 2 @ 6": {"instruction_set": "avx2", "threads": 2, "qubits": 6, "forward": 1.5, "step": 4.0},
    }
    results = {**Store(tmp_path / "x.json", quick=True).results, "date": "2026-01-01", "points": points}
    for name in ("fig4-one", "fig4-two"):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    table, picture = ablation.report(results, tmp_path / "fig4-one")
    assert table.read_text().count("## 2026-01-01") == 2
    assert picture.exists()


def test_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "QUICK_QUBITS", (2, 4))
    arguments = ["reproduce", "fig4", "--quick", "--output", str(tmp_path)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert (tmp_path / "fig4.md").exists()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert " ms" not in again.output  # everything was there


def test_absent_rivals_are_named_and_tried_again_later(settings):
    run = Run("tab1", settings)
    assert run.absent == [systems.QML_REVERSE.label]
    assert all(systems.QML_REVERSE.label not in task.key for task in run.missing)


def test_rivals_are_told_how_to_be_made():
    output = CliRunner().invoke(app, ["rivals"]).output
    for one in systems.SYSTEMS:
        assert one.environment in output


def test_everything_has_a_title():
    assert set(EXPERIMENTS) == {"fig1", "fig2", "tab1", "tab2", "fig3", "tab3", "fig4"}
    assert all(one.title for one in EXPERIMENTS.values())


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.02391, "0.0239"), (57.94, "57.9"), (999.4, "999"), (999.6, "1,000"), (1120.0, "1,120"), (57912.0, "57,912")],
)
def test_numbers_in_tables_have_no_exponents(value, expected):
    assert plain(value) == expected


def test_factors_have_three_digits():
    assert [factor(one) for one in (9.387, 999.9, 57912.0, 2.94e6)] == ["9.39×", "1,000×", "57,900×", "2,940,000×"]
