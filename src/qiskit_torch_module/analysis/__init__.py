"""What a circuit can do, in numbers: how expressive, entangling and trainable it is, and which functions it can be."""

from .algebra import LieAlgebra, dynamical_lie_algebra
from .dimension import EffectiveDimension, effective_dimension
from .entanglement import EntanglingCapability, entangling_capability
from .expressibility import Expressibility, expressibility
from .fourier import FourierCoefficients, fourier_coefficients
from .spectrum import FourierSpectrum, fourier_spectrum
from .variance import GradientVariance, gradient_variance

__all__ = [
    "EffectiveDimension",
    "EntanglingCapability",
    "Expressibility",
    "FourierCoefficients",
    "FourierSpectrum",
    "GradientVariance",
    "LieAlgebra",
    "dynamical_lie_algebra",
    "effective_dimension",
    "entangling_capability",
    "expressibility",
    "fourier_coefficients",
    "fourier_spectrum",
    "gradient_variance",
]
