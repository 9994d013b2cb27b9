"""Configuration of Sphinx; the pages are Markdown (MyST), the reference of Python names comes from docstrings."""

import radpath

project = "radpath"
author = "The radpath developers"
project_copyright = author
release = version = radpath.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "example"]
html_extra_path = ["example"]  # the example report as it is
smartquotes = False  # settings and code must be copied as they stand

html_theme = "furo"
html_title = "radpath"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Types of other libraries have no page here, and their inventories would need a network.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|io|pathlib|typing|numpy|polars|jaxtyping)\..*"),
    ("py:.*", r"ndarray"),
    ("py:class", r"(radpath\.records\.)?Side"),  # an alias of Literal, which has no page
]
