using System.Numerics;
using System.Runtime.InteropServices;

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
        where TLanes : ISparseMatrixLanes<TVector>
        where TVector : struct
    {
        // The dense matrix is read once: its nonzero entries are noted as bits, counted, and then only they are read again.
        Resize(rows, columns);
        int words = (columns + 31) / 32;
        ulong* memory = Scratch.OfThread.Words((long)rows * words / 2 + 1);
        uint* bits = (uint*)memory;
        HostMemory.ForRanges(rows, columns, (from, to) =>
        {
            for (int row = from; row < to; row++) Starts[row + 1] = Mark<TLanes, TVector>(dense + (long)row * columns, columns, bits + (long)row * words);
        });
        for (int row = 0; row < rows; row++) Starts[row + 1] = checked(Starts[row + 1] + Starts[row]);
        Reserve(Starts[rows]);
        HostMemory.ForRanges(rows, words, (from, to) =>
        {
            for (int row = from; row < to; row++) Gather(dense + (long)row * columns, row, bits + (long)row * words, words);
        });
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

    private static int Mark<TLanes, TVector>(float* row, int columns, uint* bits)
        where TLanes : ISparseMatrixLanes<TVector>
        where TVector : struct
    {
        int count = 0, column = 0;
        for (; column <= columns - 32; column += 32)
        {
            uint word = 0;
            for (int i = 0; i < 32; i += TLanes.Count) word |= TLanes.Nonzeros(row + column + i) << i;
            *bits++ = word;
            count += BitOperations.PopCount(word);
        }

        if (column == columns) return count;
        uint last = 0;
        for (int i = 0; column + i < columns; i++) last |= row[column + i] != 0 ? 1u << i : 0;
        *bits = last;
        return count + BitOperations.PopCount(last);
    }

    private void Gather(float* dense, int row, uint* bits, int words)
    {
        int place = Starts[row];
        for (int word = 0; word < words; word++)
        {
            for (uint left = bits[word]; left != 0; left &= left - 1)
            {
                int column = word * 32 + BitOperations.TrailingZeroCount(left);
                RowOf[place] = row;
                ColumnOf[place] = column;
                Values[place++] = dense[column];
            }
        }
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
}
