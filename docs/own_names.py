"""What docstrings call by its name alone, or by `qtm` and its name, is linked from every page of the reference."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import qiskit_torch_module

_PACKAGE = qiskit_torch_module.__name__


def _full_name(target: str) -> str | None:
    if target.startswith("qtm."):
        return f"{_PACKAGE}.{target[4:]}"
    return (
        f"{_PACKAGE}.{target}"
        if target.split(".")[0] in qiskit_torch_module.__dir__()
        else None
    )


def _resolved(
    app: Sphinx, env: Any, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """A link to what the package has under this name, if it is on a page."""
    full = _full_name(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or full is None:
        return None
    domain = env.get_domain("py")
    docname = node.get("refdoc", env.docname)
    return domain.resolve_xref(
        env, docname, app.builder, "obj", full, node, content
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect(
        "missing-reference", _resolved, priority=400
    )  # before other sites are asked
    return {"parallel_read_safe": True, "parallel_write_safe": True}
