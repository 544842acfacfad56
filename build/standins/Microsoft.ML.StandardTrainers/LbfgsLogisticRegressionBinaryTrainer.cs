using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Trainers;

using CalibratedModel = CalibratedModelParametersBase<LinearBinaryModelParameters, PlattCalibrator>;

/// <summary>Logistic regression with both penalties on the weights and none on the bias.</summary>
public sealed class LbfgsLogisticRegressionBinaryTrainer : IEstimator<BinaryPredictionTransformer<CalibratedModel>>
{
    private readonly IHost _host;
    private readonly string _label, _features;
    private readonly float _l1, _l2;

    internal LbfgsLogisticRegressionBinaryTrainer(
        IHostEnvironment env, string label, string features, float l1, float l2)
    {
        _host = env.Register("LogisticRegression");
        _host.CheckParam(l1 >= 0, nameof(l1), "Must be non-negative");
        _host.CheckParam(l2 >= 0, nameof(l2), "Must be non-negative");
        (_label, _features, _l1, _l2) = (label, features, l1, l2);
    }

    public BinaryPredictionTransformer<CalibratedModel> Fit(IDataView input)
    {
        GetOutputSchema(SchemaShape.Create(input.Schema));
        DataViewSchema.Column label = input.Schema[_label], features = input.Schema[_features];
        LogisticRegressionRows rows = new(((VectorDataViewType)features.Type).Size);
        using (DataViewRowCursor cursor = input.GetRowCursor([label, features]))
        {
            ValueGetter<bool> getLabel = cursor.GetGetter<bool>(label);
            ValueGetter<VBuffer<float>> getFeatures = cursor.GetGetter<VBuffer<float>>(features);
            bool truth = false;
            VBuffer<float> values = default;
            while (cursor.MoveNext())
            {
                getLabel(ref truth);
                getFeatures(ref values);
                rows.Add(values, truth);
            }
        }

        _host.Check(rows.Count > 0, "No valid training instances found, all instances have missing features.");
        (float[] weights, float bias) = rows.Solve(_l1, _l2);
        return new(
            _host, new(new(weights, bias), new(slope: -1, offset: 0)), _features, ((VectorDataViewType)features.Type).Size);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        if (!inputSchema.TryFindColumn(_features, out SchemaShape.Column features))
            throw _host.ExceptSchemaMismatch(nameof(inputSchema), "feature", _features);
        if (features.Kind != SchemaShape.Column.VectorKind.Vector
            || !features.ItemType.Equals(NumberDataViewType.Single) || features.IsKey)
        {
            throw _host.ExceptSchemaMismatch(
                nameof(inputSchema), "feature", _features, "Vector<Single>", features.GetTypeString());
        }

        if (!inputSchema.TryFindColumn(_label, out SchemaShape.Column label))
            throw _host.ExceptSchemaMismatch(nameof(inputSchema), "label", _label);
        if (label.Kind != SchemaShape.Column.VectorKind.Scalar || !label.ItemType.Equals(BooleanDataViewType.Instance))
        {
            throw _host.ExceptSchemaMismatch(
                nameof(inputSchema), "label", _label, "Boolean", label.GetTypeString());
        }

        return BinaryPredictionColumns.Promise(inputSchema);
    }
}

public sealed class LinearBinaryModelParameters : IScoresFeatures
{
    private readonly float[] _weights;

    internal LinearBinaryModelParameters(float[] weights, float bias)
    {
        _weights = weights;
        Bias = bias;
    }

    public float Bias { get; }

    public IReadOnlyList<float> Weights => _weights;

    float IScoresFeatures.Score(in VBuffer<float> features)
    {
        float score = Bias;
        foreach ((int slot, float value) in features.Items())
            score += _weights[slot] * value;
        return score;
    }
}
