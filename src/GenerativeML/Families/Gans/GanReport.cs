using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// Whether a GAN's training worked, in figures and in words. Losses do not tell: they are each network's view of the
/// other. So generated rows are compared with held-back ones, and so are training rows, for what a perfect generator
/// would reach.
/// </summary>
public sealed record GanReport
{
    private const double Collapsed = 0.6; // narrowed modes cost up to a quarter, missing ones much more
    private const double Complete = 0.9; // of what training rows cover
    private const double Equal = 1.5; // how far two perfect sets of rows may lie apart by chance
    private const double Far = 3;
    private const double Unsettled = 2;

    // Figures that could not be measured are not numbers, which plain JSON has no word for.
    private static readonly JsonSerializerOptions s_json = new(ModelJson.Options)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>The stages of the training, in order.</summary>
    public required IReadOnlyList<GanFigures> Stages { get; init; }

    /// <summary>Rows that were held back, and as many generated ones, that each comparison is made on.</summary>
    public required int ComparedRows { get; init; }

    /// <summary>The sliced Wasserstein distance of training rows from held-back rows.</summary>
    public required double ReferenceSlicedWasserstein { get; init; }

    /// <summary>The maximum mean discrepancy of training rows from held-back rows.</summary>
    public required double ReferenceMeanDiscrepancy { get; init; }

    /// <summary>The share of held-back rows that training rows cover.</summary>
    public required double ReferenceCoverage { get; init; }

    /// <summary>
    /// Whether generated rows cover clearly fewer of the held-back rows than training rows do, less than 0.6 of them:
    /// the generator leaves parts of the data out.
    /// </summary>
    public bool ModeCollapse => !RowsAreAlike && Stages.Count > 0 && Stages[^1].Coverage < Collapsed * ReferenceCoverage;

    /// <summary>Whether all training rows are equal, and held-back ones, too: then there are no distances to measure others by.</summary>
    [JsonInclude]
    internal bool RowsAreAlike { get; init; }

    /// <summary>What to make of it, in a few sentences.</summary>
    public IReadOnlyList<string> Verdict()
    {
        if (ComparedRows == 0)
            return ["No rows were held back (ValidationFraction), so nothing can be said of the generated rows."];
        if (Stages.Count == 0)
            return [$"Training ended before its first stage did (Stages), so no generated rows were compared with the {ComparedRows} that were held back."];
        GanFigures last = Stages[^1], best = Stages.MinBy(s => s.SlicedWasserstein)!;
        if (RowsAreAlike)
        {
            return
            [
                "All training rows are alike, and so there is nothing to learn but that one row: "
                + Text($"generated rows are {last.SlicedWasserstein:G3} from it."),
            ];
        }
        double ratio = last.SlicedWasserstein / Math.Max(ReferenceSlicedWasserstein, 1e-9);
        bool complete = last.Coverage >= Complete * ReferenceCoverage;
        string likeness = ratio < Equal && complete ? "hardly to be told apart"
            : ratio < Far && !ModeCollapse ? "close, but not the same"
            : "clearly different";
        var verdict = new List<string>
        {
            Text($"Generated rows are {last.SlicedWasserstein:G3} deviations from held-back rows, ")
            + Text($"{ratio:G3} times as far as training rows are: {likeness}."),
            (ModeCollapse ? "Mode collapse: they cover only " : "They cover ")
            + Text($"{last.Coverage:P0} of the held-back rows; training rows cover {ReferenceCoverage:P0}.")
            + (ModeCollapse ? " Try another objective, packing (PackSize), or more training." : ""),
        };
        if (last.SlicedWasserstein > Unsettled * Math.Max(best.SlicedWasserstein, ReferenceSlicedWasserstein))
        {
            verdict.Add(
                Text($"At step {best.Step} they were closer, {best.SlicedWasserstein:G3}: training does not settle. ")
                + "Lower LearningRate, or stop there.");
        }
        return verdict;
    }

    /// <summary>The verdict, and a table of the stages; what was not measured is a dash.</summary>
    public override string ToString()
    {
        var text = new StringBuilder().AppendJoin('\n', Verdict()).Append('\n');
        text.Append("    step   loss D   loss G  gradient D  gradient G  Wasserstein     MMD  coverage\n");
        foreach (GanFigures s in Stages)
        {
            string losses = Cell(s.DiscriminatorLoss, 9, "F3") + Cell(s.GeneratorLoss, 9, "F3");
            string norms = Cell(s.DiscriminatorGradientNorm, 12, "G3") + Cell(s.GeneratorGradientNorm, 12, "G3");
            text.Append(Cell(s.Step, 8, "F0") + losses + norms)
                .Append(Compared(s.SlicedWasserstein, s.MeanDiscrepancy, s.Coverage));
        }
        return text.Append("training rows ".PadRight(50))
            .Append(Compared(ReferenceSlicedWasserstein, ReferenceMeanDiscrepancy, ReferenceCoverage)).ToString();

        static string Compared(double wasserstein, double discrepancy, double coverage) =>
            Cell(wasserstein, 13, "F4") + Cell(discrepancy, 8, "F4") + Cell(coverage, 10, "P0") + "\n";

        static string Cell(double figure, int width, string format) =>
            (double.IsNaN(figure) ? "–" : figure.ToString(format, CultureInfo.InvariantCulture)).PadLeft(width);
    }

    /// <summary>What a saved model holds of it.</summary>
    internal JsonElement Write() => JsonSerializer.SerializeToElement(this, s_json);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">It is no report.</exception>
    internal static GanReport Read(JsonElement? saved)
    {
        try
        {
            GanReport? report = saved?.Deserialize<GanReport>(s_json);
            return report is not null && report.Stages.All(stage => stage is not null)
                ? report
                : throw new FormatException("The saved GAN has no report of its training.");
        }
        catch (JsonException invalid)
        {
            throw new FormatException($"The saved report cannot be read: {invalid.Message}");
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The figures of one stage of a GAN's training; NaN where one could not be measured.</summary>
public sealed record GanFigures
{
    /// <summary>Optimizer steps until the end of the stage.</summary>
    public required long Step { get; init; }

    /// <summary>The discriminator's loss, in the mean over the stage; a penalty on its gradient is part of it.</summary>
    public required double DiscriminatorLoss { get; init; }

    /// <summary>The generator's loss, in the mean over the stage; NaN where it was not updated.</summary>
    public required double GeneratorLoss { get; init; }

    /// <summary>
    /// The norm of the gradient of all the discriminator's weights, in the mean over the stage; only some steps are
    /// measured, and NaN tells of a stage that has none of them.
    /// </summary>
    public required double DiscriminatorGradientNorm { get; init; }

    /// <summary>The same of the generator's.</summary>
    public required double GeneratorGradientNorm { get; init; }

    /// <summary>
    /// The sliced Wasserstein distance of generated from held-back rows, in standard deviations of the data.
    /// </summary>
    public required double SlicedWasserstein { get; init; }

    /// <summary>The maximum mean discrepancy of generated from held-back rows, by a Gaussian kernel.</summary>
    public required double MeanDiscrepancy { get; init; }

    /// <summary>
    /// The share of held-back rows that have a generated row as near as their fifth-nearest neighbour (Naeem 2020).
    /// </summary>
    public required double Coverage { get; init; }
}
