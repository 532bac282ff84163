"""Long names in tables and cards break where a reader would break them: behind a dot, an underscore or a bracket."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# Between two words of a name: no number, and no "R_Z" or "name.py", is torn apart.
PLACE = re.compile(r"(?<=[A-Za-z_]{3}[._:(/=])(?=[A-Za-z]\w{3})")


def _is_narrow(node: nodes.Node) -> bool:
    return isinstance(node, nodes.entry) or (
        isinstance(node, nodes.container) and "sd-card-body" in node["classes"]
    )


class Breaks(SphinxPostTransform):
    """Code in cells and cards gets places where a line may end; nothing of it is seen, or copied."""

    default_priority = 900  # links are made
    formats = ("html",)

    def run(self, **options: object) -> None:
        """Changes the document in place."""
        for cell in self.document.findall(_is_narrow):
            for code in list(cell.findall(nodes.literal)):
                for text in list(code.findall(nodes.Text)):
                    first, *others = PLACE.split(str(text))
                    parts: list[nodes.Node] = [nodes.Text(first)]
                    for other in others:
                        parts += [
                            nodes.raw("", "<wbr>", format="html"),
                            nodes.Text(other),
                        ]
                    text.parent.replace(text, parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_post_transform(Breaks)
    return {"parallel_read_safe": True}
