namespace Lab.Tensors.Kernels.Simd;

/// <summary>One lane: the fallback without vector instructions, and the tails of the wider ones.</summary>
internal readonly unsafe struct Lanes1 : ILanes<float, int>
{
    public static int Count => 1;

    public static float Load(float* address) => *address;

    public static void Store(float value, float* address) => *address = value;

    public static float Broadcast(float value) => value;

    public static float Add(float left, float right) => left + right;

    public static float Subtract(float left, float right) => left - right;

    public static float Multiply(float left, float right) => left * right;

    public static float Divide(float left, float right) => left / right;

    public static float Sqrt(float value) => MathF.Sqrt(value);

    public static float MultiplyAdd(float left, float right, float addend) => MathF.FusedMultiplyAdd(left, right, addend);

    public static uint Nonzeros(float value) => value != 0 ? 1u : 0;

    public static void Transpose(float* source, nint sourceStride, float* target, nint targetStride) => *target = *source;

    public static int LoadBits(int* address) => *address;

    public static void StoreBits(int value, int* address) => *address = value;

    public static int BroadcastBits(int value) => value;

    public static int Magnitude(float value) => BitConverter.SingleToInt32Bits(value) & int.MaxValue;

    public static int AddBits(int left, int right) => left + right;

    public static int Max(int left, int right) => Math.Max(left, right);

    public static int Min(int left, int right) => Math.Min(left, right);

    public static int MaxOfLanes(int value) => value;

    public static int ShiftRight(int value, int count) => value >>> count;

    public static uint AtLeast(int left, int right) => left >= right ? 1u : 0u;

    public static uint AreEqual(int left, int right) => left == right ? 1u : 0u;

    public static int CountAtLeast(int counts, int left, int right) => counts + (left >= right ? 1 : 0);

    public static int SumOfLanes(int value) => value;

    public static float KeepAtLeast(float value, int left, int right) => left >= right ? value : 0;

    public static float Keep(float value, uint lanes) => (lanes & 1) != 0 ? value : 0;
}
