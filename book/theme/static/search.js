// What the search of Sphinx finds. Its index holds words as they are written (book/theme/search.py).

{
  const CHINESE = /^[\u4e00-\u9fff]/;
  const SYMBOL = /^[^\p{Letter}\p{Number}_]$/u;
  // What comes out as no word finds nothing, so these may be rough.
  const AMERICAN = [
    [/is(?=[aei]|or|$)/, "iz"], [/ys(?=[ei]|$)/, "yz"], [/our/, "or"], [/([bt])re(?=[ds]?$)/, "$1er"],
    [/ll(?=e[drs]|ing)/, "l"], [/ogue/, "og"], [/ence/, "ense"], [/[ao]e/, "e"], [/practis/, "practic"],
    [/^grey/, "gray"], [/programme/, "program"], [/artefact/, "artifact"], [/dgement/, "dgment"],
  ];

  /** A word, and how it may be spelled in American English. */
  const spellings = remembering((word) => word.length < 4 ? [word] :
    AMERICAN.reduce((all, [british, american]) =>
      [...new Set([...all, ...all.map((one) => one.replace(british, american))])], [word]));
  const stemmer = new Stemmer(), stem = remembering((term) => stemmer.stemWord(term));

  function remembering(f) {
    const known = new Map();
    return (word) => known.get(word) ?? known.set(word, f(word)).get(word);
  }

  /** How well a term of the index fits a word of the query, from 0 to 1. */
  function fit(word, term) {
    if (term === word) return 1;
    if (CHINESE.test(word)) return word.length < 2 && term.includes(word) ? 0.5 : 0;
    if (word.length < 3) return 0;
    if (stem(term) === stem(word)) return 0.9;
    if (term.startsWith(word)) return 0.6;
    return word.length > 3 && term.includes(word) ? 0.3 : 0;
  }

  /** The files that hold a word, each with its score. Of Chinese, which is typed without spaces, more
   *  than half of all pairs of neighbours: those of two words typed in one go may stand nowhere. */
  function find(word) {
    if (CHINESE.test(word) && word.length > 2) {
      const pairs = [...word].slice(1).map((second, i) => find(word[i] + second)), scores = new Map();
      for (const file of new Set(pairs.flatMap((pair) => [...pair.keys()]))) {
        const held = pairs.filter((pair) => pair.has(file)).map((pair) => pair.get(file));
        if (2 * held.length > pairs.length)
          scores.set(file, held.reduce((sum, score) => sum + score, 0) / pairs.length);
      }
      return scores;
    }
    const scores = new Map(), words = spellings(word), { terms, titleterms } = Search._index;
    for (const [index, most] of [[terms, Scorer.term], [titleterms, Scorer.title]]) {
      for (const [term, files] of Object.entries(index)) {
        const score = most * Math.max(...spellings(term).flatMap((spelt) => words.map((one) => fit(one, spelt))));
        if (score) for (const file of [files].flat()) scores.set(file, Math.max(score, scores.get(file) ?? 0));
      }
    }
    return scores;
  }

  Search._parseQuery = (query) => {
    const all = splitQuery(query), plain = all.filter((word) => !SYMBOL.test(word) && !stopwords.includes(word));
    const words = new Set(plain.length ? plain : all); // a query of nothing but symbols, or of "it is"
    const objects = new Set([...words].filter((word) => word.length > 2 || CHINESE.test(word))); // and to highlight
    const title = query.trim().replace(/^["'“”‘’「」《》]+|["'“”‘’「」《》]+$/g, "");
    return [title, words, new Set(), new Set([...objects].flatMap(spellings)), objects];
  };

  /** Pages that hold all words, as Sphinx wants a result: name, title, anchor, description, score, file. */
  Search.performTermsSearch = (words) => {
    const { docnames, filenames, titles } = Search._index, found = [...words].map(find);
    return [...(found[0]?.keys() ?? [])].filter((file) => found.every((scores) => scores.has(file)))
      .map((file) => [docnames[file], titles[file], "", null,
        found.reduce((sum, scores) => sum + scores.get(file), 0) / found.length, filenames[file]]);
  };

  const { makeSearchSummary } = Search; // an excerpt is one of the text, and shows what was meant
  Search.makeSearchSummary = (page, words, anchor) =>
    makeSearchSummary(page.replace(/<p class="actions">[^]*?<\/p>/, ""), new Set([...words].flatMap(spellings)), anchor);
}
