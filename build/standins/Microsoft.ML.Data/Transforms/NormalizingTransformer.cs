using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: Microsoft.ML.LoadableClass(
    typeof(NormalizingTransformer), null, typeof(Microsoft.ML.SignatureLoadModel), "Normalizer", "Normalizer")]

namespace Microsoft.ML.Transforms;

/// <summary>(value - offset) * scale, slot by slot; only Single here.</summary>
public sealed class NormalizingTransformer : OneToOneTransformerBase
{
    private readonly (float[] Scale, float[] Offset)[] _affine;

    internal NormalizingTransformer(
        IHostEnvironment env, (string Output, string Input)[] columns, (float[] Scale, float[] Offset)[] affine)
        : base(env.Register("NormalizingTransformer"), columns)
        => _affine = affine;

    internal static int SizeOf(IHost host, DataViewSchema.Column column)
    {
        var vector = column.Type as VectorDataViewType;
        if (vector is { IsKnownSize: false } || !(vector?.ItemType ?? column.Type).Equals(NumberDataViewType.Single))
        {
            throw host.ExceptSchemaMismatch(
                "inputSchema", "input", column.Name, "a Single or a vector of them of known size", column.Type.ToString());
        }

        return vector?.Size ?? 1;
    }

    private static VersionInfo GetVersionInfo()
        => new("NORMALZR", 1, 1, 1, typeof(NormalizingTransformer).Assembly.FullName, "Normalizer");

    private static NormalizingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(GetVersionInfo());
        List<(string, string)> columns = [];
        List<(float[], float[])> affine = [];
        for (int left = ctx.Reader.ReadInt32(); left > 0; left--)
        {
            columns.Add((ctx.Reader.ReadString(), ctx.Reader.ReadString()));
            affine.Add((ReadSingles(ctx.Reader), ReadSingles(ctx.Reader)));
        }

        return new(env, [.. columns], [.. affine]);
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.SetVersionInfo(GetVersionInfo());
        ctx.Writer.Write(Columns.Length);
        for (int i = 0; i < Columns.Length; i++)
        {
            ctx.Writer.Write(Columns[i].Output);
            ctx.Writer.Write(Columns[i].Input);
            WriteSingles(ctx.Writer, _affine[i].Scale);
            WriteSingles(ctx.Writer, _affine[i].Offset);
        }
    }

    private protected override RowMapper MakeRowMapper(DataViewSchema schema)
    {
        DataViewSchema.Column[] inputs = FindInputs(schema);
        for (int i = 0; i < inputs.Length; i++)
        {
            int size = SizeOf(Host, inputs[i]), expected = _affine[i].Scale.Length;
            if (size != expected)
            {
                throw Host.ExceptSchemaMismatch(
                    nameof(schema), "input", inputs[i].Name, $"{expected} slots", inputs[i].Type.ToString());
            }
        }

        return new Mapper(this, inputs);
    }

    private static void WriteSingles(BinaryWriter writer, float[] values)
    {
        writer.Write(values.Length);
        foreach (float value in values)
            writer.Write(value);
    }

    private static float[] ReadSingles(BinaryReader reader)
    {
        List<float> values = [];
        for (int left = reader.ReadInt32(); left > 0; left--)
            values.Add(reader.ReadSingle());
        return [.. values];
    }

    private sealed class Mapper(NormalizingTransformer parent, DataViewSchema.Column[] inputs) : RowMapper
    {
        public override DataViewSchema.DetachedColumn[] Columns { get; } = [.. inputs.Select((input, i) =>
            new DataViewSchema.DetachedColumn(parent.Columns[i].Output, input.Type, MakeAnnotations(input)))];

        public override IEnumerable<int> DependenciesOf(int added) => [inputs[added].Index];

        public override Delegate MakeGetter(DataViewRow input, int added)
        {
            SlotReader reader = new(input, input.Schema[inputs[added].Index]);
            (float[] scale, float[] offset) = parent._affine[added];
            if (inputs[added].Type is not VectorDataViewType)
                return (ValueGetter<float>)((ref float value) => value = (reader.Read()[0] - offset[0]) * scale[0]);
            return (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
            {
                ReadOnlySpan<float> values = reader.Read();
                VBufferEditor<float> editor = VBufferEditor.Create(ref value, values.Length);
                for (int i = 0; i < values.Length; i++)
                    editor.Values[i] = (values[i] - offset[i]) * scale[i];
                value = editor.Commit();
            });
        }

        private static DataViewSchema.Annotations MakeAnnotations(DataViewSchema.Column input)
        {
            DataViewSchema.Annotations.Builder builder = new();
            builder.AddPrimitiveValue(AnnotationUtils.Kinds.IsNormalized, BooleanDataViewType.Instance, true);
            builder.Add(input.Annotations, name => name == AnnotationUtils.Kinds.SlotNames);
            return builder.ToAnnotations();
        }
    }

    /// <summary>The values of a column, scalar or vector, as a dense span.</summary>
    internal sealed class SlotReader
    {
        private readonly ValueGetter<float> _scalar;
        private readonly ValueGetter<VBuffer<float>> _vector;
        private readonly float[] _values;
        private VBuffer<float> _buffer;

        public SlotReader(DataViewRow row, DataViewSchema.Column column)
        {
            Size = (column.Type as VectorDataViewType)?.Size ?? 1;
            _values = new float[Size];
            if (column.Type is VectorDataViewType)
                _vector = row.GetGetter<VBuffer<float>>(column);
            else
                _scalar = row.GetGetter<float>(column);
        }

        public int Size { get; }

        public ReadOnlySpan<float> Read()
        {
            if (_scalar is not null)
            {
                _scalar(ref _values[0]);
                return _values;
            }

            _vector(ref _buffer);
            if (_buffer.IsDense)
                return _buffer.GetValues();
            _buffer.CopyTo(_values);
            return _values;
        }
    }
}
