using Lab.BridgeAlignment.Runs;
using Lab.BridgeAlignment.Tests.Support;
using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.BridgeAlignment.Tests.Runs;

public sealed class AlignmentInputsTests : IAsyncLifetime
{
    private TinyLab _lab = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await TinyLab.CreateAsync();
        _ = await _lab.AddModelAsync("models/deep", TinyModels.Config(layers: 3));
        _ = await _lab.AddModelAsync("models/wordy", TinyModels.Config(vocabulary: 300));
        _ = await _lab.AddModelAsync("models/terse", TinyModels.Config(vocabulary: 100));
        _ = await _lab.AddCorpusAsync("corpora/short", "x = 1");
    }

    public ValueTask DisposeAsync()
    {
        _lab.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData("config.dense_model", "models/nowhere", "models/sparse", "corpora/tiny", 0)]
    [InlineData("config.dense_model", "No Name!", "models/sparse", "corpora/tiny", 0)]
    [InlineData("config.dense_model", "corpora/tiny", "models/sparse", "corpora/tiny", 0)]
    [InlineData("config.sparse_model", "models/dense", "models/nowhere", "corpora/tiny", 0)]
    [InlineData("config.sparse_model", "models/dense", "models/deep", "corpora/tiny", 0)]
    [InlineData("config.sparse_model", "models/dense", "models/wordy", "corpora/tiny", 0)]
    [InlineData("config.corpus", "models/dense", "models/sparse", "corpora/nowhere", 0)]
    [InlineData("config.corpus", "models/dense", "models/sparse", "models/dense", 0)]
    [InlineData("config.corpus", "models/dense", "models/sparse", "corpora/short", 0)]
    [InlineData("config.corpus", "models/terse", "models/terse", "corpora/tiny", 0)]
    [InlineData("config.sequence_length", "models/dense", "models/sparse", "corpora/tiny", 17)]
    public async Task Find_WrongArtifact_NamesTheField(string field, string dense, string sparse, string corpus, int length)
    {
        AlignmentConfig config = new() { DenseModel = dense, SparseModel = sparse, Corpus = corpus, SequenceLength = length };

        InvalidRequestException e = await Should.ThrowAsync<InvalidRequestException>(() => AlignmentInputs.FindAsync(_lab.Store, config, Ct));

        e.Violations.Select(violation => violation.Field).ShouldBe([field]);
    }

    [Fact]
    public async Task Find_DamagedModelConfig_IsDataLoss()
    {
        _ = await _lab.AddBrokenModelAsync("models/broken");
        AlignmentConfig config = new() { DenseModel = "models/broken", SparseModel = "models/sparse", Corpus = "corpora/tiny" };

        (await Should.ThrowAsync<InvalidDataException>(() => AlignmentInputs.FindAsync(_lab.Store, config, Ct))).Message.ShouldContain("model config");
    }
}
