using Lab.Gateway.Reports.Sections;

namespace Lab.Gateway.Reports;

/// <summary>Writes report.html: one file for people, without scripts and without anything from outside.</summary>
internal static class ReportPage
{
    private static readonly Markup _style = ReadStyle();

    public static string Write(ReportData data) => Markup.Of($"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>{data.Title} · {data.Run.Name}</title>
        <style>
        {_style}
        </style>
        </head>
        <body>
        <main>
        {HeadlineSection.Render(data)}
        {SweepSection.Render(data)}
        {TrainingSection.Render(data)}
        {TaskSection.Render(data)}
        {CircuitSection.Render(data)}
        {AblationSection.Render(data)}
        {BridgeSection.Render(data)}
        {StepSection.Render(data)}
        {ProvenanceSection.Render(data)}
        </main>
        </body>
        </html>

        """).Text;

    private static Markup ReadStyle()
    {
        const string Name = "Lab.Gateway.Reports.report.css";
        using Stream stream = typeof(ReportPage).Assembly.GetManifestResourceStream(Name)
            ?? throw new InvalidOperationException($"The assembly has no resource {Name}.");
        using var reader = new StreamReader(stream);
        return new Markup(reader.ReadToEnd());
    }
}
