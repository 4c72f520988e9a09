namespace Lab.Models.Tasks;

/// <summary>The words of each split, all of them common in Python sources.</summary>
internal static class TaskWordSplits
{
    public static TaskWords Train { get; } = new()
    {
        Calls =
        [
            "print(", "raise ValueError(", "self.write(", "logger.info(", "parser.error(", "warnings.warn(", "results.append(",
            "text.insert(index, ", "config.get(", "os.path.exists(", "self.fail(", "name.startswith(", "data.encode(", "open(",
        ],
        Lines = ["x = 1", "count = 0", "result = []", "data = None", "n += 1", "i = len(args)", "cache.clear()", "self.name = name"],
        Blocks = ["def main():", "if not name:", "for line in lines:", "if value is None:", "while True:", "if not data:", "def run(self):", "if n > 0:"],
        Nouns = Words("""
            file value name data error line string key type index list object result module class code text count field
            number message request argument path state buffer order group user size mode
            """),
        Qualities = Words("unknown invalid empty bad first default local new no current wrong long simple next"),
        Actions = Words("reading get set find open add check import start remove call use"),
        Links = Words("not is or"),
        Outcomes = Words("found defined supported allowed given valid ready changed used expected"),
    };

    public static TaskWords HeldOut { get; } = new()
    {
        Calls =
        [
            "raise TypeError(", "logger.warning(", "self.push(", "sys.exit(", "self.register(", "self.assertTrue(x, ",
            "line.endswith(", "kwargs.pop(", "match.group(", "re.compile(", "setattr(obj, ", "self.send(", "s.replace(", "repr(",
        ],
        Lines = ["y = 2", "items = {}", "self.count = 0", "stack.pop()", "args = []", "pos = end", "total = a + b", "x = -x"],
        Blocks = ["def test(self):", "if self.debug:", "for item in items:", "if key in seen:", "while size:", "if size < 0:", "def close(self):", "with lock:"],
        Nouns = Words("""
            function test node version option method output input source token time event command block
            host header item address character pattern byte server directory attribute row script
            """),
        Qualities = Words("missing unexpected old other last global single private extra same public small"),
        Actions = Words("writing make show run load parse update send build print stop skip"),
        Links = Words("cannot was and"),
        Outcomes = Words("failed closed required available complete created removed reached full done"),
    };

    public static TaskWords Test { get; } = new()
    {
        Calls =
        [
            "raise RuntimeError(", "logger.debug(", "self.log(", "stream.put(", "errors.add(", "self.check(value, ",
            "path.split(", "os.getenv(", "_warn(", "shutil.which(", "getattr(cls, ", "sock.sendall(", "Error(", "format(",
        ],
        Lines = ["z = 0", "parts = ()", "self.state = 0", "root.close()", "level = 3", "start = pos", "width = w - 1", "del node"],
        Blocks = ["def update(self):", "if self.closed:", "for key in keys:", "if count > limit:", "for node in tree:", "if not match:", "def setup(cls):", "while stack:"],
        Nouns = Words("""
            process table variable package frame thread document target record connection entry library
            socket port length position parameter instance format queue task response status element session device log
            """),
        Qualities = Words("illegal duplicate large final main internal second remote temporary different null negative"),
        Actions = Words("loading create delete handle close convert copy return apply connect save"),
        Links = Words("must without has"),
        Outcomes = Words("stopped ignored installed broken started written running present lost"),
    };

    private static string[] Words(string words) => words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
