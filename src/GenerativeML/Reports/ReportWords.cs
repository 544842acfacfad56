using static GenerativeML.VerdictLevel;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>What the figures of a report mean, in words.</summary>
internal static class ReportWords
{
    private const string AreCopied = " But identifiers are copied, which name the rows that they come from.";

    public static IReadOnlyList<ReportVerdict> Verdicts(SyntheticDataReport report)
    {
        List<ReportVerdict> verdicts =
            [Shapes(report), .. Missing(report), Trends(report), Coverage(report), .. Identifiers(report)];
        bool copied = report.Columns.Any(column => column.IsIdentifier && column.RealValueShare > 0);
        if (report.ClosestRecords is ClosestRecords closest)
        {
            verdicts.Add(Privacy(closest));
            verdicts.Add(Copies(closest, copied));
        }
        else
        {
            verdicts.Add(new(
                copied ? Poor : report.NewRowShare > 0.9 ? Good : Fair,
                "New rows",
                Invariant($"{report.NewRowShare:P1} of the synthetic rows equal no real row. Without held-out rows ")
                + "nobody can say how many would do so by chance." + (copied ? AreCopied : "")));
        }
        if (report.DetectionAuroc is double detection)
            verdicts.Add(Detection(detection));
        if (report.Utility is LabelUtility utility)
            verdicts.Add(Use(utility));
        return verdicts;
    }

    private static ReportVerdict Shapes(SyntheticDataReport report)
    {
        if (report.Columns.Where(column => column.IsCompared).MinBy(column => column.Shape) is not { } worst)
            return new(Poor, "Single columns", "The real table holds no values.");
        return new(
            NotHidden(Level(report.MeanShape, good: 0.93, fair: 0.85), worst.Shape, 0.7),
            "Single columns",
            Invariant($"On average {report.MeanShape:P1} alike; the least is '{worst.Name}' with {worst.Shape:P1}."));
    }

    // What is missing, and what is empty: such columns count in nothing else.
    private static IEnumerable<ReportVerdict> Missing(SyntheticDataReport report)
    {
        ColumnComparison worst = report.Columns.MinBy(column => column.MissingSimilarity)!;
        if (report.Columns.Any(column => column.RealMissing + column.SyntheticMissing > 0))
        {
            yield return new(
                Level(worst.MissingSimilarity, good: 0.95, fair: 0.85),
                "Missing values",
                Invariant($"The largest difference is in '{worst.Name}': {worst.RealMissing:P1} of the real rows, ")
                + Invariant($"{worst.SyntheticMissing:P1} of the synthetic ones."));
        }
        string[] empty = [.. report.Columns.Where(column => column.IsEmpty).Select(column => column.Name)];
        if (empty.Length > 0)
        {
            yield return new(
                Fair, "Empty columns",
                $"The real table holds no value in {Names(empty)}: they are left out of all other figures.");
        }
    }

    private static ReportVerdict Trends(SyntheticDataReport report)
    {
        if (report.Pairs.Count == 0)
            return new(Good, "Pairs of columns", "There is no pair of columns with values.");
        PairComparison worst = report.Pairs.MinBy(pair => pair.Trend)!;
        return new(
            NotHidden(Level(report.MeanTrend, good: 0.9, fair: 0.8), worst.Trend, 0.6),
            "Pairs of columns",
            Invariant($"On average {report.MeanTrend:P1} alike; the least is '{worst.First}' with '{worst.Second}', ")
            + Invariant($"{worst.Trend:P1}."));
    }

    private static ReportVerdict Coverage(SyntheticDataReport report)
    {
        if (report.Columns.Where(column => column.IsCompared).MinBy(column => column.Coverage) is not { } worst)
            return new(Poor, "Coverage", "The real table holds no values.");
        string what = worst.IsNumeric ? "of its range" : "of its categories";
        return new(
            NotHidden(Level(report.MeanCoverage, good: 0.9, fair: 0.7), worst.Coverage, 0.75),
            "Coverage",
            worst.Coverage >= 1
                ? "Every range and every category of the real table occurs."
                : Invariant($"On average {report.MeanCoverage:P1} of ranges and categories occur; of '{worst.Name}', ")
                    + Invariant($"{worst.Coverage:P1} {what}."));
    }

    private static ReportVerdict Privacy(ClosestRecords closest)
    {
        string measured = Invariant($"Synthetic rows lie {closest.Synthetic:G3} from their closest training row ")
            + Invariant($"(median), held-out real rows {closest.HoldOut:G3}");
        return closest.Ratio switch
        {
            < 0.5 => new(Poor, "Privacy", measured + ": single training rows are nearly repeated."),
            < 0.8 => new(Fair, "Privacy", measured + ": nearer to the training rows than other real rows are."),
            <= 1.4 => new(Good, "Privacy", measured + ": about the same."),
            double.NaN => new(Fair, "Privacy", measured + ": most of them repeat others; this says nothing here."),
            _ => new(Fair, "Privacy", measured + ": far from the training rows, and from what is real."),
        };
    }

    // One value of one row is enough to find it.
    private static IEnumerable<ReportVerdict> Identifiers(SyntheticDataReport report)
    {
        ColumnComparison[] all = [.. report.Columns.Where(column => column.IsIdentifier)];
        if (all.Length == 0)
            yield break;
        ColumnComparison[] copied =
            [.. all.Where(column => column.RealValueShare > 0).OrderByDescending(column => column.RealValueShare)];
        yield return new(
            copied.Length > 0 ? Poor : Good,
            "Identifiers",
            $"{Names(all.Select(column => column.Name))} "
            + $"{(all.Length == 1 ? "tells rows apart, and is" : "tell rows apart, and are")} left out of all other figures; "
            + (copied.Length == 0
                ? "no synthetic value is a real one."
                : "synthetic values are real ones: "
                    + string.Join(", ", copied.Select(c => Invariant($"{c.RealValueShare:P1} of '{c.Name}'"))) + "."));
    }

    private static string Names(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'"));

    private static ReportVerdict Copies(ClosestRecords closest, bool identifiers)
    {
        double extra = closest.ExtraCopies;
        return new(
            identifiers ? Poor : extra <= 0.001 ? Good : extra <= 0.01 ? Fair : Poor,
            "Copies",
            Invariant($"{closest.SyntheticCopies:P2} of the synthetic rows equal a training row; of the held-out ")
            + Invariant($"rows, {closest.HoldOutCopies:P2} do.") + (identifiers ? AreCopied : ""));
    }

    private static ReportVerdict Detection(double auroc) => new(
        auroc <= 0.75 ? Good : auroc <= 0.9 ? Fair : Poor,
        "Telling them apart",
        Invariant($"A classifier puts a synthetic row above a real one in {auroc:P1} of pairs (by chance: 50 %)")
        + (auroc <= 0.75 ? "." : auroc <= 0.9 ? ": it finds something to go by." : ": they are easily told apart."));

    private static ReportVerdict Use(LabelUtility utility)
    {
        double lost = utility.Real.Auroc - utility.Synthetic.Auroc;
        return new(
            lost <= 0.025 ? Good : lost <= 0.08 ? Fair : Poor,
            "Use for training",
            Invariant($"A classifier of '{utility.Label}' that is trained on synthetic rows has on held-out real rows ")
            + Invariant($"an AUROC of {utility.Synthetic.Auroc:F3} and an F1 of {utility.Synthetic.F1:F3}; trained on ")
            + Invariant($"real rows, {utility.Real.Auroc:F3} and {utility.Real.F1:F3}; on both, ")
            + Invariant($"{utility.Both.Auroc:F3} and {utility.Both.F1:F3}."));
    }

    // A mean over many that are well hides the one that is not.
    private static VerdictLevel NotHidden(VerdictLevel mean, double worst, double least) =>
        mean == Good && worst < least ? Fair : mean;

    private static VerdictLevel Level(double value, double good, double fair) =>
        value >= good ? Good : value >= fair ? Fair : Poor;
}
