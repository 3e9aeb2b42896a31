// What a correction changed: words taken out and put in, as elements.
const MOST = 400; // words; the table below has their square

function words(text, language) {
  if (!("Segmenter" in Intl)) return [...text];
  return [...new Intl.Segmenter(language || undefined, { granularity: "word" }).segment(text)].map((part) => part.segment);
}

/** Lengths of the longest common subsequences of all ends of both. */
function table(one, two) {
  const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(two.length + 1));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = two.length - 1; j >= 0; j--) {
      lengths[i][j] = one[i] === two[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

function steps(one, two) {
  const lengths = table(one, two);
  const found = [];
  const add = (kind, word) => (found.at(-1)?.kind === kind ? (found.at(-1).text += word) : found.push({ kind, text: word }));
  let i = 0, j = 0;
  while (i < one.length || j < two.length) {
    if (i < one.length && j < two.length && one[i] === two[j]) { add("same", one[i++]); j++; }
    else if (j === two.length || (i < one.length && lengths[i + 1][j] >= lengths[i][j + 1])) add("del", one[i++]);
    else add("ins", two[j++]);
  }
  return found;
}

export function difference(before, after, language) {
  const [one, two] = [words(before, language), words(after, language)];
  if (one.length > MOST || two.length > MOST) return [after];
  return steps(one, two).map(({ kind, text }) => {
    if (kind === "same") return text;
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  });
}
