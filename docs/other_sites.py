"""Links to the pages of other packages, without a network: what intersphinx would download is written down here.

A build makes an inventory of each site from this table. What is missing from it is shown without a link.
"""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path

_QISKIT = {
    "qiskit.circuit": "QuantumCircuit Parameter ParameterExpression ParameterVector",
    "qiskit.quantum_info": "SparsePauliOp Pauli Operator Statevector DensityMatrix SparseObservable",
    "qiskit.primitives": "BaseEstimatorV2 BaseSamplerV2 PrimitiveResult DataBin BitArray PrimitiveJob PubResult",
    "qiskit.transpiler": "PassManager StagedPassManager",
}
_TORCH = {
    "torch.Tensor": "tensors.html",
    "torch.dtype": "tensor_attributes.html",
    "torch.device": "tensor_attributes.html",
    "torch.nn.Parameter": "generated/torch.nn.parameter.Parameter.html",
    "torch.optim.Optimizer": "optim.html",
    "torch.optim.Adam": "generated/torch.optim.Adam.html",
    "torch.nn.Module": "generated/torch.nn.Module.html",
    "torch.nn.Linear": "generated/torch.nn.Linear.html",
    "torch.Generator": "generated/torch.Generator.html",
}
_NUMPY = {"numpy.ndarray": "reference/generated/numpy.ndarray.html"}
_SCIPY = {
    "scipy.optimize.OptimizeResult": "reference/generated/scipy.optimize.OptimizeResult.html",
    "scipy.sparse.linalg.LinearOperator": "reference/generated/scipy.sparse.linalg.LinearOperator.html",
}
_SKLEARN = {
    f"sklearn.base.{name}": f"modules/generated/sklearn.base.{name}.html"
    for name in ("BaseEstimator", "ClassifierMixin", "RegressorMixin")
}
_PYTHON = {
    **dict.fromkeys(
        ("int", "float", "bool", "complex", "object"), "library/functions.html"
    ),
    **dict.fromkeys(
        ("str", "list", "tuple", "dict", "bytes"), "library/stdtypes.html"
    ),
    "None": "library/constants.html",
    **{
        f"collections.abc.{name}": "library/collections.abc.html"
        for name in ("Iterable", "Iterator", "Mapping", "Sequence", "Callable")
    },
    "pathlib.Path": "library/pathlib.html",
    "typing.Any": "library/typing.html",
    **dict.fromkeys(
        (
            "TypeError",
            "ValueError",
            "RuntimeError",
            "OSError",
            "FileNotFoundError",
            "NotImplementedError",
            "MemoryError",
            "ModuleNotFoundError",
        ),
        "library/exceptions.html",
    ),
}

# Each name, in public and where it is defined, the kind of it in Sphinx's words, and its page.
SITES: dict[str, tuple[str, dict[str, str]]] = {
    "qiskit": (
        "https://quantum.cloud.ibm.com/docs/en/api/qiskit/",
        {
            f"{module}.{name}": f"{module}.{name}"
            for module, names in _QISKIT.items()
            for name in names.split()
        },
    ),
    "torch": ("https://docs.pytorch.org/docs/stable/", _TORCH),
    "numpy": ("https://numpy.org/doc/stable/", _NUMPY),
    "scipy": ("https://docs.scipy.org/doc/scipy/", _SCIPY),
    "sklearn": ("https://scikit-learn.org/stable/", _SKLEARN),
    "python": ("https://docs.python.org/3/", _PYTHON),
}
_SHORT = ("qiskit.", "collections.", "torch.", "pathlib.", "typing.")
_LONG = (
    "torch.nn.Parameter",
    "qiskit.quantum_info.DensityMatrix",
)  # others have these short names


def _names(name: str) -> set[str]:
    """All that a page may call it: as Python does, and short, where Python cannot evaluate the hints of a module."""
    module, _, short = name.rpartition(".")
    one = getattr(
        importlib.import_module(module or "builtins"), short, None
    )  # None: not in this version, or None itself
    home = (
        f"{one.__module__}.{one.__qualname__}"
        if isinstance(one, type) and module
        else name
    )
    return {
        name,
        home,
        *([short] if name.startswith(_SHORT) and name not in _LONG else []),
    }


def inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Writes an inventory of each site; what ``intersphinx_mapping`` is to be."""
    folder.mkdir(parents=True, exist_ok=True)
    for site, (_, pages) in SITES.items():
        lines = []
        for name, page in pages.items():
            kind = "exception" if name.endswith("Error") else "class"
            anchor = f"{page}#{name.replace('torch.nn.Parameter', 'torch.nn.parameter.Parameter')}"
            lines += [
                f"{known} py:{kind} 1 {anchor} -" for known in _names(name)
            ]
        head = f"# Sphinx inventory version 2\n# Project: {site}\n# Version: \n# The rest is compressed by zlib.\n"
        (folder / f"{site}.inv").write_bytes(
            head.encode() + zlib.compress("\n".join(lines).encode() + b"\n")
        )
    return {
        site: (url, str(folder / f"{site}.inv"))
        for site, (url, _) in SITES.items()
    }
