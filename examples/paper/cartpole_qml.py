"""CartPole with quantum policy gradients (Fig. 3 of Meyer et al., arXiv:2404.06314), with qiskit-machine-learning."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from circuits import reuploading
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN

SCALES = np.array([2.4, 2.5, 0.21, 2.5])


def build() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The policy, with one learning rate: there is only one set of weights."""
    circuit, inputs, weights, scaling = reuploading(4, 1, all_pairs=True)
    estimator = StatevectorEstimator()
    network = EstimatorQNN(
        circuit=circuit,
        estimator=estimator,
        input_params=list(inputs),
        weight_params=[*weights, *scaling],
        observables=[SparsePauliOp("ZZZZ")],
        gradient=ParamShiftEstimatorGradient(estimator),
        default_precision=0.0,
    )
    normal = np.random.default_rng(0).standard_normal(len(weights))
    start = np.r_[0.1 * normal, np.ones(len(scaling))]
    model = TorchConnector(network, initial_weights=start)
    return model, torch.optim.Adam(model.parameters(), lr=0.05, amsgrad=True)


def policy(model: torch.nn.Module, observations: torch.Tensor) -> torch.distributions.Bernoulli:
    """Right with probability (1 - <ZZZZ>) / 2."""
    return torch.distributions.Bernoulli(((1 - model(observations)[:, 0]) / 2).clamp(1e-6, 1 - 1e-6))


def play(model: torch.nn.Module, environment: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Plays all environments to the end: observations, actions, discounted returns, and the episodes' lengths."""
    state, _ = environment.reset()
    running, steps = torch.ones(len(state), dtype=torch.bool), []
    while running.any():
        observations = torch.as_tensor(state / SCALES, dtype=torch.float32)
        with torch.no_grad():
            actions = policy(model, observations).sample()
        steps.append((observations, actions, running))
        state, _, terminated, truncated, _ = environment.step(actions.long().numpy())
        running = running & ~torch.as_tensor(terminated | truncated)
    observations, actions, alive = map(torch.stack, zip(*steps, strict=True))
    returns, later = torch.zeros(alive.shape), torch.zeros(alive.shape[1])
    for step in reversed(range(len(alive))):
        returns[step] = later = alive[step] * (1 + 0.99 * later)
    return observations[alive], actions[alive], returns[alive], alive.sum(dim=0)


def main(updates: int = 100, episodes: int = 10, longest: int = 500) -> list[float]:
    """REINFORCE on CartPole-v1: mean return of every batch of episodes."""
    torch.manual_seed(0)
    environment = gymnasium.make_vec(
        "CartPole-v1", episodes, vectorization_mode="vector_entry_point", max_episode_steps=longest
    )
    environment.reset(seed=0)
    model, optimizer = build()
    mean_returns = []
    for _ in range(updates):
        observations, actions, returns, lengths = play(model, environment)
        optimizer.zero_grad()
        (-policy(model, observations).log_prob(actions) * returns).mean().backward()
        optimizer.step()
        mean_returns.append(lengths.float().mean().item())
    return mean_returns


if __name__ == "__main__":
    found = main()
    print(f"mean return {found[0]:.0f} at first, {sum(found[-10:]) / 10:.0f} in the end")
