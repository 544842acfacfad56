using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Reads all sequences of rows: those of one value of a group column, or all rows, or each row by itself.</summary>
internal static class SequenceRows
{
    private const long MinBudget = 1 << 21;

    /// <summary>
    /// All sequences, in memory. Steps with NaN or infinity are an error, left out, or kept as they are, as the options
    /// say. <paramref name="open"/> makes what adds the values of a row to a list; <paramref name="names"/> takes the value
    /// of the group column of each sequence.
    /// </summary>
    /// <exception cref="InvalidOperationException">There are none, or rows are refused, or they need more memory.</exception>
    public static List<float[]> ReadAll(
        IDataView data, string columnName, string? groupName, bool rowsAreSequences, TrainingOptions options,
        Func<DataViewRow, DataViewSchema.Column, Action<List<float>>> open,
        List<string>? names = null)
    {
        var sequences = new List<float[]>();
        var current = new List<float>();
        long bytes = 0, bad = 0, badValues = 0, rows = 0;
        string first = "";
        string? name = null;
        DataViewSchema.Column column = data.Schema[columnName];
        DataViewSchema.Column? group = groupName is null ? null : FindGroup(data.Schema, groupName, nameof(data));
        using DataViewRowCursor cursor = data.GetRowCursor(group is null ? [column] : [column, group.Value]);
        Action<List<float>> read = open(cursor, column);
        GroupReader? groups = group is null ? null : GroupReader.Open(cursor, group.Value);
        for (; cursor.MoveNext(); rows++)
        {
            if ((rows & 1023) == 0)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                CheckBudget();
            }
            if (groups?.StartsSequence() == true || rowsAreSequences)
                Close();
            if (current.Count == 0)
                name = groups?.Last;
            int before = current.Count;
            read(current);
            Span<float> values = CollectionsMarshal.AsSpan(current)[before..];
            if (values.IsEmpty || float.IsFinite(TensorPrimitives.MaxMagnitude<float>(values)))
                continue;
            for (int slot = 0; slot < values.Length; slot++)
            {
                if (!float.IsFinite(values[slot]) && badValues++ == 0)
                    first = FormattableString.Invariant($"{values[slot]} in {InputColumns.SlotText(column, slot)} of row {rows}");
            }
            bad++;
            if (options.NonFiniteValues != NonFiniteValues.Replace)
                current.RemoveRange(before, current.Count - before);
        }
        Close();
        if (bad > 0 && options.NonFiniteValues == NonFiniteValues.Error)
        {
            throw new InvalidOperationException(
                $"Column '{column.Name}' holds {badValues} values that are NaN, infinite or missing, in {bad} of {rows} rows; the "
                + $"first is {first} (both counted from 0). Clean the data, or set the option {nameof(TrainingOptions.NonFiniteValues)} to "
                + $"{NonFiniteValues.Replace} or {NonFiniteValues.DropRow}.");
        }
        if (sequences.Count == 0 || sequences.All(s => s.All(float.IsNaN)))
            throw new InvalidOperationException($"There are no rows: column '{column.Name}' is empty"
                + (bad > 0 ? ", or every row holds NaN or infinity." : "."));
        return sequences;

        void Close()
        {
            if (current.Count == 0)
                return;
            CheckBudget();
            bytes += (long)current.Count * sizeof(float);
            sequences.Add([.. current]);
            if (name is not null)
                names?.Add(name);
            current.Clear();
        }

        void CheckBudget()
        {
            if (bytes + (long)current.Count * sizeof(float) > Math.Max(MinBudget, options.CacheBudgetBytes))
            {
                throw new InvalidOperationException(
                    $"The sequences need more memory than option {nameof(options.CacheBudgetBytes)} allows, "
                    + $"{options.CacheBudgetBytes} bytes. Raise it, or use fewer rows.");
            }
        }
    }

    /// <summary>The column of groups, for rows that are to be read.</summary>
    public static DataViewSchema.Column FindGroup(DataViewSchema schema, string name, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column group)
            throw InputColumns.Missing(name, GroupReader.Expected, schema, parameter);
        return GroupReader.CanRead(group.Type)
            ? group
            : throw InputColumns.Mismatch(name, GroupReader.Expected, group.Type.ToString()!, false, parameter);
    }

    /// <summary>The same check where only a schema's shape is known.</summary>
    public static void CheckGroup(SchemaShape shape, string name, string parameter)
    {
        if (shape.All(c => c.Name != name))
            throw InputColumns.Missing(name, GroupReader.Expected, shape.Select(c => c.Name), parameter);
        SchemaShape.Column found = shape.Last(c => c.Name == name);
        if (found.Kind != SchemaShape.Column.VectorKind.Scalar || !GroupReader.CanRead(found.ItemType))
            throw InputColumns.Mismatch(name, GroupReader.Expected, found.ItemType.ToString()!, false, parameter);
    }

    /// <summary>What adds the numbers of a row to a list: a Single, or a vector of them of so many.</summary>
    public static Action<List<float>> Numbers(DataViewRow row, DataViewSchema.Column column, int width)
    {
        if (column.Type is not VectorDataViewType)
        {
            ValueGetter<float> single = row.GetGetter<float>(column);
            float value = 0;
            return steps =>
            {
                single(ref value);
                steps.Add(value);
            };
        }
        ValueGetter<VBuffer<float>> getter = row.GetGetter<VBuffer<float>>(column);
        VBuffer<float> buffer = default;
        return steps =>
        {
            getter(ref buffer);
            if (buffer.Length != width)
            {
                throw new InvalidOperationException(
                    $"Column '{column.Name}' promises {width} values in each row, but a row has {buffer.Length}.");
            }
            steps.AddRange(buffer.DenseValues());
        };
    }
}
