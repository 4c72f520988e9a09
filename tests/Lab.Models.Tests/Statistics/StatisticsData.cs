using CsCheck;
using Lab.Models.Statistics;

namespace Lab.Models.Tests.Statistics;

/// <summary>Activations of some tokens whose channels are of very different kinds: the same for equal seeds.</summary>
internal sealed record StatisticsData(int Seed, int Channels, int Tokens, bool IsShuffled)
{
    public const string Hook = "blocks.0.mlp.hook_post";

    public static Gen<StatisticsData> Any { get; } =
        Gen.Select(Gen.Int, Gen.Int[1, 35], Gen.Int[0, 600], Gen.Bool, (seed, channels, tokens, isShuffled) => new StatisticsData(seed, channels, tokens, isShuffled));

    public static StatisticsOptions AllOptions { get; } = new() { TopCount = 5, BottomCount = 3, HasCovariance = true };

    public float[] Values { get; } = MakeValues(new Random(Seed), Channels, Tokens);

    public TokenOrigin[] Origins { get; } = MakeOrigins(new Random(Seed + 1), Tokens, IsShuffled);

    public float[] Column(int channel) => [.. Enumerable.Range(0, Tokens).Select(token => Values[(token * Channels) + channel])];

    public ActivationStatistics Collect(int from = 0, int? to = null, StatisticsOptions? options = null)
    {
        ActivationStatistics statistics = new(Hook, [Channels], options ?? AllOptions);
        int end = to ?? Tokens;
        statistics.Add(Values.AsSpan(from * Channels, (end - from) * Channels), Origins.AsSpan(from, end - from));
        return statistics;
    }

    private static float[] MakeValues(Random random, int channels, int tokens)
    {
        int[] kinds = [.. Enumerable.Range(0, channels).Select(_ => random.Next(9))];
        float[] values = new float[channels * tokens];
        for (int i = 0; i < values.Length; i++) values[i] = Value(random, kinds[i % channels]);
        return values;
    }

    private static float Value(Random random, int kind)
    {
        float x = (float)Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * (float)Math.Cos(2 * Math.PI * random.NextDouble());
        return kind switch
        {
            0 => x,
            1 => 1000 + x,                                                  // far from zero
            2 => Math.Max(0, x),                                            // half zeros
            3 => 0,
            4 => -3.25f,                                                    // constant
            5 => x * 1e-42f,                                                // denormal
            6 => random.Next(3) == 0 ? -0f : x * 1e37f,                     // huge
            7 => (float)Math.Pow(10, (70 * random.NextDouble()) - 35),      // all magnitudes
            _ => random.Next(-2, 3),                                        // many ties
        };
    }

    private static TokenOrigin[] MakeOrigins(Random random, int tokens, bool isShuffled)
    {
        TokenOrigin[] origins = [.. Enumerable.Range(0, tokens).Select(i => new TokenOrigin(i / 50, i % 50, random.Next(1000)))];
        if (isShuffled) random.Shuffle(origins);
        return origins;
    }
}
