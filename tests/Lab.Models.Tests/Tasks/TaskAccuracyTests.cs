using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.Models.Tokenizers;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Tasks;

public sealed class TaskAccuracyTests
{
    private static readonly LabTokenizer _tokenizer = BpeTrainer.Train([], BpeTrainer.MinVocabSize, CancellationToken.None);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void Measure_EqualsPromptsAskedOneByOne()
    {
        using Transformer model = Model(nCtx: 512);

        IReadOnlyList<TaskScore> scores = TaskAccuracy.Measure(model, _tokenizer, 20, seed: 3, PromptSplit.HeldOut, Ct);

        scores.Select(score => score.Task).ShouldBe(PythonTask.All.Select(task => task.Name));
        foreach (int index in new[] { 0, 8, 19 })
        {
            List<double> odds = [];
            foreach (TokenizedPair pair in TaskTokens.Pairs(_tokenizer, PythonTask.All[index], 3, 20, PromptSplit.HeldOut, 512))
            {
                foreach (TokenizedPrompt prompt in new[] { pair.A, pair.B })
                {
                    using var scope = NewDisposeScope();
                    using var noGrad = no_grad();
                    Tensor logits = model.Forward(tensor([.. prompt.Tokens.Select(id => (long)id)], 1, prompt.Tokens.Length), null);
                    float[] last = logits[0, -1].data<float>().ToArray();
                    odds.Add(last[prompt.Target] - last[prompt.Alternative]);
                }
            }

            scores[index].Prompts.ShouldBe(40);
            scores[index].Obstacle.ShouldBeNull();
            scores[index].Accuracy.ShouldBe(odds.Count(value => value > 0) / 40.0);
            scores[index].MeanLogOdds.ShouldBe(odds.Average(), 1e-4);
        }
    }

    [Fact]
    public void Measure_WhereTheContextIsTooShort_SaysSo()
    {
        using Transformer model = Model(nCtx: 4);

        TaskScore score = TaskAccuracy.Measure(model, _tokenizer, 2, seed: 0, PromptSplit.HeldOut, Ct)[0];

        score.Prompts.ShouldBe(0);
        double.IsNaN(score.Accuracy).ShouldBeTrue();
        score.Obstacle!.ShouldContain("at most 4");
    }

    private static Transformer Model(int nCtx)
    {
        TransformerConfig config = new() { NLayers = 1, DModel = 16, NHeads = 2, DHead = 8, DMlp = 32, DVocab = _tokenizer.VocabSize, NCtx = nCtx };
        return new Transformer(config, TransformerWeights.Initialize(config, seed: 5));
    }
}
