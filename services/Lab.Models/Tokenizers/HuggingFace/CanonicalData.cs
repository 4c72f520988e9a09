using System.Collections;
using System.Globalization;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>
/// Canonical decompositions, compositions and combining classes of Unicode. The runtime has them only with ICU, which servers do
/// without.
/// </summary>
internal static class CanonicalData
{
    private const int HangulFirst = 0xAC00;
    private const int HangulCount = 11172;
    private const int LeadingFirst = 0x1100;
    private const int VowelFirst = 0x1161;
    private const int VowelCount = 21;
    private const int TrailingFirst = 0x11A7;
    private const int TrailingCount = 28;

    private static readonly Dictionary<int, (int First, int? Second)> _decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> _compositions = [];
    private static readonly Dictionary<int, byte> _classes = [];
    private static readonly HashSet<int> _seconds = [];
    private static readonly BitArray _isInert = new(0x110000, defaultValue: true);

    static CanonicalData()
    {
        using Stream data = typeof(CanonicalData).Assembly.GetManifestResourceStream("canonical_data.txt")!;
        using var reader = new StreamReader(data);
        while (reader.ReadLine() is { } line)
        {
            string[] fields = line.Split(' ');
            if (fields[0] is not ("D" or "P" or "C")) continue;
            int code = Hex(fields[1]);
            if (fields[0] == "C")
            {
                for (int c = code; c <= Hex(fields[2]); c++) SetClass(c, byte.Parse(fields[3], CultureInfo.InvariantCulture));
                continue;
            }

            (int first, int? second) = (Hex(fields[2]), fields.Length > 3 ? Hex(fields[3]) : null);
            _decompositions[code] = (first, second);
            _isInert[code] = false;
            if (fields[0] == "P") _compositions[(first, second!.Value)] = code;
        }

        foreach ((_, int second) in _compositions.Keys) _seconds.Add(second);
        for (int i = 0; i < VowelCount; i++) _seconds.Add(VowelFirst + i);
        for (int i = 1; i < TrailingCount; i++) _seconds.Add(TrailingFirst + i);
        foreach (int second in _seconds) _isInert[second] = false;
    }

    /// <summary>Whether a code point is never changed and never joins the one before it.</summary>
    public static bool IsInert(int code) => _isInert[code];

    /// <summary>Whether nothing that comes before a code point can join it or change its place.</summary>
    public static bool IsBoundary(int code)
    {
        if (_isInert[code]) return true;
        int first = code;
        while (_decompositions.TryGetValue(first, out (int First, int? Second) parts)) first = parts.First;
        return ClassOf(first) == 0 && !_seconds.Contains(first);
    }

    /// <summary>The canonical combining class.</summary>
    public static byte ClassOf(int code) => _classes.GetValueOrDefault(code);

    /// <summary>Appends the full canonical decomposition of a code point.</summary>
    public static void Decompose(int code, List<int> result)
    {
        if (code is >= HangulFirst and < HangulFirst + HangulCount)
        {
            (int leading, int rest) = Math.DivRem(code - HangulFirst, VowelCount * TrailingCount);
            (int vowel, int trailing) = Math.DivRem(rest, TrailingCount);
            result.AddRange([LeadingFirst + leading, VowelFirst + vowel]);
            if (trailing > 0) result.Add(TrailingFirst + trailing);
        }
        else if (_decompositions.TryGetValue(code, out (int First, int? Second) parts))
        {
            Decompose(parts.First, result);
            if (parts.Second is { } second) Decompose(second, result);
        }
        else
        {
            result.Add(code);
        }
    }

    /// <summary>What two code points compose to; null if they don't.</summary>
    public static int? Compose(int first, int second)
    {
        if (first is >= LeadingFirst and < LeadingFirst + 19 && second is >= VowelFirst and < VowelFirst + VowelCount)
        {
            return HangulFirst + ((((first - LeadingFirst) * VowelCount) + second - VowelFirst) * TrailingCount);
        }

        if (first is >= HangulFirst and < HangulFirst + HangulCount && (first - HangulFirst) % TrailingCount == 0 && second is > TrailingFirst and < TrailingFirst + TrailingCount)
        {
            return first + second - TrailingFirst;
        }

        return _compositions.TryGetValue((first, second), out int composed) ? composed : null;
    }

    private static void SetClass(int code, byte combiningClass)
    {
        _classes[code] = combiningClass;
        _isInert[code] = false;
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
