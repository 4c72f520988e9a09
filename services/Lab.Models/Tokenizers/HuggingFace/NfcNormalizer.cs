using System.Text;

namespace Lab.Models.Tokenizers.HuggingFace;

/// <summary>Unicode's canonical composition (NFC). Characters that are composed or reordered together stand for all of what they were.</summary>
internal sealed class NfcNormalizer : TextNormalizer
{
    public override AlignedText Normalize(AlignedText text)
    {
        // All below U+0300 is composed as it is.
        if (!text.Characters.ContainsAnyExceptInRange('\0', '\u02FF')) return text;
        AlignedText.Builder? changed = null;
        int copied = 0;
        for (int start = 0, end; start < text.Characters.Length; start = end)
        {
            bool isInert = CanonicalData.IsInert(CodeAt(text, start));
            end = start + CodePoints.LengthAt(text.Characters, start);
            while (end < text.Characters.Length && CodeAt(text, end) is int next && !CanonicalData.IsBoundary(next))
            {
                isInert = false;
                end += CodePoints.LengthAt(text.Characters, end);
            }

            if (isInert) continue;
            string composed = Compose(text.Characters[start..end]);
            if (text.Characters[start..end].SequenceEqual(composed)) continue;
            changed ??= new AlignedText.Builder(text, 0);
            changed.Copy(copied, start);
            changed.Append(composed, start, end);
            copied = end;
        }

        changed?.Copy(copied, text.Characters.Length);
        return changed?.Build() ?? text;
    }

    private static int CodeAt(AlignedText text, int index)
    {
        _ = Rune.DecodeFromUtf16(text.Characters[index..], out Rune rune, out _);
        return rune.Value;
    }

    private static string Compose(ReadOnlySpan<char> text)
    {
        var codes = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes()) CanonicalData.Decompose(rune.Value, codes);
        codes = Reorder(codes);

        // The last starter takes what follows, unless something of the same or a higher class stands between.
        var composed = new List<int>(codes.Count);
        int starter = -1;
        int lastClass = -1;
        foreach (int code in codes)
        {
            int combiningClass = CanonicalData.ClassOf(code);
            if (starter >= 0 && lastClass < combiningClass && CanonicalData.Compose(composed[starter], code) is { } one)
            {
                composed[starter] = one;
                continue;
            }

            composed.Add(code);
            if (combiningClass == 0) (starter, lastClass) = (composed.Count - 1, -1);
            else lastClass = combiningClass;
        }

        return string.Concat(composed.Select(code => new Rune(code).ToString()));
    }

    /// <summary>Sorts each run of marks by combining class, marks of one class staying in order.</summary>
    private static List<int> Reorder(List<int> codes)
    {
        var ordered = new List<int>(codes.Count);
        for (int i = 0; i < codes.Count;)
        {
            if (CanonicalData.ClassOf(codes[i]) == 0)
            {
                ordered.Add(codes[i++]);
                continue;
            }

            int end = i;
            while (end < codes.Count && CanonicalData.ClassOf(codes[end]) != 0) end++;
            ordered.AddRange(codes.GetRange(i, end - i).OrderBy(CanonicalData.ClassOf));
            i = end;
        }

        return ordered;
    }
}
