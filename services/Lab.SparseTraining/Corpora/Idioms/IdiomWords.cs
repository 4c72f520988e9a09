using Lab.Models.Tasks;
using Lab.SparseTraining.Corpora.Generated;

namespace Lab.SparseTraining.Corpora.Idioms;

/// <summary>The words of the idiom corpus: those of every split of the tasks, and many more.</summary>
internal static class IdiomWords
{
    public static TaskWords All { get; } = TaskWords.All with
    {
        Nouns = [.. TaskWords.All.Nouns.Union(PythonWords.Nouns)],
        Qualities = [.. TaskWords.All.Qualities.Union(PythonWords.Adjectives)],
        Actions = [.. TaskWords.All.Actions.Union(PythonWords.Verbs)],
        Outcomes = [.. TaskWords.All.Outcomes.Union(PythonWords.Outcomes)],
    };
}
