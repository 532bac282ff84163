"""Table II: digits by incremental data-uploading; time and accuracy, in the paper's setting and beyond it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._core.pictures import MUTED, decimal, picture
from ..applications.classifier import digit_classifier, predict
from ..applications.images import Images, load_digits, load_mnist
from ..applications.training import History, Training, batches
from ..modules.module import QuantumModule
from .runners.workload import Spec
from .store import Result, Settings, Task, described, factor, not_measured, plain
from .systems import (
    PROJECT,
    QML_REVERSE,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    VERSION_1,
    System,
    checked,
    median,
    taking_part,
)

UPDATES, BATCH = 250, 48
WORK = Spec(qubits=10, depth=10, batch=BATCH, circuit="digits")
PAPER = {
    "the paper, version 1.0 (its machine)": 838.0,
    "the paper, qiskit-machine-learning, reverse (its machine)": 50804.0,
}
_RATES = {"0.001, as in the paper": 0.001, "0.02": 0.02}
SYSTEMS = (PROJECT, TENSORCIRCUIT, TENSORFLOW_QUANTUM, VERSION_1, QML_REVERSE)
_SMALL, _LARGE = 250, 10_000  # updates of the paper, and of training on


def _images(settings: Settings, seed: int) -> Images:
    return load_digits(seed) if settings.data is None else load_mnist(settings.data, seed)


def tasks(settings: Settings) -> list[Task]:
    """Time of an update of every system; training as in the paper; training on."""
    tasks = [Task(f"{system.label} @ time", _time(system, settings)) for system in taking_part(SYSTEMS, settings)]
    for label, rate in _RATES.items():
        for seed in range(1 if settings.quick else 5):
            tasks.append(Task(f"{label} @ {seed}", _train(label, rate, seed, _SMALL, settings)))
    for seed in range(1 if settings.quick else 3):
        updates = 1000 if settings.quick else _LARGE
        tasks.append(Task(f"longer @ {seed}", _train("longer", 0.02, seed, updates, settings, decays=True)))
    return tasks


def _time(system: System, settings: Settings) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        return {"system": system.label, **checked(system, WORK, settings, done.get(f"{PROJECT.label} @ time", {}))}

    return run


def _train(
    label: str, rate: float, seed: int, updates: int, settings: Settings, *, decays: bool = False
) -> Callable[[Mapping[str, Result]], Result]:
    """Cross-entropy and Adam, as ``qtm train digits``; with `decays`, the learning rate falls to zero by a cosine."""

    def run(done: Mapping[str, Result]) -> Result:
        images, model = _images(settings, seed), digit_classifier(seed=seed)
        epochs = 1 + updates * BATCH // (len(images.train_labels) - BATCH)
        if decays:
            history = _train_on(model, images, updates, rate, seed, epochs)
        else:
            chosen = islice(batches(images, BATCH, epochs, seed), updates)
            history = Training(model, images, rate).run(chosen, time.perf_counter)
        return {
            "label": label,
            "data": images.name,
            "updates": updates,
            "seconds": history.seconds,
            "test_accuracy": history.test_accuracy,
            "train_accuracy": _accuracy(model, images.train_pixels, images.train_labels),
        }

    return run


def _accuracy(model: QuantumModule, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    return float((predict(model, pixels) == labels).double().mean())


def _train_on(model: QuantumModule, images: Images, updates: int, rate: float, seed: int, epochs: int) -> History:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, amsgrad=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    history, every = History(), max(1, updates // 40)
    for update, (_, batch) in enumerate(islice(batches(images, BATCH, epochs, seed), updates), 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images.train_pixels[batch]), images.train_labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        history.seconds += time.perf_counter() - start
        if update % every == 0 or update == updates:
            history.test_accuracy.append((update, _accuracy(model, images.test_pixels, images.test_labels)))
    return history


def report(results: Mapping[str, Any], stem: Path) -> list[Path]:
    """Tables of time and accuracy, and the accuracy while training goes on."""
    points = results["points"]
    lines = [
        "# Digits by incremental data-uploading",
        "",
        f"{described(results)}. 10x10 images, 10 qubits, depth 10, 220 weights, batch {BATCH}.",
        "",
        f"Time of {UPDATES} updates (values and gradients; ~: extrapolated from the median of a few updates, those of "
        "qiskit-machine-learning from one sample). The paper reports about 55 % accuracy.",
        "",
        "| system | ms a sample | s in total | factor |",
        "| --- | ---: | ---: | ---: |",
        *_time_rows(points),
        "",
        f"![Test accuracy by updates]({stem.name}.svg)",
        "",
        "| training | data | updates | s | test accuracy, % by seed | mean | on its training set |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
        *_accuracy_rows(points),
        *not_measured(points),
    ]
    table, picture = stem.with_suffix(".md"), stem.with_suffix(".svg")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(points, picture)
    return [table, picture]


def _time_rows(points: Mapping[str, Result]) -> list[str]:
    totals = {}
    for system in SYSTEMS:
        point = points.get(f"{system.label} @ time", {"error": ""})
        if "error" not in point:
            totals[f"{system.label} ~"] = median(point, "step") * 1e-3 * UPDATES
    measured = [point["seconds"] for key, point in points.items() if key.startswith(next(iter(_RATES)))]
    ours = float(np.median(measured)) if measured else totals.get(f"{PROJECT.label} ~")
    if measured:
        totals = {f"{PROJECT.label}, whole training": float(np.median(measured)), **totals}
    rows = []
    for label, total in {**totals, **PAPER}.items():
        sample = 1e3 * total / UPDATES / BATCH
        rows.append(f"| {label} | {plain(sample)} | {plain(total)} | {'' if ours is None else factor(total / ours)} |")
    return rows


def _accuracy_rows(points: Mapping[str, Result]) -> list[str]:
    rows = []
    for label in [*_RATES, "longer"]:
        runs = [point for key, point in points.items() if key.startswith(f"{label} @")]
        if not runs:
            continue
        accuracies = [100 * point["test_accuracy"][-1][1] for point in runs]
        name = "learning rate 0.02, falling to 0" if label == "longer" else f"learning rate {label}"
        rows.append(
            f"| {name} | {runs[0]['data']} | {runs[0]['updates']} "
            f"| {np.median([point['seconds'] for point in runs]):.3g} "
            f"| {', '.join(f'{accuracy:.1f}' for accuracy in accuracies)} | {np.mean(accuracies):.1f} "
            f"| {100 * np.mean([point['train_accuracy'] for point in runs]):.1f} |"
        )
    return rows


def _plot(points: Mapping[str, Result], path: Path) -> None:
    with picture(path) as (_, axis):
        for key, point in points.items():
            if key.startswith("longer @"):
                updates, accuracy = zip(*point["test_accuracy"], strict=True)
                percent = [100 * share for share in accuracy]
                axis.plot(updates, percent, ".-", label=f"seed {key.split('@ ')[1]}, {point['seconds']:.0f} s")
        axis.axhline(55, color=MUTED, linestyle=":", label="the paper, 250 updates in 838 s")
        axis.axvline(UPDATES, color=MUTED, linewidth=0.8)
        axis.set(xlabel="updates", ylabel="test accuracy (%)", ylim=(0, 100), title="Digits: training goes on")
        decimal(axis.xaxis)
        axis.legend(loc="lower right")
