"""Search in Chinese, where no spaces part the words.

jieba finds the words of a page; the terms of the course are in no dictionary of its, so they come
from the table of terms on the notation page. What a reader types is split in the browser, into the
longest words that the index knows.
"""

import re
import tempfile
from pathlib import Path

import jieba
import snowballstemmer
from sphinx.search.zh import SearchChinese

TERM = re.compile(r"^\| ([\u4e00-\u9fff]{2,})(?:（\w+）)? \| [A-Za-z]", re.MULTILINE)
SPLIT_QUERY = """
function splitQuery(query) {
  const known = (word) => word in Search._index.terms || word in Search._index.titleterms;
  const words = query.match(/[a-zA-Z0-9_]+/g) ?? [];
  for (const run of query.match(/[\\u4e00-\\u9fff]+/g) ?? []) {
    for (let start = 0, end; start < run.length; start = end) {
      for (end = run.length; end > start + 1 && !known(run.slice(start, end)); end--);
      if (end > start + 1) words.push(run.slice(start, end));
    }
  }
  return words.length ? words : [query];
}
"""


class SearchChineseOfBook(SearchChinese):
    """Sphinx's own, with the terms of the course and with queries that need no spaces."""

    js_splitter_code = SPLIT_QUERY

    def init(self, options):
        """Teach jieba the terms."""
        super().init(options)
        # Sphinx gives the browser Porter's stemmer, and takes a later one of his here: "decay"
        # would be looked up as "decai", and not be found.
        self.stemmer = snowballstemmer.stemmer("porter")
        jieba.setLogLevel("ERROR")
        jieba.dt.tmp_dir = tempfile.mkdtemp()  # not the file of a fixed name that all users share
        page = Path(__file__).parent.parent / "zh" / "appendix" / "notation.md"
        for term in TERM.findall(page.read_text(encoding="utf-8")):
            jieba.add_word(term)
