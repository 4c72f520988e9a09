// Makes a small tokenizer.json in the layout of each family of models, and what the npm package `tokenizers` (Hugging Face's
// own, native) encodes with it. To run: `npm install tokenizers@0.23.2` in some folder, then `NODE_PATH=<it>/node_modules node make.mjs`.
import { createRequire } from 'module';
import { writeFileSync, mkdirSync } from 'fs';
import { dirname, join } from 'path';
import { fileURLToPath } from 'url';

const { Tokenizer } = createRequire(join(process.env.NODE_PATH ?? '.', 'x.js'))('tokenizers');
const here = dirname(fileURLToPath(import.meta.url));

const corpus = `The cat sat on the mat. The other cats sat with that cat; they're there, aren't they? I'll say I've seen it.
def read(self, path):\n    with open(path) as stream:\n        for line in stream:\n            print(line.strip(), 123, 4567)\n
Human: Tell me about trumpets\n\nAssistant: Trial 1: Do you detect an injected thought? If so, what is the thought about?\n\n
Der schnelle Fuchs läuft über die Straße. Où est la bibliothèque? Él está aquí. 東京は日本の首都です。 Привет, мир! שלום 안녕하세요 🙂🙂🙂 👍
HELLO World HelloWorld fooBar XMLHttp \t\ttabs  two   three    four\n\n\nlines 1 12 123 1234 12345 3.14 1e10 x = y + z != w`;

// GPT-2's map of bytes to characters.
const printable = b => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
const byteChar = (() => { const map = []; let n = 0; for (let b = 0; b < 256; b++) map[b] = String.fromCodePoint(printable(b) ? b : 256 + n++); return map; })();
const toByteLevel = text => [...Buffer.from(text, 'utf8')].map(b => byteChar[b]);

// Byte-pair encoding in its plainest form: count all pairs, merge the most frequent one, again and again.
function train(words, count, tokens) {
  const merges = [];
  words = words.map(w => [...w]);
  const known = new Set(tokens);
  while (merges.length < count) {
    const counts = new Map();
    for (const w of words) for (let i = 0; i + 1 < w.length; i++) { const key = JSON.stringify([w[i], w[i + 1]]); counts.set(key, (counts.get(key) ?? 0) + 1); }
    const best = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).find(([key]) => !known.has(JSON.parse(key).join('')));
    if (!best || best[1] < 2) break;
    const [l, r] = JSON.parse(best[0]);
    known.add(l + r);
    tokens.push(l + r);
    merges.push([l, r]);
    words = words.map(w => { const m = []; for (let i = 0; i < w.length; i++) m.push(w[i] === l && w[i + 1] === r ? (i++, l + r) : w[i]); return m; });
  }
  return merges;
}

const ids = tokens => Object.fromEntries(tokens.map((t, i) => [t, i]));
const added = (list, tokens) => list.map(([content, flags]) => ({ id: tokens.indexOf(content), content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags }));
const template = bos => ({ type: 'TemplateProcessing', single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }] });
const file = parts => ({ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...parts });
const bpe = parts => ({ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false, ...parts });
const byteLevel = parts => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false, ...parts });
const split = (pattern, parts) => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false, ...parts });
const sequence = (name, parts) => ({ type: 'Sequence', [name]: parts });

const patterns = {
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  llama3: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  qwen: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  tekken: "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};
const jsPattern = p => new RegExp(p.replace(/\(\?i:([^)]*)\)/, (_, inner) => `(?:${inner}|${inner.toUpperCase()})`), 'gu');

function byteFamily({ pattern, specials, first = [], pairs, parts, model = {}, extra = [] }) {
  const tokens = [...first, ...Array.from({ length: 256 }, (_, b) => byteChar[b])];
  const words = (corpus + corpus).match(jsPattern(pattern)).map(toByteLevel);
  const merges = train(words, 220, tokens);
  tokens.push(...extra.map(t => toByteLevel(t).join('')));
  const inVocabulary = [...tokens];
  for (const [content] of specials) if (!tokens.includes(content)) tokens.push(content);
  return file({ added_tokens: added(specials, tokens), decoder: byteLevel({ add_prefix_space: true, use_regex: true, trim_offsets: true }), ...parts,
    model: bpe({ ...model, vocab: ids(inVocabulary), merges: pairs ? merges : merges.map(m => m.join(' ')) }) });
}

function sentencePieceFamily({ first, specials, parts, model = {}, pairs, withoutPrefix, extra = [] }) {
  const tokens = [...first, ...Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)];
  // Characters of the corpus' first two scripts only: the others fall back to bytes.
  const characters = [...new Set([...corpus.replaceAll(' ', '▁')].filter(c => c.codePointAt(0) < 0x400 && c !== '\n' || c === '▁'))].sort();
  const merges = [];
  tokens.push(...characters);
  const lines = corpus.split('\n').filter(l => l).map(l => (withoutPrefix ? '' : '▁') + l.replaceAll(' ', '▁'));
  const known = new Set(characters);
  const words = [...lines, ...lines].flatMap(l => l.match(/▁*[^▁]+|▁+/g)).flatMap(w => { const runs = [[]]; for (const c of w) known.has(c) ? runs.at(-1).push(c) : runs.push([]); return runs; }).concat(extra.map(e => [...e]), extra.map(e => [...e]));
  tokens.push(...new Set(extra.flatMap(e => [...e]).filter(c => !tokens.includes(c))));
  merges.push(...train(words, 260, tokens));
  const inVocabulary = [...tokens];
  for (const [content] of specials) if (!tokens.includes(content)) tokens.push(content);
  return file({ added_tokens: added(specials, tokens), ...parts, model: bpe({ unk_token: '<unk>', fuse_unk: true, byte_fallback: true, ...model, vocab: ids(inVocabulary), merges: pairs ? merges : merges.map(m => m.join(' ')) }) });
}

const bosTemplate = (json, bos) => { json.post_processor.special_tokens = { [bos]: { id: bos, ids: [json.added_tokens.find(t => t.content === bos).id], tokens: [bos] } }; return json; };
const llamaDecoder = sequence('decoders', [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }]);
const replaceSpace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };

const families = {
  gpt2: byteFamily({ pattern: patterns.gpt2, specials: [['<|endoftext|>', { normalized: true }]], parts: { pre_tokenizer: byteLevel({ use_regex: true }), post_processor: byteLevel({ add_prefix_space: true, use_regex: true }) } }),
  llama2: bosTemplate(sentencePieceFamily({ first: ['<unk>', '<s>', '</s>'], specials: [['<unk>', {}], ['<s>', {}], ['</s>', {}]],
    parts: { normalizer: sequence('normalizers', [{ type: 'Prepend', prepend: '▁' }, replaceSpace]), post_processor: template('<s>'), decoder: llamaDecoder } }), '<s>'),
  llama3: (() => { const json = byteFamily({ pattern: patterns.llama3, pairs: true, extra: [' injected', ' detect', '日本'], model: { ignore_merges: true },
    specials: ['<|begin_of_text|>', '<|end_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'].map(t => [t, {}]),
    parts: { pre_tokenizer: sequence('pretokenizers', [split(patterns.llama3), byteLevel()]), post_processor: template('<|begin_of_text|>') } });
    bosTemplate(json, '<|begin_of_text|>'); json.post_processor = sequence('processors', [byteLevel({ use_regex: true }), json.post_processor]); return json; })(),
  mistral: bosTemplate(sentencePieceFamily({ first: ['<unk>', '<s>', '</s>', '[INST]', '[/INST]'], pairs: true, specials: ['<unk>', '<s>', '</s>', '[INST]', '[/INST]'].map(t => [t, {}]),
    parts: { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }, post_processor: template('<s>'), decoder: llamaDecoder } }), '<s>'),
  tekken: bosTemplate(byteFamily({ pattern: patterns.tekken, pairs: true, first: ['<unk>', '<s>', '</s>', '[INST]'], specials: ['<unk>', '<s>', '</s>', '[INST]'].map(t => [t, {}]),
    parts: { pre_tokenizer: sequence('pretokenizers', [split(patterns.tekken), byteLevel()]), post_processor: template('<s>') } }), '<s>'),
  qwen2: byteFamily({ pattern: patterns.qwen, specials: [['<|endoftext|>', {}], ['<|im_start|>', {}], ['<|im_end|>', {}], ['<tool_call>', { special: false }]],
    parts: { normalizer: { type: 'NFC' }, pre_tokenizer: sequence('pretokenizers', [split(patterns.qwen), byteLevel()]), post_processor: byteLevel() } }),
  gemma3: bosTemplate(sentencePieceFamily({ first: ['<pad>', '<eos>', '<bos>', '<unk>'], pairs: true, withoutPrefix: true, extra: ['\n\n', '\n\n\n', '<h1>', '▁▁', '▁▁▁▁'],
    specials: [...['<pad>', '<eos>', '<bos>', '<unk>', '<start_of_turn>', '<end_of_turn>'].map(t => [t, {}]), ...['\n\n', '\n\n\n', '<h1>', '▁▁', '▁▁▁▁', '\t'].map(t => [t, { special: false }])],
    parts: { normalizer: replaceSpace, pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false }, post_processor: template('<bos>'),
      decoder: sequence('decoders', [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }]) } }), '<bos>'),
  // Not a family: every flag of added tokens, older Metaspace, digits and the other behaviours of a split.
  flags: byteFamily({ pattern: patterns.gpt2, specials: [['<|endoftext|>', {}], ['<left>', { lstrip: true }], ['<right>', { rstrip: true, special: false }], ['word', { single_word: true, special: false }], ['cat', { normalized: true, special: false }], ['é!', { normalized: true, special: false }]],
    parts: { normalizer: sequence('normalizers', [{ type: 'NFC' }, { type: 'Replace', pattern: { String: 'mat' }, content: 'hut' }]), pre_tokenizer: sequence('pretokenizers', [split('[.;]', { behavior: 'MergedWithPrevious' }), split('-+', { behavior: 'MergedWithNext' }), split('[^_]+', { behavior: 'Removed', invert: true }), split('=', { behavior: 'Contiguous' }), { type: 'Digits', individual_digits: true }, byteLevel({ add_prefix_space: true, use_regex: true })]) } }),
  metaspace: sentencePieceFamily({ first: ['<unk>', '<s>', '</s>'], specials: [['<unk>', { normalized: true }], ['<s>', { normalized: true }], ['</s>', {}]], model: { byte_fallback: false },
    parts: { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }, decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true } } }),
};

const texts = ['', ' ', '  ', 'a', ' a', 'The cat sat on the mat.', " the cats' mats  aren't   there\n", "I'LL SAY I'Ve they'RE", 'Hello world! 12345 6789', 'fooBar HelloWorld XMLHttp ABC',
  'line one\nline two\r\n\r\n  indented\n\n\n\nend', '\t\ttabs\t \t', 'Tell me about {word}\n\nAssistant:', "Ok, let's get started.\n\nTrial 1: Do you detect an injected thought?",
  'Straße läuft über Où bibliothèque', 'e\u0301le\u0300ve n\u0303 \u1100\u1161\u11a8 a\u0323\u0307 \u212b \u0958 q\u0307\u0323', '東京は日本の首都です', 'Привет, мир', 'שלום 안녕하세요', '🙂🙂 👍🏽 👩‍👩‍👧 🇨🇦', '𝐀𝐁𝐂 𝟏𝟐𝟑𝟒𝟓 𠮷野家',
  '▁already▁ here', '<s>begin</s> <unk> middle <s> end', '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>', '<|im_start|>user\nhi<|im_end|>\n<tool_call>', '<bos><start_of_turn>user\nhi <h1> x<end_of_turn>\n',
  'a <left> b  <left><right>  c word words word. sword cat concat mat hut', 'a. b;; c---d--- --e _x_y==z=== 12 3', 'x é! e\u0301! y', '<|endoftext|>', 'a<|endoftext|>b', '<0x41><0x0A>', '\u0000\u0001\u007f\u0085\u00a0\u2028\u3000\ufeff', '   leading and trailing   ', 'ſ İ ı K \u0130', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'the'.repeat(40), corpus];
let seed = 12345;
const next = n => { seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; return Math.floor(seed / 65536) % n; };
const alphabets = ['abcdefghij thecatsonmat', ' \n\t\r.,;!?\'"-_/()', '0123456789٣४²', 'ABCXYZÀÉßñçèü', 'e\u0301\u0323o\u0308a\u030a', '日本語東京', '🙂👍𝐀𝟏𠮷', 'ПриветΑβγ', '▁<>|s_'];
for (let i = 0; i < 60; i++) {
  let text = '';
  for (let n = next(50); n >= 0; n--) { const from = [...alphabets[next(3) ? next(alphabets.length) : 0]]; for (let k = next(4); k >= 0; k--) text += from[next(from.length)]; }
  texts.push(text);
}

// Marks in any order, letters that compose with them, and Hangul in parts.
const compositions = ['aeiouyncsAEIOUqz', '\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c\u031b\u0323\u0327\u0328\u0331\u0344\u0345', '\u1100\u1112\u1161\u1175\u11a8\u11c2\u11a7\uac00\uac01', '\u00c5\u01d5\u1e69\u1f82\u0958\u0f73\u0fb2\u0f80\u212b\u2126\ufb1d\u0b47\u0b3e\u09c7\u09be\u3046\u3099'];
for (let i = 0; i < 40; i++) {
  let text = '';
  for (let n = next(30); n >= 0; n--) { const from = [...compositions[next(compositions.length)]]; for (let k = next(3); k >= 0; k--) text += from[next(from.length)]; }
  texts.push(text);
}

for (const [name, json] of Object.entries(families)) {
  const tokenizer = Tokenizer.fromString(JSON.stringify(json));
  const cases = [];
  for (const text of texts) {
    const encoding = await tokenizer.encode(text, null, { addSpecialTokens: true });
    const tokens = encoding.getIds();
    cases.push({ text, ids: tokens, spans: encoding.getOffsets().flat(), decoded: await tokenizer.decode(tokens, false), skipped: await tokenizer.decode(tokens, true) });
  }
  mkdirSync(join(here, name), { recursive: true });
  writeFileSync(join(here, name, 'tokenizer.json'), JSON.stringify(json) + '\n');
  writeFileSync(join(here, name, 'expected.json'), '[\n' + cases.map(c => JSON.stringify(c)).join(',\n') + '\n]\n');
  console.log(name, Object.keys(json.model.vocab).length, json.model.merges.length);
}

// Conversations as the chat templates of the models write them, encoded as a whole with their special tokens.
const conversations = [
  [['user', 'Hi there!']],
  [['system', 'Be brief.'], ['user', 'Tell me about trumpets']],
  [['user', "Ok, let's get started.\n\nTrial 1: Do you detect an injected thought?"], ['assistant', 'Yes. \n'], ['user', '\n\n  And the cat? 🙂 ']],
  [['system', 'The cats\n'], ['user', '\nthe cat'], ['assistant', ''], ['user', '123']],
];
const writers = {
  qwen2: m => m.map(([role, content]) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('') + '<|im_start|>assistant\n',
  llama3: m => '<|begin_of_text|>' + m.map(([role, content]) => `<|start_header_id|>${role}<|end_header_id|>\n\n${content.trim()}<|eot_id|>`).join('') + '<|start_header_id|>assistant<|end_header_id|>\n\n',
  gemma3: m => {
    const system = m[0][0] === 'system' ? m[0][1] + '\n\n' : '';
    return '<bos>' + m.filter(([role]) => role !== 'system').map(([role, content], i) => `<start_of_turn>${role === 'user' ? 'user' : 'model'}\n${i ? '' : system}${content.trim()}<end_of_turn>\n`).join('') + '<start_of_turn>model\n';
  },
  gpt2: m => m.map(([role, content]) => ({ system: '', user: 'Human: ', assistant: 'Assistant: ' })[role] + content).join('\n\n') + '\n\nAssistant:',
};
writers.llama2 = writers.mistral = writers.gpt2;
for (const [name, write] of Object.entries(writers)) {
  const tokenizer = Tokenizer.fromString(JSON.stringify(families[name]));
  const cases = [];
  for (const messages of conversations) {
    const text = write(messages);
    const encoding = await tokenizer.encode(text, null, { addSpecialTokens: name === 'llama2' || name === 'mistral' });
    cases.push({ roles: messages.map(m => m[0]), contents: messages.map(m => m[1]), ids: encoding.getIds() });
  }
  writeFileSync(join(here, name, 'chat.json'), '[\n' + cases.map(c => JSON.stringify(c)).join(',\n') + '\n]\n');
}
