using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

/// <summary>How a slot's mean, spread and range become a scale and an offset.</summary>
internal enum NormalizationMode
{
    MinMax,
    MeanVariance,
}

public sealed class NormalizingEstimator : IEstimator<NormalizingTransformer>
{
    private readonly IHost _host;
    private readonly (string Output, string Input)[] _columns;
    private readonly NormalizationMode _mode;
    private readonly bool _fixZero;
    private readonly long _maximumExampleCount;

    internal NormalizingEstimator(
        IHostEnvironment env,
        (string Output, string Input)[] columns,
        NormalizationMode mode,
        long maximumExampleCount,
        bool fixZero)
    {
        _host = env.Register("NormalizingEstimator");
        _columns = columns;
        _mode = mode;
        _maximumExampleCount = maximumExampleCount;
        _fixZero = fixZero;
    }

    public NormalizingTransformer Fit(IDataView input)
    {
        DataViewSchema.Column[] inputs = [.. _columns.Select(c => input.Schema.GetColumnOrNull(c.Input)
            ?? throw _host.ExceptSchemaMismatch("inputSchema", "input", c.Input))];
        foreach (DataViewSchema.Column column in inputs)
            NormalizingTransformer.SizeOf(_host, column);
        using DataViewRowCursor cursor = input.GetRowCursor(inputs);
        SlotStatistics[] statistics = [.. inputs.Select(c => new SlotStatistics(cursor, c))];
        for (long row = 0; row < _maximumExampleCount && cursor.MoveNext(); row++)
        {
            foreach (SlotStatistics slots in statistics)
                slots.AddRow();
        }

        return new(_host, _columns, [.. statistics.Select(slots => slots.ToAffine(_mode, _fixZero))]);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        SchemaShape shape = inputSchema;
        foreach ((string output, string input) in _columns)
        {
            if (!inputSchema.TryFindColumn(input, out SchemaShape.Column column))
                throw _host.ExceptSchemaMismatch(nameof(inputSchema), "input", input);
            if (column.Kind == SchemaShape.Column.VectorKind.VariableVector)
            {
                throw _host.ExceptSchemaMismatch(
                    nameof(inputSchema), "input", input, "a scalar or a vector of known size", column.GetTypeString());
            }

            if (!column.ItemType.Equals(NumberDataViewType.Single))
            {
                throw _host.ExceptSchemaMismatch(
                    nameof(inputSchema), "input", input, "of Single", column.GetTypeString());
            }

            List<SchemaShape.Column> annotations = [AnnotationUtils.IsNormalizedShape()];
            if (column.Annotations.TryFindColumn(AnnotationUtils.Kinds.SlotNames, out SchemaShape.Column names))
                annotations.Add(names);
            shape = shape.With(new(output, column.Kind, column.ItemType, column.IsKey, new SchemaShape(annotations)));
        }

        return shape;
    }

    /// <summary>Mean, spread and range of each slot over the numbers in it; NaN and infinity do not count.</summary>
    private sealed class SlotStatistics(DataViewRow row, DataViewSchema.Column column)
    {
        private readonly NormalizingTransformer.SlotReader _reader = new(row, column);
        private (long Count, double Mean, double M2, float Min, float Max)[] _slots;

        public void AddRow()
        {
            ReadOnlySpan<float> values = _reader.Read();
            _slots ??= NewSlots(values.Length);
            for (int i = 0; i < values.Length; i++)
            {
                float value = values[i];
                if (!float.IsFinite(value))
                    continue;
                ref var slot = ref _slots[i];
                slot.Count++;
                double delta = value - slot.Mean;
                slot.Mean += delta / slot.Count;
                slot.M2 += delta * (value - slot.Mean);
                slot.Min = Math.Min(slot.Min, value);
                slot.Max = Math.Max(slot.Max, value);
            }
        }

        public (float[] Scale, float[] Offset) ToAffine(NormalizationMode mode, bool fixZero)
        {
            _slots ??= NewSlots(_reader.Size);
            var scale = new float[_slots.Length];
            var offset = new float[_slots.Length];
            for (int i = 0; i < _slots.Length; i++)
            {
                (long count, double mean, double m2, float min, float max) = _slots[i];
                double variance = count == 0 ? 0 : m2 / count;
                // A constant slot says nothing: its scale stays 0, and so do its values.
                if (mode == NormalizationMode.MinMax ? !(max > min) : variance == 0)
                    continue;
                scale[i] = (mode, fixZero) switch
                {
                    (NormalizationMode.MinMax, true) => 1 / Math.Max(Math.Abs(max), Math.Abs(min)),
                    (NormalizationMode.MinMax, false) => 1 / (max - min),
                    (_, true) => 1 / (float)Math.Sqrt(variance + mean * mean),
                    (_, false) => 1 / (float)Math.Sqrt(variance),
                };
                if (!fixZero)
                    offset[i] = mode == NormalizationMode.MinMax ? min : (float)mean;
            }

            return (scale, offset);
        }

        private static (long, double, double, float, float)[] NewSlots(int size)
        {
            var slots = new (long, double, double, float, float)[size];
            Array.Fill(slots, (0, 0, 0, float.PositiveInfinity, float.NegativeInfinity));
            return slots;
        }
    }
}
