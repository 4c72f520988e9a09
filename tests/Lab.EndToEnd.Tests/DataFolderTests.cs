using Grpc.Net.Client;
using Lab.EndToEnd.Tests.Support;
using Lab.Protos.Experiment.V1;
using Lab.Testing;

namespace Lab.EndToEnd.Tests;

/// <summary>Two labs and one data folder. That two data folders do not disturb each other is in <see cref="Baseline"/>.</summary>
public sealed class DataFolderTests(Baseline baseline)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_FolderOfAnotherLab_IsRefusedAndTheOtherGoesOn()
    {
        using TemporaryFolder data = new();
        await using LabProcess first = LabProcess.Start("lab", ["serve", "--data", data.Path]);
        string gateway = await first.WaitForLineAsync(line => line.StartsWith("http://", StringComparison.Ordinal), "address", Ct);

        await using LabProcess second = LabCli.StartRun(data.Path, baseline.Corpus, 0);

        (await second.WaitForExitAsync(Ct)).ShouldBe(1, second.Transcript);
        second.Transcript.ShouldContain(data.Path);
        second.Transcript.ShouldContain("--data");
        second.Transcript.ShouldContain(gateway);
        using GrpcChannel channel = GrpcChannel.ForAddress(gateway);
        ListExperimentsResponse experiments = await new ExperimentService.ExperimentServiceClient(channel)
            .ListExperimentsAsync(new ListExperimentsRequest(), cancellationToken: Ct);
        experiments.Experiments.Select(experiment => experiment.Name).ShouldContain(TinyExperiment.Name);
        await first.InterruptAsync(Ct);
        (await first.WaitForExitAsync(Ct)).ShouldBe(0, first.Transcript);
    }
}
