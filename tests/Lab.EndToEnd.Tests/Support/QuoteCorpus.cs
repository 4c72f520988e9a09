using System.Text;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>
/// Calls with short strings, each file with quotes of one kind: a model of one layer learns within seconds to close them, so that there
/// is a circuit to find.
/// </summary>
internal static class QuoteCorpus
{
    private const int Files = 300, LinesPerFile = 25;

    private static readonly string[] _calls = ["print(", "log(", "open(", "self.write(", "data.get(", "raise Error("];

    private static readonly string[] _words =
        "file value name data error line key type index list code text count field not found bad first new is add set get".Split(' ');

    /// <summary>Writes about 140 KB, the same every time.</summary>
    public static void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        uint state = 1;
        for (int file = 0; file < Files; file++)
        {
            char quote = file % 2 == 0 ? '"' : '\'';
            StringBuilder text = new();
            for (int line = 0; line < LinesPerFile; line++)
            {
                string phrase = Draw(2) == 0 ? Pick(_words) : $"{Pick(_words)} {Pick(_words)}";
                text.Append(Pick(_calls)).Append(quote).Append(phrase).Append(quote).Append(")\n");
            }

            File.WriteAllText(Path.Combine(folder, $"f{file:d3}.py"), text.ToString());
        }

        string Pick(string[] from) => from[Draw(from.Length)];

        // Numerical Recipes' generator: the upper bits are good enough for words.
        int Draw(int count)
        {
            state = unchecked((state * 1664525) + 1013904223);
            return (int)((state >> 16) % (uint)count);
        }
    }
}
