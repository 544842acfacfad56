using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
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

    /// <summary>Checkpoints of a run that is known by a JSON object and its data's fields, size and values.</summary>
    /// <exception cref="IOException">Nothing can be written to the folder.</exception>
    public CheckpointStore(CheckpointOptions options, string identity, TrainingData data)
    {
        _options = options;
        _identity = RunIdentity.Of(identity, data).ToJsonString();
        Written(() =>
        {
            Directory.CreateDirectory(options.Folder);
            // Said now, and not after the steps till the first checkpoint.
            string probe = Path.Combine(options.Folder, Path.GetRandomFileName());
            new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
        });
    }

    /// <summary>The newest checkpoint, in words; empty where there is none.</summary>
    public string Newest => _saved < 0 ? "" : $" The checkpoint of step {_saved} in {_options.Folder} is from before.";

    /// <summary>How to go on from the newest checkpoint, in words.</summary>
    public string GoesOn => GoesOnFrom(_options);

    /// <summary>The same where options alone are known; nothing without any.</summary>
    public static string GoesOnFrom(CheckpointOptions? options) =>
        options is null ? "" : $" The same Fit goes on from the checkpoint in {options.Folder}.";

    /// <summary>Whether there is no checkpoint to go on from.</summary>
    public bool IsEmpty => Existing().Length == 0;

    /// <summary>Writes a checkpoint, and then deletes those that are no longer to be kept.</summary>
    public void Save(
        long step, IEnumerable<(string Name, torch.Tensor Value)> tensors, (double Loss, int Waited) best)
    {
        if (step == _saved)
            return;
        var progress = new Progress(step, best.Loss, best.Waited);
        var notes = new Dictionary<string, string>
        {
            ["identity"] = _identity,
            ["progress"] = JsonSerializer.Serialize(progress, ProgressFormat),
        };
        Written(() => AtomicFile.Write(PathOf(step), file => TensorFile.Save(file, tensors, notes)));
        _saved = step;
        foreach ((string path, long _) in Existing().Skip(_options.Keep))
            File.Delete(path);
    }

    /// <summary>Takes the newest checkpoint's state; gives its step, or zero, and the best loss so far.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is the checkpoint of another run; the message names the difference.
    /// </exception>
    /// <exception cref="FormatException">The file is not a checkpoint, or is damaged.</exception>
    public (long Step, (double Loss, int Waited)? Best) Restore(
        IEnumerable<(string Name, torch.Tensor Value)> tensors)
    {
        if (Existing() is not [(string path, long step), ..])
            return (0, null);
        try
        {
            Progress progress = Restore(path, step, tensors);
            _saved = step;
            return (step, (progress.BestValidation, progress.EpochsSinceBest));
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new FormatException($"The checkpoint {path} is damaged or none: {e.Message}", e);
        }
    }

    private Progress Restore(string path, long step, IEnumerable<(string Name, torch.Tensor Value)> tensors)
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
        TensorFile.Load(file, [.. tensors]);
        return progress;
    }

    private static readonly JsonSerializerOptions ProgressFormat = new()
    {
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private sealed record Progress(long Step, double BestValidation, int EpochsSinceBest);

    private void RefuseOthers(string path, string identity)
    {
        if (identity == _identity)
            return;
        IEnumerable<string> differences = RunIdentity.Differences(_identity, identity)
            .Select(part => $"{part.Name} is {part.Ours} and was {part.Theirs}");
        throw new InvalidOperationException(
            $"The checkpoint {path} belongs to another training run: {string.Join("; ", differences)}. " +
            "Use another folder, or delete it to start anew.");
    }

    // What the system says names neither the option nor, always, the folder.
    private void Written(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"Option {nameof(TrainingOptions.Checkpoint)} names the folder '{_options.Folder}', and no checkpoint can be "
                + $"written there: {e.Message}", e);
        }
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

/// <summary>What a training run is known by: all that decides its result, and its data.</summary>
internal static class RunIdentity
{
    /// <summary>What the family said, with the data's fields, size and values.</summary>
    public static JsonObject Of(string identity, TrainingData data)
    {
        JsonObject parts = JsonNode.Parse(identity)!.AsObject();
        foreach ((RowField f, string fingerprint) in data.Fields.Zip(data.Fingerprints))
        {
            parts[$"column {f.Name}"] = $"{f.Kind} × {f.Width}";
            parts[$"fingerprint of the rows of {f.Name}"] = fingerprint;
        }
        parts["training rows"] = data.TrainingRows;
        parts["validation rows"] = data.ValidationRows;
        return parts;
    }

    /// <summary>Where two differ.</summary>
    public static IEnumerable<(string Name, string Ours, string Theirs)> Differences(string ours, string theirs)
    {
        JsonObject mine = JsonNode.Parse(ours)!.AsObject(), others = JsonNode.Parse(theirs)!.AsObject();
        return mine.Concat(others).Select(part => part.Key).Distinct()
            .Select(k => (k, Text(mine, k), Text(others, k)))
            .Where(part => part.Item2 != part.Item3);

        static string Text(JsonObject parts, string key) =>
            parts.TryGetPropertyValue(key, out JsonNode? value) ? value?.ToJsonString() ?? "null" : "absent";
    }
}
