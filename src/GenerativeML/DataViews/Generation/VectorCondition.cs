using System.Globalization;

namespace GenerativeML;

/// <summary>Turns a condition on columns into what a generator of vectors is given.</summary>
internal static class VectorCondition
{
    /// <summary>The conditions that all rows have, slot by slot: NaN where they are free. Empty for none.</summary>
    /// <param name="where">What rows are asked for.</param>
    /// <param name="schema">The generator's columns.</param>
    /// <param name="fields">What it knows of them, the vector first.</param>
    /// <param name="means">The mean of each slot of the conditions over the training rows.</param>
    /// <exception cref="ArgumentException">No row can meet the condition; the message says why.</exception>
    public static float[] Resolve(
        RowCondition? where, VectorSchema schema, IReadOnlyList<RowField> fields, ReadOnlySpan<float> means)
    {
        if (where is null || where.Columns.Length == 0)
            return [];
        float[] slots = new float[means.Length];
        Array.Fill(slots, float.NaN);
        foreach (ColumnCondition condition in where.Columns)
        {
            int column = -1, first = 0;
            for (int c = 1, at = 0; c < fields.Count; at += fields[c++].Width)
            {
                if (fields[c].Name == condition.Column)
                    (column, first) = (c, at);
            }
            if (column < 0)
                throw new ArgumentException(Unknown(condition, fields), nameof(where));
            if (condition.Values is not SomeValues { Values: [object wanted] })
            {
                throw new ArgumentException(
                    $"The condition {condition} is none that this model knows: conditions on its label columns are single values.",
                    nameof(where));
            }
            int width = fields[column].Width;
            Span<float> target = slots.AsSpan(first, width);
            float[] asked = Slots(
                schema.Columns[column], fields[column], condition, wanted, means.Slice(first, width));
            if (!float.IsNaN(target[0]) && !target.SequenceEqual(asked))
                throw new ArgumentException($"No row can meet the condition {where}: it asks for two values of column '{condition.Column}'.", nameof(where));
            asked.CopyTo(target);
        }
        return slots;
    }

    private static string Unknown(ColumnCondition condition, IReadOnlyList<RowField> fields) =>
        $"The condition {condition} cannot be met: this model has "
        + (fields.Count > 1
            ? $"the condition columns {string.Join(", ", fields.Skip(1).Select(f => $"'{f.Name}'"))}."
            : "no condition columns; train it with the option ConditionColumnNames.");

    private static float[] Slots(
        VectorSchemaColumn column, RowField field, ColumnCondition condition, object wanted, ReadOnlySpan<float> means)
    {
        int width = field.Width;
        bool category = field.Categories is not null && wanted is double;
        if (category || column.Type.KeyCount > 0)
        {
            int key = category
                ? field.Categories!.Select(value => (double)value).ToList().IndexOf((double)wanted)
                : KeyOf(column, wanted);
            if (key < 0 || key >= width || means[key] == 0)
                throw new ArgumentException($"The condition {condition} cannot be met: no training row has this value.", nameof(wanted));
            float[] slots = new float[width];
            slots[key] = 1;
            return slots;
        }
        return (column.Type.Item, wanted) switch
        {
            ("Boolean", bool truth) when means[0] != (truth ? 0 : 1) => [truth ? 1 : 0],
            ("Boolean", bool) => throw new ArgumentException(
                $"The condition {condition} cannot be met: no training row has this value.", nameof(wanted)),
            ("Single", double number) when float.IsFinite((float)number) => [(float)number],
            _ => throw new ArgumentException(
                $"The condition {condition} cannot be met: the column holds {column.Type.ToType()}.", nameof(wanted)),
        };
    }

    /// <summary>The number of a key's value, counted from zero; −1 for none.</summary>
    private static int KeyOf(VectorSchemaColumn column, object wanted)
    {
        if (wanted is string text)
            return column.Keys?.Texts is IReadOnlyList<string> texts ? texts.ToList().IndexOf(text) : -1;
        double number = Convert.ToDouble(wanted, CultureInfo.InvariantCulture);
        if (column.Keys?.Numbers is IReadOnlyList<double> numbers)
            return numbers.ToList().IndexOf(number);
        // Without values, keys are told by their own numbers, counted from one.
        return column.Keys is null && number >= 1 && number <= int.MaxValue && number % 1 == 0 ? (int)number - 1 : -1;
    }
}
