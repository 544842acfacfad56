using System.Numerics.Tensors;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a classifier of texts: which columns it reads and adds, the encoder that it starts from, and how it is
/// fine-tuned.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.BatchSize"/> is 32 by default. <see cref="TrainingOptions.Epochs"/>: by default 4, or as many
/// as it takes to 200 steps. <see cref="TrainingOptions.LearningRate"/>: by default 0.04 divided by the encoder's width, at
/// most 0.001, which is 5e-5 of BERT-base. <see cref="TrainingOptions.WeightDecay"/>: by default 0.01. The rate rises over a
/// tenth of the steps and falls in a straight line. <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that
/// tokens may take; <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have
/// no meaning for text.
/// </remarks>
public sealed record TextClassifierOptions : TrainingOptions
{
    internal const int DefaultBatchSize = 32, LeastSteps = 200, LeastEpochs = 4;

    /// <summary>Options with the defaults of fine-tuning.</summary>
    public TextClassifierOptions() =>
        (Schedule, GradientClipNorm, WarmupFraction) = (LearningRateSchedule.Linear, 1, 0.1);

    /// <summary>
    /// The trained encoder, fresh from training, loaded, or of released weights
    /// (<see cref="GenerativeCatalog.PretrainedMaskedLanguageModel"/>). It stays as it is: what is fine-tuned is a copy.
    /// Required.
    /// </summary>
    [JsonIgnore]
    public MaskedLanguageModelTransformer? Encoder { get; init; }

    /// <summary>The input: a column of text. Default <c>Text</c>. Longer texts than the encoder looks at are cut off.</summary>
    public string TextColumnName { get; init; } = "Text";

    /// <summary>
    /// The label: a key, as <c>MapValueToKey</c> makes it. Default <c>Label</c>. Rows without one are passed over.
    /// </summary>
    public string LabelColumnName { get; init; } = "Label";

    /// <summary>
    /// The column for the most probable class, a key like the label's. Default <c>PredictedLabel</c>; null: none.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; } = "PredictedLabel";

    /// <summary>The column for the classes' probabilities. Default <c>Score</c>; null: none.</summary>
    public string? ScoreColumnName { get; init; } = "Score";

    /// <summary>
    /// What of the hidden states goes to the classifying layers. Default <see cref="TextPooling.Mean"/>; weights that
    /// were trained with pairs of texts, as BERT's released ones, also know <see cref="TextPooling.FirstToken"/>.
    /// </summary>
    public TextPooling Pooling { get; init; }

    /// <summary>
    /// The share of hidden features left out at random in a training step, in the encoder and before the last layer. In
    /// [0, 1). Default 0.1.
    /// </summary>
    public double Dropout { get; init; } = 0.1;

    /// <summary>The rates and all else that is left open, decided.</summary>
    internal TextClassifierOptions Resolve(int width) => this with
    {
        LearningRate = LearningRate ?? Math.Min(0.04 / width, 1e-3),
        WeightDecay = WeightDecay ?? 0.01,
        BatchSize = BatchSize ?? DefaultBatchSize,
    };

    /// <summary>The added columns, in the order of the schema.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(VectorSchemaColumn label)
    {
        OutputColumn?[] columns =
        [
            PredictedLabelColumnName is string predicted
                ? new(predicted, OutputKind.Key) { Class = label, Score = ScoreAnnotation.ClassLabel } : null,
            ScoreColumnName is string score
                ? new(score, OutputKind.Single, (int)label.Type.KeyCount) { Score = ScoreAnnotation.ClassScore } : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check([TextColumnName, LabelColumnName], [PredictedLabelColumnName, ScoreColumnName]);
        OptionChecks.Defined(Pooling);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>
/// Fine-tunes a masked language model for a label (Devlin 2019, arXiv:1810.04805, section 4.1): all of its encoder, with two
/// layers on top that tell the class.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <c>mlContext.MulticlassClassification.Trainers.TextClassifier</c>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Multiclass classification.</description></item>
/// <item><term>Input</term><description>A column of text, and a label that is a key.</description></item>
/// <item><term>Caching</term><description>The texts' tokens are held in memory.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>Microsoft.ML.Tokenizers; for training, TorchSharp-cpu or
/// TorchSharp-cuda; a trained model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// <para>Added columns: <c>PredictedLabel</c>, a key with the label's values, and <c>Score</c>, the probability of each
/// class, as <c>mlContext.MulticlassClassification.Evaluate</c> takes them.</para>
/// </remarks>
public sealed class TextClassifierTrainer : GenerativeEstimator<TextClassifierTransformer>
{
    private readonly TextClassifierOptions _options;
    private readonly TrainedMaskedLanguageModel _encoder;

    internal TextClassifierTrainer(IHostEnvironment environment, TextClassifierOptions options)
        : base(environment, nameof(TextClassifierTrainer), options)
    {
        _options = options;
        _encoder = options.Encoder?.Model ?? throw new ArgumentException(
            $"Option {nameof(options.Encoder)} is not set: train a masked language model, load one, or take released weights "
            + "by PretrainedMaskedLanguageModel.", nameof(options));
    }

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        InputColumns.Check(inputSchema, _options.TextColumnName, InputKind.Text, parameter);
        InputColumns.Check(inputSchema, _options.LabelColumnName, InputKind.Class, parameter);
    }

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) =>
        _options.Outputs(VectorSchemaColumn.Promise(inputSchema.First(column => column.Name == _options.LabelColumnName)));

    private protected override TextClassifierTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        RowField[] fields =
        [
            InputColumns.Describe(input.Schema, _options.TextColumnName, InputKind.Text, parameter),
            InputColumns.Describe(input.Schema, _options.LabelColumnName, InputKind.Class, parameter),
        ];
        DataViewSchema.Column column = input.Schema[_options.LabelColumnName];
        var label = new VectorSchemaColumn
        {
            Name = column.Name,
            Type = TableType.Of(column.Type)!,
            Annotations = TableAnnotation.All(column.Annotations, column.Name),
        };
        TextClassifierOptions options = _options.Resolve(_encoder.Network.Width);
        BertNetwork encoder = TextClassifierNetwork.EncoderOf(_encoder.Network.Options, options);
        (TokenCorpus corpus, List<int> labels) = Read(input, fields);
        if (options.IsDataKnown)
            context = context with { Vocabulary = Fingerprint(labels) };
        var network = new TextClassifierNetwork(encoder, options, fields[1].Width);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, encoder.Width, options.AtOnce(options.BatchSize!.Value * (long)encoder.Options.ContextLength));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new LabelledTexts(corpus, labels, _encoder.Vocabulary, options, context.Seed, device);
        long perEpoch = data.BatchesPerEpoch(options.BatchSize.Value);
        int epochs = options.Epochs
            ?? (int)Math.Max(TextClassifierOptions.LeastEpochs, (TextClassifierOptions.LeastSteps + perEpoch - 1) / perEpoch);
        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize.Value, epochs, options.LearningRate!.Value, options.WeightDecay!.Value,
            ("family", TextClassifierTransformer.SavedFamily.Name), ("bfloat16", bfloat16));
        HostWeights weights = NetworkFit.Run(
            network, network.Tensors,
            start => TextClassifierNetwork.Initialize(start, _encoder.Weights, NetworkFit.InitialSeed(context)), data, run,
            device, bfloat16);
        return new(new TextClassifierModel(
            network, weights, _encoder.Vocabulary, label, context.Device, context.FallbackToCpu));
    }

    // The texts, as far as they have a label and fit into the context, and their labels, counted from zero.
    private (TokenCorpus Corpus, List<int> Labels) Read(IDataView input, RowField[] fields)
    {
        MaskedVocabulary vocabulary = _encoder.Vocabulary;
        var corpus = new TokenCorpus(vocabulary.Codec.VocabularySize, _options.CacheBudgetBytes);
        List<int> labels = [];
        DataViewSchema.Column[] columns = [.. fields.Select(field => input.Schema[field.Name])];
        using DataViewRowCursor cursor = input.GetRowCursor(columns);
        var block = new RowBlock(fields, 1);
        FieldReader[] readers = [.. fields.Select((field, i) => FieldReaders.Open(cursor, columns[i], field))];
        for (long row = 0; cursor.MoveNext(); row++)
        {
            _options.CancellationToken.ThrowIfCancellationRequested();
            for (int i = 0; i < readers.Length; i++)
                readers[i](block, i, 0);
            int known = block.SingleRow(1, 0).IndexOf(1f);
            if (known < 0)
                continue;
            corpus.StartDocument();
            corpus.Add(Encode(vocabulary, block.Texts(0)[0], row));
            labels.Add(known);
        }
        int classes = labels.Distinct().Count();
        if (classes < 2)
            throw new InvalidOperationException(
                $"Column '{_options.LabelColumnName}' has {(classes == 0 ? "no value in any row" : "one class in all rows")}: "
                + "a classifier is trained on rows of two classes at least.");
        return (corpus, labels);
    }

    private int[] Encode(MaskedVocabulary vocabulary, string text, long row)
    {
        try
        {
            int[] tokens = vocabulary.Codec.Encode(text);
            return tokens[..Math.Min(tokens.Length, _encoder.Network.Options.Room)];
        }
        catch (InvalidOperationException unknown)
        {
            throw new InvalidOperationException(
                $"Row {row} of column '{_options.TextColumnName}' (counted from 0) cannot be encoded. {unknown.Message}",
                unknown);
        }
    }

    // Of what the data's own does not tell: labels, and the weights that training starts from.
    private string Fingerprint(List<int> labels)
    {
        var fingerprint = new Fingerprint();
        foreach (int label in labels)
            fingerprint.Add((ulong)label);
        foreach (TensorSpec spec in _encoder.Weights.Specs)
        {
            foreach (float value in _encoder.Weights[spec.Name])
                fingerprint.Add(BitConverter.SingleToUInt32Bits(value));
        }
        return fingerprint.ToString();
    }
}

/// <summary>
/// A trained classifier of texts: adds the most probable class and the probabilities of all to rows. On the CPU ONNX Runtime
/// computes, without torch; on a CUDA device, and where ONNX Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class TextClassifierTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("text classifier", Load);

    private readonly TextClassifierModel _model;

    internal TextClassifierTransformer(TextClassifierModel model)
        : base(model) => _model = model;

    /// <summary>The classes that there are.</summary>
    public int Classes => _model.Network.Classes;

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Logits) == OnnxContent.Logits
        ? _model.ToOnnx()
        : throw new NotSupportedException(
            $"A text classifier's {content} works on texts, which an ONNX graph does not know: it computes "
            + $"{OnnxContent.Logits} of tokens.");

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new SavedTextClassifier
        {
            Options = _model.Network.Options,
            Encoder = _model.Network.Encoder.Options,
            Vocabulary = SavedMaskedVocabulary.Of(_model.Vocabulary),
            Label = _model.Label,
        },
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => _model.Weights.Save(stream);

    private static TextClassifierTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedTextClassifier saved = ModelJson.Read<SavedTextClassifier>(json);
        return ModelJson.Checked(() =>
        {
            (MaskedVocabulary vocabulary, MaskedLanguageModelOptions options) = saved.Vocabulary.Restore(saved.Encoder);
            saved.Options.Validate();
            saved.Label.Type.Check();
            foreach (TableAnnotation annotation in saved.Label.Annotations)
                annotation.Check();
            if (saved.Label.Type.KeyCount is not (> 1 and <= int.MaxValue and var classes)
                || saved.Label.Name != saved.Options.LabelColumnName)
            {
                throw new FormatException("The saved model's label does not fit its classes.");
            }
            var network = new TextClassifierNetwork(
                TextClassifierNetwork.EncoderOf(options, saved.Options), saved.Options, (int)classes);
            return new TextClassifierTransformer(new TextClassifierModel(
                network, HostWeights.Load(weights, network.Tensors), vocabulary, saved.Label,
                HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment)));
        });
    }
}

/// <summary>What <c>options.json</c> holds of a text classifier.</summary>
internal sealed record SavedTextClassifier
{
    public required TextClassifierOptions Options { get; init; }

    public required MaskedLanguageModelOptions Encoder { get; init; }

    public required SavedMaskedVocabulary Vocabulary { get; init; }

    public required VectorSchemaColumn Label { get; init; }
}

/// <summary>
/// BERT's encoder with two layers on top of what stands for a text, the first of which ends in tanh. Names are those of
/// Hugging Face's BertForSequenceClassification, without <c>bert.</c> before them.
/// </summary>
internal sealed class TextClassifierNetwork : Network
{
    private const double Deviation = 0.02;

    public TextClassifierNetwork(BertNetwork encoder, TextClassifierOptions options, int classes)
    {
        (Encoder, Options, Classes) = (encoder, options, classes);
        Tensors = Declared().Tensors;
    }

    public BertNetwork Encoder { get; }

    public TextClassifierOptions Options { get; }

    public int Classes { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    public override int PositionsPerRow => Encoder.PositionsPerRow;

    public override long NumbersPerRow => Encoder.NumbersPerRow;

    /// <summary>The network of a masked language model, as it is fine-tuned.</summary>
    public static BertNetwork EncoderOf(MaskedLanguageModelOptions trained, TextClassifierOptions options) =>
        new(trained with { Dropout = options.Dropout });

    public override void Declare(Layers layers)
    {
        Encoder.DeclareEncoder(layers);
        layers.Linear("pooler.dense", Encoder.Width, Encoder.Width);
        layers.Linear("classifier", Encoder.Width, Classes);
    }

    /// <summary>The encoder's weights, and of the layers on top normal ones.</summary>
    public static void Initialize(HostWeights weights, HostWeights trained, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            float[] values = weights[spec.Name];
            if (trained.Find(spec.Name) is not null)
            {
                trained[spec.Name].CopyTo(values, 0);
            }
            else if (spec.Shape.Length == 1)
            {
                Array.Clear(values);
            }
            else
            {
                using torch.Tensor drawn = random.Normal(spec.Shape.ToArray(), Deviation);
                HostTensors.CopyTo(drawn, values);
            }
        }
    }

    /// <summary>The states that count → logits of classes, (B, T, C) → (B, classes).</summary>
    public T Logits<T>(Scope<T> w, T hidden, T? seen = null)
        where T : struct, ITensor<T>
    {
        T pooled = w.Linear("pooler.dense", BertNetwork.Pool(hidden, Options.Pooling, Encoder.Width, seen)).Apply(Function.Tanh);
        return w.Linear("classifier", w.Dropout(pooled, Options.Dropout));
    }

    /// <summary>The mean cross-entropy of the classes.</summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor tokens, TorchTensor seen, torch.Tensor labels) = (batch[0], batch[1], batch[2]);
        TorchTensor hidden = BertNetwork.Pooled(
            Encoder.States(w, tokens, HostTensors.Index(BertNetwork.Positions(tokens), tokens.device), seen), Options.Pooling);
        return [new LossTerm("loss", Logits(w, hidden, seen).Value.log_softmax(-1).gather(1, labels.unsqueeze(1)).mean().neg())];
    }
}

/// <summary>
/// Texts with a label: fields are the tokens (B, T), padded; one for those that count and zero for others, (B, T); and the
/// labels, (B).
/// </summary>
internal sealed class LabelledTexts : TrainingData
{
    private readonly TokenCorpus _corpus;
    private readonly List<int> _labels;
    private readonly MaskedVocabulary _vocabulary;
    private readonly int[] _trained, _held;

    public LabelledTexts(
        TokenCorpus corpus, List<int> labels, MaskedVocabulary vocabulary, TextClassifierOptions options, int seed,
        torch.Device device)
        : base([new RowField("Tokens", FieldKind.Int64, 1)], device, seed, null)
    {
        (_corpus, _labels, _vocabulary) = (corpus, labels, vocabulary);
        var held = new ValidationRows(options.ValidationFraction, seed, long.MaxValue);
        ILookup<bool, int> parts = Enumerable.Range(0, labels.Count).ToLookup(row => held.Contains(row));
        (_trained, _held) = ([.. parts[false]], [.. parts[true]]);
        (TrainingRows, ValidationRows) = (_trained.Length, _held.Length);
        Fingerprints = !options.IsDataKnown ? [] : [corpus.Fingerprint()];
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        int[] order = [.. _trained];
        new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch)).Shuffle(order.AsSpan());
        return MakeEach(batchSize, skip, number =>
        {
            int start = (int)RowsBefore(number, batchSize), end = (int)RowsBefore(number + 1, batchSize);
            return Make(order.AsSpan(start, end - start));
        });
    }

    public override IEnumerable<Batch> Validation(int batchSize)
    {
        for (int start = 0; start < _held.Length; start += batchSize)
            yield return Make(_held.AsSpan(start, Math.Min(batchSize, _held.Length - start)));
    }

    private Batch Make(ReadOnlySpan<int> rows)
    {
        var texts = new int[rows.Length][];
        long[] labels = new long[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            long start = _corpus.Starts[rows[i]];
            long end = rows[i] + 1 < _corpus.Starts.Count ? _corpus.Starts[rows[i] + 1] : _corpus.Count;
            long[] tokens = new long[end - start];
            _corpus.CopyTo(start, tokens);
            (texts[i], labels[i]) = (Array.ConvertAll(tokens, token => (int)token), _labels[rows[i]]);
        }
        (long[] padded, float[] seen, int length) = Passages.Pad(_vocabulary, texts);
        int count = rows.Length;
        torch.Tensor[] fields = InOwnScope(() =>
        [
            HostTensors.Index(padded, Device).reshape(count, length),
            HostTensors.FromRows(seen, count, length, Device), HostTensors.Index(labels, Device),
        ]);
        return new(fields, count);
    }
}

/// <summary>A trained text classifier over rows; each text is computed by itself.</summary>
internal sealed class TextClassifierModel(
    TextClassifierNetwork network, HostWeights weights, MaskedVocabulary vocabulary, VectorSchemaColumn label,
    ComputeDevice device, bool fallbackToCpu) : IBatchModel
{
    private readonly PassageRunner _runner = new(new ClassifierPass(network), weights, device, fallbackToCpu);

    public TextClassifierNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    public MaskedVocabulary Vocabulary => vocabulary;

    public VectorSchemaColumn Label => label;

    public IReadOnlyList<RowField> Inputs { get; } = [new RowField(network.Options.TextColumnName, FieldKind.Text, Width: 1)];

    public IReadOnlyList<OutputColumn> Outputs { get; } = network.Options.Outputs(label);

    public int BatchSize => 64;

    public NonFiniteReplacement? Replacement => null;

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int classes = network.Classes, room = network.Encoder.Options.Room;
        int[][] texts =
        [
            .. inputs.Texts(0)[..rows].ToArray().Select((text, row) => vocabulary.Codec.EncodeRow(text, row, Inputs[0].Name)),
        ];
        float[] probabilities = new float[rows * classes];
        _runner.ForEach(rows, row =>
        {
            int[] text = texts[row][..Math.Min(texts[row].Length, room)];
            long[] tokens = new long[text.Length + 2];
            Passages.Write(vocabulary, text, tokens);
            Memory<float> values = probabilities.AsMemory(row * classes, classes);
            _runner.Model.Run(tokens, 1, [0], (values, [1, classes]));
            TensorPrimitives.SoftMax(values.Span, values.Span);
        });
        for (int column = 0; column < Outputs.Count; column++)
        {
            if (!outputs.IsWanted(column))
                continue;
            if (Outputs[column].Kind == OutputKind.Single)
                probabilities.CopyTo(outputs.Singles(column));
            for (int row = 0; row < rows && Outputs[column].Kind == OutputKind.Key; row++)
            {
                ReadOnlySpan<float> all = probabilities.AsSpan(row * classes, classes);
                outputs.Keys(column)[row] = 1 + (uint)TensorPrimitives.IndexOfMax(all);
            }
        }
    }

    /// <summary>Tokens (batch, sequence), and which of them count → logits of classes, as a graph.</summary>
    public OnnxExport ToOnnx()
    {
        var graph = new OnnxExport(weights);
        (OnnxTensor hidden, OnnxTensor seen) = TrainedMaskedLanguageModel.AddHidden(graph, network.Encoder, network.Options.Pooling);
        graph.Output("logits", network.Logits(graph.Root, hidden, seen), OnnxType.Float, "batch");
        graph.Describe("family", TextClassifierTransformer.SavedFamily.Name);
        graph.Describe("content", "logits");
        graph.Describe("context", FormattableString.Invariant($"{network.Encoder.Options.ContextLength}"));
        return graph;
    }

    public void Dispose() => _runner.Dispose();

    /// <summary>Tokens, places → logits of classes.</summary>
    private sealed class ClassifierPass(TextClassifierNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
                [network.Logits(w, BertNetwork.Pooled(network.Encoder.States(w, inputs[0], inputs[1]), network.Options.Pooling))];
    }
}
