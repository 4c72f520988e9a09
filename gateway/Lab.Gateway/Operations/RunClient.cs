using Grpc.Core;

namespace Lab.Gateway.Operations;

/// <summary>The methods that every service has for one kind of run.</summary>
/// <param name="Create">Takes a run ID and a config.</param>
/// <param name="Resume">Takes a run's name.</param>
/// <param name="Cancel">Takes a run's name.</param>
/// <param name="Watch">Takes a run's name.</param>
internal sealed record RunClient<TConfig, TRun>(
    Func<string, TConfig, CallOptions, AsyncUnaryCall<TRun>> Create,
    Func<string, CallOptions, AsyncUnaryCall<TRun>> Resume,
    Func<string, CallOptions, AsyncUnaryCall<TRun>> Cancel,
    Func<string, CallOptions, AsyncServerStreamingCall<TRun>> Watch);
