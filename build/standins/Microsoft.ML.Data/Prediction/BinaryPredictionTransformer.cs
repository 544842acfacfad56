using Microsoft.ML.Calibrators;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Calibrators
{
    public sealed class PlattCalibrator
    {
        internal PlattCalibrator(double slope, double offset)
        {
            Slope = slope;
            Offset = offset;
        }

        public double Slope { get; }

        public double Offset { get; }

        public float PredictProbability(float output) => (float)(1 / (1 + Math.Exp(Slope * output + Offset)));
    }

    public sealed class CalibratedModelParametersBase<TSubModel, TCalibrator> : IGivesProbabilities
        where TSubModel : class
        where TCalibrator : class
    {
        internal CalibratedModelParametersBase(TSubModel subModel, TCalibrator calibrator)
        {
            SubModel = subModel;
            Calibrator = calibrator;
        }

        public TSubModel SubModel { get; }

        public TCalibrator Calibrator { get; }

        float IScoresFeatures.Score(in Data.VBuffer<float> features) => ((IScoresFeatures)SubModel).Score(features);

        float IGivesProbabilities.Probability(float score) => ((PlattCalibrator)(object)Calibrator).PredictProbability(score);
    }

    internal interface IScoresFeatures
    {
        float Score(in Data.VBuffer<float> features);
    }

    internal interface IGivesProbabilities : IScoresFeatures
    {
        float Probability(float score);
    }
}

namespace Microsoft.ML.Data
{
    public sealed class BinaryPredictionTransformer<TModel> : RowToRowTransformerBase
        where TModel : class
    {
        private readonly int _size;

        internal BinaryPredictionTransformer(IHost host, TModel model, string features, int size)
            : base(host)
        {
            Model = model;
            FeatureColumnName = features;
            _size = size;
        }

        public TModel Model { get; }

        public string FeatureColumnName { get; }

        private protected override void SaveModel(ModelSaveContext ctx)
            => throw new NotSupportedException("This stand-in saves no classifiers.");

        private protected override RowMapper MakeRowMapper(DataViewSchema schema)
        {
            if (schema.GetColumnOrNull(FeatureColumnName) is not { } features)
                throw Host.ExceptSchemaMismatch(nameof(schema), "feature", FeatureColumnName);
            if (features.Type is VectorDataViewType vector && vector.Size == _size
                && vector.ItemType.Equals(NumberDataViewType.Single))
            {
                return new Mapper((IGivesProbabilities)Model, features);
            }

            throw Host.ExceptSchemaMismatch(
                nameof(schema), "feature", FeatureColumnName, $"Vector<Single, {_size}>", features.Type.ToString());
        }

        private sealed class Mapper(IGivesProbabilities model, DataViewSchema.Column features) : RowMapper
        {
            public override DataViewSchema.DetachedColumn[] Columns => BinaryPredictionColumns.All;

            public override IEnumerable<int> DependenciesOf(int added) => [features.Index];

            public override Delegate MakeGetter(DataViewRow input, int added)
            {
                ValueGetter<VBuffer<float>> get = input.GetGetter<VBuffer<float>>(input.Schema[features.Index]);
                VBuffer<float> values = default;
                float Score()
                {
                    get(ref values);
                    return model.Score(values);
                }

                return added switch
                {
                    0 => (ValueGetter<bool>)((ref bool value) => value = Score() > 0),
                    1 => (ValueGetter<float>)((ref float value) => value = Score()),
                    _ => (ValueGetter<float>)((ref float value) => value = model.Probability(Score())),
                };
            }
        }
    }

    internal static class BinaryPredictionColumns
    {
        public static DataViewSchema.DetachedColumn[] All { get; } =
        [
            new("PredictedLabel", BooleanDataViewType.Instance),
            new("Score", NumberDataViewType.Single),
            new("Probability", NumberDataViewType.Single),
        ];

        public static SchemaShape Promise(SchemaShape shape)
            => All.Aggregate(shape, (sum, column) => sum.With(new(
                column.Name, SchemaShape.Column.VectorKind.Scalar, column.Type, isKey: false)));
    }
}
