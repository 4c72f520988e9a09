using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels.Training;

/// <summary>RMSNorm with a learned gain, y = gain x / sqrt(mean(x^2) + epsilon), and its gradients, row by row.</summary>
public static unsafe class RmsNormKernel
{
    private const int EntriesPerPart = 1 << 14;
    private const int Lanes = 16;

    /// <summary>The forward pass.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="gain">[columns].</param>
    /// <param name="y">Receives [rows, columns].</param>
    /// <param name="inverse">Receives [rows]: 1 / sqrt(mean(x^2) + epsilon).</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public static void Forward(float* x, float* gain, float* y, float* inverse, int rows, int columns, float epsilon) =>
        HostThreads.For(new ForwardJob(x, gain, y, inverse, columns, epsilon), rows, Math.Max(1, EntriesPerPart / columns));

    /// <summary>Adds the gradient of x; see <see cref="GainGradient"/> for that of the gain.</summary>
    /// <param name="x">As in the forward pass.</param>
    /// <param name="gain">As in the forward pass.</param>
    /// <param name="inverse">What the forward pass gave.</param>
    /// <param name="dy">The gradient of y.</param>
    /// <param name="dx">Its gradient is added.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    public static void Backward(float* x, float* gain, float* inverse, float* dy, float* dx, int rows, int columns) =>
        HostThreads.For(new BackwardJob(x, gain, inverse, dy, dx, columns), rows, Math.Max(1, EntriesPerPart / columns));

    /// <summary>The gradient of the gain: the sum over rows of dy x inverse.</summary>
    /// <param name="x">As in the forward pass.</param>
    /// <param name="inverse">What the forward pass gave.</param>
    /// <param name="dy">The gradient of y.</param>
    /// <param name="dgain">Receives [columns].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Entries in a row.</param>
    public static void GainGradient(float* x, float* inverse, float* dy, float* dgain, int rows, int columns) =>
        HostThreads.For(new GainJob(x, inverse, dy, dgain, rows, columns), (columns + ColumnKernels.Slice - 1) / ColumnKernels.Slice, 1);

    private readonly struct ForwardJob(float* x, float* gain, float* y, float* inverse, int columns, float epsilon) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int row = from; row < to; row++)
            {
                float* source = x + ((long)row * columns), target = y + ((long)row * columns);
                Vector512<float> squares = default;
                for (int c = 0; c < columns; c += Lanes)
                {
                    Vector512<float> part = VectorMath.LoadPart(source + c, columns - c);
                    squares = Vector512.FusedMultiplyAdd(part, part, squares);
                }

                float scale = 1 / MathF.Sqrt((Vector512.Sum(squares) / columns) + epsilon);
                inverse[row] = scale;
                for (int c = 0; c < columns; c += Lanes)
                {
                    int count = columns - c;
                    VectorMath.StorePart(VectorMath.LoadPart(source + c, count) * scale * VectorMath.LoadPart(gain + c, count), target + c, count);
                }
            }
        }
    }

    private readonly struct BackwardJob(float* x, float* gain, float* inverse, float* dy, float* dx, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int row = from; row < to; row++)
            {
                float* source = x + ((long)row * columns), incoming = dy + ((long)row * columns), target = dx + ((long)row * columns);
                Vector512<float> products = default;
                for (int c = 0; c < columns; c += Lanes)
                {
                    int count = columns - c;
                    products = Vector512.FusedMultiplyAdd(
                        VectorMath.LoadPart(incoming + c, count) * VectorMath.LoadPart(gain + c, count), VectorMath.LoadPart(source + c, count), products);
                }

                float scale = inverse[row], common = Vector512.Sum(products) * scale * scale * scale / columns;
                for (int c = 0; c < columns; c += Lanes)
                {
                    int count = columns - c;
                    Vector512<float> gradient = VectorMath.LoadPart(incoming + c, count) * VectorMath.LoadPart(gain + c, count) * scale - (VectorMath.LoadPart(source + c, count) * common);
                    VectorMath.StorePart(VectorMath.LoadPart(target + c, count) + gradient, target + c, count);
                }
            }
        }
    }

    private readonly struct GainJob(float* x, float* inverse, float* dy, float* dgain, int rows, int columns) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            float* sums = stackalloc float[ColumnKernels.Slice];
            for (int slice = from; slice < to; slice++)
            {
                int first = slice * ColumnKernels.Slice, count = Math.Min(ColumnKernels.Slice, columns - first);
                new Span<float>(sums, ColumnKernels.Slice).Clear();
                for (int row = 0; row < rows; row++)
                {
                    float* source = x + ((long)row * columns) + first, incoming = dy + ((long)row * columns) + first;
                    for (int c = 0; c < count; c += Lanes)
                    {
                        int part = count - c;
                        Vector512<float> product = VectorMath.LoadPart(source + c, part) * inverse[row];
                        Vector512.FusedMultiplyAdd(product, VectorMath.LoadPart(incoming + c, part), Vector512.Load(sums + c)).Store(sums + c);
                    }
                }

                new Span<float>(sums, count).CopyTo(new Span<float>(dgain + first, count));
            }
        }
    }
}
