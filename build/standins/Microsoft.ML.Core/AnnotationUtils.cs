using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

internal static class AnnotationUtils
{
    public static class Kinds
    {
        public const string SlotNames = "SlotNames";
        public const string IsNormalized = "IsNormalized";
    }

    public static VectorDataViewType GetNamesType(int size) => new(TextDataViewType.Instance, size);

    public static void AddSlotNames(
        this DataViewSchema.Annotations.Builder builder, int size, ValueGetter<VBuffer<ReadOnlyMemory<char>>> getter)
        => builder.Add(Kinds.SlotNames, GetNamesType(size), getter);

    /// <summary>Slot names count only where there is one text for each slot of a vector of known size.</summary>
    public static bool HasSlotNames(DataViewSchema.Column column)
        => column.Type is VectorDataViewType { IsKnownSize: true } vector
            && column.Annotations.Schema.GetColumnOrNull(Kinds.SlotNames)?.Type is VectorDataViewType names
            && names.Size == vector.Size
            && names.ItemType is TextDataViewType;

    public static bool IsNormalized(DataViewSchema.Column column)
    {
        bool value = false;
        if (column.Annotations.Schema.GetColumnOrNull(Kinds.IsNormalized)?.Type is BooleanDataViewType)
            column.Annotations.GetValue(Kinds.IsNormalized, ref value);
        return value;
    }

    public static SchemaShape.Column SlotNamesShape()
        => new(Kinds.SlotNames, SchemaShape.Column.VectorKind.Vector, TextDataViewType.Instance, isKey: false);

    public static SchemaShape.Column IsNormalizedShape()
        => new(Kinds.IsNormalized, SchemaShape.Column.VectorKind.Scalar, BooleanDataViewType.Instance, isKey: false);
}
