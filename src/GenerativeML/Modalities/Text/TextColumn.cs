using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A text column of training rows: read as often as it takes, never held as a whole.</summary>
internal sealed class TextColumn
{
    private readonly IDataView _data;
    private readonly DataViewSchema.Column _column;
    private readonly CancellationToken _cancellation;

    /// <exception cref="ArgumentOutOfRangeException">The column is missing or is no text.</exception>
    public TextColumn(IDataView data, string name, string parameter, CancellationToken cancellation)
    {
        _data = data;
        _column = InputColumns.Find(data.Schema, new RowField(name, FieldKind.Text, Width: 1), parameter);
        _cancellation = cancellation;
    }

    /// <summary>The rows' texts, in order.</summary>
    public IEnumerable<string> Texts()
    {
        using DataViewRowCursor cursor = _data.GetRowCursor([_column]);
        ValueGetter<ReadOnlyMemory<char>> getter = cursor.GetGetter<ReadOnlyMemory<char>>(_column);
        ReadOnlyMemory<char> value = default;
        while (cursor.MoveNext())
        {
            _cancellation.ThrowIfCancellationRequested();
            getter(ref value);
            yield return value.ToString();
        }
    }

    /// <summary>All texts as tokens.</summary>
    /// <param name="codec">Makes the tokens.</param>
    /// <param name="separator">What joins the rows to one text; null where each is a document for itself.</param>
    /// <param name="budgetBytes">The most memory that the tokens may take.</param>
    /// <param name="heldBack">Which of the rows that have a text are left out.</param>
    /// <param name="held">Where their texts go.</param>
    /// <exception cref="InvalidOperationException">
    /// There is no text; or it has characters that the vocabulary cannot express; or it needs more memory.
    /// </exception>
    public TokenCorpus Read(
        TokenCodec codec, string? separator, long budgetBytes, ValidationRows? heldBack = null,
        List<string>? held = null)
    {
        var corpus = new TokenCorpus(codec.VocabularySize, budgetBytes);
        ReadOnlySpan<int> end = codec.EndOfText is int token ? [token] : [];
        long row = -1, filled = -1;
        foreach (string text in Texts())
        {
            row++;
            if (text.Length > 0 && heldBack?.Contains(++filled) == true)
            {
                held!.Add(text);
            }
            else if (separator is not null)
            {
                corpus.Add(Encode(codec, text + separator, row));
            }
            else if (text.Length > 0)
            {
                corpus.StartDocument();
                corpus.Add(end);
                corpus.Add(Encode(codec, text, row));
            }
        }
        if (separator is null)
            corpus.Add(end);
        return corpus;
    }

    /// <summary>The rows that have a text.</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public long Count() => Texts().LongCount(text => text.Length > 0) is > 0 and long count
        ? count
        : throw new InvalidOperationException(
            $"There is no text to train on: column '{_column.Name}' is empty, or all its rows are.");

    private int[] Encode(TokenCodec codec, string text, long row)
    {
        try
        {
            return codec.Encode(text);
        }
        catch (InvalidOperationException unknown)
        {
            throw new InvalidOperationException(
                $"Row {row} of column '{_column.Name}' (counted from 0) cannot be encoded. {unknown.Message}", unknown);
        }
    }
}
