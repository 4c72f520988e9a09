namespace Lab.CircuitAnalysis.Tasks;

/// <summary>
/// The words of one split of the quote task, all of them common in Python sources. Between two splits no word of a phrase, no call and no
/// line of context is shared, so that a circuit cannot do well on one by having learnt the words of another.
/// </summary>
internal sealed record QuoteVocabulary
{
    private static readonly QuoteVocabulary _train = new()
    {
        Calls =
        [
            "print(", "raise ValueError(", "self.write(", "logger.info(", "parser.error(", "warnings.warn(", "results.append(",
            "text.insert(index, ", "config.get(", "os.path.exists(", "self.fail(", "name.startswith(", "data.encode(", "open(",
        ],
        Lines = ["x = 1", "count = 0", "result = []", "data = None", "n += 1", "i = len(args)", "import os", "self.name = name"],
        Blocks = ["def main():", "if not name:", "for line in lines:", "if value is None:", "while True:", "else:", "def run(self):", "if n > 0:"],
        Nouns = Words("""
            file value name data error line string key type index list object result module class code text count field
            number message request argument path state buffer order group user size mode
            """),
        Qualities = Words("unknown invalid empty bad first default local new no current wrong long simple next"),
        Actions = Words("reading get set find open add check import start remove call use"),
        Links = Words("not is or"),
        Outcomes = Words("found defined supported allowed given valid ready changed used expected"),
    };

    private static readonly QuoteVocabulary _heldOut = new()
    {
        Calls =
        [
            "raise TypeError(", "logger.warning(", "self.push(", "sys.exit(", "self.register(", "self.assertTrue(x, ",
            "line.endswith(", "kwargs.pop(", "match.group(", "re.compile(", "setattr(obj, ", "self.send(", "s.replace(", "repr(",
        ],
        Lines = ["y = 2", "items = {}", "self.count = 0", "import sys", "args = []", "pos = end", "total = a + b", "return x"],
        Blocks = ["def test(self):", "if self.debug:", "for item in items:", "if key in seen:", "try:", "elif size < 0:", "def close(self):", "with lock:"],
        Nouns = Words("""
            function test node version option method output input source token time event command block
            host header item address character pattern byte server directory attribute row script
            """),
        Qualities = Words("missing unexpected old other last global single private extra same public small"),
        Actions = Words("writing make show run load parse update send build print stop skip"),
        Links = Words("cannot was and"),
        Outcomes = Words("failed closed required available complete created removed reached full done"),
    };

    private static readonly QuoteVocabulary _test = new()
    {
        Calls =
        [
            "raise RuntimeError(", "logger.debug(", "self.log(", "stream.put(", "errors.add(", "self.check(value, ",
            "path.split(", "os.getenv(", "_warn(", "shutil.which(", "getattr(cls, ", "sock.sendall(", "Error(", "format(",
        ],
        Lines = ["z = 0", "parts = ()", "self.state = 0", "import re", "level = 3", "start = pos", "width = w - 1", "yield node"],
        Blocks = ["def update(self):", "if self.closed:", "for key in keys:", "if count > limit:", "finally:", "elif not match:", "def setup(cls):", "while stack:"],
        Nouns = Words("""
            process table variable package frame thread document target record connection entry library
            socket port length position parameter instance format queue task response status element session device log
            """),
        Qualities = Words("illegal duplicate large final main internal second remote temporary different null negative"),
        Actions = Words("loading create delete handle close convert copy return apply connect save"),
        Links = Words("must without has"),
        Outcomes = Words("stopped ignored installed broken started written running present lost"),
    };

    /// <summary>How calls begin, up to and without the quote.</summary>
    public required IReadOnlyList<string> Calls { get; init; }

    /// <summary>Lines of code without quotes.</summary>
    public required IReadOnlyList<string> Lines { get; init; }

    /// <summary>Lines without quotes that begin an indented block.</summary>
    public required IReadOnlyList<string> Blocks { get; init; }

    /// <summary>Things.</summary>
    public required IReadOnlyList<string> Nouns { get; init; }

    /// <summary>What comes before a thing.</summary>
    public required IReadOnlyList<string> Qualities { get; init; }

    /// <summary>What is done to a thing.</summary>
    public required IReadOnlyList<string> Actions { get; init; }

    /// <summary>What joins a thing and an outcome.</summary>
    public required IReadOnlyList<string> Links { get; init; }

    /// <summary>What became of a thing.</summary>
    public required IReadOnlyList<string> Outcomes { get; init; }

    /// <summary>Every word that may stand in a phrase.</summary>
    public IEnumerable<string> PhraseWords => [.. Nouns, .. Qualities, .. Actions, .. Links, .. Outcomes];

    /// <summary>The words of a split.</summary>
    public static QuoteVocabulary Of(PromptSplit split) => split switch
    {
        PromptSplit.Train => _train,
        PromptSplit.HeldOut => _heldOut,
        PromptSplit.Test => _test,
        _ => throw new ArgumentOutOfRangeException(nameof(split), split, "There is no such split."),
    };

    private static string[] Words(string words) => words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
