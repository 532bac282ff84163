"""CartPole by quantum policy gradients, many seeds at once.

REINFORCE with the policy of Meyer et al., "Quantum Policy Gradient Algorithm with Optimized Action Decoding", ICML 2023
(arXiv:2212.06663): pi(left | s) = (1 + <Z...Z>) / 2 on a data re-uploading circuit with trainable scaling of its input.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..modules.module import QuantumModule
from .runners.workload import Spec

POLICY = Spec(qubits=4, depth=1, circuit="policy", observables=1)
EPISODES_A_BATCH = 10
DISCOUNT = 0.99
SOLVED = 475.0  # mean return of the last 100 episodes, as Gymnasium defines it for CartPole-v1

# Largest values in a normal run: position, velocity, angle, angular velocity.
_SCALES = np.array([2.4, 2.5, 0.21, 2.5], dtype=np.float32)


class Policies(torch.nn.Module):
    """One policy for each seed. The weights of the circuit are inputs of it, so that all seeds share every call."""

    def __init__(self, seeds: range) -> None:
        super().__init__()
        circuit, x, b, c = POLICY.qiskit_circuit()
        self.circuit = QuantumModule(circuit, [*x, *b, *c], None, observables="tensoredZ")
        starts = [torch.randn(len(b), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        self.weights = torch.nn.Parameter(0.1 * torch.stack(starts))
        self.scaling = torch.nn.Parameter(torch.ones(len(seeds), len(c)))

    def forward(self, observations: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        """Probability of each action: (rows, 2) for observations (rows, 4), each seen by the policy of its owner."""
        rows = torch.cat([observations, self.weights[owners], self.scaling[owners]], dim=1)
        value = self.circuit(rows)
        return torch.cat([1 + value, 1 - value], dim=1) / 2


@dataclass
class Rollout:
    """Steps of one batch of episodes of every seed, in the order of time.

    Attributes:
        observations, actions, owners: For every step that counts; owners are positions of seeds.
        returns: Discounted rewards to go of every step.
        lengths: Length of every episode, which is its return: (seeds, episodes).
    """

    observations: torch.Tensor
    actions: torch.Tensor
    owners: torch.Tensor
    returns: torch.Tensor
    lengths: npt.NDArray[np.int64]


def play(policies: Policies, environment: Any, num_seeds: int, generator: torch.Generator) -> Rollout:
    """Plays all episodes of a batch side by side, each to its end."""
    observations, _ = environment.reset()
    num_episodes = len(observations)
    owner = np.repeat(np.arange(num_seeds), num_episodes // num_seeds)
    running, lengths = np.arange(num_episodes), np.zeros(num_episodes, np.int64)
    steps: list[tuple[torch.Tensor, torch.Tensor, npt.NDArray[np.int64]]] = []
    while len(running) > 0:
        seen = torch.from_numpy(observations[running] / _SCALES)
        with torch.no_grad():
            probabilities = policies(seen, torch.from_numpy(owner[running]))
        actions = (torch.rand(len(running), generator=generator) >= probabilities[:, 0]).long()
        steps.append((seen, actions, running))
        # An environment that is done starts again; what it does then is ignored.
        everywhere = np.zeros(num_episodes, np.int64)
        everywhere[running] = actions.numpy()
        observations, _, terminated, truncated, _ = environment.step(everywhere)
        lengths[running] += 1
        running = running[~(terminated | truncated)[running]]
    episodes = np.concatenate([running for _, _, running in steps])
    ages = np.repeat(np.arange(len(steps)), [len(running) for _, _, running in steps])
    # Every step earns 1, so the rest of an episode earns a geometric sum.
    to_go = (1 - DISCOUNT ** (lengths[episodes] - ages)) / (1 - DISCOUNT)
    return Rollout(
        torch.cat([seen for seen, _, _ in steps]),
        torch.cat([actions for _, actions, _ in steps]),
        torch.from_numpy(owner[episodes]),
        torch.from_numpy(to_go.astype(np.float32)),
        lengths.reshape(num_seeds, -1),
    )


def loss(policies: Policies, rollout: Rollout) -> torch.Tensor:
    """REINFORCE: minus the mean of log pi(a | s) G of each seed, summed over the seeds, which share no weight."""
    probabilities = policies(rollout.observations, rollout.owners)
    chosen = probabilities.gather(1, rollout.actions[:, None])[:, 0].clamp(min=1e-6)
    share = 1 / torch.bincount(rollout.owners)[rollout.owners]
    total: torch.Tensor = -(share * chosen.log() * rollout.returns).sum()
    return total


def train(
    seeds: range,
    learning_rates: tuple[float, float],
    num_updates: int,
    on_update: Callable[[int, float], Any] = lambda update, mean: None,
) -> dict[str, Any]:
    """Trains one policy for each seed.

    Args:
        seeds: Seeds of the initial weights; the first also seeds environments and actions.
        learning_rates: For the weights and for the scaling of the input.
        num_updates: Each after `EPISODES_A_BATCH` episodes.
        on_update: Called with the number of the update and the mean return of all seeds.

    Returns:
        "returns": mean return of each batch, (updates, seeds); "steps": steps of the environment in each batch,
        likewise; "seconds".
    """
    import gymnasium

    policies, generator = Policies(seeds), torch.Generator().manual_seed(seeds.start)
    optimizer = torch.optim.Adam(
        [
            {"params": [policies.weights], "lr": learning_rates[0]},
            {"params": [policies.scaling], "lr": learning_rates[1]},
        ],
        amsgrad=True,
    )
    environment = gymnasium.make_vec(
        "CartPole-v1", num_envs=len(seeds) * EPISODES_A_BATCH, vectorization_mode="vector_entry_point"
    )
    environment.reset(seed=seeds.start)
    returns, steps, start = [], [], time.perf_counter()
    for update in range(num_updates):
        rollout = play(policies, environment, len(seeds), generator)
        returns.append(rollout.lengths.mean(axis=1).round(2).tolist())
        steps.append(rollout.lengths.sum(axis=1).tolist())
        optimizer.zero_grad()
        loss(policies, rollout).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        on_update(update, float(rollout.lengths.mean()))
    environment.close()
    return {"returns": returns, "steps": steps, "seconds": time.perf_counter() - start}


def steps_to_solve(returns: npt.NDArray[Any], steps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Steps of the environment until the last 100 episodes reach `SOLVED`; infinite where they never do.

    Args:
        returns: Mean return of each batch, (updates, seeds).
        steps: Steps in each batch, likewise.
    """
    window = 100 // EPISODES_A_BATCH
    needed = np.full(returns.shape[1], np.inf)
    sums = np.cumsum(np.vstack([np.zeros(returns.shape[1]), returns]), axis=0)
    solved = (sums[window:] - sums[:-window]) / window >= SOLVED
    total = np.cumsum(steps, axis=0)[window - 1 :]
    for seed in range(returns.shape[1]):
        if solved[:, seed].any():
            needed[seed] = total[solved[:, seed].argmax(), seed]
    return needed
