using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Engine;

/// <summary>Runs single steps: resolves inputs, looks into the cache, calls the operation, names what came out.</summary>
internal sealed class StepExecutor(OperationRegistry operations, StepCache cache, ArtifactStore store)
{
    private static readonly string[] OutputNames = ["output_name", "outputName"];

    /// <param name="plan">The step's plan.</param>
    /// <param name="step">The step.</param>
    /// <param name="outputs">Gives the outputs of the planned steps that are done.</param>
    /// <param name="nonce">Put to the run ID where work is not shared with other experiment runs.</param>
    /// <param name="ignoresCache">Whether the step is computed anew, whatever is cached or runs already.</param>
    /// <exception cref="InvalidRequestException">The inputs are wrong, now that all are known.</exception>
    public async Task<PreparedStep> PrepareAsync(
        ExperimentPlan plan, PlannedStep step, Func<string, JsonObject?> outputs, string nonce, bool ignoresCache, CancellationToken cancellationToken)
    {
        IOperation operation = operations.Get(step.Definition.Operation);
        string path = $"{step.Definition.Path}.with";
        CheckResolved(plan, step, outputs, path);
        JsonObject inputs = plan.ResolveInputs(step, outputs);
        Violations violations = new();
        operation.Validate(inputs, path, violations);
        violations.ThrowIfAny();

        string? name = null;
        foreach (string key in operation.NamedOutput is null ? [] : OutputNames)
            if (inputs.Remove(key, out JsonNode? given)) name = await CheckNameAsync(given, $"{path}.{key}", cancellationToken);
        // All are found before the first is changed.
        foreach (ArtifactInput input in operation.FindArtifacts(inputs, path).ToArray()) await PinAsync(input, cancellationToken);

        string digest = DigestOf(operation.Name, inputs);
        bool isKept = operation.IsCacheable && operation.IsTimeless(inputs);
        return new PreparedStep(operation, inputs, name, digest, isKept, isKept && !ignoresCache, RunIdOf(digest), $"{RunIdOf(digest)}-{nonce}");
    }

    /// <summary>Takes the result from the cache, or does the work.</summary>
    /// <param name="step">The step.</param>
    /// <param name="report">Told of progress.</param>
    public async Task<StepResult> ExecuteAsync(PreparedStep step, Action<string, RunStatus> report, CancellationToken cancellationToken)
    {
        CachedStep? cached = step.IsShared ? await cache.FindAsync(step.Digest, cancellationToken) : null;
        StepResult result = cached is null
            ? await WorkAsync(step, report, cancellationToken)
            : new StepResult(cached.Outputs, cached.Run, IsCached: true);
        if (step.IsKept && result is { IsCached: false, IsAltered: false })
            cache.Put(step.Digest, new CachedStep(step.Operation.Name, step.Inputs, result.Outputs, result.Run));
        if (step.OutputName is not null && result.Outputs[step.Operation.NamedOutput!] is JsonNode artifact)
            await store.SetNameAsync(step.OutputName, artifact.GetValue<string>(), cancellationToken);
        return result;
    }

    /// <summary>Ends the work of a step whose execution was interrupted.</summary>
    /// <param name="step">The step.</param>
    /// <param name="run">The run resource that was reported to do the work, or empty.</param>
    public static Task CancelAsync(PreparedStep step, string run, CancellationToken cancellationToken)
    {
        string runId = run.EndsWith(step.OwnRunId, StringComparison.Ordinal) || !step.IsShared ? step.OwnRunId : step.SharedRunId;
        return step.Operation.CancelAsync(new OperationContext(step.Inputs, runId, (_, _) => { }), cancellationToken);
    }

    private async Task<StepResult> WorkAsync(PreparedStep step, Action<string, RunStatus> report, CancellationToken cancellationToken)
    {
        string run = "";
        bool isAltered = false, hadEnded = false;
        OperationContext context = new(step.Inputs, step.IsShared ? step.SharedRunId : step.OwnRunId, (name, status) =>
        {
            run = name;
            report(name, status);
        })
        {
            Altered = before => (isAltered, hadEnded) = (true, before),
        };
        JsonObject outputs = ProtoJson.ToJson(await step.Operation.ExecuteAsync(context, cancellationToken));
        // The shared run may have ended long ago, by a stop or beyond its end, or what it made may have been deleted since.
        if (hadEnded || !await cache.HasArtifactsAsync(outputs, cancellationToken))
        {
            isAltered = false;
            outputs = ProtoJson.ToJson(await step.Operation.ExecuteAsync(context with { RunId = step.OwnRunId }, cancellationToken));
        }

        return new StepResult(outputs, run, IsCached: false, isAltered);
    }

    private static string RunIdOf(string digest) => $"step-{digest[..24]}";

    private static string DigestOf(string operation, JsonObject inputs)
    {
        string text = CanonicalJson.Write(new JsonObject { ["operation"] = operation, ["with"] = inputs.DeepClone() });
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    private static void CheckResolved(ExperimentPlan plan, PlannedStep step, Func<string, JsonObject?> outputs, string path)
    {
        Violations violations = new();
        foreach ((string at, string text) in plan.UnresolvedInputs(step, outputs, path))
            violations.AddPlain(at, $"{text} leads nowhere: the step gave no such output");
        violations.ThrowIfAny();
    }

    /// <summary>Puts the digest in place of an artifact's name, so that the step means the same tomorrow.</summary>
    private async Task PinAsync(ArtifactInput input, CancellationToken cancellationToken)
    {
        // An empty name is one that is not given.
        if (input.Owner[input.Key] is not JsonValue value || value.GetValueKind() != JsonValueKind.String || value.GetValue<string>() is not { Length: > 0 } name) return;
        input.Owner[input.Key] = (await FindAsync(name, input.Path, cancellationToken)
            ?? throw new InvalidRequestException(input.Path, $"there is no artifact \"{name}\"")).Digest;
    }

    private async Task<string?> CheckNameAsync(JsonNode? name, string path, CancellationToken cancellationToken)
    {
        if (name is null) return null;
        string text = name.GetValue<string>();
        _ = await FindAsync(text, path, cancellationToken);
        return text.Contains(':') ? throw new InvalidRequestException(path, $"\"{text}\" is a digest, not a name") : text;
    }

    private async Task<StoredArtifact?> FindAsync(string nameOrDigest, string path, CancellationToken cancellationToken)
    {
        try
        {
            return await store.FindAsync(nameOrDigest, cancellationToken);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(path, e.Message);
        }
    }
}

/// <summary>What a step gave.</summary>
/// <param name="Outputs">Its outputs.</param>
/// <param name="Run">The run resource that did the work; empty if there was none.</param>
/// <param name="IsCached">Whether it is the result of an earlier run.</param>
/// <param name="IsAltered">Whether others changed the course of the work, so that equal inputs would give something else.</param>
internal sealed record StepResult(JsonObject Outputs, string Run, bool IsCached, bool IsAltered = false);
