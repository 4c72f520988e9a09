using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// Products of tokens with sparse rows. Each output is the bias, or what was there, plus its row's entries by ascending column, each
/// by one fused multiply-add: a token's result is the same bits in every batch, on any number of threads and with any instructions.
/// </summary>
internal static unsafe class SparseMatrixProduct
{
    /// <summary>Rows of outputs that are turned back together: their tile stays in the first cache.</summary>
    private const int TileRows = 64;

    /// <summary>Entries of an average row from which on rows are summed up one by one for a single token.</summary>
    private const int LongRow = 6;

    /// <summary>Vectors of tokens in the widest block.</summary>
    private const int MaxVectors = 4;

    private const int PartsOfAThread = 4;

    /// <summary>Entries, inputs and outputs of all tokens.</summary>
    private const int WorkWorthAThread = 1 << 15;

    /// <summary>Bytes of a block of transposed inputs: it stays in the second cache.</summary>
    private const int BlockBytes = 1 << 19;

    /// <summary>y[tokens, rows] = x[tokens, columns] rows^T + bias; + y if <paramref name="accumulates"/>.</summary>
    public static void Run<TLanes, TVector>(SparseMatrixRows rows, float* x, float* y, int tokens, float* bias, bool accumulates)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        Operands operands = new(rows, x, y, bias, accumulates);
        long work = (rows.NonzeroCount + (long)rows.Count + rows.Columns) * tokens;
        int threads = (int)Math.Clamp(work / WorkWorthAThread, 1, HostThreads.Count);
        if (tokens < FewTokens(TLanes.Count))
        {
            HostThreads.For(new RowsJob(operands, tokens), rows.Count, Math.Max(1, (rows.Count + threads - 1) / threads));
        }
        else
        {
            // A thread that is held up should not hold up the others: several parts for each, of whole blocks.
            int groups = (tokens + TLanes.Count - 1) / TLanes.Count, part = (groups + threads - 1) / threads;
            if (threads > 1 && part > MaxVectors * PartsOfAThread) part = (part / PartsOfAThread + MaxVectors - 1) / MaxVectors * MaxVectors;
            HostThreads.For(new TokensJob<TLanes, TVector>(operands, tokens), groups, part);
        }

        // Only addresses are used in the loops: the owner's finalizer must wait for them.
        GC.KeepAlive(rows);
    }

    /// <summary>Below this many tokens, transposing them costs more than it saves.</summary>
    private static int FewTokens(int lanes) => lanes == 1 ? 2 : lanes / 4;

    private static void Token(in Operands operands, int token, int from, int to)
    {
        SparseMatrixRows rows = operands.Rows;
        float* x = operands.X + (long)token * rows.Columns, y = operands.Y + (long)token * rows.Count;
        if (!operands.Accumulates) Fill(new Span<float>(y + from, to - from), operands.Bias + from, operands.Bias is null);
        else if (operands.Bias is not null) for (int row = from; row < to; row++) y[row] += operands.Bias[row];
        if (rows.NonzeroCount < LongRow * (long)rows.Count) AddEntries(rows, x, y, from, to);
        else AddRows(rows, x, y, from, to);
    }

    /// <summary>Short rows: their ends would be mispredicted, so there is one loop over the entries of all rows.</summary>
    private static void AddEntries(SparseMatrixRows rows, float* x, float* y, int from, int to)
    {
        int* rowOf = rows.RowOf, columnOf = rows.ColumnOf;
        float* values = rows.Values;
        int end = rows.Starts[to];
        for (int i = rows.Starts[from]; i < end; i++) y[rowOf[i]] = MathF.FusedMultiplyAdd(values[i], x[columnOf[i]], y[rowOf[i]]);
    }

    /// <summary>Long rows: four at a time, since each sum waits for its last addition.</summary>
    private static void AddRows(SparseMatrixRows rows, float* x, float* y, int from, int to)
    {
        int* columns = rows.ColumnOf, starts = rows.Starts;
        float* values = rows.Values;
        int row = from;
        for (; row <= to - 4; row += 4)
        {
            int i = starts[row], j = starts[row + 1], k = starts[row + 2], l = starts[row + 3];
            int common = Math.Min(Math.Min(j - i, k - j), Math.Min(l - k, starts[row + 4] - l));
            float a = y[row], b = y[row + 1], c = y[row + 2], d = y[row + 3];
            for (int end = i + common; i < end; i++, j++, k++, l++)
            {
                a = MathF.FusedMultiplyAdd(values[i], x[columns[i]], a);
                b = MathF.FusedMultiplyAdd(values[j], x[columns[j]], b);
                c = MathF.FusedMultiplyAdd(values[k], x[columns[k]], c);
                d = MathF.FusedMultiplyAdd(values[l], x[columns[l]], d);
            }

            y[row] = Rest(a, i, row);
            y[row + 1] = Rest(b, j, row + 1);
            y[row + 2] = Rest(c, k, row + 2);
            y[row + 3] = Rest(d, l, row + 3);
        }

        for (; row < to; row++) y[row] = Rest(y[row], starts[row], row);

        float Rest(float sum, int i, int ofRow)
        {
            for (int end = starts[ofRow + 1]; i < end; i++) sum = MathF.FusedMultiplyAdd(values[i], x[columns[i]], sum);
            return sum;
        }
    }

    private static void Fill(Span<float> target, float* source, bool isZero)
    {
        if (isZero) target.Clear();
        else new ReadOnlySpan<float>(source, target.Length).CopyTo(target);
    }

    private static void Tokens<TLanes, TVector>(in Operands operands, int from, int to)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        int columns = operands.Rows.Columns;
        int widest = BlockBytes / (sizeof(float) * TLanes.Count * Math.Max(1, columns));
        int width = TLanes.Count * (widest >= MaxVectors ? MaxVectors : widest >= 2 ? 2 : 1);
        float* block = Scratch.OfThread.Floats(((long)columns + TileRows) * width), tile = block + (long)columns * width;
        for (int token = from, count; token < to; token += count)
        {
            int left = to - token;
            int vectors = Math.Min(width / TLanes.Count, left > 2 * TLanes.Count ? MaxVectors : left > TLanes.Count ? 2 : 1);
            count = Math.Min(left, vectors * TLanes.Count);
            switch (vectors)
            {
                case MaxVectors: Block<TLanes, TVector, Four>(operands, token, count, block, tile); break;
                case 2: Block<TLanes, TVector, Two>(operands, token, count, block, tile); break;
                default: Block<TLanes, TVector, One>(operands, token, count, block, tile); break;
            }
        }
    }

    /// <summary>Some tokens: their inputs are transposed, so that an entry's inputs lie side by side; outputs are turned back.</summary>
    private static void Block<TLanes, TVector, TVectors>(in Operands operands, int token, int tokens, float* block, float* tile)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
        where TVectors : ICount
    {
        SparseMatrixRows rows = operands.Rows;
        int width = TLanes.Count * TVectors.Value;
        if (tokens < width) new Span<float>(block, rows.Columns * width).Clear();
        Transpose<TLanes, TVector>(operands.X + (long)token * rows.Columns, rows.Columns, tokens, rows.Columns, block, width);
        for (int row = 0; row < rows.Count; row += TileRows)
        {
            int end = Math.Min(rows.Count, row + TileRows);
            float* y = operands.Y + (long)token * rows.Count + row;
            if (operands.Accumulates) Transpose<TLanes, TVector>(y, rows.Count, tokens, end - row, tile, width);
            for (int i = row; i < end; i++) Row<TLanes, TVector, TVectors>(operands, i, block, tile + (i - row) * width);
            Transpose<TLanes, TVector>(tile, width, end - row, tokens, y, rows.Count);
        }
    }

    private static void Row<TLanes, TVector, TVectors>(in Operands operands, int row, float* block, float* y)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
        where TVectors : ICount
    {
        int lanes = TLanes.Count, width = lanes * TVectors.Value;
        TVector a, b = default, c = default, d = default;
        // Added to what is there, -0 alone leaves all of it as it is, a -0 too.
        TVector bias = TLanes.Broadcast(operands.Bias is not null ? operands.Bias[row] : operands.Accumulates ? -0f : 0);
        if (operands.Accumulates)
        {
            TVector one = TLanes.Broadcast(1);
            a = TLanes.MultiplyAdd(bias, one, TLanes.Load(y));
            if (TVectors.Value > 1) b = TLanes.MultiplyAdd(bias, one, TLanes.Load(y + lanes));
            if (TVectors.Value > 2) (c, d) = (TLanes.MultiplyAdd(bias, one, TLanes.Load(y + 2 * lanes)), TLanes.MultiplyAdd(bias, one, TLanes.Load(y + 3 * lanes)));
        }
        else
        {
            a = b = c = d = bias;
        }

        int* columns = operands.Rows.ColumnOf;
        float* values = operands.Rows.Values;
        int end = operands.Rows.Starts[row + 1];
        for (int i = operands.Rows.Starts[row]; i < end; i++)
        {
            float* x = block + (nint)columns[i] * width;
            TVector value = TLanes.Broadcast(values[i]);
            a = TLanes.MultiplyAdd(value, TLanes.Load(x), a);
            if (TVectors.Value > 1) b = TLanes.MultiplyAdd(value, TLanes.Load(x + lanes), b);
            if (TVectors.Value > 2)
            {
                c = TLanes.MultiplyAdd(value, TLanes.Load(x + 2 * lanes), c);
                d = TLanes.MultiplyAdd(value, TLanes.Load(x + 3 * lanes), d);
            }
        }

        TLanes.Store(a, y);
        if (TVectors.Value > 1) TLanes.Store(b, y + lanes);
        if (TVectors.Value > 2)
        {
            TLanes.Store(c, y + 2 * lanes);
            TLanes.Store(d, y + 3 * lanes);
        }
    }

    /// <summary>target[column, row] = source[row, column].</summary>
    private static void Transpose<TLanes, TVector>(float* source, nint sourceStride, int rows, int columns, float* target, nint targetStride)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        int lanes = TLanes.Count, row = 0;
        for (; row <= rows - lanes; row += lanes)
        {
            int column = 0;
            for (; column <= columns - lanes; column += lanes)
                TLanes.Transpose(source + row * sourceStride + column, sourceStride, target + column * targetStride + row, targetStride);
            Remainder(row, row + lanes, column);
        }

        Remainder(row, rows, 0);

        void Remainder(int fromRow, int toRow, int fromColumn)
        {
            for (int r = fromRow; r < toRow; r++)
            {
                for (int column = fromColumn; column < columns; column++) target[column * targetStride + r] = source[r * sourceStride + column];
            }
        }
    }

    private readonly record struct Operands(SparseMatrixRows Rows, nint XAddress, nint YAddress, nint BiasAddress, bool Accumulates)
    {
        public Operands(SparseMatrixRows rows, float* x, float* y, float* bias, bool accumulates)
            : this(rows, (nint)x, (nint)y, (nint)bias, accumulates)
        {
        }

        public float* X => (float*)XAddress;

        public float* Y => (float*)YAddress;

        public float* Bias => (float*)BiasAddress;
    }

    private readonly struct RowsJob(Operands operands, int tokens) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            for (int token = 0; token < tokens; token++) Token(operands, token, from, to);
        }
    }

    private readonly struct TokensJob<TLanes, TVector>(Operands operands, int tokens) : IRangeJob
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        public void Run(int from, int to, int worker) => Tokens<TLanes, TVector>(operands, from * TLanes.Count, Math.Min(tokens, to * TLanes.Count));
    }

    /// <summary>A number that the compiler knows: how many vectors of tokens a block has.</summary>
    private interface ICount
    {
        static abstract int Value { get; }
    }

    private readonly struct One : ICount
    {
        public static int Value => 1;
    }

    private readonly struct Two : ICount
    {
        public static int Value => 2;
    }

    private readonly struct Four : ICount
    {
        public static int Value => 4;
    }
}
