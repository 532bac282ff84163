"""``qtm reproduce``: it measures, checks, resumes, and writes tables and plots."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from conftest import NIGHTLY
from qiskit_torch_module.cli import app
from qiskit_torch_module.reproduce import ablation, cartpole, digits, figures, learning, systems, table1, timing
from qiskit_torch_module.reproduce.experiments import EXPERIMENTS, Run, written
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
    point = json.loads((tmp_path / "one.json").read_text())["points"]["3"]
    assert point.pop("measured").startswith(json.loads((tmp_path / "one.json").read_text())["date"])
    assert point == {"before": 3}


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


def _point(label, value, step, **more):
    times = {
        "forward": {"times": [step / 4], "first": 2.0},
        "step": {"times": [step / 2, step, 2 * step], "first": 3.0},
    }
    return {"system": label, "value": value, "batch": 48, "spec": {"qubits": value, "depth": 3}, **times, **more}


def _results(tmp_path, points):
    return {**Store(tmp_path / "x.json", quick=True).results, "date": "2026-01-01", "points": points}


def test_a_figure_with_rivals_has_factors(tmp_path):
    fast, slow = systems.PROJECT.label, systems.QULACS.label
    points = {
        "a": _point(fast, 4, 4.0),
        "b": _point(slow, 4, 8960.0, scaled_by=48),
        "f": _point(systems.PROJECT_DOUBLE.label, 4, 8.0),
        "c": {"system": slow, "value": 6, "error": "out of breath"},
        "d": {"system": slow, "value": 8, "skipped": "out of breath"},
        "e": _point(fast, 6, 9.0),
    }
    table, picture = written("fig1", _results(tmp_path, points), tmp_path)
    text = table.read_text()
    assert "| 4 | 8 | ~8,960 (1,120×) |" in text
    assert "| 6 | – | – |" in text
    assert f"- {slow}, 6: out of breath" in text
    assert f"- {slow}, 8: not tried, as a smaller one failed: out of breath" in text
    assert f"- {systems.AER.label}: not there when this was measured" in text
    assert "depth 3, batch 48" in text
    assert picture.stat().st_size > 10_000


def test_table_i_has_the_papers_rows_beside_ours(tmp_path):
    ours, slow = systems.PROJECT.label, systems.QML_REVERSE.label
    points = {"a": _point(ours, 4, 4.0), "b": _point(slow, 4, 400.0)}
    table, _ = written("tab1", _results(tmp_path, points), tmp_path)
    forward, backward = table.read_text().split("## Backward, factors")
    assert "| 4 | 100× | – | – | 23.2× | 4.67× |" in forward
    assert "| 4 | 100× | – | – | 27.4× | 3.11× |" in backward
    table, _ = written("tab1", _results(tmp_path, {}), tmp_path)
    assert "Not measured yet" in table.read_text()


def test_what_two_figures_show_is_measured_once(settings):
    folder = settings.folder
    folder.mkdir(parents=True)
    spec = Spec(12)
    found = {**_point(systems.PROJECT.label, 12, 4.0), "spec": spec.work}
    (folder / "fig1.json").write_text(json.dumps({"points": {"one": found}}))
    for task in (
        next(one for one in figures.tasks("fig2", settings) if one.key == f"{systems.PROJECT.label} @ 3"),
        timing.timed(timing.Point(systems.PROJECT, table1.spec_of_count(12), 12, "key"), None, "", settings),
        timing.timed(
            ablation._point(ablation._engine.instruction_sets()[0], torch.get_num_threads(), 12), None, "", settings
        ),
    ):
        if torch.get_num_threads() > 1 or "fig4" not in task.key:
            assert task.run({})["step"] == found["step"], task.key
    other = timing.Point(systems.PROJECT, replace(spec, threads=1), 12, "key")
    assert timing._measured_before(folder, other) is None


def test_no_two_observables_are_the_same():
    for count in table1.COUNTS:
        strings = Spec(table1.QUBITS, observables=count).strings
        assert len(strings) == len(set(strings)) == count
    assert Spec(4, circuit="policy").strings == [(0, 1, 2, 3)]
    assert Spec(3).strings == [(0,), (1,), (2,)]


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
    points = {"a": {**run, **curve}, "b": {**run, **curve, "scheme": "grid"}}
    table, picture = written("fig3", _results(tmp_path, points), tmp_path)
    assert "| 3 | 100% | 49,000 (49,000 to 49,000) | 490 ± 0 |" in table.read_text()
    assert picture.exists()


def test_digits_train(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "_SMALL", 250 if NIGHTLY else 120)  # updates
    task = next(one for one in digits.tasks(settings) if one.key.startswith("0.02"))
    found = task.run({})
    assert found["test_accuracy"][-1][1] > 0.6
    table, _ = written("tab2", _results(tmp_path, {task.key: found}), tmp_path)
    assert "| the paper, version 1.0 | 69.8 | 838 |" in table.read_text()
    assert "Data: digits" in table.read_text()


def test_whole_runs_stand_beside_the_papers(tmp_path):
    points = {f"training @ {seed}": {"updates": 3, "steps": 1000, "seconds": 0.1} for seed in range(2)}
    table, _ = written("tab3", _results(tmp_path, points), tmp_path)
    assert "| this package | 0.1 | 1,000 | 0.1 | – |" in table.read_text()
    assert "| the paper, version 1.0 | 146 | 37,080 | 3.93 | 39.3× |" in table.read_text()


def test_machines_are_merged(tmp_path):
    ours, slow = systems.PROJECT.label, systems.QML_REVERSE.label
    results = _results(tmp_path, {f"avx2, 2 threads @ {n}": _point(ours, n, step) for n, step in ((4, 2.0), (6, 4.0))})
    for name in ("fig4-one", "fig4-two"):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    (tmp_path / "fig1.json").write_text(json.dumps(_results(tmp_path, {"a": _point(slow, 4, 2000.0)})))
    table, picture = written("fig4", results, tmp_path)
    assert table.read_text().count("## 2026-01-01") == 2
    assert "| 4 | 2 (1,000×) |" in table.read_text()
    assert "| 6 | 4 |" in table.read_text()
    assert picture.exists()


def test_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "QUICK_QUBITS", (4,))
    monkeypatch.setattr(ablation, "_counts", lambda: [1])
    monkeypatch.setattr(ablation._engine, "instruction_sets", lambda: ["baseline"])
    arguments = ["reproduce", "fig4", "--quick", "--output", str(tmp_path)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert (tmp_path / "fig4.md").exists()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert " ms" not in again.output  # everything was there


def test_absent_rivals_are_named_and_tried_again_later(settings):
    run = Run("tab1", settings)
    assert run.absent == [systems.VERSION_1.label, systems.QML_REVERSE.label]
    assert all(systems.QML_REVERSE.label not in task.key for task in run.missing)


@pytest.mark.skipif(os.name == "nt", reason="a script of the shell stands for a Python")
def test_a_rival_does_not_import_what_lies_on_our_path(tmp_path, monkeypatch):
    """Version 1.0 has the name of this package, and would be this one."""
    fake = systems.VERSION_1.python(tmp_path)
    fake.parent.mkdir(parents=True)
    fake.write_text("""#!/bin/sh\nprintf '{"path": "%s"}' "$PYTHONPATH"\n""")
    fake.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert systems.measure(systems.VERSION_1, Spec(4), tmp_path, 60.0)["path"] == ""


def test_rivals_are_told_how_to_be_made():
    output = CliRunner().invoke(app, ["rivals"]).output
    assert "python3.12 -m venv .rivals/predecessor " in output
    for one in systems.SYSTEMS:
        assert one.environment in output


def test_everything_has_a_title():
    assert set(EXPERIMENTS) == {"fig1", "one", "fig2", "tab1", "tab2", "fig3", "tab3", "fig4"}
    assert all(one.title for one in EXPERIMENTS.values())


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.02391, "0.0239"), (57.94, "57.9"), (999.4, "999"), (999.6, "1,000"), (1120.0, "1,120"), (57912.0, "57,912")],
)
def test_numbers_in_tables_have_no_exponents(value, expected):
    assert plain(value) == expected


def test_factors_have_three_digits():
    assert [factor(one) for one in (9.387, 999.9, 57912.0, 2.94e6)] == ["9.39×", "1,000×", "57,900×", "2,940,000×"]


def test_a_figure_says_which_batch_goes_with_which_size(tmp_path):
    fast, slow = systems.PROJECT.label, systems.VERSION_1.label
    points = {
        "a": {**_point(fast, 4, 4.0), "batch": 48},
        "b": {**_point(fast, 18, 9.0), "batch": 4},
        "c": {**_point(slow, 4, 9.0), "batch": 48},
        "d": {"system": slow, "value": 18, "batch": 4, "skipped": "a smaller one took longer than 6 s"},
    }
    text = written("fig1", _results(tmp_path, points), tmp_path, draws=False)[0].read_text()
    assert "| qubits | batch | this package | version 1.0 |" in text
    assert "| 18 | 4 | 9 | – |" in text
    assert "curves jump where the batch becomes smaller" in text
    assert f"- {slow}, 18: not tried, as a smaller one took longer than 6 s" in text
