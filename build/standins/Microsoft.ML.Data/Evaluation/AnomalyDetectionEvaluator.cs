using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Rows without a label or with a score that is no number do not count.</summary>
internal static class AnomalyDetectionEvaluator
{
    public static AnomalyDetectionMetrics Evaluate(
        IHostEnvironment env, IDataView data, string label, string score, string predictedLabel, int falsePositives)
    {
        DataViewSchema.Column Find(string name, string role) => data.Schema.GetColumnOrNull(name)
            ?? throw env.ExceptSchemaMismatch("schema", role, name);
        DataViewSchema.Column labelColumn = Find(label, "label");
        DataViewSchema.Column scoreColumn = Find(score, "score");
        Find(predictedLabel, "predictedLabel");
        if (scoreColumn.Type != NumberDataViewType.Single)
            throw env.ExceptSchemaMismatch("schema", "score", score, "Single", scoreColumn.Type.ToString());

        using DataViewRowCursor cursor = data.GetRowCursor([labelColumn, scoreColumn]);
        Func<float> labelOf = MakeLabelGetter(env, cursor, labelColumn);
        ValueGetter<float> scoreOf = cursor.GetGetter<float>(scoreColumn);
        List<(float Score, bool IsAnomaly)> rows = [];
        float value = 0;
        while (cursor.MoveNext())
        {
            scoreOf(ref value);
            float truth = labelOf();
            if (!float.IsNaN(truth) && float.IsFinite(value))
                rows.Add((value, truth > 0));
        }

        rows.Sort((a, b) => b.Score.CompareTo(a.Score));
        long anomalies = rows.Count(row => row.IsAnomaly);
        env.CheckParam(anomalies > 0, "PosSample", "There are no anomalies to tell from the rest");
        env.CheckParam(
            anomalies < rows.Count, "NegSample", "There is nothing but anomalies");
        return new(RankedScores.AreaUnderRoc(rows, anomalies), DetectionRate(rows, anomalies, falsePositives));
    }

    private static Func<float> MakeLabelGetter(IHostEnvironment env, DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type == NumberDataViewType.Single)
        {
            ValueGetter<float> getter = row.GetGetter<float>(column);
            float value = 0;
            return () =>
            {
                getter(ref value);
                return value;
            };
        }

        if (column.Type is KeyDataViewType { Count: 2 } && column.Type.RawType == typeof(uint))
        {
            ValueGetter<uint> getter = row.GetGetter<uint>(column);
            uint key = 0;
            return () =>
            {
                getter(ref key);
                return key == 0 ? float.NaN : key - 1;
            };
        }

        throw env.ExceptSchemaMismatch(
            "schema", "label", column.Name, "a Single or a key of two values", column.Type.ToString());
    }

    /// <summary>The share of anomalies that score above the first normal row that is one too many.</summary>
    private static double DetectionRate(List<(float Score, bool IsAnomaly)> sorted, long anomalies, int falsePositives)
    {
        long found = 0;
        foreach ((_, bool isAnomaly) in sorted)
        {
            if (isAnomaly)
                found++;
            else if (--falsePositives < 0)
                break;
        }

        return (double)found / anomalies;
    }
}
