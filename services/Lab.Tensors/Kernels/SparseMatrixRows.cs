using System.Numerics;
using System.Runtime.InteropServices;
using Lab.Tensors.Kernels.Simd;

namespace Lab.Tensors.Kernels;

/// <summary>
/// The nonzero entries of a matrix, row by row and by ascending column in each. Buffers grow and never shrink; they are no managed
/// memory, so that addresses stay as they are.
/// </summary>
internal sealed unsafe class SparseMatrixRows : IDisposable
{
    private int _rowCapacity = -1, _capacity;

    ~SparseMatrixRows() => Free();

    /// <summary>Rows of the matrix.</summary>
    public int Count { get; private set; }

    /// <summary>Columns of the matrix.</summary>
    public int Columns { get; private set; }

    /// <summary>Entries that are not zero.</summary>
    public int NonzeroCount { get; private set; }

    /// <summary>[Count + 1]: where each row's entries begin.</summary>
    public int* Starts { get; private set; }

    /// <summary>[NonzeroCount]: each entry's row.</summary>
    public int* RowOf { get; private set; }

    /// <summary>[NonzeroCount]: each entry's column.</summary>
    public int* ColumnOf { get; private set; }

    /// <summary>[NonzeroCount]: each entry's value.</summary>
    public float* Values { get; private set; }

    /// <summary>Bytes of the buffers.</summary>
    public long SizeBytes => (_rowCapacity + 1L) * sizeof(int) + _capacity * (2L * sizeof(int) + sizeof(float));

    /// <summary>Reads a dense matrix [rows, columns].</summary>
    public void Read<TLanes, TVector>(float* dense, int rows, int columns)
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        // The dense matrix is read once: its nonzero entries are noted as bits, counted, and then only they are read again.
        Resize(rows, columns);
        int words = (columns + 31) / 32;
        uint* bits = (uint*)Scratch.OfThread.Words((long)rows * words / 2 + 1);
        HostThreads.For(new MarkJob<TLanes, TVector>(dense, columns, bits, Starts), rows, RowsPerPart(rows, columns));
        for (int row = 0; row < rows; row++) Starts[row + 1] = checked(Starts[row + 1] + Starts[row]);
        Reserve(Starts[rows]);
        HostThreads.For(new GatherJob(this, dense, bits), rows, RowsPerPart(rows, words));
    }

    /// <summary>Becomes the transpose of other rows.</summary>
    public void ReadTransposed(SparseMatrixRows other)
    {
        Resize(other.Columns, other.Count);
        Reserve(other.NonzeroCount);
        int* starts = Starts, rowOf = RowOf, columnOf = ColumnOf;
        new Span<int>(starts, Count + 1).Clear();
        for (int i = 0; i < NonzeroCount; i++) starts[other.ColumnOf[i] + 1]++;
        for (int row = 0; row < Count; row++) starts[row + 1] += starts[row];

        // Each start is the place of its row's next entry while they are filled in, and so ends as the next row's start.
        for (int i = 0; i < NonzeroCount; i++)
        {
            int row = other.ColumnOf[i], place = starts[row]++;
            (rowOf[place], columnOf[place], Values[place]) = (row, other.RowOf[i], other.Values[i]);
        }

        for (int row = Count; row > 0; row--) starts[row] = starts[row - 1];
        starts[0] = 0;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Equal parts for as many threads as the work is worth.</summary>
    private static int RowsPerPart(int rows, long workPerRow)
    {
        const long WorkWorthAThread = 1 << 15;
        int threads = (int)Math.Clamp(rows * workPerRow / WorkWorthAThread, 1, HostThreads.Count);
        return Math.Max(1, (rows + threads - 1) / threads);
    }

    private void Resize(int rows, int columns)
    {
        if (rows > _rowCapacity)
        {
            Starts = (int*)NativeMemory.Realloc(Starts, (nuint)(rows + 1) * sizeof(int));
            _rowCapacity = rows;
        }

        (Count, Columns, Starts[0]) = (rows, columns, 0);
    }

    private void Reserve(int nonzeros)
    {
        if (nonzeros > _capacity)
        {
            RowOf = (int*)NativeMemory.Realloc(RowOf, (nuint)nonzeros * sizeof(int));
            ColumnOf = (int*)NativeMemory.Realloc(ColumnOf, (nuint)nonzeros * sizeof(int));
            Values = (float*)NativeMemory.Realloc(Values, (nuint)nonzeros * sizeof(float));
            _capacity = nonzeros;
        }

        NonzeroCount = nonzeros;
    }

    private void Free()
    {
        NativeMemory.Free(Starts);
        NativeMemory.Free(RowOf);
        NativeMemory.Free(ColumnOf);
        NativeMemory.Free(Values);
        Starts = RowOf = ColumnOf = null;
        Values = null;
        (Count, Columns, NonzeroCount, _rowCapacity, _capacity) = (0, 0, 0, -1, 0);
    }

    /// <summary>Notes the nonzero entries of each row as bits, 32 columns a word, and how many there are.</summary>
    private readonly struct MarkJob<TLanes, TVector>(float* dense, int columns, uint* bits, int* starts) : IRangeJob
        where TLanes : struct, IFloatLanes<TVector>
        where TVector : struct
    {
        public void Run(int from, int to, int worker)
        {
            int words = (columns + 31) / 32;
            for (int row = from; row < to; row++) starts[row + 1] = Mark(dense + (long)row * columns, bits + (long)row * words);
        }

        private int Mark(float* row, uint* marks)
        {
            int count = 0, column = 0;
            for (; column <= columns - 32; column += 32)
            {
                uint word = 0;
                for (int i = 0; i < 32; i += TLanes.Count) word |= TLanes.Nonzeros(TLanes.Load(row + column + i)) << i;
                *marks++ = word;
                count += BitOperations.PopCount(word);
            }

            if (column == columns) return count;
            uint last = 0;
            for (int i = 0; column + i < columns; i++) last |= Lanes1.Nonzeros(row[column + i]) << i;
            *marks = last;
            return count + BitOperations.PopCount(last);
        }
    }

    /// <summary>Copies the entries whose bits are set to where their rows start.</summary>
    private readonly struct GatherJob(SparseMatrixRows rows, float* dense, uint* bits) : IRangeJob
    {
        public void Run(int from, int to, int worker)
        {
            int columns = rows.Columns, words = (columns + 31) / 32;
            int* rowOf = rows.RowOf, columnOf = rows.ColumnOf;
            float* values = rows.Values;
            for (int row = from; row < to; row++)
            {
                int place = rows.Starts[row];
                float* source = dense + (long)row * columns;
                for (int word = 0; word < words; word++)
                {
                    for (uint left = bits[(long)row * words + word]; left != 0; left &= left - 1)
                    {
                        int column = word * 32 + BitOperations.TrailingZeroCount(left);
                        rowOf[place] = row;
                        columnOf[place] = column;
                        values[place++] = source[column];
                    }
                }
            }
        }
    }
}
