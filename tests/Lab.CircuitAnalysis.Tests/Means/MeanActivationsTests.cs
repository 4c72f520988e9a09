using Lab.CircuitAnalysis.Means;
using Lab.CircuitAnalysis.Pruning;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults;
using Lab.Tensors;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.CircuitAnalysis.Tests.Means;

public sealed class MeanActivationsTests
{
    [Fact]
    public async Task MeasureAsync_ModelHostGoesAway_GivesTheSameMeans()
    {
        using TemporaryFolder folder = new();
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        FakeModelHost host = new(PlantedModel.Create);
        await using PartHost part = await StartAsync(folder.Path, host);
        HostedMeanActivations means = new(new ModelHostService.ModelHostServiceClient(part.Channel), TimeProvider.System);
        IReadOnlyList<long[]> rows = [[0, 4, 5, 6], [7, 1, 8, 9], [4, 4, 10, 0]];

        float[] undisturbed = await means.MeasureAsync("model", layout, rows, _ => { }, TestContext.Current.CancellationToken);
        host.Breaks = 2;
        List<int> reported = [];
        float[] disturbed = await means.MeasureAsync("model", layout, rows, reported.Add, TestContext.Current.CancellationToken);

        disturbed.ShouldBe(undisturbed);
        reported.ShouldBe([3]);
        host.Rows.ShouldBe(4 * 3);
        host.Loaded.ShouldAllBe(name => name == "model");
        // Attention reads the normed embedding: channel 1 is the constant, and the means of channel 0 (type) follows from the three openers.
        NodeSite read = layout[0, SiteKind.AttnRead];
        undisturbed[read.First + 1].ShouldBeGreaterThan(1);
        ((double)undisturbed[read.First]).ShouldBe((2 - 1) * Math.Sqrt(8.0 / 3) / 12, 1e-5);
    }

    [Fact]
    public void Add_Batches_AveragesOverAllPositionsOfAll()
    {
        using Transformer model = PlantedModel.Create();
        NodeLayout layout = new(model.Hooks);
        MeanAccumulator means = new(layout);
        means.Add(Constant(layout, 1, 2, 3), 1, 2);
        means.Add(Constant(layout, 2, 2, 9), 2, 2);

        means.ToMeans().ShouldAllBe(mean => mean == 7); // (2 x 3 + 4 x 9) / 6
        Should.Throw<InvalidDataException>(() => means.Add(Constant(layout, 1, 2, 3), 2, 2)).Message.ShouldContain("blocks.0.attn.hook_read");
    }

    [Fact]
    public void Read_AnySplit_SpreadsWholeRowsOverIt()
    {
        using TemporaryFolder folder = new();
        LabTokenizer tokenizer = BpeTrainer.Train(["abc"], 257, TestContext.Current.CancellationToken);
        using (TokenCorpusWriter writer = new(folder.Path, tokenizer))
        {
            for (int document = 0; document < 10; document++) writer.Append("123456789", isHeldOut: document == 9);
            writer.Complete(info => info);
        }

        using TokenCorpus corpus = TokenCorpus.Open(folder.Path);
        long[] all = new long[corpus.Train.Length];
        corpus.Train.Read(0, all);

        IReadOnlyList<long[]> rows = MeanRows.Read(corpus.Train, 30, 16);
        rows.Count.ShouldBe(2);
        rows[0].ShouldBe(all[..16]);
        rows[1].ShouldBe(all[^16..]);
        MeanRows.Read(corpus.Train, 1_000_000, 16).Count.ShouldBe(all.Length / 16);
        MeanRows.Read(corpus.Train, 10, 4096).ShouldHaveSingleItem().ShouldBe(all);
    }

    private static HostTensor[] Constant(NodeLayout layout, int rows, int length, float value) =>
        [.. layout.Sites.Select(site => HostTensor.FromFloats(site.Hook.Name, [.. Enumerable.Repeat(value, rows * length * site.Count)], [rows, length, .. site.ChannelShape]))];

    private static Task<PartHost> StartAsync(string data, FakeModelHost host) => PartHost.StartAsync(
        data,
        builder =>
        {
            builder.AddLabDefaults("ModelHost");
            builder.Services.AddSingleton(host);
        },
        app => app.MapGrpcService<FakeModelHost>());
}
