using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>How the network is trained whose features say how alike images are: one recipe for all data.</summary>
internal sealed record ImageJudgeOptions : VectorOptions
{
    public ImageJudgeOptions() => (GradientClipNorm, ValidationFraction) = (1, 0);

    /// <summary>How its images are read.</summary>
    public ImageFormat? Format { get; init; }

    internal override ImageFormat? Images => Format;

    private protected override OptionalColumns Supported => OptionalColumns.Conditions;

    internal override VectorOptions Resolve(RowStatistics rows) => this with
    {
        BatchSize = 64, LearningRate = 2e-3, WeightDecay = 1e-2, Epochs = rows.EpochsFor(240_000, least: 3, most: 100),
    };
}

/// <summary>
/// A small classifier of images, of convolutions and a layer of 128 units, the features. Where there is a label column it
/// learns the labels; otherwise which of four ways an image is mirrored, after Gidaris 2018, who turns images.
/// </summary>
internal sealed class ImageJudgeNetwork(VectorInput input) : ImageClassifierNetwork(input, [16, 32], FeatureWidth, dropout: 0.3)
{
    /// <summary>Features of an image.</summary>
    public const int FeatureWidth = 128;

    private const int Views = 4;

    public override int Classes => Input.ConditionWidth > 0 ? Input.ConditionWidth : Views;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        torch.Tensor images = step.Rows.view(-1, Shape.Channels, Shape.Height, Shape.Width), classes;
        if (step.Condition is { } label)
        {
            classes = label.argmax(1); // scaled, one is still above zero
        }
        else
        {
            // Turned by a half, mirrored along one axis or not: images need not be square.
            classes = step.Step.Random.Uniform([images.shape[0]], 0, Views).floor().to(torch.ScalarType.Int64);
            torch.Tensor all = torch.stack([images, images.flip(2), images.flip(3), images.flip(2, 3)], 0);
            images = all.gather(0, classes.view(1, -1, 1, 1, 1).expand([1, .. images.shape])).squeeze(0);
        }
        (_, TorchTensor logits) = Pass<TorchTensor>(step.Weights, images);
        return [new LossTerm("classes", cross_entropy(logits, classes))];
    }
}

/// <summary>Images as a report compares them.</summary>
/// <param name="Pixels">Of each, as the judge sees them.</param>
/// <param name="Features">Of each, by the judge.</param>
/// <param name="Labels">The number of each one's label; −1 where there is none.</param>
/// <param name="Judged">What the judge takes each for.</param>
internal sealed record JudgedImages(float[] Pixels, float[] Features, int[] Labels, int[] Judged)
{
    public int Count => Judged.Length;

    /// <summary>Features of at most so many images, evenly spread.</summary>
    public float[] FeaturesOf(int most)
    {
        float[][] rows = [.. Features.Chunk(Features.Length / Count)];
        int count = Math.Min(most, Count);
        return [.. Enumerable.Range(0, count).SelectMany(i => rows[(long)i * Count / count])];
    }

    /// <summary>The share of images that are taken for what their label says, of one label or of all; null where there are none.</summary>
    public double? RightShare(int? only = null)
    {
        int[] rows = [.. Enumerable.Range(0, Count).Where(i => Labels[i] >= 0 && (only is null || Labels[i] == only))];
        return rows.Length == 0 ? null : rows.Count(i => Judged[i] == Labels[i]) / (double)rows.Length;
    }
}

/// <summary>A trained <see cref="ImageJudgeNetwork"/>, which looks at other images than those it was trained on, too.</summary>
internal sealed class ImageJudge : IDisposable
{
    private const int FewestImages = 10;

    private readonly TrainedVector _model;
    private readonly IReadOnlyList<RowField> _fields;
    private readonly Dictionary<object, int>? _classes; // by what keys of the label stand for, where each stands for something else

    private ImageJudge(TrainedVector model, IReadOnlyList<RowField> fields, TableValues? keys)
    {
        (_model, _fields) = (model, fields);
        if (fields.Count == 1)
            return;
        Labels = [.. Enumerable.Range(1, Classes).Select(k => fields[1].Categories is { } values ? (double)values[k - 1] : TableValues.OfKey(keys, k)!)];
        if (keys?.Count == Classes && !Labels.Contains("") && Labels.Distinct().Count() == Classes)
            _classes = Labels.Select((label, i) => (label, i)).ToDictionary(pair => pair.label, pair => pair.i);
    }

    /// <summary>Trains it on real images.</summary>
    public static ImageJudge Train(IDataView real, string column, ImageQualityOptions options)
    {
        var format = new ImageFormat(options.ImageShape, options.Resize);
        var source = new DataViewRowSource(
            real, [column], NonFiniteValues.DropRow, nameof(real), options.LabelColumnName is { } label ? [label] : [],
            format, cancellation: options.CancellationToken);
        source.FindCategories();
        if (options.LabelColumnName is not null && source.Fields[1] is { Width: 1, Categories: null })
        {
            throw new ArgumentOutOfRangeException(
                nameof(real), $"Column '{options.LabelColumnName}' is no label of images: a key is expected, or a Single of at "
                + "most twenty different values, all whole.");
        }
        TableValues? keys = source.Fields.Count > 1 ? TableCells.KeysOf(real.Schema[source.Fields[1].Name]) : null;
        return Train(source, source.Fields, keys, options);
    }

    private static ImageJudge Train(IRowSource source, IReadOnlyList<RowField> fields, TableValues? keys, ImageQualityOptions options)
    {
        var family = VectorFamily.Of<ImageJudgeOptions>("image judge", (_, input) => new ImageJudgeNetwork(input));
        var settings = new ImageJudgeOptions
        {
            FeatureColumnName = fields[0].Name,
            ConditionColumnNames = [.. fields.Skip(1).Select(field => field.Name)],
            Format = fields[0].Image,
            CancellationToken = options.CancellationToken,
        };
        VectorFitResult fit = VectorFit.Fit(source, family, settings, new TrainingContext
        {
            Seed = options.Seed, Device = ComputeDevice.Cpu, FallbackToCpu = true, Progress = options.Progress,
        });
        return new(fit.Model, fields, keys);
    }

    /// <summary>
    /// How many of other images a judge takes for what they are that learned these alone, by the labels that they are said to
    /// have, and by the same recipe (Shmelkov 2018, GAN-train). Null where fewer than ten of them, or none of the others, have a
    /// label. Pixels are as this judge sees them; the other standardises them once more, which changes nothing that it can learn.
    /// </summary>
    public double? Teaches(JudgedImages images, JudgedImages others, ImageQualityOptions options)
    {
        int[] named = [.. Enumerable.Range(0, images.Count).Where(i => images.Labels[i] >= 0)];
        if (named.Length < FewestImages || others.Labels.All(label => label < 0))
            return null;
        var rows = new KeptRows(_fields);
        RowBlock all = ToBlock(images);
        foreach (int row in named)
            rows.Add(all, row);
        using ImageJudge taught = Train(rows, _fields, keys: null, options);
        return taught.Look(ToBlock(others), others.Count, others.Labels).RightShare();
    }

    private RowBlock ToBlock(JudgedImages images)
    {
        var block = new RowBlock(_fields, images.Count);
        images.Pixels.CopyTo(block.Singles(0));
        for (int row = 0; row < images.Count; row++)
        {
            if (images.Labels[row] >= 0)
                block.SingleRow(1, row)[images.Labels[row]] = 1;
        }
        return block;
    }

    /// <summary>By which the network is known again: 16 hexadecimal digits.</summary>
    public string Fingerprint
    {
        get
        {
            var print = new Fingerprint();
            foreach (TensorSpec spec in _model.Network.Declared().Tensors)
                print.Add(_model.Weights[spec.Name]);
            return print.ToString();
        }
    }

    /// <summary>The classes.</summary>
    public int Classes => ((ImageJudgeNetwork)_model.Network).Classes;

    /// <summary>What each class is, for labels: a String or a Double. Empty without.</summary>
    public IReadOnlyList<object> Labels { get; } = [];

    /// <summary>Looks at images of a view, at most so many, drawn at random.</summary>
    public JudgedImages Judge(IDataView view, ImageQualityOptions options, string parameter)
    {
        bool labelled = _fields.Count > 1 && view.Schema.GetColumnOrNull(_fields[1].Name) is not null;
        RowField[] fields = [.. _fields.Take(labelled ? 2 : 1)];
        bool byValue = labelled && _classes is not null && view.Schema[_fields[1].Name] is { Type: KeyDataViewType } label
            && TableCells.KeysOf(label) is not null;
        DataViewSchema.Column[] columns =
        [
            .. fields.Select(field => byValue && field.IsCondition ? view.Schema[field.Name] : InputColumns.Find(view.Schema, field, parameter)),
        ];
        RowSample[] samples =
            [.. _fields.Select((field, f) => new RowSample(f, field.Width, options.MaximumRows, options.Seed))];
        var row = new RowBlock(_fields, 1);
        using (DataViewRowCursor cursor = view.GetRowCursor(columns))
        {
            FieldReader[] readers =
            [
                .. fields.Select((field, f) => byValue && field.IsCondition
                    ? ByValue(cursor, columns[f], parameter)
                    : FieldReaders.Open(cursor, columns[f], field)),
            ];
            while (cursor.MoveNext())
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                if (!readers.Select((read, f) => read(row, f, 0)).All(finite => finite))
                    continue;
                foreach (RowSample sample in samples)
                    sample.Observe(row, 0);
            }
        }
        int count = samples[0].Count;
        if (count < FewestImages)
            throw new ArgumentException($"There are {count} images; at least ten are needed to compare by.", parameter);
        int[] labels = labelled
            ? [.. samples[1].ToArray().Chunk(Classes).Select(slots => Array.IndexOf(slots, 1f))]
            : [.. Enumerable.Repeat(-1, count)];
        return Look(VectorCalibration.ToBlock(_fields, samples), count, labels);
    }

    // Another view may number what keys stand for in another order.
    private FieldReader ByValue(DataViewRow row, DataViewSchema.Column column, string parameter)
    {
        var cells = new TableCells(row, column);
        return (block, field, to) =>
        {
            cells.Read();
            Span<float> slots = block.SingleRow(field, to);
            slots.Clear();
            if (cells.Value(0) is not { } label)
                return true;
            if (!_classes!.TryGetValue(label, out int found))
            {
                throw new ArgumentException(
                    $"Column '{column.Name}' says '{label}' of an image, which no key of the real images' column stands for: those stand "
                    + $"for {string.Join(", ", Labels.Take(20))}.",
                    parameter);
            }
            slots[found] = 1;
            return true;
        };
    }

    private JudgedImages Look(RowBlock images, int count, int[] labels)
    {
        (float[] pixels, float[] conditions) = _model.Standardize(images, count);
        float[][] seen = _model.Run(
            new LookPass((ImageJudgeNetwork)_model.Network), pixels, conditions, count, [ImageJudgeNetwork.FeatureWidth, Classes]);
        return new(pixels, seen[0], labels, [.. seen[1].Chunk(Classes).Select(logits => Array.IndexOf(logits, logits.Max()))]);
    }

    public void Dispose() => _model.Dispose();

    private sealed class LookPass(ImageJudgeNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T features, T logits) = network.Pass(w, inputs[0]);
            return [features, logits];
        }
    }
}
