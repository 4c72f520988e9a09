namespace Lab.Gateway.Reports.Sections;

/// <summary>What was made by what, and from what.</summary>
internal static class ProvenanceSection
{
    private const int ShortDigest = 12;

    public static Markup Render(ReportData data) => data.Artifacts.Count == 0 ? Markup.Empty : Markup.Of($"""
        <section>
        <h2>What was made by what</h2>
        <p class="note">Artifacts are addressed by the SHA-256 of their content; the same inputs and seed give the same digests.</p>
        <div class="scroll"><table>
        <thead><tr><th>artifact</th><th>kind</th><th>made by</th><th>from</th><th class="n">seed</th><th class="n">size</th></tr></thead>
        <tbody>{data.Artifacts.Select(artifact => Row(artifact, data))}</tbody>
        </table></div>
        {Machines(data)}
        {data.Artifacts.Select(Config)}
        </section>
        """);

    private static Markup Row(ReportArtifact artifact, ReportData data) => Markup.Of($"""
        <tr id="{Anchor(artifact.Stored.Digest)}"><th scope="row"><span class="digest" title="{artifact.Stored.Digest}">{Short(artifact.Stored.Digest)}</span>{artifact.Stored.Names.Select(name => Markup.Of($"<br>{name}"))}</th>
        <td>{artifact.Stored.Kind}</td><td>{artifact.Step ?? ""}<br><code>{artifact.Stored.Provenance.Maker}</code></td>
        <td>{artifact.Stored.Provenance.Inputs.Select(input => Input(input, data))}</td>
        <td class="n">{artifact.Stored.Provenance.Seed?.ToString() ?? "\u2013"}</td><td class="n">{Size(artifact.Stored.Files.Sum(file => file.SizeBytes))}</td></tr>

        """);

    private static Markup Input(KeyValuePair<string, string> input, ReportData data)
    {
        Markup digest = Markup.Of($"""<span class="digest">{Short(input.Value)}</span>""");
        bool isShown = data.Artifacts.Any(artifact => artifact.Stored.Digest == input.Value);
        return Markup.Of($"""<div>{input.Key} {(isShown ? Markup.Of($"""<a href="#{Anchor(input.Value)}">{digest}</a>""") : digest)}</div>""");
    }

    private static Markup Machines(ReportData data) => Markup.Of($"""
        <p class="note">Made on {string.Join("; ", data.Artifacts.Select(artifact => artifact.Stored.Provenance.Machine).Distinct())}, by version {string.Join(", ", data.Artifacts.Select(artifact => artifact.Stored.Provenance.CodeVersion).Distinct())}.</p>
        """);

    private static Markup Config(ReportArtifact artifact) => artifact.Stored.Provenance.Config.Count == 0 ? Markup.Empty : Markup.Of($"""
        <details><summary>Config of <span class="digest">{Short(artifact.Stored.Digest)}</span> ({artifact.Stored.Kind})</summary><pre>{artifact.Stored.Provenance.Config.ToJsonString(ReportJson.Readable)}</pre></details>

        """);

    private static string Short(string digest) => digest.Replace("sha256:", "", StringComparison.Ordinal) is { Length: > ShortDigest } hex ? hex[..ShortDigest] : digest;

    private static string Anchor(string digest) => $"a-{Short(digest)}";

    private static string Size(long bytes) => bytes switch
    {
        >= 1 << 20 => $"{Numbers.Count(Math.Round(bytes / 1048576.0))} MiB",
        >= 1 << 10 => $"{Numbers.Count(Math.Round(bytes / 1024.0))} KiB",
        _ => $"{bytes} B",
    };
}
