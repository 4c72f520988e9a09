using System.Text.RegularExpressions;

namespace Lab.Models.Interventions;

/// <summary>Finds the hooks that a selector names.</summary>
internal static class HookMatcher
{
    /// <summary>The hooks, each once, in the order of the forward pass.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="selector">Names hooks and layers.</param>
    /// <param name="field">Its path, for errors.</param>
    /// <exception cref="InvalidSelectionException">A name matches nothing, or a layer is out of range.</exception>
    public static IReadOnlyList<HookPoint> Match(HookCatalog hooks, ActivationSelector selector, string field)
    {
        SortedDictionary<int, HookPoint> found = [];
        void Add(string name, string path)
        {
            foreach (HookPoint hook in Match(hooks, name, path)) found[hook.Index] = hook;
        }

        if (selector.Hook.Length > 0 || selector.Hooks.Count == 0) Add(selector.Hook, $"{field}.hook");
        for (int i = 0; i < selector.Hooks.Count; i++) Add(selector.Hooks[i], $"{field}.hooks[{i}]");
        if (selector.Layers is not { } layers) return [.. found.Values];
        RequireLayers(layers, hooks.Blocks.Count, $"{field}.layers");
        IReadOnlyList<HookPoint> kept = [.. found.Values.Where(hook => hook.Layer >= 0 && layers.Contains(hook.Layer, hooks.Blocks.Count))];
        return kept.Count > 0 ? kept : throw new InvalidSelectionException($"{field}.layers", $"None of the {found.Count} hooks, such as {found.Values.First().Name}, is in these layers.");
    }

    /// <summary>Requires that every name of a selector may be used to change what is there.</summary>
    /// <param name="hooks">The model's hooks.</param>
    /// <param name="selector">Names hooks.</param>
    /// <param name="field">Its path, for errors.</param>
    /// <exception cref="ArgumentException">One is the input of one of several matrices that read the same tensor.</exception>
    public static void RequireChangeable(HookCatalog hooks, ActivationSelector selector, string field)
    {
        Require(selector.Hook, $"{field}.hook");
        for (int i = 0; i < selector.Hooks.Count; i++) Require(selector.Hooks[i], $"{field}.hooks[{i}]");

        void Require(string name, string path)
        {
            if (hooks.Find(name) is { } hook && hook.ReadOnlyAliases.Contains(name))
            {
                string[] readers = [.. hook.ReadOnlyAliases.Select(alias => alias.Split('.')[^2])];
                throw new ArgumentException($"'{name}' can be read, not changed: {string.Join(", ", readers)} all read that tensor. Name '{hook.Name}' to change it for all of them.", path);
            }
        }
    }

    private static IReadOnlyList<HookPoint> Match(HookCatalog hooks, string hook, string field)
    {
        if (hook.Length == 0) throw new InvalidSelectionException(field, "A hook is required.");
        if (hooks.Find(hook) is { } exact) return [exact];
        IReadOnlyList<HookPoint> matched = hook.Contains('*', StringComparison.Ordinal)
            ? [.. hooks.All.Where(candidate => (!candidate.IsOnRequest || LastPart(hook) == LastPart(candidate.Name)) && Regex.IsMatch(candidate.Name, Pattern(hook), RegexOptions.NonBacktracking))]
            : [];
        return matched.Count > 0 ? matched : throw new InvalidSelectionException(
            field, $"No hook matches '{hook}': the model has {hooks.All.Count}, from {hooks.All[0].Name} to {hooks.All[^1].Name}.");
    }

    private static void RequireLayers(IndexRange layers, int count, string field)
    {
        if ((uint)layers.First >= (uint)count) throw new InvalidSelectionException($"{field}.first", $"Layer {layers.First} is out of range: the model has {count}, from 0.");
        if (layers.Last is { } last && (last < layers.First || last >= count))
            throw new InvalidSelectionException($"{field}.last", $"Layer {last} is out of range: from {layers.First}, the first, to {count - 1}.");
    }

    /// <summary>Hooks on request are large: a glob must name their kind.</summary>
    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private static string Pattern(string glob) => $@"\A{Regex.Escape(glob).Replace(@"\*", "[^.]*", StringComparison.Ordinal)}\z";
}
