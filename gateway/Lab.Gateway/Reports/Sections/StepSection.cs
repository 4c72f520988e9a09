using Google.Protobuf.WellKnownTypes;
using Lab.Protos.Experiment.V1;

namespace Lab.Gateway.Reports.Sections;

/// <summary>What was run, with which parameters, and how long each step took.</summary>
internal static class StepSection
{
    public static Markup Render(ReportData data)
    {
        double longest = data.Run.Steps.Select(StepTimes.Seconds).DefaultIfEmpty(0).Max();
        return Markup.Of($"""
            <section>
            <h2>Method</h2>
            <h3>Parameters</h3>
            <dl class="parameters">{data.Run.Parameters?.Fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(Parameter) ?? []}</dl>
            <h3>Steps</h3>
            <div class="scroll"><table>
            <thead><tr><th>step</th><th>operation</th><th>service run</th><th class="n">time</th><th></th></tr></thead>
            <tbody>{data.Run.Steps.Select(step => Step(step, longest))}</tbody>
            </table></div>
            <details><summary>The experiment's definition</summary><pre>{data.Run.Yaml}</pre></details>
            </section>
            """);
    }

    private static Markup Parameter(KeyValuePair<string, Value> parameter) => Markup.Of($"""
        <div><dt>{parameter.Key}</dt><dd>{(parameter.Value.HasStringValue ? parameter.Value.StringValue : parameter.Value.ToString())}</dd></div>

        """);

    private static Markup Step(StepRun step, double longest)
    {
        double seconds = StepTimes.Seconds(step);
        double share = longest > 0 ? 100 * seconds / longest : 0;
        return Markup.Of($"""
            <tr><th scope="row">{step.Id}</th><td><code>{step.Operation}</code></td><td><code>{step.Run}</code></td><td class="n">{Numbers.Seconds(seconds)}<span class="bar" style="width:{share:0.#}%"></span></td><td class="note">{(step.Cached ? "from an earlier run" : "")}</td></tr>

            """);
    }
}
