namespace Lab.Models.Checkpoints.Pickles;

/// <summary>Finds the storages that a pickle refers to.</summary>
internal interface IPickleStorages
{
    /// <summary>Finds the bytes of a storage.</summary>
    /// <param name="key">The storage's key.</param>
    /// <param name="offset">Where its bytes begin, from the start of the file.</param>
    /// <param name="byteCount">How many they are.</param>
    /// <returns>Whether there is one of that key.</returns>
    bool TryFind(string key, out long offset, out long byteCount);
}
