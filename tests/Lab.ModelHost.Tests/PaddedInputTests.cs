using Lab.Protos.ModelHost.V1;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class PaddedInputTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static RunRequest Padded(int[] ids, bool[] mask)
    {
        RunRequest request = Request(ids);
        request.Input.Tokens.Rows[0].AttentionMask.Add(mask);
        request.Logits = LogitsMode.All;
        return request;
    }

    [Theory]
    [InlineData(new[] { 0, 0, 5, 6, 7 }, new[] { false, false, true, true, true })]
    [InlineData(new[] { 5, 6, 7, 0 }, new[] { true, true, true, false })]
    [InlineData(new[] { 5, 6, 7 }, new[] { true, true, true })]
    public async Task Run_PaddedRow_RunsWithoutItsPadding(int[] ids, bool[] mask)
    {
        RunRequest plain = Request([5, 6, 7]);
        plain.Logits = LogitsMode.All;

        RunReply reply = await lab.RunAsync(Padded(ids, mask));

        reply.Started.Rows.ShouldHaveSingleItem().Ids.ShouldBe([5, 6, 7]);
        reply.Tensors.ShouldBe((await lab.RunAsync(plain)).Tensors);
    }

    [Theory]
    [InlineData("input.tokens.rows[0].attention_mask", new[] { true, true })]
    [InlineData("input.tokens.rows[0].attention_mask", new[] { true, false, true })]
    [InlineData("input.tokens.rows[0].attention_mask", new[] { false, true, false })]
    [InlineData("input.tokens.rows[0]", new[] { false, false, false })]
    public async Task Run_BadMask_NamesTheField(string field, bool[] mask)
    {
        (await ErrorOf(() => lab.RunAsync(Padded([5, 6, 7], mask)))).Field().ShouldBe(field);
    }
}
