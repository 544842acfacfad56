using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace AnomalyDetection;

/// <summary>What a detector looks at in a table: its numbers and Booleans; and the label, where there is one.</summary>
internal sealed class Readings
{
    private readonly TableFile _file;
    private readonly string? _label;

    /// <summary>Chooses the columns of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="label">The column that says whether a row is an anomaly, or null where nobody knows.</param>
    /// <param name="ignored">Columns to leave out.</param>
    /// <exception cref="InvalidDataException">The file has no such columns, none of numbers, or a label of times.</exception>
    public Readings(TableFile file, string? label, IReadOnlyCollection<string> ignored)
    {
        (_file, _label) = (file, label is null ? null : file.Names[file.ColumnOf(label)]);
        HashSet<string> left = [.. ignored.Select(column => file.Names[file.ColumnOf(column)])];
        Features =
        [
            .. file.Columns.Where(c => c.Type is NumberDataViewType or BooleanDataViewType && c.Name != _label && !left.Contains(c.Name))
                .Select(c => c.Name),
        ];
        LeftOut = [.. file.Names.Except(Features).Where(name => name != _label)];
        Label = Features.Contains("Label") ? $"Label {_label}" : "Label";
        if (label is not null && file.Columns[file.ColumnOf(label)].Type is DateTimeDataViewType)
            throw new InvalidDataException($"{file.Path}: the label '{_label}' holds times, which call no row an anomaly; --text reads it as text.");
        if (Features.Length == 0)
            throw new InvalidDataException($"{file.Path} has no column of numbers.");
    }

    /// <summary>What the file is called.</summary>
    public string Name => Path.GetFileName(_file.Path);

    /// <summary>How many rows it has; null for very many.</summary>
    public long? RowCount => _file.RowCount;

    /// <summary>The columns that the detector sees, in the file's order.</summary>
    public string[] Features { get; }

    /// <summary>What the label is called in the view, wherever it comes from; no feature is called so.</summary>
    public string Label { get; }

    /// <summary>Whether there is a label.</summary>
    public bool IsLabelled => _label is not null;

    /// <summary>The columns that are neither a feature nor the label.</summary>
    public string[] LeftOut { get; }

    /// <summary>What a reader should know of the file.</summary>
    public IReadOnlyList<string> Notes => _file.Notes;

    /// <summary>A Single column for each feature, and the label as it is, if there is one.</summary>
    public IDataView Load(MLContext ml)
    {
        IEstimator<ITransformer> columns = ml.Transforms.Conversion.ConvertType(
            [.. Features.Select(name => new InputOutputColumnPair(name))], DataKind.Single);
        if (_label is not null)
            columns = columns.Append(ml.Transforms.CopyColumns(Label, _label));
        return columns
            .Append(ml.Transforms.SelectColumns([.. Features, .. _label is null ? Array.Empty<string>() : [Label]]))
            .Fit(_file).Transform(_file);
    }
}
