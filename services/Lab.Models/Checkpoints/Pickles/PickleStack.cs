namespace Lab.Models.Checkpoints.Pickles;

/// <summary>The values that a pickle works on, with marks in between, and those that it has memorised. All are bounded.</summary>
internal sealed class PickleStack(PickleCursor cursor)
{
    private const int MaxDepth = 1 << 18;
    private const int MaxMarks = 256;

    private static readonly object Nothing = new();

    private readonly List<object?> _values = [];
    private readonly Stack<int> _marks = [];
    private readonly List<object?> _memo = [];

    private int Floor => _marks.TryPeek(out int floor) ? floor : 0;

    public bool IsLast => _values.Count == 1 && _marks.Count == 0;

    public void Push(object? value)
    {
        if (_values.Count == MaxDepth) throw cursor.Failure($"puts more than {MaxDepth} values on the stack");
        _values.Add(value);
    }

    public object? Pop()
    {
        object? value = Peek();
        _values.RemoveAt(_values.Count - 1);
        return value;
    }

    public object? Peek() => _values.Count > Floor ? _values[^1] : throw cursor.Failure("needs a value that is not on the stack");

    public void Mark()
    {
        if (_marks.Count == MaxMarks) throw cursor.Failure($"puts more than {MaxMarks} marks on the stack");
        _marks.Push(_values.Count);
    }

    /// <summary>Takes all values above the last mark, and the mark.</summary>
    public object?[] PopToMark()
    {
        if (!_marks.TryPop(out int floor)) throw cursor.Failure("needs a mark that is not on the stack");
        return Take(_values.Count - floor);
    }

    public object?[] PopMany(int count) => _values.Count - Floor >= count ? Take(count) : throw cursor.Failure("needs a value that is not on the stack");

    /// <summary>Memorises the value on top. Python numbers in order, so that no number reaches the count of bytes.</summary>
    public void Memorise(long index)
    {
        if (index >= cursor.Length) throw cursor.Failure($"memorises under the number {index} in a pickle of {cursor.Length} bytes");
        object? value = Peek();
        while (_memo.Count <= index) _memo.Add(Nothing);
        _memo[(int)index] = value;
    }

    public void MemoriseNext() => Memorise(_memo.Count);

    public object? Recall(long index) =>
        index < _memo.Count && _memo[(int)index] != Nothing ? _memo[(int)index] : throw cursor.Failure($"recalls the number {index}, which nothing was memorised under");

    private object?[] Take(int count)
    {
        object?[] taken = new object?[count];
        _values.CopyTo(_values.Count - count, taken, 0, count);
        _values.RemoveRange(_values.Count - count, count);
        return taken;
    }
}
