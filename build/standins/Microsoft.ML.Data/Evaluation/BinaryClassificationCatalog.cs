using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML
{
    public sealed class BinaryClassificationCatalog : TrainCatalogBase
    {
        internal BinaryClassificationCatalog(IHostEnvironment env)
            : base(env)
            => Trainers = new(this);

        public BinaryClassificationTrainers Trainers { get; }

        public CalibratedBinaryClassificationMetrics Evaluate(
            IDataView data,
            string labelColumnName = "Label",
            string scoreColumnName = "Score",
            string probabilityColumnName = "Probability",
            string predictedLabelColumnName = "PredictedLabel")
        {
            IHostEnvironment env = this.GetEnvironment();
            env.CheckValue(data, nameof(data));
            return BinaryClassificationEvaluator.Evaluate(
                env, data, labelColumnName, scoreColumnName, probabilityColumnName, predictedLabelColumnName);
        }

        public sealed class BinaryClassificationTrainers : CatalogInstantiatorBase
        {
            internal BinaryClassificationTrainers(BinaryClassificationCatalog catalog)
                : base(catalog)
            {
            }
        }
    }
}

namespace Microsoft.ML.Data
{
    public sealed class CalibratedBinaryClassificationMetrics
    {
        internal CalibratedBinaryClassificationMetrics(double areaUnderRocCurve, double accuracy, double f1Score)
        {
            AreaUnderRocCurve = areaUnderRocCurve;
            Accuracy = accuracy;
            F1Score = f1Score;
        }

        public double AreaUnderRocCurve { get; }

        public double Accuracy { get; }

        public double F1Score { get; }
    }
}
