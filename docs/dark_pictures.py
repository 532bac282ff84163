"""A page shows the variant of a picture for dark pages, where one lies beside it, when the reader's theme is dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from qiskit_torch_module._core.pictures import dark_variant


class BothVariants(SphinxTransform):
    """After every picture that has one comes its dark variant; the theme hides one of the two."""

    # Links of included files are known, and pictures not yet collected.
    default_priority = 600

    def apply(self, **options: Any) -> None:
        """Changes the document in place."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for light in list(self.document.findall(nodes.image)):
            dark = dark_variant(Path(light["uri"])).as_posix()
            if "://" not in light["uri"] and (folder / dark).exists():
                other = light.deepcopy()
                other["uri"] = dark
                light["classes"].append("only-light")
                other["classes"].append("only-dark")
                light.parent.insert(light.parent.index(light) + 1, other)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(BothVariants)
    return {"parallel_read_safe": True}
