namespace Lab.Tensors.Tests.Kernels;

/// <summary>The widths at which each kernel is compiled; all of them run on every machine.</summary>
public enum LaneWidth
{
    One = 1,
    Eight = 8,
    Sixteen = 16,
}
