using System.Text;

namespace Lab.Models.Tests.Tokenizers;

/// <summary>Small texts for tokenizer tests.</summary>
internal static class SampleText
{
    public const string Python = """
        import os


        class Reader:
            def __init__(self, path):
                self.path = path
                self.lines = []

            def read(self, limit=None):
                with open(self.path) as stream:
                    for number, line in enumerate(stream):
                        if limit is not None and number >= limit:
                            break
                        self.lines.append(line.strip())
                print("read", len(self.lines), 'lines')
                return self.lines


        def main(paths):
            for path in paths:
                reader = Reader(path)
                print(f"{path}: {len(reader.read())} lines")
                print('done with the path')
            raise ValueError("no more paths: aaaaaaaa bbbbabbab")

        """;

    /// <summary>Any valid Unicode: ASCII, controls, letters of many scripts, supplementary planes; no unpaired surrogates.</summary>
    public static string Random(int seed, int runes)
    {
        var random = new Random(seed);
        var text = new StringBuilder();
        for (int i = 0; i < runes; i++)
        {
            int limit = random.Next(5) switch { 0 => 0x80, 1 => 0x80, 2 => 0x800, 3 => 0x10000, _ => 0x110000 };
            int value = random.Next(limit);
            if (Rune.IsValid(value)) text.Append(new Rune(value).ToString());
            if (random.Next(4) == 0) text.Append(" \t\r\n\"'/"[random.Next(7)]);
        }

        return text.ToString();
    }
}
