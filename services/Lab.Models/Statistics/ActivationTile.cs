using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Lab.Models.Statistics;

/// <summary>
/// Some channels of some tokens, [tokens, 16], copied together: what is done with them then stays in the first cache, whatever the
/// hook's row length is.
/// </summary>
internal sealed class ActivationTile
{
    /// <summary>Channels of a tile. Those past the hook's last are zero.</summary>
    public const int Width = 16;

    /// <summary>The most tokens of a tile: 16 KiB.</summary>
    public const int MaxTokens = 256;

    private readonly float[] _values = new float[MaxTokens * Width];

    /// <summary>Tokens in the tile.</summary>
    public int Tokens { get; private set; }

    /// <summary>The first channel.</summary>
    public int Channel { get; private set; }

    /// <summary>Channels of the hook in the tile.</summary>
    public int Channels { get; private set; }

    /// <summary>Row-major.</summary>
    public ReadOnlySpan<float> Values => _values.AsSpan(0, Tokens * Width);

    /// <summary>The first of four consecutive values, for vectors.</summary>
    public ref readonly float First => ref MemoryMarshal.GetArrayDataReference(_values);

    /// <summary>So many channels, filled up to whole tiles.</summary>
    public static int Padded(int channels) => (channels + Width - 1) / Width * Width;

    /// <summary>Copies a part of [rows, channels].</summary>
    /// <param name="values">Row-major.</param>
    /// <param name="channels">The length of a row.</param>
    /// <param name="rows">Which rows, in order.</param>
    /// <param name="channel">The first channel.</param>
    public void Load(ReadOnlySpan<float> values, int channels, ReadOnlySpan<int> rows, int channel)
    {
        (Tokens, Channel, Channels) = (rows.Length, channel, Math.Min(Width, channels - channel));
        Span<float> target = _values;
        if (Channels < Width) target[..(Tokens * Width)].Clear();
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<float> row = values.Slice((rows[i] * channels) + channel, Channels);
            if (row.Length == Width)
            {
                Vector256.Create(row).CopyTo(target[(i * Width)..]);
                Vector256.Create(row[8..]).CopyTo(target[((i * Width) + 8)..]);
            }
            else
            {
                row.CopyTo(target[(i * Width)..]);
            }
        }
    }
}
