"""`qtm.Checkpoint`: a run that goes on ends like one that was never interrupted."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qiskit_torch_module as qtm
from qiskit_torch_module._storage.checkpoint import write_checkpoint


@pytest.fixture(autouse=True)
def one_thread():
    """A team of threads waits where the machine is busy, and here there is nothing for it to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def circuit():
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    made = QuantumCircuit(2)
    for q in range(2):
        made.rx(x[q], q)
        made.ry(w[q], q)
    made.cx(0, 1)
    for q in range(2):
        made.ry(w[2 + q], q)
    return made, x, w


class Draws(qtm.methods.Method):
    """The native values, and noise from a generator of its own."""

    name, is_exact = "draws", False

    def __init__(self, seed):
        self.generator, self.inner = np.random.default_rng(seed), qtm.methods.Native()
        self.rule = qtm.methods.SPSA(generator=seed)

    def cost(self, program, task):
        return self.inner.cost(program, task)

    def prepare(self, program):
        return DrawsRunner(program, self)


class DrawsRunner(qtm.methods.Runner):
    def __init__(self, program, method):
        super().__init__(program, method)
        self.inner = method.inner.prepare(program)

    def values(self, *arguments, **options):
        values, tape = self.inner.values(*arguments, **options)
        return values + 0.1 * torch.from_numpy(self.method.generator.normal(size=values.shape)).to(values), tape

    def pull_back(self, cotangent, *others):
        self.method.rule.stream.seed()
        return self.inner.pull_back(cotangent, *others)


class Run:
    """Training that draws from every generator there is."""

    def __init__(self, path, seed=0, optimizer="Adam", schedule=None):
        torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)  # noqa: NPY002
        quantum = qtm.QuantumModule(*circuit(), seed_init=seed, method=Draws(seed), num_threads_forward=1)
        self.model = torch.nn.Sequential(torch.nn.Linear(2, 2), quantum, torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.3))
        options = {"max_iter": 3} if optimizer == "LBFGS" else {}
        self.optimizer = getattr(torch.optim, optimizer)(self.model.parameters(), lr=0.05, **options)
        self.scheduler = schedule and schedule(self.optimizer)
        self.data = torch.Generator().manual_seed(seed)
        self.noise = np.random.Generator(np.random.Philox(seed))
        self.checkpoint = qtm.Checkpoint(
            path, self.model, self.optimizer, self.scheduler, data=self.data, noise=self.noise
        )

    def steps(self, first, last):
        losses = []
        for step in range(first, last):
            inputs = torch.rand(6, 2, generator=self.data) + random.random() + float(self.noise.normal())
            weight = np.random.rand()  # noqa: NPY002

            def closure(inputs=inputs, weight=weight):
                self.optimizer.zero_grad()
                loss = (weight * self.model(inputs)).square().mean()
                loss.backward()
                return loss

            losses.append(self.optimizer.step(closure).item())
            if self.scheduler is not None:
                self.scheduler.step()
            if step == first + 2:
                self.checkpoint.save(step=step + 1, losses=losses)
        return losses

    def weights(self):
        return torch.cat([one.detach().reshape(-1) for one in self.model.state_dict().values()])


SCHEDULES = {
    "Adam": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=50),
    "SGD": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4, 4]),
    "RMSprop": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3),
    "LBFGS": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
    "Rprop": None,
}


@pytest.mark.parametrize("optimizer", SCHEDULES)
def test_a_run_that_goes_on_ends_like_one_that_was_not_interrupted(tmp_path, optimizer):
    whole = Run(tmp_path / "whole", 0, optimizer, SCHEDULES[optimizer])
    losses = whole.steps(0, 6)
    part = Run(tmp_path / "folder" / "run.qtm", 0, optimizer, SCHEDULES[optimizer])
    part.steps(0, 5)  # two steps go beyond what was saved
    again = Run(tmp_path / "folder" / "run.qtm", 1, optimizer, SCHEDULES[optimizer])
    done = again.checkpoint.resume(step=0)
    assert done == {"step": 3, "losses": losses[:3]}
    assert again.steps(done["step"], 6) == losses[3:]
    assert torch.equal(again.weights(), whole.weights())


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64", "random", "torch"])
def test_generators_of_every_kind(tmp_path, kind):
    made = {"random": lambda: random.Random(3), "torch": lambda: torch.Generator().manual_seed(3)}
    make = made.get(kind) or (lambda: np.random.Generator(getattr(np.random, kind)(3)))
    draw = {"random": lambda one: one.gauss(0, 1), "torch": lambda one: torch.rand(5, generator=one).tolist()}.get(
        kind, lambda one: [*one.normal(size=5), *one.integers(9, size=3, dtype=np.uint32)]
    )
    own = make()
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", torch.nn.Linear(1, 1), generator=own)
    draw(own)
    checkpoint.save()
    expected = draw(own)
    draw(own)
    checkpoint.load()
    assert draw(own) == expected


def test_optimizers_of_this_package_go_on_with_their_generators(tmp_path):
    model = qtm.QuantumModule(*circuit(), seed_init=0)
    optimizer = qtm.optim.SPSA(model.parameters(), generator=torch.Generator().manual_seed(4))
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", model, optimizer)

    def steps():
        for _ in range(3):
            optimizer.step(lambda: model(torch.ones(1, 2)).sum())
        return model.variational.detach().clone()

    steps()
    checkpoint.save()
    expected = steps()
    checkpoint.load()
    assert torch.equal(steps(), expected)


@pytest.mark.parametrize("gradient", ["parameter_shift", "spsa"])
def test_shots_go_on_with_their_stream(tmp_path, gradient):
    method = qtm.methods.Shots(100, gradient, generator=3)
    model = qtm.QuantumModule(*circuit(), seed_init=0, method=method)
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", model, torch.optim.SGD(model.parameters(), lr=0.1))

    def steps():
        for _ in range(2):
            model.zero_grad()
            model(torch.ones(1, 2)).sum().backward()
            checkpoint._given["optimizer"].step()
        return model.variational.detach().clone()

    steps()
    checkpoint.save()
    expected = steps()
    assert not torch.equal(steps(), expected)
    checkpoint.load()
    assert torch.equal(steps(), expected)


def test_a_position_in_a_journal(tmp_path):
    method = Draws(0)
    method.journal = qtm.methods.Journal(tmp_path / "run.sqlite")
    model = qtm.QuantumModule(*circuit(), seed_init=0, method=method)
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", model)
    method.journal._pass(1)  # as an answer to the first job does
    method.journal._file.add(b"", 0, "nothing")
    checkpoint.save()
    method.journal._pass(2)
    method.journal._file.add(b"", 1, "nothing")
    checkpoint.load()
    assert method.journal.state_dict()["upto"] == 1


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"model": torch.nn.Linear(3, 2)}, r"run.qtm does not fit: .*size mismatch for weight.*; go on with the model"),
        (
            {"model": torch.nn.Linear(2, 2).double()},
            r"model: (weight|bias) was saved as torch.float32, and now it is torch.f.*; call model.to\(torch.float32\) first",
        ),
        ({"model": torch.nn.Bilinear(2, 2, 2)}, r"does not fit: .*; go on with"),
        (
            {"optimizer": None},
            r"it holds states of model, optimizer, and this is a checkpoint of model; go on with the model",
        ),
        (
            {"optimizer": torch.optim.Adam([torch.zeros(1)])},
            r"the optimizer that was saved is of another class: it has .*momentum.*, not .*betas",
        ),
        ({"generator": torch.Generator()}, "is a checkpoint of generator, model, optimizer"),
        (
            {"optimizer": torch.optim.SGD(torch.nn.Bilinear(2, 2, 2).parameters(), lr=0.1, foreach=False)},
            "does not fit",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, others, message):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    given = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    qtm.Checkpoint(tmp_path / "run.qtm", **given).save(step=1)
    other = qtm.Checkpoint(tmp_path / "run.qtm", **{**given, **others})
    before, state = [one.clone() for one in other._given["model"].state_dict().values()], torch.get_rng_state()
    if others.get("optimizer"):  # its groups are of another size
        other._given["optimizer"].add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    with pytest.raises(ValueError, match=message) as error:
        other.load()
    assert "\n" not in str(error.value)
    after = other._given["model"].state_dict().values()
    assert all(map(torch.equal, before, after))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_program_that_goes_to_another_folder_keeps_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = qtm.Checkpoint("run.qtm", torch.nn.Linear(2, 1))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    checkpoint.save(step=3)
    assert (tmp_path / "run.qtm").exists()
    assert checkpoint.resume(step=0) == {"step": 3}
    assert checkpoint.resume(step=0, best=None) == {"step": 3, "best": None}  # which the file lacks


def test_files_that_are_none(tmp_path):
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", torch.nn.Linear(1, 1))
    assert not checkpoint.exists()
    assert checkpoint.resume(step=0, best=None) == {"step": 0, "best": None}
    with pytest.raises(FileNotFoundError, match="is no file"):
        checkpoint.load()
    checkpoint.save()
    content = bytearray(checkpoint.path.read_bytes())
    content[-100] ^= 1
    checkpoint.path.write_bytes(content)
    with pytest.raises(ValueError, match="it is damaged, its checksum does not fit"):
        checkpoint.resume(step=0)
    write_checkpoint(checkpoint.path, "checkpoint", {"states": {}})
    with pytest.raises(ValueError, match="is of another version of qiskit-torch-module; update it"):
        checkpoint.load()
    torch.save({"model": {}}, checkpoint.path)
    with pytest.raises(ValueError, match="read it with torch.load"):
        checkpoint.load()
    model = qtm.QuantumModule(*circuit())
    qtm.save(model, checkpoint.path)
    with pytest.raises(
        ValueError, match="is no checkpoint but a quantum module, .*; read it with qiskit_torch_module.load"
    ):
        checkpoint.load()
    qtm.Checkpoint(checkpoint.path, model).save()
    with pytest.raises(
        ValueError, match="is no quantum module but a checkpoint, .*; read it with qiskit_torch_module.Checkpoint"
    ):
        qtm.load(checkpoint.path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 3}, "path: expected the name of a file, got 3"),
        ({"model": {}}, "model: expected a module of PyTorch, got dict"),
        (
            {"optimizer": torch.optim.Adam},
            r"optimizer: expected an object with state_dict.. and load_state_dict.., or a g",
        ),
        ({"step": 3}, r"step: expected an object .*, got 3; what is plain data goes to save.step=....$"),
        ({"losses": None}, r"losses: expected an object"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(TypeError, match=message):
        qtm.Checkpoint(**{"path": tmp_path / "a", "model": torch.nn.Linear(1, 1), **arguments})


def test_what_cannot_be_saved_leaves_the_older_file(tmp_path):
    checkpoint = qtm.Checkpoint(tmp_path / "run.qtm", torch.nn.Linear(1, 1))
    checkpoint.save(step=1, counts=Counter({3: 2}))
    with pytest.raises(TypeError, match=r"^step: expected plain values"):
        checkpoint.save(step={1, 2})
    assert checkpoint.load() == {"step": 1, "counts": {3: 2}}
