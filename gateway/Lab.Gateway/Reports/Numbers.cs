using System.Globalization;

namespace Lab.Gateway.Reports;

/// <summary>How the report writes numbers: four significant digits for measurements, thin groups for counts.</summary>
internal static class Numbers
{
    /// <summary>Stands where there is no value.</summary>
    public const string Missing = "\u2013";
    private const string GroupSpace = "\u2009";

    private static readonly NumberFormatInfo _format = new() { NumberGroupSeparator = GroupSpace, NegativeSign = "\u2212" };

    /// <summary>A measurement: 0.1487, 12.35, 1.2e-5.</summary>
    public static string Measure(double? value) => value switch
    {
        null => Missing,
        double number when !double.IsFinite(number) => number.ToString(CultureInfo.InvariantCulture),
        0 => "0",
        double number when Math.Abs(number) is < 1e-3 or >= 1e6 => number.ToString("0.00e+0", _format),
        double number when Math.Abs(number) >= 100 => number.ToString("#,##0.#", _format),
        double number when Math.Abs(number) >= 10 => number.ToString("0.00", _format),
        double number => number.ToString("0.0000", _format),
    };

    /// <summary>A count with its thousands grouped.</summary>
    public static string Count(double? value) => value is double number ? number.ToString("#,##0", _format) : Missing;

    /// <summary>A fraction in percent.</summary>
    public static string Percent(double? value) => value is double number ? $"{(number * 100).ToString("0.0", _format)}\u2009%" : Missing;

    /// <summary>A ratio: 15.8x.</summary>
    public static string Ratio(double? value) =>
        value is double number ? $"{number.ToString(Math.Abs(number) < 10 ? "0.00" : "#,##0.0", _format)}\u00d7" : Missing;

    /// <summary>A length of time: 8 min 05 s.</summary>
    public static string Seconds(double? value) => value switch
    {
        null => Missing,
        < 10 => $"{value.Value.ToString("0.0", _format)} s",
        < 60 => $"{value.Value.ToString("0", _format)} s",
        < 3600 => $"{(int)value.Value / 60} min {(int)value.Value % 60:00} s",
        _ => $"{(int)value.Value / 3600} h {(int)value.Value % 3600 / 60:00} min",
    };

    /// <summary>As short as it goes, for the ticks of an axis.</summary>
    public static string Short(double value) => Math.Abs(value) switch
    {
        >= 1e6 => $"{(value / 1e6).ToString("0.##", _format)}M",
        >= 1e4 => $"{(value / 1e3).ToString("0.##", _format)}k",
        0 => "0",
        < 1e-3 => value.ToString("0e+0", _format),
        _ => value.ToString("0.###", _format),
    };
}
