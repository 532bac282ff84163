"""Formulas as MathML: browsers draw it without a script, and without the network from which MathJax would come."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# As TeX has them: brackets of kets stay small where no \left asks for more, bars and primes have no room around them.
AS_IN_TEX = {
    "<mo>⟨</mo>": '<mo stretchy="false">⟨</mo>',
    "<mo>⟩</mo>": '<mo stretchy="false">⟩</mo>',
    '<mo stretchy="false">|</mo>': '<mo stretchy="false" lspace="0em" rspace="0em">|</mo>',
    "<mo>'</mo>": '<mo lspace="0em" rspace="0em">′</mo>',
}


def mathml(tex: str, as_block: bool) -> str:
    """A formula in TeX as an element of HTML; `as_block`: on lines of its own."""
    formula = tex2mathml(tex, as_block=as_block)
    for said, meant in AS_IN_TEX.items():
        formula = formula.replace(said, meant)
    return formula


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Writes a formula that stands in a line."""
    translator.body.append(mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Writes a formula that has lines of its own."""
    translator.body.append(
        f'<div class="formula">{mathml(node.astext(), as_block=True)}</div>'
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True}
