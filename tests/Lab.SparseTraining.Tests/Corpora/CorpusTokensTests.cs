using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.SparseTraining.Corpora;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class CorpusTokensTests : IDisposable
{
    private const int BatchBytes = 4096;

    private readonly TemporaryFolder _folder = new();
    private readonly LabTokenizer _tokenizer = BpeTrainer.Train([], BpeTrainer.MinVocabSize, CancellationToken.None);

    public void Dispose() => _folder.Dispose();

    /// <summary>A long piece now here, now there among short ones must not leave a long buffer at each of the places.</summary>
    [Fact]
    public void Write_LongPiecesAtManyPlaces_KeepsNoMoreRoomThanForABatchOrTwo()
    {
        using var writer = new TokenCorpusWriter(_folder.Path, _tokenizer);
        var tokens = new CorpusTokens(new TextFormat(), _tokenizer, writer, BatchBytes);
        long most = 0;

        tokens.Write(Pieces(), TestContext.Current.CancellationToken);

        most.ShouldBeInRange(BatchBytes, 2 * BatchBytes);
        writer.TrainTokens.ShouldBe((99 * 100) + (100 * 1501));

        IEnumerable<DocumentPiece> Pieces()
        {
            for (int place = 0; place < 100; place++)
            {
                for (int i = 0; i < place; i++) yield return new DocumentPiece("x", IsHeldOut: false, IsLast: true);
                yield return new DocumentPiece(new string('y', 1500), IsHeldOut: false, IsLast: true);
                yield return new DocumentPiece(new string('z', 2600), IsHeldOut: true, IsLast: true);
                most = Math.Max(most, tokens.KeptTokens);
            }
        }
    }
}
