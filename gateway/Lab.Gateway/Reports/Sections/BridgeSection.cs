namespace Lab.Gateway.Reports.Sections;

/// <summary>How well a bridge translates, site by site.</summary>
internal static class BridgeSection
{
    public static Markup Render(ReportData data) => Markup.Join(data.Bridges.Select(bridge => Markup.Of($"""
        <section>
        <h2>{(data.Bridges.Count == 1 ? "Bridge" : $"Bridge {bridge.Label}")}</h2>
        <p class="note">Held-out tokens. NMSE: 0 is perfect, 1 is no better than the mean. KL: from the dense model to the hybrid that crosses the bridge at this site, nats per token.</p>
        <div class="scroll"><table>
        <thead><tr><th>site</th><th class="n">encoder NMSE</th><th class="n">decoder NMSE</th><th class="n">KL, dense then sparse</th><th class="n">KL, sparse then dense</th></tr></thead>
        <tbody>{bridge.Sites.Select(Row)}</tbody>
        </table></div>
        </section>
        """)));

    private static Markup Row(BridgeSite site) => Markup.Of($"""
        <tr><th scope="row"><code>{site.Hook}</code></th><td class="n">{Numbers.Measure(site.EncoderNmse)}</td><td class="n">{Numbers.Measure(site.DecoderNmse)}</td><td class="n">{Numbers.Measure(site.KlDenseToSparse)}</td><td class="n">{Numbers.Measure(site.KlSparseToDense)}</td></tr>

        """);
}
