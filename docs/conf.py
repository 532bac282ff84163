"""Sphinx: ``sphinx-build -W docs docs/_build``."""

import sys
import tempfile
from pathlib import Path

from qiskit_torch_module import __version__

sys.path.insert(0, str(Path(__file__).parent))
from other_sites import inventories

project = "qiskit-torch-module"
author = "The qiskit-torch-module developers"
copyright = "2026, the qiskit-torch-module developers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "breaks",
    "dark_pictures",
    "mathml",
    "own_fields",
    "own_names",
]
exclude_patterns = ["_build"]
copybutton_selector = (
    "div:not(.highlight-text) > div.highlight > pre"  # not what is printed
)
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Results are included as they were written; links to the repository's files stay links of the repository.
suppress_warnings = ["myst.xref_missing", "myst.header"]

default_role = "py:obj"  # a link where there is something to link to, else code
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autodoc_type_aliases = {
    "npt.ArrayLike": "npt.ArrayLike",
    "_Model": "Module",
    "_Own": "Self",
}
strip_signature_backslash = True  # names that end in an underscore keep it
autosummary_generate = False
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Source", "params_style")]

intersphinx_mapping = inventories(
    Path(tempfile.gettempdir()) / "qiskit-torch-module-inventories"
)

html_math_renderer = "mathml"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"qiskit-torch-module {version}"
html_theme_options = {"source_directory": "docs/"}
