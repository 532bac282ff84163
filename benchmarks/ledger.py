"""What ``python benchmarks`` measures, by name: every module writes its results, and the page about them."""

from __future__ import annotations

from types import ModuleType

import busy
import cores
import costs
import derivatives
import geometry
import gpu
import jacobians
import kernel
import kernels
import memory
import passes
import shots
import workloads

# In the order of their cost: what is short comes first.
MODULES: dict[str, ModuleType] = {
    "gpu": gpu,  # nothing where there is none
    "memory": memory,
    "cores": cores,
    "shots": shots,
    "workloads": workloads,
    "passes": passes,
    "geometry": geometry,
    "busy": busy,
    "kernel": kernel,
    "jacobians": jacobians,
    "costs": costs,
    "kernels": kernels,
    "derivatives": derivatives,
}
