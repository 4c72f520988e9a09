using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace Lab.Gateway.Reports;

/// <summary>
/// HTML or SVG text. Whatever is interpolated into <see cref="Of"/> is encoded, and only <see cref="Markup"/> itself passes as it
/// is, so that no value of a run can become markup.
/// </summary>
internal readonly record struct Markup(string Text)
{
    public static readonly Markup Empty = new("");

    public static Markup Of(MarkupHandler text) => new(text.ToString());

    public static Markup Join(IEnumerable<Markup> parts) => new(string.Concat(parts.Select(part => part.Text)));

    public override string ToString() => Text;
}

/// <summary>Builds <see cref="Markup"/> from an interpolated string. Numbers are written with the invariant culture.</summary>
[InterpolatedStringHandler]
internal readonly ref struct MarkupHandler(int literalLength, int formattedCount)
{
    private static readonly HtmlEncoder _encoder = HtmlEncoder.Create(UnicodeRanges.All);

    private readonly StringBuilder _text = new(literalLength + (16 * formattedCount));

    public void AppendLiteral(string text) => _text.Append(text);

    public void AppendFormatted(Markup markup) => _text.Append(markup.Text);

    public void AppendFormatted(IEnumerable<Markup> parts)
    {
        foreach (Markup part in parts) _text.Append(part.Text);
    }

    public void AppendFormatted(string? text)
    {
        if (!string.IsNullOrEmpty(text)) _text.Append(_encoder.Encode(text));
    }

    public void AppendFormatted(IFormattable? value, string? format = null) =>
        AppendFormatted(value?.ToString(format, CultureInfo.InvariantCulture));

    public override string ToString() => _text.ToString();
}
