"""Entropies of reduced states, and their derivatives where eigenvalues coincide or vanish.

Tr f(rho) has the gradient f'(rho), whatever the spectrum. Its own derivatives are those of the logarithm, an integral
of resolvents,

    ln A = int_0^inf dt [1/(1 + t) - (A + t)^-1],

whose derivatives of all orders are those of inverses: no differences of eigenvalues are divided by. With t = exp(u) the
trapezoidal rule converges exponentially: the integrand is analytic for |Im u| < pi, which gives an error of
exp(-2 pi^2 / h) for steps h. Powers are exponentials of the logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from .._core.arguments import finite_number
from .._core.plain import is_plain
from .qubits import num_qubits_of
from .reduced import OfQubits, density_matrix

# Nearer to 1, Renyi's entropy in single precision has fewer than four digits.
_LEAST_DISTANCE = 1e-3


@dataclass(frozen=True)
class Entropy(OfQubits):
    """The entropy of the reduced state of some qubits: how entangled they are with all others.

    Von Neumann's, -Tr rho log rho, or Renyi's, log(Tr rho^alpha) / (1 - alpha). Derivatives are right whether
    eigenvalues of rho coincide or not. Eigenvalues below the resolution of the dtype, 2^k times its epsilon, cannot be
    told from zero: where a derivative is infinite at zero, as the second one of von Neumann's at a product state, it is
    that at this resolution, and for alpha < 1, where gradients may be infinite, such eigenvalues have no part in
    the gradient.

    Args:
        qubits: Which qubits.
        alpha: Order, above 0; 1: von Neumann's.
        base: Of the logarithm; 2 gives bits, as ``qiskit.quantum_info.entropy``, ``math.e`` gives nats.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a qubit twice, or one that the circuit does not have; an order that is not above 0, not finite, or
            less than 0.001 from 1 without being 1.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Entropy([0], base=2), seed_init=0
        ... )
        >>> entropy = state(torch.zeros(3, 2))
        >>> entropy.shape, bool((entropy <= 1.0001).all())
        (torch.Size([3]), True)
    """

    alpha: float = 1.0
    base: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "alpha", finite_number(self.alpha, "alpha", 0.0))
        if 0.0 < abs(self.alpha - 1.0) < _LEAST_DISTANCE:
            raise ValueError(
                f"alpha: expected 1, or a number that differs from 1 by {_LEAST_DISTANCE:g} or more, as the quotient "
                f"loses its digits next to 1, got {self.alpha!r}; use alpha=1, von Neumann's entropy"
            )
        object.__setattr__(self, "base", finite_number(self.base, "base", 1.0))

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """From the density matrix of the qubits, or of all others if those are fewer."""
        density = density_matrix(state, self.smaller(num_qubits_of(state)))
        if self.alpha == 1.0:
            return _not_negative(_trace(density, 1.0) / math.log(self.base))
        return _not_negative(_trace(density, self.alpha).log() / ((1.0 - self.alpha) * math.log(self.base)))


def _not_negative(entropy: torch.Tensor) -> torch.Tensor:
    """Without what rounding makes of zero, -0.0 included; derivatives stay as they are."""
    return entropy - entropy.detach().clamp(max=0.0)


def _trace(density: torch.Tensor, alpha: float) -> torch.Tensor:
    """Tr rho^alpha of density matrices (B, d, d), or -Tr rho ln rho for alpha = 1."""
    if alpha != 1.0 and alpha.is_integer():
        return _traced(torch.linalg.matrix_power(density, int(alpha)))
    compiles = torch.compiler.is_compiling()
    if compiles or is_plain((density,)):
        function = _Trace if compiles else _ForwardTrace
        values: torch.Tensor = function.apply(density, alpha)  # type: ignore[no-untyped-call]
        return values
    return _traced(density @ _factor(density, alpha))  # for torch.func


class _Trace(torch.autograd.Function):
    """By eigenvalues."""

    @staticmethod
    def forward(ctx: Any, density: torch.Tensor, alpha: float) -> torch.Tensor:
        values, vectors = torch.linalg.eigh(density)
        ctx.alpha = alpha
        ctx.save_for_backward(density, values, vectors)
        ctx.saved_for_forward = (density, values, vectors)
        values = values.clamp(min=0.0)
        if alpha == 1.0:
            return -torch.xlogy(values, values).sum(1)
        return torch.where(values > _resolution(density), values**alpha, 0.0).sum(1)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        density, values, vectors = ctx.saved_tensors
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # create_graph=True
            factor = _factor(density, ctx.alpha)
            one = torch.eye(density.shape[1], dtype=density.dtype, device=density.device)
            slope = factor - one if ctx.alpha == 1.0 else ctx.alpha * factor
        else:
            slope = _slope(values, vectors, ctx.alpha)
        return cotangent[:, None, None] * slope, None


class _ForwardTrace(_Trace):
    """The same with a derivative forward, at which the compiler of PyTorch stops."""

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        _, values, vectors = ctx.saved_tensors
        change: torch.Tensor = _traced(_slope(values, vectors, ctx.alpha) @ tangent)
        return change


def _slope(values: torch.Tensor, vectors: torch.Tensor, alpha: float) -> torch.Tensor:
    """f'(rho) by the eigenvalues (B, d) and eigenvectors of rho."""
    resolution = _resolution(vectors)
    if alpha == 1.0:
        slopes = -1.0 - (values.clamp(min=0.0) + resolution).log()
    else:
        slopes = torch.where(values > resolution, alpha * values.clamp(min=resolution) ** (alpha - 1.0), 0.0)
    slope: torch.Tensor = (vectors * slopes[:, None, :]) @ vectors.mH
    return slope


def _factor(density: torch.Tensor, alpha: float) -> torch.Tensor:
    """g(rho) with f(x) = x g(x): -ln, or a power; differentiable to every order.

    In the basis of the eigenvectors, which are constants there: what moves is a matrix of zeros that has derivatives.
    Inverses of diagonal matrices and all their derivatives are exact.
    """
    values, vectors = torch.linalg.eigh(density.detach())
    moved = vectors.mH @ (density - density.detach()) @ vectors
    resolution = _resolution(density)
    logarithm = _logarithm(torch.diag_embed(values.clamp(min=0.0) + resolution) + moved, resolution)
    factor = -logarithm if alpha == 1.0 else torch.linalg.matrix_exp((alpha - 1.0) * logarithm)
    turned: torch.Tensor = vectors @ factor @ vectors.mH
    return turned


def _logarithm(matrix: torch.Tensor, least: float) -> torch.Tensor:
    """The logarithm of matrices (B, d, d) whose eigenvalues are from `least` to about 1, by the trapezoidal rule."""
    digits = -math.log(torch.finfo(matrix.dtype).eps)
    step = 2.0 * math.pi**2 / (digits + 2.0)
    first = math.floor((math.log(least) - digits) / step)
    places = torch.arange(first, math.ceil(digits / step) + 1, dtype=matrix.real.dtype, device=matrix.device)
    t = (step * places).exp()[:, None, None]
    one = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    resolvents = torch.linalg.inv(matrix[:, None] + t * one)
    logarithm: torch.Tensor = (step * t * (one / (1.0 + t) - resolvents)).sum(1)
    return logarithm


def _resolution(density: torch.Tensor) -> float:
    return float(density.shape[1] * torch.finfo(density.dtype).eps)


def _traced(matrices: torch.Tensor) -> torch.Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1).real
