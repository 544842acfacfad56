using System.Globalization;
using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Writes down a run's whole state every so many steps and finds it again: weights, best weights, optimizers' state,
/// early stopping. Order and random numbers need no state of their own: they follow from the seed and the
/// number of the step.
/// </summary>
internal sealed class CheckpointStore
{
    private const string Prefix = "checkpoint-";
    private const string Suffix = ".safetensors";

    private readonly CheckpointOptions _options;
    private readonly string _identity;
    private long _saved = -1;

    /// <param name="options">Where and how often.</param>
    /// <param name="identity">Everything that decides the run's result but its data, a JSON object.</param>
    /// <param name="data">The data, whose fields, size and values are part of the run's identity.</param>
    public CheckpointStore(CheckpointOptions options, string identity, TrainingData data)
    {
        _options = options;
        Dictionary<string, JsonElement> parts =
            JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(identity)!;
        foreach (RowField f in data.Fields)
            parts[$"column {f.Name}"] = JsonSerializer.SerializeToElement($"{f.Kind} × {f.Width}");
        foreach ((RowField f, string fingerprint) in data.Fields.Zip(data.Fingerprints))
            parts[$"fingerprint of the rows of {f.Name}"] = JsonSerializer.SerializeToElement(fingerprint);
        parts["training rows"] = JsonSerializer.SerializeToElement(data.TrainingRows);
        parts["validation rows"] = JsonSerializer.SerializeToElement(data.ValidationRows);
        _identity = JsonSerializer.Serialize(parts);
        Directory.CreateDirectory(options.Folder);
    }

    /// <summary>The newest checkpoint, in words; empty where there is none.</summary>
    public string Newest => _saved < 0 ? "" : $" The checkpoint of step {_saved} in {_options.Folder} is from before.";

    /// <summary>Whether a checkpoint belongs after so many steps.</summary>
    public bool IsDue(long step) => step % _options.Every == 0 && step != _saved;

    /// <summary>Writes a checkpoint, and then deletes those that are no longer to be kept.</summary>
    public void Save(
        long step, torch.nn.Module network, IReadOnlyList<UpdateRule> rules, FlatOptimizer[] optimizers,
        WeightSnapshot? best, EarlyStopping stopping)
    {
        if (step == _saved)
            return;
        var progress = new Progress(step, stopping.Best, stopping.Waited);
        var notes = new Dictionary<string, string>
        {
            ["identity"] = _identity,
            ["progress"] = JsonSerializer.Serialize(progress, ProgressFormat),
        };
        AtomicFile.Write(PathOf(step), file => TensorFile.Save(file, Tensors(network, rules, optimizers, best), notes));
        _saved = step;
        foreach ((string path, long _) in Existing().Skip(_options.Keep))
            File.Delete(path);
    }

    /// <summary>Takes the state of the newest checkpoint; returns its step, or zero where there is none.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is the checkpoint of another run; the message names the difference.
    /// </exception>
    /// <exception cref="FormatException">The file is not a checkpoint, or is damaged.</exception>
    public long Restore(
        torch.nn.Module network, IReadOnlyList<UpdateRule> rules, FlatOptimizer[] optimizers, WeightSnapshot? best,
        EarlyStopping stopping)
    {
        (string path, long step) = Existing() is [var newest, ..] ? newest : ("", 0L);
        if (path.Length == 0)
            return 0;
        try
        {
            Restore(path, step, network, rules, optimizers, best, stopping);
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new FormatException($"The checkpoint {path} is damaged or none: {e.Message}", e);
        }
        _saved = step;
        return step;
    }

    private void Restore(
        string path, long step, torch.nn.Module network, IReadOnlyList<UpdateRule> rules, FlatOptimizer[] optimizers,
        WeightSnapshot? best, EarlyStopping stopping)
    {
        using FileStream file = File.OpenRead(path);
        IReadOnlyDictionary<string, string> notes = SafetensorsReader.Open(file).Metadata;
        if (!notes.TryGetValue("identity", out string? identity) || !notes.TryGetValue("progress", out string? state))
            throw new FormatException("it lacks the notes of a checkpoint.");
        RefuseOthers(path, identity);
        Progress progress = JsonSerializer.Deserialize<Progress>(state, ProgressFormat)
            ?? throw new FormatException("its progress is empty.");
        if (progress.Step != step)
            throw new FormatException($"it is of step {progress.Step}, not {step}.");

        file.Position = 0;
        TensorFile.Load(file, [.. Tensors(network, rules, optimizers, best)]);
        stopping.Restore(progress.BestValidation, progress.EpochsSinceBest);
    }

    private static readonly JsonSerializerOptions ProgressFormat = new()
    {
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private sealed record Progress(long Step, double BestValidation, int EpochsSinceBest);

    private static IEnumerable<(string Name, torch.Tensor Value)> Tensors(
        torch.nn.Module network, IReadOnlyList<UpdateRule> rules, FlatOptimizer[] optimizers, WeightSnapshot? best)
    {
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
            yield return ("network." + name, value);
        foreach ((string name, torch.Tensor value) in best?.Values ?? new Dictionary<string, torch.Tensor>())
            yield return ("best." + name, value);
        for (int i = 0; i < optimizers.Length; i++)
            foreach ((string name, torch.Tensor value) in optimizers[i].State)
                yield return ($"optimizer.{rules[i].Name}.{name}", value);
    }

    private void RefuseOthers(string path, string identity)
    {
        if (identity == _identity)
            return;
        Dictionary<string, JsonElement> theirs = Parts(identity), ours = Parts(_identity);
        IEnumerable<string> differences = ours.Keys.Union(theirs.Keys)
            .Where(k => Text(ours, k) != Text(theirs, k))
            .Select(k => $"{k} is {Text(ours, k)} and was {Text(theirs, k)}");
        throw new InvalidOperationException(
            $"The checkpoint {path} belongs to another training run: {string.Join("; ", differences)}. " +
            "Use another folder, or delete it to start anew.");

        static Dictionary<string, JsonElement> Parts(string json) =>
            JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(json) ?? [];

        static string Text(Dictionary<string, JsonElement> parts, string key) =>
            parts.TryGetValue(key, out JsonElement value) ? value.GetRawText() : "absent";
    }

    private string PathOf(long step) =>
        Path.Combine(_options.Folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step:D12}{Suffix}"));

    /// <summary>The checkpoints in the folder, newest first.</summary>
    private (string Path, long Step)[] Existing() =>
        Directory.EnumerateFiles(_options.Folder, Prefix + "*" + Suffix)
            .Select(path => (path, Step: long.TryParse(
                Path.GetFileName(path).AsSpan()[Prefix.Length..^Suffix.Length], NumberStyles.None,
                CultureInfo.InvariantCulture, out long step) ? step : -1))
            .Where(f => f.Step >= 0)
            .OrderByDescending(f => f.Step)
            .ToArray();
}
