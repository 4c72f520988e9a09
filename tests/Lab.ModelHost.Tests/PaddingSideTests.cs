using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

/// <summary>Padding on the left is that on the right, moved.</summary>
public sealed class PaddingSideTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static readonly int[][] Rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13]];

    private static RunRequest Captures(PaddingSide side, params Selector[] captures)
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(captures);
        request.Input.PaddingSide = side;
        request.Logits = LogitsMode.All;
        return request;
    }

    private async Task<(RunReply Left, RunReply Right)> BothAsync(params Selector[] captures) =>
        (await lab.RunAsync(Captures(PaddingSide.Left, captures)), await lab.RunAsync(Captures(PaddingSide.Right, captures)));

    [Fact]
    public async Task Run_LeftPadding_MovesResidualsAndLogits()
    {
        (RunReply left, RunReply right) = await BothAsync(new Selector { Hook = "blocks.1.hook_resid_post" }, new Selector { Hook = "blocks.0.attn.hook_z", Rows = { 2, 1 } });

        left.Started.PaddingSide.ShouldBe(PaddingSide.Left);
        right.Started.PaddingSide.ShouldBe(PaddingSide.Right);
        int[][] lengths = [[3, 2], [4, 2, 3], [4, 2, 3]];
        foreach ((int tensor, int[] rows) in lengths.Index())
        {
            (HostTensor moved, HostTensor plain) = (left.Tensors[tensor], right.Tensors[tensor]);
            moved.Shape.ShouldBe(plain.Shape);
            int perToken = (int)plain.Shape[2..].Aggregate(1L, (product, size) => product * size);
            for (int row = 0; row < rows.Length; row++)
            {
                int start = row * 4 * perToken, padding = (4 - rows[row]) * perToken;
                moved.Floats[start..(start + padding)].ToArray().ShouldAllBe(x => x == 0);
                moved.Floats[(start + padding)..(start + (4 * perToken))].SequenceEqual(plain.Floats[start..(start + (4 * perToken) - padding)]).ShouldBeTrue($"{plain.Name}, row {row}");
            }
        }
    }

    [Fact]
    public async Task Run_LeftPadding_MovesQueriesAndKeys()
    {
        (RunReply left, RunReply right) = await BothAsync(new Selector { Hook = "blocks.0.attn.hook_pattern" });

        for (int row = 0; row < 3; row++)
        {
            int length = Rows[row].Length, padding = 4 - length;
            for (int head = 0; head < 2; head++)
            {
                for (int query = 0; query < 4; query++)
                {
                    for (int key = 0; key < 4; key++)
                    {
                        bool isPadding = query < padding || key < padding;
                        float expected = isPadding ? 0 : right.Tensors[0].Floats[At(row, head, query - padding, key - padding)];
                        left.Tensors[0].Floats[At(row, head, query, key)].ShouldBe(expected, $"{row} {head} {query} {key}");
                    }
                }
            }
        }

        static int At(int row, int head, int query, int key) => (((((row * 2) + head) * 4) + query) * 4) + key;
    }

    [Fact]
    public async Task Run_NamedPositions_AreToldForEachRow()
    {
        (RunReply left, RunReply right) = await BothAsync(
            new Selector { Hook = "hook_embed" },
            new Selector { Hook = "blocks.0.hook_resid_pre", Positions = { -1, 0 }, Rows = { 1, 0 } });

        PlannedTensor named = right.Started.Tensors[1];
        named.Capture.ShouldBe(1);
        named.Positions.Select(row => (row.Row, string.Join(' ', row.Positions))).ShouldBe([(1, "1 0"), (0, "3 0")]);
        right.Started.Tensors[0].Capture.ShouldBe(0);
        right.Started.Tensors[0].Positions.ShouldBeEmpty();
        right.Started.Tensors[2].HasCapture.ShouldBeFalse();
        left.Tensors[1].ShouldBe(right.Tensors[1]);
    }

    [Fact]
    public async Task Gradients_LeftPadding_MovesThem()
    {
        async Task<HostTensor> RunAsync(PaddingSide side)
        {
            GradientsRequest request = new()
            {
                Model = ModelName,
                Input = Captures(side).Input,
                Objective = new Objective { CrossEntropy = new CrossEntropyObjective() },
                Targets = { new GradientTarget { Activation = new Selector { Hook = "blocks.0.hook_resid_post" } } },
            };
            using var call = lab.Client.Gradients(request, cancellationToken: TestContext.Current.CancellationToken);
            TensorFrameReader reader = new();
            HostTensor? gradient = null;
            while (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))
            {
                if (call.ResponseStream.Current.Frame is { } frame) gradient = reader.Accept(frame) ?? gradient;
            }

            return gradient.ShouldNotBeNull();
        }

        HostTensor left = await RunAsync(PaddingSide.Left), right = await RunAsync(PaddingSide.Right);

        // Row 1: two tokens of four places, 32 channels each.
        (float[] moved, float[] plain) = (left.Floats[128..256].ToArray(), right.Floats[128..256].ToArray());
        moved[64..].ShouldBe(plain[..64]);
        plain[..64].ShouldContain(x => x != 0);
        moved[..64].ShouldAllBe(x => x == 0);
    }

    [Fact]
    public async Task Run_UnknownSide_NamesTheField() =>
        (await ErrorOf(() => lab.RunAsync(Captures((PaddingSide)7)))).Field().ShouldBe("input.padding_side");
}
