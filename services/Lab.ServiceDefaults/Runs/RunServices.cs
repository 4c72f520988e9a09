using Google.Protobuf;
using Lab.Protos.Run.V1;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Runs;

/// <summary>Registration of durable runs.</summary>
public static class RunServices
{
    /// <summary>Adds a <see cref="RunRegistry{TRun}"/>, which starts with the host, and the executor, both as singletons.</summary>
    /// <typeparam name="TRun">The run resource.</typeparam>
    /// <typeparam name="TExecutor">What does its work.</typeparam>
    /// <param name="services">The services; LabOptions and TimeProvider are there through AddLabDefaults.</param>
    /// <param name="collection">The first part of the runs' names, "trainingRuns".</param>
    /// <param name="maxConcurrent">How many runs are worked on at once, at least 1; the others wait.</param>
    public static IServiceCollection AddRuns<TRun, TExecutor>(this IServiceCollection services, string collection, int maxConcurrent = 1)
        where TRun : class, IRunResource, IMessage<TRun>, new()
        where TExecutor : class, IRunExecutor<TRun>
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxConcurrent, 1);
        services.AddSingleton<IRunExecutor<TRun>, TExecutor>();
        services.AddSingleton(s => new RunRegistry<TRun>(
            new RunSettings(collection, maxConcurrent),
            s.GetRequiredService<IRunExecutor<TRun>>(),
            s.GetRequiredService<IOptions<LabOptions>>(),
            s.GetRequiredService<IHostApplicationLifetime>(),
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<RunRegistry<TRun>>>()));
        return services.AddHostedService(s => s.GetRequiredService<RunRegistry<TRun>>());
    }
}
