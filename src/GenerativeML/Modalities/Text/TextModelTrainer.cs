using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// What trainers of models of texts have in common: a column of text becomes tokens, and some rows are held back where
/// it is to be known what ordinary ones score.
/// </summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
public abstract class TextModelTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : GenerativeTransformer
{
    // Enough to know a quantile by.
    private const int MaxHeldRows = 2048;

    private readonly TextModelOptions _options;

    private protected TextModelTrainer(IHostEnvironment environment, string name, TextModelOptions options)
        : base(environment, name, options) => _options = options;

    /// <summary>Trains on a text's tokens.</summary>
    private protected abstract TTransformer Train(TokenCorpus corpus, TokenCodec codec, TrainingContext context);

    /// <summary>Tells p-values by texts that were not trained on, and sets the threshold to what a share of them exceeds.</summary>
    private protected abstract void Calibrate(TTransformer trained, IReadOnlyList<string> texts, double share);

    /// <summary>What turns text into tokens, given or learned; a document ends with a token where the model wants one.</summary>
    private protected virtual TokenCodec Codec(TextColumn column) =>
        TokenCodec.For(Tokenizer(column, ends: false), _options.VocabularySize);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs(width: 1);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, _options.TextColumnName, InputKind.Text, parameter);

    private protected sealed override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var column = new TextColumn(input, _options.TextColumnName, parameter, _options.CancellationToken);
        long rows = column.Count();
        if (_options.Calibrates && rows < CalibrationPlan.MinRows)
            throw CalibrationPlan.TooFew(rows);
        TokenCodec codec = Codec(column);
        List<string> held = [];
        TokenCorpus corpus = column.Read(
            codec, _options.JoinRows ? _options.RowSeparator : null, _options.CacheBudgetBytes,
            new ValidationRows(HeldShare(rows), context.Seed, MaxHeldRows), held);
        if (_options.IsDataKnown)
        {
            var vocabulary = new Fingerprint(); // of the text itself: another alphabet can have the same tokens
            foreach (string text in column.Texts())
                vocabulary.Add(text);
            context = context with { Vocabulary = vocabulary.ToString() };
        }
        TTransformer trained = Train(corpus, codec, context);
        if (_options.Calibrates)
            Calibrate(trained, held, _options.Contamination);
        return trained;
    }

    // Some twenty rows beyond the threshold tell well where it lies; but most rows are to train.
    private double HeldShare(long rows)
    {
        if (!_options.Calibrates || rows < 2)
            return 0;
        const double least = 0.1, most = 0.25;
        return Math.Clamp(20 / _options.Contamination / rows, least, most);
    }

    /// <summary>The tokenizer that options give, or one that is learned; whether it has a token between documents.</summary>
    private protected Tokenizer Tokenizer(TextColumn column, bool ends) => _options.Tokenizer ?? LearnedTokenizer.Of(
        _options.BytePairVocabulary is null && _options.JoinRows ? column.Texts().Append(_options.RowSeparator) : column.Texts(),
        _options.BytePairVocabulary, _options.WordVocabulary, _options.UnknownCharacters, endOfText: ends, _options.CancellationToken);
}
