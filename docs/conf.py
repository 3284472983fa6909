"""How Sphinx builds the site: `make docs`. A warning, or a cell that fails, ends the build."""

import kfng

project = "kfng"
author = "the kfng authors"
project_copyright = author
version = release = kfng.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
templates_path: list[str] = []

# -- Markdown, and the cells that run
myst_heading_anchors = 4  # links such as page.md#a-heading
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_merge_streams = True

# -- the reference, from the docstrings
default_role = "py:obj"  # `Linear` in a docstring is a link
autodoc_typehints = "none"  # they say shapes and units, which types do not
autodoc_member_order = "bysource"
autodoc_mock_imports = ["jax", "torch"]  # some GB, and not needed to read a docstring
numpydoc_show_class_members = False  # autodoc has them
numpydoc_validation_checks = {
    "GL06",  # an unknown section
    "GL07",  # sections in the wrong order
    "GL08",  # no docstring
    "PR01",  # a parameter that is not said
    "PR02",  # a parameter that is not there
    "SS01",  # no summary
}
# every error takes the arguments of KfngError; steps, traces and learners are returned by something that says what they are
numpydoc_validation_exclude = {
    r"Error(\.|$)",
    r"\._\w+\.\w*(Step|Trace)$",
    r"\.\w+Learner$",
    r"\.diagnostics\.[A-Z]\w*$",
    r"\.plot\.\w+Display",
    r"Trace\.trust$",
}

# -- how it looks
html_theme = "pydata_sphinx_theme"
html_title = f"kfng {release}"
html_static_path = ["_static"]
html_css_files = ["kfng.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "navbar_persistent": ["search-button"],  # an icon: with words it takes a second line
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "quickstart": []}
