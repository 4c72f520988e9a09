using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Lab.Gateway.Definitions;
using Lab.Protos.Run.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.Gateway.Operations;

/// <summary>
/// A step that is one run of another service. The step's inputs are the JSON of the run's config; its outputs are the run's fields besides
/// name, config, status and <see cref="Course"/>, the status's "metrics", and "seconds".
/// </summary>
/// <param name="collection">The run resources' collection: "trainingRuns".</param>
internal sealed partial class RunOperation<TConfig, TRun>(
    string name, string collection, RunClient<TConfig, TRun> client, SharedRuns shared, TimeProvider time, ILogger logger) : IOperation
    where TConfig : class, IMessage<TConfig>, new()
    where TRun : class, IMessage<TRun>, IRunResource, new()
{
    private static readonly string[] NotOutputs = ["name", "config", "status"];
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private static readonly MessageDescriptor RunMessage = new TRun().Descriptor;
    private static readonly MessageDescriptor ConfigDescriptor = new TConfig().Descriptor;

    public string Name => name;

    public bool IsCacheable { get; init; } = true;

    public IReadOnlyCollection<string> OutputNames =>
        [.. RunMessage.Fields.InDeclarationOrder().Select(f => f.Name).Except(NotOutputs).Except(Course), "metrics", "seconds"];

    /// <summary>Fields in which the run keeps its own course; they are no outputs.</summary>
    public IReadOnlyCollection<string> Course { get; init; } = [];

    /// <summary>The config's own fields that name artifacts, besides those called "artifact" in the messages within.</summary>
    public IReadOnlyCollection<string> ArtifactInputs { get; init; } = [];

    public string? NamedOutput { get; init; }

    /// <summary>Turns conveniences of the step's inputs into the config's own fields.</summary>
    public Func<JsonObject, JsonObject> Rewrite { get; init; } = with => with;

    /// <summary>Checks these conveniences.</summary>
    public Action<JsonObject, string, Violations> CheckInputs { get; init; } = (_, _, _) => { };

    /// <summary>Whether inputs mean the same at any time.</summary>
    public Func<JsonObject, bool> HasTimelessInputs { get; init; } = _ => true;

    /// <summary>Whether a run that succeeded did what its config asks, and no call changed its course.</summary>
    public Predicate<TRun> IsAsAsked { get; init; } = _ => true;

    public bool IsTimeless(JsonObject with) => HasTimelessInputs(with);

    public IEnumerable<ArtifactInput> FindArtifacts(JsonObject with, string path) => ArtifactFields.Find(ConfigDescriptor, with, ArtifactInputs, path);

    public void Validate(JsonObject with, string path, Violations violations)
    {
        CheckInputs(with, path, violations);
        ConfigMessage.Check(ConfigDescriptor, Rewrite(with), path, violations);
    }

    public async Task<Struct> ExecuteAsync(OperationContext context, CancellationToken cancellationToken)
    {
        TConfig config = ConfigMessage.Parse<TConfig>(Rewrite(context.With));
        using IDisposable lease = shared.Use(NameOf(context));
        (TRun run, bool hadEnded) = await FollowAsync(config, context, cancellationToken);
        if (run.Status.State == RunState.Succeeded && !IsAsAsked(run)) context.Altered(hadEnded);
        return run.Status.State switch
        {
            RunState.Succeeded => ToOutputs(run),
            RunState.Cancelled => throw new StepFailedException(new Google.Rpc.Status { Code = (int)Code.Cancelled, Message = $"{run.Name} was cancelled." }),
            _ => throw new StepFailedException(run.Status.Error ?? new Google.Rpc.Status { Code = (int)Code.Unknown, Message = $"{run.Name} failed." }),
        };
    }

    public async Task CancelAsync(OperationContext context, CancellationToken cancellationToken)
    {
        if (shared.IsUsed(NameOf(context))) return;
        _ = await client.Cancel(NameOf(context), Options(cancellationToken));
    }

    /// <summary>Starts or joins the run and watches it to its end, over restarts of its service. Tells whether it had ended when it was joined.</summary>
    private async Task<(TRun Run, bool HadEnded)> FollowAsync(TConfig config, OperationContext context, CancellationToken cancellationToken)
    {
        bool hasJoined = false;
        long? failing = null;
        while (true)
        {
            try
            {
                TRun run = await client.Create(context.RunId, config, Options(cancellationToken));
                bool isFirst = !hasJoined;
                if (isFirst && run.Status.State is RunState.Failed or RunState.Cancelled)
                    run = await client.Resume(run.Name, Options(cancellationToken));
                hasJoined = true;
                context.Report(run.Name, run.Status);
                if (run.Status.State.IsFinal()) return (run, isFirst);

                using AsyncServerStreamingCall<TRun> watch = client.Watch(run.Name, Options(cancellationToken));
                while (await watch.ResponseStream.MoveNext(cancellationToken))
                {
                    failing = null;
                    run = watch.ResponseStream.Current;
                    context.Report(run.Name, run.Status);
                    if (run.Status.State.IsFinal()) return (run, false);
                }
            }
            catch (RpcException e)
            {
                cancellationToken.ThrowIfCancellationRequested();
                failing ??= time.GetTimestamp();
                if (!MayPass(e) || time.GetElapsedTime(failing.Value) > Patience) throw;
                LogInterrupted(logger, collection, context.RunId, e.StatusCode, e.Message);
            }
            await Task.Delay(RetryDelay, time, cancellationToken);
        }
    }

    /// <summary>Whether the service is away for the moment, or ended a call because it stops, or a stream reached the deadline of all streams.</summary>
    private static bool MayPass(RpcException e) =>
        LabResilience.IsTransient(e) || e.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded;

    private Struct ToOutputs(TRun run)
    {
        JsonObject json = ProtoJson.ToJson(run);
        JsonNode? metrics = json["status"]?["metrics"]?.DeepClone();
        foreach (string other in NotOutputs.Concat(Course)) _ = json.Remove(other);
        json["metrics"] = metrics;
        json["seconds"] = (run.Status.EndTime - run.Status.StartTime)?.ToTimeSpan().TotalSeconds;
        return ProtoJson.ToStruct(json);
    }

    private string NameOf(OperationContext context) => $"{collection}/{context.RunId}";

    // Deadlines are those that AddLabClient gives.
    private static CallOptions Options(CancellationToken cancellationToken) => new(cancellationToken: cancellationToken);

    [LoggerMessage(Level = LogLevel.Information, Message = "Waiting for {Collection}/{RunId}: {Code} {Detail}")]
    private static partial void LogInterrupted(ILogger logger, string collection, string runId, StatusCode code, string detail);
}
