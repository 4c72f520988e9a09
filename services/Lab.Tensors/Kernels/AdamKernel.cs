using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>The constants of a step, as the loop over entries needs them.</summary>
internal readonly struct AdamFactors(AdamConstants constants, double decay)
{
    public float Scale { get; } = (float)constants.GradientScale;

    public float Beta1 { get; } = (float)constants.Beta1;

    public float Beta2 { get; } = (float)constants.Beta2;

    public float Step { get; } = (float)(constants.LearningRate / (1 - Math.Pow(constants.Beta1, constants.Step)));

    public float Root { get; } = (float)(1 / Math.Sqrt(1 - Math.Pow(constants.Beta2, constants.Step)));

    public float Epsilon { get; } = (float)constants.Epsilon;

    /// <summary>Multiplies the updated parameter; 1 leaves it.</summary>
    public float Decay { get; } = (float)decay;
}

/// <summary>Adam over a run of entries: one read and one write of parameter and moments, one read of the gradient.</summary>
internal static unsafe class AdamKernel<TLanes, TFloat, TBits>
    where TLanes : struct, ILanes<TFloat, TBits>
    where TFloat : struct
    where TBits : struct
{
    public static void Update(float* p, float* g, float* m, float* v, int count, AdamFactors factors)
    {
        TFloat scale = TLanes.Broadcast(factors.Scale), step = TLanes.Broadcast(factors.Step), root = TLanes.Broadcast(factors.Root);
        TFloat epsilon = TLanes.Broadcast(factors.Epsilon), decay = TLanes.Broadcast(factors.Decay);
        TFloat keep1 = TLanes.Broadcast(factors.Beta1), take1 = TLanes.Broadcast(1 - factors.Beta1);
        TFloat keep2 = TLanes.Broadcast(factors.Beta2), take2 = TLanes.Broadcast(1 - factors.Beta2);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TFloat gradient = TLanes.Multiply(TLanes.Load(g + i), scale);
            TFloat first = TLanes.Add(TLanes.Multiply(TLanes.Load(m + i), keep1), TLanes.Multiply(gradient, take1));
            TFloat second = TLanes.Add(TLanes.Multiply(TLanes.Load(v + i), keep2), TLanes.Multiply(TLanes.Multiply(gradient, gradient), take2));
            TLanes.Store(first, m + i);
            TLanes.Store(second, v + i);
            TFloat denominator = TLanes.Add(TLanes.Multiply(TLanes.Sqrt(second), root), epsilon);
            TFloat updated = TLanes.Subtract(TLanes.Load(p + i), TLanes.Divide(TLanes.Multiply(step, first), denominator));
            TLanes.Store(TLanes.Multiply(updated, decay), p + i);
        }

        if (i < count) AdamKernel<Lanes1, float, int>.Update(p + i, g + i, m + i, v + i, count - i, factors);
    }
}
