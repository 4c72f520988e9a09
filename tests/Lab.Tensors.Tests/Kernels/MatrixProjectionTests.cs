using System.Runtime.Intrinsics;
using CsCheck;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Tests.Kernels;

public sealed class MatrixProjectionTests
{
    /// <summary>Shape, axis, floor, a budget between the floor and one more than all, and the weights.</summary>
    private static readonly Gen<(int Rows, int Columns, Projection Projection, float[] Weights)> Cases =
        from rows in Gen.Int[1, 40]
        from columns in Gen.Int[1, 40]
        from axis in Gen.Enum<NeuronAxis>()
        from floor in Gen.Int[0, 6]
        from kept in Gen.Long[Protected(rows, columns, axis, floor), rows * columns + 1]
        from weights in Weights.Array(rows * columns)
        select (rows, columns, new Projection(kept, axis, floor), weights);

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public void Apply_AnyMatrix_KeepsTheFloorThenTheLargestAndOfTiesTheLowest(LaneWidth width) => Cases.Sample(
        sample => Project(width, sample.Weights, sample.Rows, sample.Columns, sample.Projection)
            .ShouldBe(Reference(sample.Weights, sample.Rows, sample.Columns, sample.Projection)),
        iter: 400);

    [Theory]
    [InlineData(NeuronAxis.None, 0, 700)]
    [InlineData(NeuronAxis.Rows, 4, 3000)]
    [InlineData(NeuronAxis.Columns, 4, 3000)]
    [InlineData(NeuronAxis.Columns, 4, 2804)]
    [InlineData(NeuronAxis.Rows, 3, 150_000)]
    public void Apply_ManyPartsOnManyThreads_EqualsTheReference(NeuronAxis axis, int floor, int kept)
    {
        const int Rows = 300, Columns = 701;
        Random random = new(5);
        // Neurons of different scales, a third of the entries on a coarse grid: floors and ties both matter.
        float[] weights = [.. Enumerable.Range(0, Rows * Columns).Select(i =>
        {
            double value = (random.NextDouble() - 0.5) * (1 + i / Columns) * (1 + i % Columns);
            return (float)(i % 3 == 0 ? Math.Round(value / 64) * 64 : value);
        })];
        Projection projection = new(kept, axis, floor);
        foreach (LaneWidth width in Enum.GetValues<LaneWidth>())
        {
            Project(width, weights, Rows, Columns, projection).ShouldBe(Reference(weights, Rows, Columns, projection));
        }
    }

    [Theory]
    [InlineData(NeuronAxis.None)]
    [InlineData(NeuronAxis.Rows)]
    [InlineData(NeuronAxis.Columns)]
    public void Apply_AllEqual_KeepsTheFirst(NeuronAxis axis)
    {
        float[] weights = new float[500 * 300];
        Array.Fill(weights, -0.25f);
        Projection projection = new(2500, axis, 2);
        Project(LaneWidth.Sixteen, weights, 500, 300, projection).ShouldBe(Reference(weights, 500, 300, projection));
    }

    [Theory]
    [InlineData(LaneWidth.One)]
    [InlineData(LaneWidth.Eight)]
    [InlineData(LaneWidth.Sixteen)]
    public void Apply_NotFinite_NamesTheMatrixAndTheEntry(LaneWidth width) =>
        (from sample in Cases.Where(sample => sample.Projection.Kept < sample.Weights.Length)
         from bad in Gen.Int[0, 2].Select(i => new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity }[i])
         from place in Gen.Int[0, sample.Weights.Length - 1]
         select (sample, bad, place)).Sample(tuple =>
    {
        float[] weights = [.. tuple.sample.Weights];
        weights[tuple.place] = tuple.bad;
        string message = Should.Throw<ArithmeticException>(() => Project(width, weights, tuple.sample.Rows, tuple.sample.Columns, tuple.sample.Projection)).Message;
        message.ShouldContain($"entry {tuple.place} of c_fc ");
    });

    [Fact]
    public void Require_NegativeNumbers_Throws()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => new Projection(-1).Require(3, 4));
        Should.Throw<ArgumentOutOfRangeException>(() => new Projection(5, NeuronAxis.Rows, -1).Require(3, 4));
    }

    private static long Protected(int rows, int columns, NeuronAxis axis, int floor) => axis switch
    {
        NeuronAxis.Rows => rows * Math.Min(floor, columns),
        NeuronAxis.Columns => columns * Math.Min(floor, rows),
        _ => 0,
    };

    private static float[] Reference(float[] weights, int rows, int columns, Projection projection)
    {
        if (projection.Kept >= weights.Length) return weights;
        int[] order = Weights.Order(weights);
        HashSet<int> kept = [];
        if (projection.Axis != NeuronAxis.None)
        {
            IEnumerable<IGrouping<int, int>> neurons = order.GroupBy(i => projection.Axis == NeuronAxis.Rows ? i / columns : i % columns);
            foreach (IGrouping<int, int> neuron in neurons) kept.UnionWith(neuron.Take(projection.MinPerNeuron));
        }

        kept.UnionWith(order.Where(i => !kept.Contains(i)).Take((int)projection.Kept - kept.Count).ToArray());
        return [.. weights.Select((weight, i) => kept.Contains(i) ? weight : 0)];
    }

    private static unsafe float[] Project(LaneWidth width, float[] weights, int rows, int columns, Projection projection)
    {
        float[] projected = [.. weights];
        fixed (float* values = projected)
        {
            WeightMatrix matrix = new(values, rows, columns, projection);
            if (width == LaneWidth.Sixteen) MatrixProjection<Lanes512, Vector512<float>, Vector512<int>>.Apply("c_fc", matrix, default, 1);
            else if (width == LaneWidth.Eight) MatrixProjection<Lanes256, Vector256<float>, Vector256<int>>.Apply("c_fc", matrix, default, 1);
            else MatrixProjection<Lanes1, float, int>.Apply("c_fc", matrix, default, 1);
        }

        return projected;
    }
}
