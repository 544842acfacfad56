using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// What the estimators have in common that train on a column of text: the tokenizer, the corpus, the threshold.
/// </summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
public abstract class TextTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : TextTransformer
{
    // Enough to know a quantile by.
    private const int MaxHeldRows = 2048;

    private readonly TextOptions _options;

    private protected TextTrainer(IHostEnvironment environment, string name, TextOptions options)
        : base(environment, name, options) => _options = options;

    private protected sealed override IReadOnlyList<OutputColumn> PromisedColumns => _options.Outputs(width: 1);

    private protected sealed override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.CheckText(inputSchema, _options.TextColumnName, parameter);

    /// <summary>Trains on a text.</summary>
    /// <param name="corpus">The text.</param>
    /// <param name="codec">Its tokenizer.</param>
    /// <param name="context">What the surroundings decide.</param>
    /// <param name="afterStep">
    /// Told, after each step, how many there were, and how to get a model as it is then. Null: nobody is.
    /// </param>
    private protected abstract TTransformer Train(
        TokenCorpus corpus, TokenCodec codec, TrainingContext context, Action<long, Func<TokenModel>>? afterStep);

    private protected sealed override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var column = new TextColumn(input, _options.TextColumnName, parameter, _options.CancellationToken);
        long rows = column.Count();
        TokenCodec codec = TokenCodec.For(Tokenizer(column), _options.VocabularySize, _options.EndOfTextId);
        List<string> held = [];
        TokenCorpus corpus = column.Read(
            codec, _options.JoinRows ? _options.RowSeparator : null, _options.CacheBudgetBytes,
            new ValidationRows(HeldShare(rows), context.Seed, MaxHeldRows), held);
        TTransformer trained = Train(corpus, codec, context, Sampling(codec, context.Seed));
        if (_options.PredictedLabelColumnName is not null)
            trained.Calibrate(held, _options.Contamination);
        return trained;
    }

    // Some twenty rows beyond the threshold tell well where it lies; but most rows are to train.
    private double HeldShare(long rows)
    {
        if (_options.PredictedLabelColumnName is null || rows < 2)
            return 0;
        const double least = 0.1, most = 0.25;
        return Math.Clamp(20 / _options.Contamination / rows, least, most);
    }

    // What writes samples of text between steps; null where none are asked for.
    private Action<long, Func<TokenModel>>? Sampling(TokenCodec codec, int seed)
    {
        if (_options is not { SampleEvery: int every, Samples: { } samples })
            return null;
        GenerationOptions generation = _options.Generation with { Seed = _options.Generation.Seed ?? seed };
        generation.CheckTokens(codec.VocabularySize);
        if (codec.EndOfText is null && codec.Encode(_options.SamplePrompt).Length == 0)
            throw new InvalidOperationException(
                $"Option {nameof(_options.SamplePrompt)} is empty, and no token is the beginning of a document.");
        return (steps, current) =>
        {
            if (steps % every != 0)
                return;
            using TokenModel model = current();
            GeneratedText text = new TextModel(model, codec, _options).Generate([_options.SamplePrompt], generation)[0];
            samples.Report(new(steps, _options.SamplePrompt + text));
        };
    }

    private Tokenizer Tokenizer(TextColumn column)
    {
        if (_options.Tokenizer is Tokenizer given)
            return given;
        if (_options.BytePairVocabulary is int size)
        {
            return BytePairTokenizer.Train(column.Texts(), new()
            {
                VocabularySize = size,
                EndOfText = !_options.JoinRows,
                CancellationToken = _options.CancellationToken,
            });
        }
        var characters = new HashSet<Rune>();
        foreach (string text in column.Texts())
            characters.UnionWith(text.EnumerateRunes());
        if (_options.JoinRows)
            characters.UnionWith(_options.RowSeparator.EnumerateRunes());
        return new CharacterTokenizer(characters, _options.UnknownCharacters, endOfText: !_options.JoinRows);
    }
}

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
        _column = InputColumns.Find(data.Schema, InputColumns.DescribeText(data.Schema, name, parameter), parameter);
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
