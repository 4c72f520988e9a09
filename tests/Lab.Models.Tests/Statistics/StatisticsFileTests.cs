using CsCheck;
using Lab.Models.Statistics;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.Models.Tests.Statistics;

public sealed class StatisticsFileTests
{
    private static readonly Dictionary<string, string> _metadata = new() { ["model"] = "sha256:0" };

    [Fact]
    public void Read_WhatWasWritten_GoesOnAsIfNothingHappened() => Gen.Select(StatisticsData.Any, Gen.Int[0, 700]).Sample((data, cut) =>
    {
        cut = Math.Min(cut, data.Tokens);
        byte[] bytes = new StatisticsFile([data.Collect(0, cut)], _metadata).ToBytes();
        StatisticsFile file = StatisticsFile.Read(bytes);
        file.ToBytes().ShouldBe(bytes);
        file.Metadata.ShouldBe(_metadata);

        ActivationStatistics direct = data.Collect(0, cut), restored = file.Statistics.Single();
        direct.Add(data.Values.AsSpan(cut * data.Channels), data.Origins.AsSpan(cut));
        restored.Add(data.Values.AsSpan(cut * data.Channels), data.Origins.AsSpan(cut));
        ActivationStatisticsTests.ShouldBeEqual(restored, direct);
    });

    [Fact]
    public void Read_SeveralHooks_GivesEach()
    {
        ActivationStatistics heads = new("blocks.0.attn.hook_z", [2, 3], new StatisticsOptions { TopCount = 2 }), residual = new("hook_embed", [4], new StatisticsOptions { QuantileError = 0 });
        heads.Add([1, 2, 3, 4, 5, 6], [new TokenOrigin(9, 8, 7)]);
        heads.Add([float.NaN, 0, 0, 0, 0, 0], [new TokenOrigin(long.MinValue, int.MaxValue, -1)]);
        StatisticsFile file = StatisticsFile.Read(new StatisticsFile([residual, heads], _metadata).ToBytes());

        file.Statistics.Select(one => one.Hook).ShouldBe(["blocks.0.attn.hook_z", "hook_embed"]);
        file.Statistics[0].Shape.ShouldBe([2, 3]);
        file.Statistics[0].Top(4).ShouldBe([new ActivatingToken(5, new TokenOrigin(9, 8, 7))]);
        file.Statistics[0].FirstNonFinite.ShouldBe(new TokenOrigin(long.MinValue, int.MaxValue, -1));
        file.Statistics[1].Options.ShouldBe(residual.Options);
    }

    [Theory]
    [InlineData("mean", "mean")]
    [InlineData("squared_deviations", "mean")]
    [InlineData("max", "mean")]
    [InlineData("zeros", "mean")]
    [InlineData("norm", "norm")]
    [InlineData("products", "products")]
    [InlineData("top.values", "top.values")]
    [InlineData("bottom.values", "bottom.values")]
    [InlineData("quantiles.offsets", "quantiles.offsets")]
    [InlineData("quantiles.codes", "quantiles.codes")]
    [InlineData("quantiles.counts", "quantiles.codes")]
    public void Read_NumbersThatCannotBe_NamesTheTensor(string tensor, string named)
    {
        SafetensorsBytes good = Good();
        string key = $"{StatisticsData.Hook}.{tensor}";
        byte[] data = good.Tensors[key].Data.ToArray();
        data.AsSpan().Fill(0xFF);
        HostTensor bad = new(key, good.Tensors[key].DataType, good.Tensors[key].Shape, data);
        byte[] bytes = SafetensorsWriter.ToBytes(good.Tensors.Values.Where(one => one.Name != key).Append(bad), good.Metadata);
        Should.Throw<InvalidDataException>(() => StatisticsFile.Read(bytes, "merge.states[1]")).Message.ShouldStartWith($"merge.states[1]: the tensor '{StatisticsData.Hook}.{named}' is malformed");
    }

    [Fact]
    public void Read_MissingUnknownOrMisshapenTensor_NamesIt()
    {
        SafetensorsBytes good = Good();
        foreach (HostTensor tensor in good.Tensors.Values)
        {
            HostTensor renamed = tensor with { Name = "other" };
            IEnumerable<HostTensor> rest = good.Tensors.Values.Where(one => one.Name != tensor.Name);
            Message(rest, good.Metadata).ShouldBe($"state: the tensor '{tensor.Name}' is missing.");
            Message(good.Tensors.Values.Append(renamed), good.Metadata).ShouldBe("state: the tensor 'other' does not belong to any of the hooks.");
            HostTensor misshapen = new(tensor.Name, TensorDataType.Int32, [1, tensor.Data.Length / 4], tensor.Data);
            Message(rest.Append(misshapen), good.Metadata).ShouldContain($"'{tensor.Name}' is malformed");
        }
    }

    [Theory]
    [InlineData("format", "lab.other", "format")]
    [InlineData("version", "2", "version")]
    [InlineData("hooks", "", "hooks")]
    [InlineData("hooks", "null", "hooks")]
    [InlineData("hooks", "[null]", "hooks[0]")]
    [InlineData("hooks", "[{}]", "hooks")]
    [InlineData("\"count\":20", "\"count\":21", "mean|norm|top.values|quantiles.counts")]
    [InlineData("\"count\":20", "\"count\":-1", "hooks[0].count")]
    [InlineData("\"shape\":[3]", "\"shape\":[-3]", "hooks[0].shape")]
    [InlineData("\"shape\":[3]", "\"shape\":null", "hooks")]
    [InlineData("\"shape\":[3]", "\"shape\":[16777216,1024]", "hooks[0].shape")]
    [InlineData("\"top_count\":5", "\"top_count\":5000", "top_count")]
    [InlineData("\"top_count\":5", "\"top_count\":6", "top.values")]
    [InlineData("\"quantile_error\":0.01", "\"quantile_error\":1", "quantile_error")]
    [InlineData("\"quantile_error\":0.01", "\"quantile_error\":0.2", "quantiles.codes")]
    [InlineData("\"has_covariance\":true", "\"has_covariance\":false", "products")]
    [InlineData("\"non_finite_count\":0", "\"non_finite_count\":1", "first_non_finite")]
    [InlineData("\"last\":[", "\"last\":[1,", "last")]
    public void Read_BadMetadata_NamesTheField(string what, string replacement, string field)
    {
        SafetensorsBytes good = Good();
        Dictionary<string, string> metadata = good.Metadata.ToDictionary();
        metadata["hooks"].Contains(what).ShouldNotBe(metadata.ContainsKey(what));
        if (metadata.ContainsKey(what)) metadata[what] = replacement;
        else metadata["hooks"] = metadata["hooks"].Replace(what, replacement, StringComparison.Ordinal);
        string message = Message(good.Tensors.Values, metadata);
        field.Split('|').ShouldContain(one => message.Contains(one), message);
    }

    [Fact]
    public void Read_MutatedBytes_RefusesOrReads()
    {
        byte[] good = new StatisticsFile([new StatisticsData(Seed: 1, Channels: 3, Tokens: 20, IsShuffled: false).Collect()], _metadata).ToBytes();
        int refused = 0;
        Gen.Select(Gen.Int[0, good.Length - 1], Gen.Byte, Gen.Int[0, 3], Gen.Int[0, good.Length - 1]).Sample(
            (place, value, kind, other) =>
            {
                byte[] bytes = [.. good];
                if (kind == 0) bytes = bytes[..place];
                else if (kind == 1) Array.Copy(good, other, bytes, place, Math.Min(8, good.Length - Math.Max(place, other)));
                else bytes[kind == 2 ? place : place % 2500] = value;
                try
                {
                    StatisticsFile.Read(bytes).ToBytes().Length.ShouldBeGreaterThan(0);
                }
                catch (InvalidDataException e)
                {
                    e.Message.ShouldStartWith("state");
                    Interlocked.Increment(ref refused);
                }
            },
            iter: 3000);
        refused.ShouldBeGreaterThan(600);
    }

    [Fact]
    public void Read_HugeHeader_IsRefusedBeforeItIsParsed()
    {
        byte[] bytes = new byte[sizeof(ulong) + (17 << 20)];
        bytes.AsSpan(sizeof(ulong)).Fill((byte)' ');
        System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(bytes, 17 << 20);

        (InvalidDataException? refusal, long allocated) = Mutants.Try(() => StatisticsFile.Read(bytes));

        refusal.ShouldNotBeNull().Message.ShouldBe($"state: the header claims {17 << 20} bytes; at most {16 << 20} are allowed.");
        allocated.ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void Read_GoodFile_ReservesWhatItTakes()
    {
        long reserved = 0;
        StatisticsFile file = StatisticsFile.Read(new StatisticsFile(
            [new StatisticsData(Seed: 1, Channels: 3, Tokens: 20, IsShuffled: false).Collect()], new Dictionary<string, string>()).ToBytes(), reserve: bytes => reserved += bytes);

        reserved.ShouldBeGreaterThanOrEqualTo(file.Statistics.Single().SizeBytes);
        Should.Throw<OperationCanceledException>(() => StatisticsFile.Read(file.ToBytes(), reserve: _ => throw new OperationCanceledException()));
    }

    [Fact]
    public void ToBytes_ReservedMetadataOrOneHookTwice_IsRefused()
    {
        ActivationStatistics one = new("hook_embed", [1]);
        Should.Throw<ArgumentException>(() => new StatisticsFile([one], new Dictionary<string, string> { ["format"] = "x" }).ToBytes());
        Should.Throw<ArgumentException>(() => new StatisticsFile([one, one], new Dictionary<string, string>()).ToBytes());
    }

    private static SafetensorsBytes Good() => SafetensorsBytes.Read(
        new StatisticsFile([new StatisticsData(Seed: 1, Channels: 3, Tokens: 20, IsShuffled: false).Collect()], new Dictionary<string, string>()).ToBytes(), "good");

    private static string Message(IEnumerable<HostTensor> tensors, IReadOnlyDictionary<string, string> metadata) =>
        Should.Throw<InvalidDataException>(() => StatisticsFile.Read(SafetensorsWriter.ToBytes(tensors, metadata))).Message;
}
