using System.Globalization;
using System.Text;

namespace GenerativeML;

/// <summary>
/// Whether a GAN's training worked, in figures and in words. Losses do not tell: they are each network's view of the
/// other. So generated rows are compared with held-back ones, and so are training rows, for what a perfect generator
/// would reach.
/// </summary>
public sealed record GanReport
{
    private const double Collapsed = 0.6; // narrowed modes cost up to a quarter, missing ones much more
    private const double Near = 2;
    private const double Far = 5;

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
    public bool ModeCollapse => Stages.Count > 0 && Stages[^1].Coverage < Collapsed * ReferenceCoverage;

    /// <summary>What to make of it, in a few sentences.</summary>
    public IReadOnlyList<string> Verdict()
    {
        if (ComparedRows == 0 || Stages.Count == 0)
            return ["No rows were held back (ValidationFraction), so nothing can be said of the generated rows."];
        GanFigures last = Stages[^1], best = Stages.MinBy(s => s.SlicedWasserstein)!;
        var verdict = new List<string>();
        double ratio = last.SlicedWasserstein / Math.Max(ReferenceSlicedWasserstein, 1e-9);
        verdict.Add(Text(
            $"Generated rows are {last.SlicedWasserstein:G3} deviations from held-back rows, {ratio:G3} times as far as training rows are: ")
            + (ratio < Near ? "hardly to be told apart." : ratio < Far ? "close, but not the same." : "clearly different."));
        verdict.Add(ModeCollapse
            ? Text($"Mode collapse: they cover only {last.Coverage:P0} of the held-back rows, where training rows cover {ReferenceCoverage:P0}. Try another objective, packing (PackSize), or more training.")
            : Text($"They cover {last.Coverage:P0} of the held-back rows; training rows cover {ReferenceCoverage:P0}."));
        if (last.SlicedWasserstein > Near * best.SlicedWasserstein && last.SlicedWasserstein > Near * ReferenceSlicedWasserstein)
        {
            verdict.Add(Text(
                $"At step {best.Step} they were closer, {best.SlicedWasserstein:G3}: training does not settle. Lower LearningRate, or stop there."));
        }
        return verdict;
    }

    /// <summary>The verdict, and a table of the stages.</summary>
    public override string ToString()
    {
        var text = new StringBuilder().AppendJoin('\n', Verdict()).Append('\n');
        text.Append("    step   loss D   loss G  gradient D  gradient G  Wasserstein     MMD  coverage\n");
        foreach (GanFigures s in Stages)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"{s.Step,8} {s.DiscriminatorLoss,8:F3} {s.GeneratorLoss,8:F3} {s.DiscriminatorGradientNorm,11:G3} ");
            text.Append(CultureInfo.InvariantCulture,
                $"{s.GeneratorGradientNorm,11:G3} {s.SlicedWasserstein,12:F4} {s.MeanDiscrepancy,7:F4} {s.Coverage,9:P0}\n");
        }
        text.Append(CultureInfo.InvariantCulture,
            $"training rows {ReferenceSlicedWasserstein,53:F4} {ReferenceMeanDiscrepancy,7:F4} {ReferenceCoverage,9:P0}\n");
        return text.ToString();
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
