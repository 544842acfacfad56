using System.Linq.Expressions;
using System.Reflection;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>A member of a class that is a column: how it is read into a getter, and written from one.</summary>
internal sealed class ObjectMember
{
    private readonly MemberInfo _member;

    public ObjectMember(SchemaDefinition.Column column)
    {
        _member = column.Member;
        Column = new(column.ColumnName ?? column.MemberName, column.ColumnType, column.Annotations);
        Contracts.CheckParam(
            null,
            CanHold(column.ColumnType),
            "userSchemaDefinition",
            $"Column '{Column.Name}' is {column.ColumnType}, which no {ValueType(_member)} can hold");
    }

    public DataViewSchema.DetachedColumn Column { get; }

    public Type MemberType => ValueType(_member);

    public string MemberName => _member.Name;

    public static ObjectMember[] Of(Type type, SchemaDefinition definition, SchemaDefinition.Direction direction)
        => [.. (definition ?? SchemaDefinition.Create(type, direction)).Select(column => new ObjectMember(column))];

    public static Type ValueType(MemberInfo member)
        => member is FieldInfo field ? field.FieldType : ((PropertyInfo)member).PropertyType;

    /// <summary>The type of a vector's items, or null for what is no vector.</summary>
    public static Type VectorItem(Type type)
        => type.IsArray ? type.GetElementType()
            : type.IsGenericType && type.GetGenericTypeDefinition() == typeof(VBuffer<>) ? type.GenericTypeArguments[0]
            : null;

    public bool CanHold(DataViewType type)
    {
        Type item = VectorItem(MemberType);
        if ((item is not null) != (type is VectorDataViewType))
            return false;
        DataViewType itemType = (type as VectorDataViewType)?.ItemType ?? type;
        item ??= MemberType;
        return item == itemType.RawType || (item == typeof(string) && itemType is TextDataViewType);
    }

    public Delegate MakeGetter<TRow>(Func<TRow> current)
    {
        if (MemberType == typeof(string))
            return Text(current, Read<TRow, string>());
        if (MemberType == typeof(string[]))
            return Texts(current, Read<TRow, string[]>());
        if (VectorItem(MemberType) is { } item)
            return Generic<Delegate>(MemberType.IsArray ? nameof(Array) : nameof(Buffer), [typeof(TRow), item], current);
        return Column.Type is KeyDataViewType key
            ? Generic<Delegate>(nameof(Key), [typeof(TRow), MemberType], current, key.Count)
            : Generic<Delegate>(nameof(Scalar), [typeof(TRow), MemberType], current);
    }

    /// <summary>An action that fills the member of a row from the current row's column.</summary>
    public Action<TRow> MakeSetter<TRow>(DataViewRow row, DataViewSchema.Column column)
    {
        if (MemberType == typeof(string))
            return SetText(row, column, Write<TRow, string>());
        if (MemberType == typeof(string[]))
            return SetTexts(row, column, Write<TRow, string[]>());
        return VectorItem(MemberType) is { } item && MemberType.IsArray
            ? Generic<Action<TRow>>(nameof(SetArray), [typeof(TRow), item], row, column)
            : Generic<Action<TRow>>(nameof(SetValue), [typeof(TRow), MemberType], row, column);
    }

    private T Generic<T>(string method, Type[] types, params object[] arguments)
        => (T)GetType().GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic)
            .MakeGenericMethod(types)
            .Invoke(this, BindingFlags.DoNotWrapExceptions, null, arguments, null);

    private Func<TRow, T> Read<TRow, T>()
    {
        ParameterExpression row = Expression.Parameter(typeof(TRow));
        return Expression.Lambda<Func<TRow, T>>(Expression.MakeMemberAccess(row, _member), row).Compile();
    }

    private Action<TRow, T> Write<TRow, T>()
    {
        ParameterExpression row = Expression.Parameter(typeof(TRow));
        ParameterExpression value = Expression.Parameter(typeof(T));
        Expression assign = Expression.Assign(Expression.MakeMemberAccess(row, _member), value);
        return Expression.Lambda<Action<TRow, T>>(assign, row, value).Compile();
    }

    private static ValueGetter<ReadOnlyMemory<char>> Text<TRow>(Func<TRow> current, Func<TRow, string> read)
        => (ref ReadOnlyMemory<char> value) => value = read(current()).AsMemory();

    private static ValueGetter<VBuffer<ReadOnlyMemory<char>>> Texts<TRow>(Func<TRow> current, Func<TRow, string[]> read)
        => (ref VBuffer<ReadOnlyMemory<char>> value) =>
        {
            string[] items = read(current()) ?? [];
            VBufferEditor<ReadOnlyMemory<char>> editor = VBufferEditor.Create(ref value, items.Length);
            for (int i = 0; i < items.Length; i++)
                editor.Values[i] = items[i].AsMemory();
            value = editor.Commit();
        };

    private ValueGetter<VBuffer<T>> Array<TRow, T>(Func<TRow> current)
    {
        Func<TRow, T[]> read = Read<TRow, T[]>();
        return (ref VBuffer<T> value) =>
        {
            T[] items = read(current()) ?? [];
            VBuffer<T>.Copy(items, 0, ref value, items.Length);
        };
    }

    private ValueGetter<VBuffer<T>> Buffer<TRow, T>(Func<TRow> current)
    {
        Func<TRow, VBuffer<T>> read = Read<TRow, VBuffer<T>>();
        return (ref VBuffer<T> value) => read(current()).CopyTo(ref value);
    }

    private ValueGetter<T> Scalar<TRow, T>(Func<TRow> current)
    {
        Func<TRow, T> read = Read<TRow, T>();
        return (ref T value) => value = read(current());
    }

    /// <summary>A member counts its keys from zero, a column from one, zero being a missing key.</summary>
    private ValueGetter<T> Key<TRow, T>(Func<TRow> current, ulong count)
    {
        Func<TRow, T> read = Read<TRow, T>();
        return (ref T value) =>
        {
            ulong key = Convert.ToUInt64(read(current()));
            value = (T)Convert.ChangeType(key < count ? key + 1 : 0, typeof(T));
        };
    }

    private static Action<TRow> SetText<TRow>(DataViewRow row, DataViewSchema.Column column, Action<TRow, string> write)
    {
        ValueGetter<ReadOnlyMemory<char>> getter = row.GetGetter<ReadOnlyMemory<char>>(column);
        ReadOnlyMemory<char> value = default;
        return target =>
        {
            getter(ref value);
            write(target, value.ToString());
        };
    }

    private static Action<TRow> SetTexts<TRow>(DataViewRow row, DataViewSchema.Column column, Action<TRow, string[]> write)
    {
        var getter = row.GetGetter<VBuffer<ReadOnlyMemory<char>>>(column);
        VBuffer<ReadOnlyMemory<char>> value = default;
        return target =>
        {
            getter(ref value);
            write(target, [.. value.DenseValues().Select(text => text.ToString())]);
        };
    }

    private Action<TRow> SetArray<TRow, T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<VBuffer<T>> getter = row.GetGetter<VBuffer<T>>(column);
        Action<TRow, T[]> write = Write<TRow, T[]>();
        VBuffer<T> value = default;
        return target =>
        {
            getter(ref value);
            T[] items = new T[value.Length];
            value.CopyTo(items);
            write(target, items);
        };
    }

    private Action<TRow> SetValue<TRow, T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<T> getter = row.GetGetter<T>(column);
        Action<TRow, T> write = Write<TRow, T>();
        return target =>
        {
            T value = default;
            getter(ref value);
            write(target, value);
        };
    }
}
