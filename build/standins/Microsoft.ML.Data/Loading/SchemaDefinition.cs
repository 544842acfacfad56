using System.Reflection;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Which members of a class are columns, and of which names and types.</summary>
public sealed class SchemaDefinition : List<SchemaDefinition.Column>
{
    private SchemaDefinition()
    {
    }

    [Flags]
    public enum Direction
    {
        Read = 1,
        Write = 2,
        Both = 3,
    }

    public Column this[string columnName]
    {
        get => Find(c => c.ColumnName == columnName)
            ?? throw Contracts.ExceptParam(null, nameof(columnName), $"There is no column '{columnName}'");
        set => this[FindIndex(c => c.ColumnName == columnName)] = value;
    }

    public static SchemaDefinition Create(Type userType, Direction direction = Direction.Both)
    {
        SchemaDefinition definition = [];
        foreach (MemberInfo member in userType.GetMembers(BindingFlags.Instance | BindingFlags.Public))
        {
            if (member.IsDefined(typeof(NoColumnAttribute)) || !IsUsable(member, direction))
                continue;
            definition.Add(new(member)
            {
                ColumnName = member.GetCustomAttribute<ColumnNameAttribute>()?.Name ?? member.Name,
                ColumnType = TypeOf(member),
            });
        }

        return definition;
    }

    private static bool IsUsable(MemberInfo member, Direction direction)
        => member is FieldInfo
            || (member is PropertyInfo property
                && property.GetIndexParameters().Length == 0
                && (!direction.HasFlag(Direction.Read) || property.GetMethod?.IsPublic == true)
                && (!direction.HasFlag(Direction.Write) || property.SetMethod?.IsPublic == true));

    /// <summary>A vector without a declared size is one of variable length.</summary>
    private static DataViewType TypeOf(MemberInfo member)
    {
        Type type = ObjectMember.ValueType(member);
        Type itemType = ObjectMember.VectorItem(type) ?? type;
        PrimitiveDataViewType item = ColumnTypeExtensions.PrimitiveTypeFromTypeOrNull(itemType)
            ?? throw Contracts.ExceptParam(
                null, "rawType", $"Member {member.Name} is a {type}, which no column holds");
        if (member.GetCustomAttribute<KeyTypeAttribute>() is { } key)
            item = new KeyDataViewType(itemType, key.Count);
        int[] dims = member.GetCustomAttribute<VectorTypeAttribute>()?.Dims;
        Contracts.CheckParam(
            null, dims is null || itemType != type, "userType", $"Member {member.Name} is marked as a vector and is none");
        return itemType == type ? item : new VectorDataViewType(item, dims is { Length: > 0 } ? dims : [0]);
    }

    public sealed class Column
    {
        private readonly DataViewSchema.Annotations.Builder _annotations = new();

        internal Column(MemberInfo member) => Member = member;

        public string MemberName => Member.Name;

        public string ColumnName { get; set; }

        public DataViewType ColumnType { get; set; }

        public DataViewSchema.Annotations Annotations => _annotations.ToAnnotations();

        internal MemberInfo Member { get; }

        public void AddAnnotation<T>(string kind, T value, DataViewType annotationType)
            => _annotations.Add(kind, annotationType, (ref T target) => target = value);
    }
}
