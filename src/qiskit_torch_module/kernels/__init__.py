"""Quantum kernels: how alike samples are to a circuit, for support vector machines and all that takes Gram matrices."""

from .alignment import target_alignment
from .fidelity import FidelityKernel
from .kernel import Kernel
from .projected import ProjectedKernel

__all__ = ["FidelityKernel", "Kernel", "ProjectedKernel", "target_alignment"]
