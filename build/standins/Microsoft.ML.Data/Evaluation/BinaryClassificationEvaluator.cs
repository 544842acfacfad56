using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

internal static class BinaryClassificationEvaluator
{
    public static CalibratedBinaryClassificationMetrics Evaluate(
        IHostEnvironment env, IDataView data, string label, string score, string probability, string predictedLabel)
    {
        DataViewSchema.Column Find(string name, string role, DataViewType type)
        {
            if (data.Schema.GetColumnOrNull(name) is not { } column)
                throw env.ExceptSchemaMismatch("schema", role, name);
            return column.Type.Equals(type)
                ? column
                : throw env.ExceptSchemaMismatch("schema", role, name, type.ToString(), column.Type.ToString());
        }

        DataViewSchema.Column truthColumn = Find(label, "label", BooleanDataViewType.Instance);
        DataViewSchema.Column scoreColumn = Find(score, "score", NumberDataViewType.Single);
        Find(probability, "probability", NumberDataViewType.Single);
        DataViewSchema.Column saidColumn = Find(predictedLabel, "predictedLabel", BooleanDataViewType.Instance);

        List<(float Score, bool IsPositive)> rows = [];
        long hits = 0, said = 0, right = 0;
        using (DataViewRowCursor cursor = data.GetRowCursor([truthColumn, scoreColumn, saidColumn]))
        {
            ValueGetter<bool> getTruth = cursor.GetGetter<bool>(truthColumn), getSaid = cursor.GetGetter<bool>(saidColumn);
            ValueGetter<float> getScore = cursor.GetGetter<float>(scoreColumn);
            bool truth = false, positive = false;
            float value = 0;
            while (cursor.MoveNext())
            {
                getTruth(ref truth);
                getSaid(ref positive);
                getScore(ref value);
                rows.Add((value, truth));
                hits += truth && positive ? 1 : 0;
                said += positive ? 1 : 0;
                right += truth == positive ? 1 : 0;
            }
        }

        rows.Sort((a, b) => b.Score.CompareTo(a.Score));
        long positives = rows.Count(row => row.IsPositive);
        env.CheckParam(positives > 0, "PosSample", "AUC is not defined when there is no positive class in the data");
        env.CheckParam(
            positives < rows.Count, "NegSample", "AUC is not defined when there is no negative class in the data");
        return new(
            RankedScores.AreaUnderRoc(rows, positives),
            (double)right / rows.Count,
            2.0 * hits / (said + positives));
    }
}
