using Lab.Gateway.Reports.Charts;

namespace Lab.Gateway.Reports.Sections;

/// <summary>How the models were trained: losses and density over the steps.</summary>
internal static class TrainingSection
{
    public static Markup Render(ReportData data) => data.Curves.Count == 0 ? Markup.Empty : Markup.Of($"""
        <section>
        <h2>Training</h2>
        <p class="note">Cross-entropy in nats per token. Pale lines are the loss on each step's batch, strong lines the loss on the held-out split.</p>
        <div class="charts">
        {LineChart.Draw("Loss", "optimizer steps", "nats per token", [.. data.Curves.SelectMany(curve => Losses(data, curve))])}
        {LineChart.Draw("Nonzero fraction of the sparsified weights (L0)", "optimizer steps", "fraction, logarithmic", [.. data.Curves.Select(curve => Density(data, curve))], logarithmic: true)}
        </div>
        </section>
        """);

    private static IEnumerable<Series> Losses(ReportData data, Curve curve) =>
    [
        new($"{curve.Label}, training", $"{data.StyleOf(curve.Label)} faint", [.. curve.Points.Select(point => ((double)point.Step, point.Loss))]),
        new($"{curve.Label}, held out", data.StyleOf(curve.Label),
            [.. curve.Points.Where(point => point.HeldOutLoss is not null).Select(point => ((double)point.Step, point.HeldOutLoss!.Value))], HasDots: true),
    ];

    private static Series Density(ReportData data, Curve curve) =>
        new(curve.Label, data.StyleOf(curve.Label),
            [.. curve.Points.Where(point => point.L0Fraction > 0).Select(point => ((double)point.Step, point.L0Fraction!.Value))]);
}
