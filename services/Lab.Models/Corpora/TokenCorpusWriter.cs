using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Lab.Models.Tokenizers;

namespace Lab.Models.Corpora;

/// <summary>
/// Writes the files that <see cref="TokenCorpus"/> reads to a folder that exists. Equal documents in equal order give equal bytes.
/// </summary>
public sealed class TokenCorpusWriter : IDisposable
{
    private readonly string _folder;
    private readonly ICorpusTokenizer _tokenizer;
    private readonly FileStream _train;
    private readonly FileStream _heldOut;
    private readonly bool _isWide;
    private readonly List<int> _ids = [];
    private byte[] _bytes = [];

    /// <summary>Starts a corpus.</summary>
    public TokenCorpusWriter(string folder, ICorpusTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        (_folder, _tokenizer, _isWide) = (folder, tokenizer, tokenizer.VocabSize > ushort.MaxValue + 1);
        _train = File.Create(Path.Combine(folder, TokenSplit.TrainFile));
        _heldOut = File.Create(Path.Combine(folder, TokenSplit.HeldOutFile));
    }

    /// <summary>Tokens written to the training split so far.</summary>
    public long TrainTokens => _train.Position / TokenBytes;

    /// <summary>Tokens written to the held-out split so far.</summary>
    public long HeldOutTokens => _heldOut.Position / TokenBytes;

    private int TokenBytes => _isWide ? sizeof(int) : sizeof(ushort);

    /// <summary>Tokenizes a document and appends it, and an end-of-text token after it.</summary>
    public void Append(ReadOnlySpan<char> document, bool isHeldOut)
    {
        _ids.Clear();
        _tokenizer.EncodeTo(document, _ids);
        _ids.Add(_tokenizer.EndOfText);
        Append(CollectionsMarshal.AsSpan(_ids), isHeldOut);
    }

    /// <summary>Appends tokens, and nothing after them.</summary>
    public void Append(ReadOnlySpan<int> tokens, bool isHeldOut)
    {
        int length = tokens.Length * TokenBytes;
        if (_bytes.Length < length) _bytes = new byte[length * 2];
        for (int i = 0; i < tokens.Length; i++)
        {
            if (_isWide) BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(i * sizeof(int)), tokens[i]);
            else BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(i * sizeof(ushort)), (ushort)tokens[i]);
        }

        (isHeldOut ? _heldOut : _train).Write(_bytes, 0, length);
    }

    /// <summary>
    /// Writes the tokenizer and corpus.json, and closes the files.
    /// </summary>
    /// <param name="describe">Adds what is known of the source to the counts of tokens.</param>
    /// <returns>What corpus.json says.</returns>
    public CorpusInfo Complete(Func<CorpusInfo, CorpusInfo> describe)
    {
        ArgumentNullException.ThrowIfNull(describe);
        CorpusInfo info = describe(new CorpusInfo
        {
            TokenType = _isWide ? "int32" : "uint16",
            VocabSize = _tokenizer.VocabSize,
            EndOfText = _tokenizer.EndOfText,
            TrainTokens = TrainTokens,
            HeldOutTokens = HeldOutTokens,
        });
        Dispose();
        _tokenizer.Save(_folder);
        File.WriteAllText(Path.Combine(_folder, CorpusInfo.FileName), JsonSerializer.Serialize(info, CorpusInfo.Json) + "\n");
        return info;
    }

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        _train.Dispose();
        _heldOut.Dispose();
    }
}
