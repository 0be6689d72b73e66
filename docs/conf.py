"""
How Sphinx builds these pages into a site. `make docs` runs it, and every warning is an error.

Sphinx is well kept, checks every link and anchor, reads docstrings, and searches without a server. MyST lets the pages stay
plain Markdown, and Furo's pages fetch nothing from elsewhere. MkDocs had no release since 2024 and its theme Material reached
its end in 2026; their successor Zensical reads docstrings only in an early form.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_site"))

project = "homie-migrations"
author = "the homie-migrations developers"
project_copyright = "the homie-migrations developers"
html_title = "homie-migrations"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "page_tree",
    "python_reference",
    "mermaid_diagrams",
    "console_blocks",
    "repository_links",
]
exclude_patterns = ["_site/**"]
needs_sphinx = "9.0"
nitpicky = False  # the types of the standard library have no page here

# The pages stay plain Markdown, as a repository browser shows it.
myst_heading_anchors = 4
myst_fence_as_directive = {"mermaid"}

smartquotes = False  # an option begins with two hyphens

# Docstrings are plain text with `names`: a name that has an entry becomes a link to it.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

# Nothing is fetched when a page is read: fonts are the reader's own, and diagrams are drawn by the build.
html_theme = "furo"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# The copy button of a console block takes what is typed, without prompts and without what it prints.
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos"
