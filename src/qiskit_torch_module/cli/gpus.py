"""What ``qtm info`` says of GPUs."""

from __future__ import annotations

import torch

from .._cuda import cubins
from .._cuda.libraries import MissingLibraryError
from .._cuda.nvrtc import CompilationError, nvrtc
from .._simulation.cuda import ENGINE, VARIABLE, setting


def gpu_rows() -> dict[str, str]:
    """The GPUs; if there are any, who computes on them, its compiler, and where compiled kernels are kept; by name."""
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if not names:
        return {"GPUs": "none that PyTorch sees"}
    computes = "kernels of the engine (experimental)" if setting() == ENGINE else "plain PyTorch"
    return {
        "GPUs": ", ".join(names),
        "on a GPU": f"{computes}, as {VARIABLE}={setting()} says; method='cuda' takes the kernels",
        "NVRTC": _compiler(),
        "compiled kernels": str(cubins.folder() or "not kept"),
    }


def _compiler() -> str:
    try:
        found = nvrtc()
    except (CompilationError, MissingLibraryError) as error:
        return f"none: {error}"
    return f"{found.version[0]}.{found.version[1]}, {found.path}"
