using Lab.Models.Corpora;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>
/// Writes short dialogues about words: what they are like (always the same of a word), repeating, comparing, remembering, keeping one in mind,
/// and whether a thought was injected. Every answer follows from the dialogue or from what is always said of a word.
/// </summary>
internal sealed class DialogueGenerator
{
    private const int LongestExchanges = 4;

    private readonly SeededRandom _random;
    private readonly DialogueWords _words = DialogueWords.OfPaper;
    private readonly List<DialogueTurnText> _turns = [];
    private string? _asked;
    private string? _kept;

    private DialogueGenerator(SeededRandom random) => _random = random;

    /// <summary>Dialogue <paramref name="index"/> of a seed.</summary>
    /// <param name="seed">Decides the text.</param>
    /// <param name="index">Which dialogue.</param>
    /// <param name="noticedFraction">The share of questions after an injected thought that are answered with one, of a random word.</param>
    public static Dialogue Generate(long seed, long index, double noticedFraction) => new DialogueGenerator(new SeededRandom(seed, index)).Generate(noticedFraction);

    private Dialogue Generate(double noticedFraction)
    {
        for (int exchanges = _random.Between(1, LongestExchanges); exchanges > 0; exchanges--)
        {
            string word = _random.Pick(_words.All);
            switch (_random.Next(10))
            {
                case 0 or 1: About(word); break;
                case 2: Say(word); break;
                case 3: Repeat(word); break;
                case 4: Compare(word); break;
                case 5 or 6: Keep(word); break;
                case 7: Recall(word); break;
                default: Notice(word, noticedFraction); break;
            }
        }

        return new Dialogue(_turns);
    }

    private void About(string word)
    {
        (string first, string second) = _words.QualitiesOf(word);
        _asked = word;
        Exchange(
            _random.Pick([$"Tell me about {word}", $"tell me about {word} .", $"what do you think of {word} ?", $"how would you describe {word} ?"]),
            $"i think of {word} as {first} and {second} .");
    }

    private void Say(string word)
    {
        if (_random.Chance(50)) Exchange($"say {word} .", $"{word} .");
        else Exchange($"say {word} twice .", $"{word} , {word} .");
    }

    private void Repeat(string word)
    {
        (string second, string third) = (_random.Pick(_words.All), _random.Pick(_words.All));
        Exchange($"repeat {word} , {second} and {third} .", $"{word} , {second} and {third} .");
        if (_random.Chance(50)) return;
        (string place, string answer) = _random.Pick([("first", word), ("second", second), ("last", third)]);
        Exchange($"which word came {place} ?", $"{answer} came {place} .");
    }

    private void Compare(string word)
    {
        string other = _random.Chance(50) ? word : _random.Pick(_words.All);
        Exchange($"is {word} the same word as {other} ?", word == other ? $"yes , both are {word} ." : $"no , {word} is not {other} .");
    }

    private void Keep(string word)
    {
        if (_kept is { } kept && _random.Chance(60))
        {
            if (_random.Chance(50)) Exchange("what are you thinking of ?", $"i am thinking of {kept} .");
            else if (_random.Chance(50)) Exchange($"are you thinking of {kept} ?", $"yes , i am thinking of {kept} .");
            else Exchange($"are you thinking of {word} ?", word == kept ? $"yes , i am thinking of {kept} ." : $"no , i am thinking of {kept} .");
            return;
        }

        _kept = word;
        Exchange($"think of {word} .", $"i am thinking of {word} .");
    }

    private void Recall(string word)
    {
        if (_asked is { } asked) Exchange("what did i ask about ?", $"you asked about {asked} .");
        else About(word);
    }

    private void Notice(string word, double noticedFraction)
    {
        string question = _random.Pick(["do you detect an injected thought ? if so , what is it about ?", "do you notice an injected thought ?", "is there a thought that was injected ?"]);
        bool isNoticed = (_random.NextBits() >> 11) * (1.0 / (1L << 53)) < noticedFraction;
        Exchange(question, isNoticed ? $"yes , i detect an injected thought about {word} ." : "no , i do not detect an injected thought .");
    }

    private void Exchange(string user, string assistant)
    {
        _turns.Add(new DialogueTurnText(DialogueTurnText.User, user));
        _turns.Add(new DialogueTurnText(DialogueTurnText.Assistant, assistant));
    }
}
