namespace Lab.Models.Tasks;

/// <summary>The beginning of a Python program that decides how it goes on.</summary>
/// <param name="Text">The beginning; it ends where two ways of going on part.</param>
/// <param name="Target">The right way to go on. It may be several tokens.</param>
/// <param name="Alternative">The right way of the pair's other prompt, which is wrong here.</param>
/// <param name="Rest">What makes a whole program of <paramref name="Text"/> and <paramref name="Target"/>.</param>
public sealed record PythonPrompt(string Text, string Target, string Alternative, string Rest)
{
    /// <summary>A whole, valid program.</summary>
    public string Program => Text + Target + Rest;
}
