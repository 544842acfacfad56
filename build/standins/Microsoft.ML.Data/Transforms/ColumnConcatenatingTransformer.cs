using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

[assembly: Microsoft.ML.LoadableClass(
    typeof(ColumnConcatenatingTransformer), null, typeof(Microsoft.ML.SignatureLoadModel), "Concat", "ConcatTransform")]

namespace Microsoft.ML.Data;

public sealed class ColumnConcatenatingTransformer : RowToRowTransformerBase
{
    private readonly string _name;
    private readonly string[] _sources;

    internal ColumnConcatenatingTransformer(IHostEnvironment env, string name, string[] sources)
        : base(env.Register("ColumnConcatenatingTransformer"))
    {
        _name = name;
        _sources = sources;
    }

    private static VersionInfo GetVersionInfo()
        => new("CONCAT F", 1, 1, 1, typeof(ColumnConcatenatingTransformer).Assembly.FullName, "ConcatTransform");

    private static ColumnConcatenatingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(GetVersionInfo());
        return new(env, ctx.Reader.ReadString(), ctx.Reader.ReadStrings());
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.SetVersionInfo(GetVersionInfo());
        ctx.Writer.Write(_name);
        ctx.Writer.WriteStrings(_sources);
    }

    private protected override RowMapper MakeRowMapper(DataViewSchema schema)
        => new Mapper(
            Host,
            _name,
            [.. _sources.Select(source => schema.GetColumnOrNull(source)
                ?? throw Host.ExceptSchemaMismatch(nameof(schema), "input", source))]);

    private sealed class Mapper : RowMapper
    {
        private readonly DataViewSchema.Column[] _sources;
        private readonly VectorDataViewType _type;
        private readonly bool _isIdentity;

        public Mapper(IHost host, string name, DataViewSchema.Column[] sources)
        {
            _sources = sources;
            PrimitiveDataViewType item = ItemType(sources[0]);
            int size = 0;
            bool known = true;
            foreach (DataViewSchema.Column source in sources)
            {
                if (!ItemType(source).Equals(item))
                {
                    throw host.ExceptSchemaMismatch(
                        "schema", "input", source.Name, item.ToString(), source.Type.ToString());
                }

                known &= source.Type is not VectorDataViewType { IsKnownSize: false };
                size += Size(source);
            }

            // One vector alone passes with all that is known about it.
            _isIdentity = sources.Length == 1 && sources[0].Type is VectorDataViewType;
            _type = _isIdentity ? (VectorDataViewType)sources[0].Type : new(item, known ? size : 0);
            Columns = [new(name, _type, _isIdentity ? sources[0].Annotations : MakeAnnotations())];
        }

        public override DataViewSchema.DetachedColumn[] Columns { get; }

        public override IEnumerable<int> DependenciesOf(int added) => _sources.Select(c => c.Index);

        public override Delegate MakeGetter(DataViewRow input, int added)
            => ColumnSets.ForRawType<Delegate>(
                this, _isIdentity ? nameof(Identity) : nameof(Concatenation), _type.ItemType.RawType, input);

        private static PrimitiveDataViewType ItemType(DataViewSchema.Column column)
            => (column.Type as VectorDataViewType)?.ItemType ?? (PrimitiveDataViewType)column.Type;

        private static int Size(DataViewSchema.Column column) => (column.Type as VectorDataViewType)?.Size ?? 1;

        private DataViewSchema.Annotations MakeAnnotations()
        {
            DataViewSchema.Annotations.Builder builder = new();
            if (_type.ItemType is NumberDataViewType && _sources.All(AnnotationUtils.IsNormalized))
                builder.AddPrimitiveValue(AnnotationUtils.Kinds.IsNormalized, BooleanDataViewType.Instance, true);
            if (_type.IsKnownSize && _sources.Any(c => c.Type is not VectorDataViewType || AnnotationUtils.HasSlotNames(c)))
                builder.AddSlotNames(_type.Size, GetSlotNames);
            return builder.ToAnnotations();
        }

        /// <summary>A scalar's slot has the column's name; a vector's has the column's and its own.</summary>
        private void GetSlotNames(ref VBuffer<ReadOnlyMemory<char>> value)
        {
            var names = new ReadOnlyMemory<char>[_type.Size];
            int slot = 0;
            foreach (DataViewSchema.Column source in _sources)
            {
                if (source.Type is not VectorDataViewType)
                {
                    names[slot] = source.Name.AsMemory();
                }
                else if (AnnotationUtils.HasSlotNames(source))
                {
                    VBuffer<ReadOnlyMemory<char>> own = default;
                    source.GetSlotNames(ref own);
                    foreach ((int i, ReadOnlyMemory<char> name) in own.Items())
                    {
                        if (!name.IsEmpty)
                            names[slot + i] = $"{source.Name}.{name}".AsMemory();
                    }
                }

                slot += Size(source);
            }

            value = new(names.Length, names);
        }

        private Delegate Identity<T>(DataViewRow input) => input.GetGetter<VBuffer<T>>(input.Schema[_sources[0].Index]);

        private ValueGetter<VBuffer<T>> Concatenation<T>(DataViewRow input)
        {
            int n = _sources.Length;
            var scalars = new ValueGetter<T>[n];
            var vectors = new ValueGetter<VBuffer<T>>[n];
            for (int i = 0; i < n; i++)
            {
                DataViewSchema.Column source = input.Schema[_sources[i].Index];
                if (source.Type is VectorDataViewType)
                    vectors[i] = input.GetGetter<VBuffer<T>>(source);
                else
                    scalars[i] = input.GetGetter<T>(source);
            }

            var parts = new VBuffer<T>[n];
            return (ref VBuffer<T> value) =>
            {
                int length = 0, count = 0;
                for (int i = 0; i < n; i++)
                {
                    vectors[i]?.Invoke(ref parts[i]);
                    length += vectors[i] is null ? 1 : parts[i].Length;
                    count += vectors[i] is null ? 1 : parts[i].GetValues().Length;
                    int expected = Size(_sources[i]);
                    if (vectors[i] is not null && expected != 0 && parts[i].Length != expected)
                        throw Contracts.Except(null, $"{_sources[i]} has {parts[i].Length} slots in this row");
                }

                // Sparse only where that is at most half as long, as ML.NET does it.
                bool sparse = count <= length / 2;
                VBufferEditor<T> editor = VBufferEditor.Create(ref value, length, sparse ? count : length);
                int slot = 0, at = 0;
                for (int i = 0; i < n; i++)
                {
                    if (vectors[i] is null)
                    {
                        if (sparse)
                            editor.Indices[at] = slot;
                        scalars[i](ref editor.Values[sparse ? at : slot]);
                        at++;
                        slot++;
                        continue;
                    }

                    if (sparse)
                    {
                        foreach ((int index, T item) in parts[i].Items())
                        {
                            editor.Indices[at] = slot + index;
                            editor.Values[at++] = item;
                        }
                    }
                    else
                    {
                        parts[i].CopyTo(editor.Values.Slice(slot, parts[i].Length));
                    }

                    slot += parts[i].Length;
                }

                value = editor.Commit();
            };
        }
    }
}
