"""Training runs: what goes on after an interruption is what would have happened without it."""

from itertools import islice

import pytest
import torch

from qiskit_torch_module.applications.classifier import digit_classifier
from qiskit_torch_module.applications.images import Images
from qiskit_torch_module.applications.training import Keeper, Settings, Training, batches

SETTINGS = Settings("made up", 0, 8, 0.05)


def images(count=40):
    generator = torch.Generator().manual_seed(1)
    pixels, labels = torch.rand(count, 100, generator=generator), torch.arange(count) % 10
    return Images("made up", pixels, labels, pixels[:10], labels[:10])


def training():
    return Training(digit_classifier(1, seed=0), images(), SETTINGS.learning_rate)


def updates(stop):
    return islice(batches(images(), SETTINGS.batch_size, 10, SETTINGS.seed), stop)


@pytest.mark.parametrize("interruptions", [(0,), (3,), (5,), (7,), (3, 10)])  # an epoch has 5 updates
def test_a_run_that_goes_on_ends_where_it_would_have_ended(tmp_path, interruptions):
    whole = training()
    whole.run(updates(12), lambda: 0.0)
    for stop in (*interruptions, 12):
        part = training()
        if (tmp_path / "model.qtm").exists():
            part.resume(tmp_path / "model.qtm", SETTINGS)
        part.run(updates(stop), lambda: 0.0)
        part.save(tmp_path / "model.qtm", SETTINGS)
    assert torch.equal(part.model.weights, whole.model.weights)
    assert part.history == whole.history


def test_it_stops_after_an_update_and_says_so():
    run = training()
    assert run.run(updates(12), lambda: 0.0, stops=lambda: len(run.history.loss) == 4).interrupted
    assert len(run.history.loss) == 4
    assert run.history.test_accuracy[-1][0] == 4


@pytest.mark.parametrize(
    "other", [("digits", 0, 8, 0.05), ("made up", 1, 8, 0.05), ("made up", 0, 9, 0.05), ("made up", 0, 8, 0.1)]
)
def test_a_run_goes_on_with_the_settings_it_had(tmp_path, other):
    training().save(tmp_path / "model.qtm", SETTINGS)
    with pytest.raises(ValueError, match=r"model.qtm was trained with .*, now it is .*; go on with what it was"):
        training().resume(tmp_path / "model.qtm", Settings(*other))


def test_weights_that_are_not_finite_do_not_replace_those_before(tmp_path):
    run = training()
    run.save(tmp_path / "model.qtm", SETTINGS)
    before = (tmp_path / "model.qtm").read_bytes()
    with torch.no_grad():
        run.model.weights[3] = torch.inf
    with pytest.raises(ValueError, match="not finite any more; train again with a smaller --lr"):
        run.save(tmp_path / "model.qtm", SETTINGS)
    assert (tmp_path / "model.qtm").read_bytes() == before


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_saving_takes_at_most_a_tenth_of_the_time():
    clock, saving = Clock(), []

    def save():
        saving.append(0.3)
        clock.now += 0.3

    keeper = Keeper(save, clock)
    for _ in range(10_000):
        clock.now += 0.01
        keeper.offer()
    assert 0.08 < sum(saving) / clock.now <= 0.1


def test_a_failure_to_save_is_kept_and_tried_again():
    clock, attempts = Clock(), []

    def save():
        attempts.append(clock.now)
        clock.now += 0.1
        if len(attempts) < 3:
            raise OSError("disk full")

    keeper = Keeper(save, clock)
    while len(attempts) < 3:
        assert keeper.failure is None or "disk full" in str(keeper.failure)
        clock.now += 0.01
        keeper.offer()
    assert keeper.failure is None
