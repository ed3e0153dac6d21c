"""Sphinx extension: what only a running kernel can show is left out of the built pages."""

import re

from docutils import nodes

PROGRESS_BAR = re.compile(r"^.*\d+%\|.*\| [\d.]+/[\d.]+ \[.*$\n?", re.MULTILINE)


def prefer_words_to_widgets(app, config):
    """Show the words that a panel carries for pages without a kernel."""
    override = ["*", "application/vnd.jupyter.widget-view+json", None]
    config.nb_mime_priority_overrides = [*config.nb_mime_priority_overrides, override]


def drop_widget_scripts(app, doctree):
    """Forget what myst-nb notes for each page: the state of all widgets, and what runs them."""
    getattr(app.env, "nb_metadata", {}).get(app.env.docname, {}).pop("js_files", None)


def drop_progress_bars(app, doctree):
    """Take out what a bar that redraws its line leaves behind where no line can be redrawn."""
    for block in list(doctree.findall(nodes.literal_block)):
        if "stream" not in block["classes"]:
            continue
        text = PROGRESS_BAR.sub("", block.astext())
        if text == block.astext():
            continue
        if text.strip():
            block.children[:] = [nodes.Text(text)]
            block.rawsource = text
        else:
            output = block.parent
            output.remove(block)
            if not output.children:
                output.parent.remove(output)


def setup(app):
    """Connect the three to the build."""
    app.setup_extension("myst_nb")
    app.connect("config-inited", prefer_words_to_widgets)
    app.connect("doctree-read", drop_widget_scripts)
    app.connect("doctree-read", drop_progress_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
