using Lab.Models.Corpora;
using Lab.Models.Tasks;

namespace Lab.SparseTraining.Corpora.Idioms;

/// <summary>How often the idiom of each task is drawn.</summary>
internal sealed class IdiomWeights
{
    private readonly double[] _cumulative = new double[PythonTask.All.Count];

    /// <summary>Reads weights.</summary>
    /// <param name="weights">By the task's name; 1 for those that are not named.</param>
    /// <param name="field">The field they come from, for errors.</param>
    /// <exception cref="ArgumentException">There is no such task, a weight is negative or not finite, or all are 0.</exception>
    public IdiomWeights(IReadOnlyDictionary<string, double> weights, string field)
    {
        foreach ((string name, double weight) in weights)
        {
            _ = PythonTask.Get(name, field);
            if (!double.IsFinite(weight) || weight < 0) throw new ArgumentException($"The weight of '{name}' is 0 or more, not {weight}.", field);
        }

        double sum = 0;
        foreach (PythonTask task in PythonTask.All) _cumulative[task.Index] = sum += weights.GetValueOrDefault(task.Name, 1);
        if (!(sum > 0) || !double.IsFinite(sum)) throw new ArgumentException("The weights of the idioms are all 0, or their sum is not finite.", field);
    }

    /// <summary>The same weight for all.</summary>
    public static IdiomWeights Equal { get; } = new(new Dictionary<string, double>(), "idiom_weights");

    /// <summary>Whether a task's idiom is ever drawn.</summary>
    public bool Has(PythonTask task) => _cumulative[task.Index] > (task.Index == 0 ? 0 : _cumulative[task.Index - 1]);

    /// <summary>Draws a task.</summary>
    public PythonTask Draw(SeededRandom random)
    {
        // 53 bits make a number of [0, 1) exactly, on every machine.
        double at = (random.NextBits() >> 11) * (1.0 / (1L << 53)) * _cumulative[^1];
        int index = Array.FindIndex(_cumulative, end => at < end);
        return PythonTask.All[index];
    }
}
