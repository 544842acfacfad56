using System.Globalization;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>A text file, read as the cursor moves; a field is parsed when somebody asks for it.</summary>
internal sealed class TextDataView(string path, TextLoader.Options options, DataViewSchema schema) : IDataView
{
    private delegate T Parser<T>(ReadOnlyMemory<char> text);

    public bool CanShuffle => false;

    public DataViewSchema Schema => schema;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
        => new Cursor(path, options, schema, columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
        => n > 1 ? SplitCursors.Of(GetRowCursor(columnsNeeded), n) : [GetRowCursor(columnsNeeded)];

    private sealed class Cursor : RootCursorBase
    {
        private readonly TextLoader.Options _options;
        private readonly StreamReader _reader;
        private readonly TextFields _fields;

        public Cursor(
            string path, TextLoader.Options options, DataViewSchema schema, IEnumerable<DataViewSchema.Column> active)
            : base(schema, active)
        {
            _options = options;
            _fields = new(options);
            _reader = new StreamReader(path);
            if (options.HasHeader)
                _fields.ReadLine(_reader);
        }

        protected override bool MoveNextCore() => _fields.ReadLine(_reader);

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _reader.Dispose();
        }

        protected override Delegate MakeGetter(int column)
        {
            DataViewType type = Schema[column].Type;
            int[] fields = _options.Columns[column].Fields;
            return _options.Columns[column].DataKind switch
            {
                DataKind.String => Make(type, fields, text => text),
                DataKind.Single => Make(type, fields, ParseSingle),
                DataKind.Double => Make(type, fields, ParseDouble),
                DataKind.Int32 => Make(type, fields, text => ParseInteger(text)),
                DataKind.Boolean => Make(type, fields, ParseBoolean),
                var kind => throw new NotSupportedException($"This stand-in reads no {kind}."),
            };
        }

        private Delegate Make<T>(DataViewType type, int[] fields, Parser<T> parse)
        {
            if (type is not VectorDataViewType)
                return (ValueGetter<T>)((ref T value) => value = parse(_fields[fields[0]]));
            return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
            {
                VBufferEditor<T> editor = VBufferEditor.Create(ref value, fields.Length);
                for (int i = 0; i < fields.Length; i++)
                    editor.Values[i] = parse(_fields[fields[i]]);
                value = editor.Commit();
            });
        }

        /// <summary>What is no number is NaN; what is missing is zero, unless the options say otherwise.</summary>
        private float ParseSingle(ReadOnlyMemory<char> text)
        {
            ReadOnlySpan<char> span = text.Span.Trim();
            if (span.IsEmpty)
                return _options.MissingRealsAsNaNs ? float.NaN : 0;
            return float.TryParse(span, NumberStyles.Float, CultureInfo.InvariantCulture, out float value)
                ? value
                : float.NaN;
        }

        private double ParseDouble(ReadOnlyMemory<char> text)
        {
            ReadOnlySpan<char> span = text.Span.Trim();
            if (span.IsEmpty)
                return _options.MissingRealsAsNaNs ? double.NaN : 0;
            return double.TryParse(span, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
                ? value
                : double.NaN;
        }

        private static int ParseInteger(ReadOnlyMemory<char> text)
            => int.TryParse(text.Span, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) ? value : 0;

        private static bool ParseBoolean(ReadOnlyMemory<char> text)
            => text.Span.Trim() switch
            {
                "1" or "+1" => true,
                var span => span.Equals("true", StringComparison.OrdinalIgnoreCase)
                    || span.Equals("yes", StringComparison.OrdinalIgnoreCase),
            };
    }
}
