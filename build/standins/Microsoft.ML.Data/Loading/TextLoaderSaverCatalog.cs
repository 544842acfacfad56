using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

public static class TextLoaderSaverCatalog
{
    public static IDataView LoadFromTextFile(
        this DataOperationsCatalog catalog,
        string path,
        TextLoader.Column[] columns,
        char separatorChar = '\t',
        bool hasHeader = false,
        bool allowQuoting = false,
        bool trimWhitespace = false,
        bool allowSparse = false)
        => catalog.LoadFromTextFile(path, MakeOptions(
            columns, separatorChar, hasHeader, allowQuoting, trimWhitespace, allowSparse));

    public static IDataView LoadFromTextFile<TInput>(
        this DataOperationsCatalog catalog,
        string path,
        char separatorChar = '\t',
        bool hasHeader = false,
        bool allowQuoting = false,
        bool trimWhitespace = false,
        bool allowSparse = false)
        => catalog.LoadFromTextFile(path, MakeOptions(
            ColumnsOf(typeof(TInput)), separatorChar, hasHeader, allowQuoting, trimWhitespace, allowSparse));

    public static IDataView LoadFromTextFile(
        this DataOperationsCatalog catalog, string path, TextLoader.Options options = null)
    {
        IHostEnvironment env = catalog.GetEnvironment();
        env.CheckNonEmpty(path, nameof(path));
        env.CheckParam(File.Exists(path), nameof(path), $"There is no file '{path}'");
        return new TextLoader(env, options ?? new(), path).Load(path);
    }

    public static void SaveAsText(
        this DataOperationsCatalog catalog,
        IDataView data,
        Stream stream,
        char separatorChar = '\t',
        bool headerRow = true,
        bool schema = true,
        bool keepHidden = false,
        bool forceDense = false)
    {
        IHostEnvironment env = catalog.GetEnvironment();
        env.CheckValue(data, nameof(data));
        env.CheckValue(stream, nameof(stream));
        if (keepHidden)
            throw new NotSupportedException("This stand-in saves no hidden columns.");
        new TextSaver(data, separatorChar, forceDense).Save(stream, headerRow, schema);
    }

    private static TextLoader.Options MakeOptions(
        TextLoader.Column[] columns,
        char separator,
        bool hasHeader,
        bool allowQuoting,
        bool trimWhitespace,
        bool allowSparse)
        => allowSparse
            ? throw new NotSupportedException("This stand-in reads no sparse rows.")
            : new()
            {
                Columns = columns,
                Separators = [separator],
                HasHeader = hasHeader,
                AllowQuoting = allowQuoting,
                TrimWhitespace = trimWhitespace,
            };

    private static TextLoader.Column[] ColumnsOf(Type type)
    {
        List<TextLoader.Column> columns = [];
        foreach (SchemaDefinition.Column column in SchemaDefinition.Create(type, SchemaDefinition.Direction.Write))
        {
            if (column.Member.GetCustomAttribute<LoadColumnAttribute>() is not { } attribute)
                continue;
            PrimitiveDataViewType item = (column.ColumnType as VectorDataViewType)?.ItemType
                ?? (PrimitiveDataViewType)column.ColumnType;
            columns.Add(new(column.ColumnName, item.GetRawKind(), [attribute.Source]));
        }

        return [.. columns];
    }
}
